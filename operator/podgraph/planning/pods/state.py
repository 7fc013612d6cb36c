"""What a pod's status says about its step."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from podgraph.planning.model.names import CONTAINER
from podgraph.planning.pods.fault import Fault, fault_of
from podgraph.planning.pods.types import ContainerState, Pod, Terminated

__all__ = [
    "CONFIG_GRACE_SECONDS",
    "PULL_GRACE_SECONDS",
    "Phase",
    "PodState",
    "describe_exit",
    "grace_of",
    "is_alive",
    "lingers",
    "observe",
    "observe_all",
]

CONFIG_GRACE_SECONDS = 10
"""How long a Secret or ConfigMap that a container names may be missing: it may have been applied together with the
Job, just behind it."""
PULL_GRACE_SECONDS = 30
"""How long a container that cannot start for a reason that may pass is waited for: the kubelet tries about three times
in it. Reasons that cannot pass count at once, and a registry that does not answer is waited for as for any pod."""

_NEVER_STARTED = "1970-01-01"  # what the kubelet writes for a container that could not start
_NEVER = ("InvalidImageName", "ErrImageNeverPull")
_IMAGE = (
    *_NEVER,
    "ErrImagePull",
    "ImagePullBackOff",
    "ImageInspectError",
    "RegistryUnavailable",
    "SignatureValidationFailed",
)
_UNSTARTED = (
    *_IMAGE,
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
)
_USUAL = ("", "PodInitializing", "ContainerCreating")
_NO_SUCH_IMAGE = re.compile(
    r"not found|manifest unknown|does not exist|pull access denied|invalid reference", re.IGNORECASE
)
_PULLING = ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable")
_REFUSED = re.compile(
    r"denied|unauthorized|authentication required|forbidden|invalid|x509|no basic auth|no match for platform"
    r"|dial tcp (127\.0\.0\.1|\[::1\]):",  # localhost/x is what podman calls an image that was never pushed
    re.IGNORECASE,
)
_NO_SUCH_CONFIG = re.compile(r"not found|couldn't find key|non-existent", re.IGNORECASE)


class Phase(Enum):
    """How far a pod's step container is."""

    STARTING = "Starting"
    STUCK = "Stuck"
    RUNNING = "Running"
    ENDED = "Ended"
    GONE = "Gone"


@dataclass(frozen=True)
class PodState:
    """What one look at a pod tells.

    `reason` and `message` explain STARTING (not scheduled), STUCK (cannot start; `hopeless` when waiting is no use)
    and an ENDED that is a failure: an ENDED with exit code 0 has no reason. `fault` tells whose failure it is, or will
    be if a STUCK one is given up. `text` is the termination message.
    """

    phase: Phase
    reason: str = ""
    message: str = ""
    hopeless: bool = False
    fault: Fault = Fault.APPLICATION
    exit_code: int = 0
    started_at: str | None = None
    finished_at: str | None = None
    text: str = field(default="", repr=False)


def observe(pod: Pod, container: str = CONTAINER) -> PodState:
    """Read the state of a step's container, which decides; the pod's phase only where there is no container.

    A sidecar that somebody's cluster injects keeps the pod's phase at Running after the step has ended.
    """
    state = _state(pod, container)
    if state.terminated is not None:
        return _ended(pod, container, state.terminated)
    if pod.status.phase == "Failed":
        reason = pod.status.reason or "PodFailed"
        message = pod.status.message or "the pod failed before its container ran"
        failed = None if pod.status.reason else _failed_init(pod)
        if failed is not None:
            return failed
        # Whatever kept the container from running, the op had no part in it; a deadline was somebody's wish.
        fault = Fault.APPLICATION if reason == "DeadlineExceeded" else Fault.INFRASTRUCTURE
        return PodState(Phase.ENDED, reason, message, fault=fault, exit_code=-1)
    if pod.status.phase == "Succeeded":
        return PodState(Phase.ENDED)
    if pod.gone:
        return PodState(Phase.GONE, "PodDeleted", "its pod was deleted before it ended", fault=Fault.INFRASTRUCTURE)
    if state.running is not None:
        return PodState(Phase.RUNNING, started_at=state.running.started_at)
    if state.waiting is not None and state.waiting.reason in _UNSTARTED:
        return _stuck(state.waiting.reason, state.waiting.message)
    for init in pod.status.init_container_statuses:
        waiting = init.state.waiting
        if waiting is not None and waiting.reason in _UNSTARTED:
            return _stuck(waiting.reason, waiting.message, f"init container {init.name!r}: ")
        if waiting is not None and waiting.reason not in _USUAL:
            return PodState(Phase.STARTING, waiting.reason, f"init container {init.name!r}: {waiting.message}")
    for condition in pod.status.conditions:
        if condition.type == "PodScheduled" and condition.status == "False":
            return PodState(Phase.STARTING, condition.reason, condition.message)
    return PodState(Phase.STARTING)


def observe_all(pod: Pod, containers: Iterable[str]) -> PodState:
    """Say how far a pod is that has a container for each of several steps: as far as the one that is behind."""
    there = {status.name for status in pod.status.container_statuses}
    found = [observe(pod, name) for name in containers if name in there] or [observe(pod)]
    for phase in (Phase.GONE, Phase.STUCK, Phase.STARTING, Phase.RUNNING):
        for seen in found:
            if seen.phase is phase:
                return seen
    return next((seen for seen in found if seen.reason), found[0])


def lingers(pod: Pod) -> bool:
    """Whether a pod whose step has ended goes on for another container's sake; native sidecars end by themselves."""
    others = [c for c in pod.status.container_statuses if c.name != CONTAINER and c.state.terminated is None]
    return bool(others) and _state(pod, CONTAINER).terminated is not None and not pod.metadata.deletion_timestamp


def is_alive(pod: Pod) -> bool:
    """Whether a pod has not ended and is not being deleted either."""
    return not pod.metadata.deletion_timestamp and observe(pod).phase not in (Phase.ENDED, Phase.GONE)


def grace_of(seen: PodState) -> float | None:
    """Return how many seconds a container that cannot start is waited for, None for as long as for any pod."""
    if seen.hopeless:
        return 0
    if seen.reason in _PULLING and not _REFUSED.search(seen.message):
        return None
    missing = seen.fault is Fault.PERMANENT and seen.reason not in _IMAGE
    return CONFIG_GRACE_SECONDS if missing else PULL_GRACE_SECONDS


def describe_exit(state: Terminated) -> str:
    """Return how a container ended, in words.

    >>> describe_exit(Terminated(exit_code=137, reason="OOMKilled"))
    'exit code 137, SIGKILL, OOMKilled'
    """
    parts = [f"exit code {state.exit_code}"]
    number = state.signal or (state.exit_code - 128 if 128 < state.exit_code < 160 else 0)
    if number:
        try:
            parts.append(signal.Signals(number).name)
        except ValueError:
            parts.append(f"signal {number}")
    if state.reason not in ("", "Error", "Completed"):
        parts.append(state.reason)
    return ", ".join(parts)


def _state(pod: Pod, container: str) -> ContainerState:
    return next((c.state for c in pod.status.container_statuses if c.name == container), ContainerState())


def _stuck(reason: str, message: str, who: str = "") -> PodState:
    hopeless = reason in _NEVER or ("Pull" in reason and bool(_NO_SUCH_IMAGE.search(message)))
    missing = reason == "CreateContainerConfigError" and bool(_NO_SUCH_CONFIG.search(message))
    # The kubelet has tried an image several times when its grace is over, and another pod would fare no better.
    fault = Fault.PERMANENT if reason in _IMAGE or missing else Fault.INFRASTRUCTURE
    return PodState(Phase.STUCK, reason, who + (message or reason), hopeless, fault)


def _failed_init(pod: Pod) -> PodState | None:
    """Return the end of a pod whose own init container failed: that is no fault of the cluster."""
    for init in pod.status.init_container_statuses:
        state = init.state.terminated
        if state is not None and state.exit_code != 0:
            text = f"its init container {init.name!r} ended with {describe_exit(state)}"
            if not state.message:
                text += (
                    f"; read its log with: kubectl logs -n {pod.metadata.namespace} {pod.metadata.name} -c {init.name}"
                )
            return PodState(Phase.ENDED, "InitContainerFailed", text, exit_code=state.exit_code, text=state.message)
    return None


def _ended(pod: Pod, container: str, state: Terminated) -> PodState:
    reason = message = ""
    fault = Fault.APPLICATION
    if state.exit_code != 0:
        deleted = pod.gone or pod.metadata.deletion_timestamp is not None
        named = state.reason not in ("", "Error", "Completed")
        reason = pod.status.reason or ("PodDeleted" if deleted else state.reason if named else "ContainerFailed")
        message = f"its container {container!r} ended with {describe_exit(state)}"
        if deleted or _is_disrupted(pod) or fault_of(reason) is Fault.INFRASTRUCTURE:
            fault = Fault.INFRASTRUCTURE
        if pod.status.message:
            message += f": {pod.status.message}"
        elif deleted:
            message = f"its pod was deleted while it ran ({describe_exit(state)})"
    return PodState(
        Phase.ENDED,
        reason,
        message,
        fault=fault,
        exit_code=state.exit_code,
        started_at=None if (state.started_at or "").startswith(_NEVER_STARTED) else state.started_at,
        finished_at=state.finished_at,
        text=state.message,
    )


def _is_disrupted(pod: Pod) -> bool:
    """Whether Kubernetes itself says that it ended the pod: for a drain, a preemption, a taint, a node's own need."""
    return any(c.type == "DisruptionTarget" and c.status == "True" for c in pod.status.conditions)
