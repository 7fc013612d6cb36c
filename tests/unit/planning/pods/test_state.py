"""What a pod's status says, read from pods as the API server gives them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.state import Phase, PodState, describe_exit, grace_of, is_alive, lingers, observe
from podgraph.planning.pods.types import Pod, Terminated

START, END = "2026-11-23T09:00:00Z", "2026-11-23T09:00:03Z"


def pod(state: dict[str, Any] | None = None, *, deleted: bool = False, gone: bool = False, **status: Any) -> Pod:
    if state is not None:
        status["containerStatuses"] = [
            {"name": "istio-proxy", "image": "x", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
            {"name": "step", "image": "y", "state": state},
            {"name": "logs", "image": "x", "state": {"terminated": {"exitCode": 9}}},
        ]
    meta = {"name": "p", "namespace": "n", "uid": "u", "managedFields": [{"x": 1}]}
    if deleted:
        meta["deletionTimestamp"] = END
    made = msgspec.convert({"metadata": meta, "spec": {"x": 1}, "status": status}, Pod)
    return msgspec.structs.replace(made, gone=gone)


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {
        "terminated": {"exitCode": code, "reason": reason, "startedAt": START, "finishedAt": END, **more},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


UNSCHEDULED = [
    {"type": "Initialized", "status": "True"},
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no cpu"},
]


DELETED = PodState(Phase.GONE, "PodDeleted", "its pod was deleted before it ended", fault=Fault.INFRASTRUCTURE)


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (pod(), PodState(Phase.STARTING)),
        (pod(phase="Pending"), PodState(Phase.STARTING)),
        (
            pod(phase="Pending", conditions=UNSCHEDULED),
            PodState(Phase.STARTING, "Unschedulable", "0/1 nodes: no cpu"),
        ),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}]),
            PodState(Phase.STARTING),
        ),
        (pod(waiting("ContainerCreating"), phase="Pending"), PodState(Phase.STARTING)),
        (pod(waiting("PodInitializing"), phase="Pending"), PodState(Phase.STARTING)),
        (pod({}, phase="Pending"), PodState(Phase.STARTING)),
        (pod({"running": {"startedAt": START}}, phase="Running"), PodState(Phase.RUNNING, started_at=START)),
        (pod({"running": {}}, phase="Pending"), PodState(Phase.RUNNING)),
        (
            pod({"running": {"startedAt": START}}, phase="Running", deleted=True),
            PodState(Phase.RUNNING, started_at=START),
        ),
        (
            pod({"running": {"startedAt": START}}, phase="Running", gone=True),
            DELETED,
        ),
        (pod(phase="Pending", gone=True), DELETED),
        (
            pod(waiting("ErrImagePull", "manifest unknown"), gone=True),
            DELETED,
        ),
    ],
)
def test_before_the_end(look: Pod, seen: PodState) -> None:
    assert observe(look) == seen


@pytest.mark.parametrize(
    ("reason", "message", "grace"),
    [
        ("InvalidImageName", "couldn't parse", 0),
        ("ErrImageNeverPull", "", 0),
        ("ErrImagePull", 'rpc error: "docker.io/x/y:1": not found', 0),
        ("ErrImagePull", "manifest unknown", 0),
        ("ErrImagePull", "pull access denied, repository does not exist", 0),
        ("ErrImagePull", "dial tcp: lookup registry on 10.0.0.1: no such host", None),
        ("ErrImagePull", "i/o timeout", None),
        ("ErrImagePull", "unexpected status from HEAD request to https://r/v2/x: 503 Service Unavailable", None),
        ("ErrImagePull", "toomanyrequests: You have reached your pull rate limit", None),
        ("ErrImagePull", "failed to authorize: failed to fetch anonymous token: dial tcp: i/o timeout", None),
        ("ErrImagePull", "unauthorized: authentication required", 30),
        ("ErrImagePull", "failed to fetch anonymous token: unexpected status: 403 Forbidden", 30),
        ("ErrImagePull", "tls: failed to verify certificate: x509: certificate signed by unknown authority", 30),
        ("ErrImagePull", "dial tcp 127.0.0.1:443: connect: connection refused", 30),
        ("ErrImagePull", "dial tcp [::1]:443: connect: connection refused", 30),
        ("ErrImagePull", "dial tcp 10.0.0.7:443: connect: connection refused", None),
        ("ImagePullBackOff", 'Back-off pulling image "x"', None),
        ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: x: Not Found', 0),
        ("RegistryUnavailable", "", None),
        ("CreateContainerConfigError", 'secret "x" not found', 10),
        ("CreateContainerConfigError", "couldn't find key a in ConfigMap n/x", 10),
        ("CreateContainerConfigError", "failed to sync configmap cache", 30),
        ("CreateContainerError", "x", 30),
        ("RunContainerError", "x", 30),
        ("ImageInspectError", "x", 30),
    ],
)
def test_containers_that_cannot_start(reason: str, message: str, grace: int | None) -> None:
    seen = observe(pod(waiting(reason, message), phase="Pending"))
    mends = reason in ("CreateContainerError", "RunContainerError") or "sync" in message
    fault = Fault.INFRASTRUCTURE if mends else Fault.PERMANENT
    assert seen == PodState(Phase.STUCK, reason, message or reason, grace == 0, fault)
    assert grace_of(seen) == grace


TIMES = {"started_at": START, "finished_at": END}


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (pod(ended(0, "Completed", message="x"), phase="Succeeded"), PodState(Phase.ENDED, text="x", **TIMES)),
        (pod(ended(0, "Completed"), phase="Running"), PodState(Phase.ENDED, **TIMES)),  # a sidecar goes on
        (pod(ended(0, "Completed"), phase="Failed"), PodState(Phase.ENDED, **TIMES)),  # a sidecar failed
        (pod(ended(0, "Completed"), phase="Running", deleted=True), PodState(Phase.ENDED, **TIMES)),
        (pod(ended(0, "Completed"), phase="Running", gone=True), PodState(Phase.ENDED, **TIMES)),
        (
            pod(ended(1, "Error", message="log"), phase="Failed"),
            PodState(
                Phase.ENDED,
                "ContainerFailed",
                "its container 'step' ended with exit code 1",
                exit_code=1,
                text="log",
                **TIMES,
            ),
        ),
        (
            pod(ended(137, "OOMKilled"), phase="Failed"),
            PodState(
                Phase.ENDED,
                "OOMKilled",
                "its container 'step' ended with exit code 137, SIGKILL, OOMKilled",
                exit_code=137,
                **TIMES,
            ),
        ),
        (
            pod(ended(128, "StartError", message="exec: no such file"), phase="Failed"),
            PodState(
                Phase.ENDED,
                "StartError",
                "its container 'step' ended with exit code 128, StartError",
                exit_code=128,
                text="exec: no such file",
                **TIMES,
            ),
        ),
        (
            pod(ended(137, "Error"), phase="Failed", reason="Evicted", message="low on memory"),
            PodState(
                Phase.ENDED,
                "Evicted",
                "its container 'step' ended with exit code 137, SIGKILL: low on memory",
                exit_code=137,
                fault=Fault.INFRASTRUCTURE,
                **TIMES,
            ),
        ),
        (
            pod(ended(143, "Error"), phase="Failed", deleted=True),
            PodState(
                Phase.ENDED,
                "PodDeleted",
                "its pod was deleted while it ran (exit code 143, SIGTERM)",
                fault=Fault.INFRASTRUCTURE,
                exit_code=143,
                **TIMES,
            ),
        ),
        (
            pod(ended(137, "Error"), phase="Running", gone=True),
            PodState(
                Phase.ENDED,
                "PodDeleted",
                "its pod was deleted while it ran (exit code 137, SIGKILL)",
                fault=Fault.INFRASTRUCTURE,
                exit_code=137,
                **TIMES,
            ),
        ),
        (
            pod(phase="Failed", reason="Evicted", message="no disk"),
            PodState(Phase.ENDED, "Evicted", "no disk", exit_code=-1, fault=Fault.INFRASTRUCTURE),
        ),
        (
            pod(waiting("PodInitializing"), phase="Failed"),
            PodState(
                Phase.ENDED,
                "PodFailed",
                "the pod failed before its container ran",
                exit_code=-1,
                fault=Fault.INFRASTRUCTURE,
            ),
        ),
        (
            pod(phase="Failed", reason="DeadlineExceeded", message="too long", gone=True),
            PodState(Phase.ENDED, "DeadlineExceeded", "too long", exit_code=-1),
        ),
    ],
)
def test_the_end(look: Pod, seen: PodState) -> None:
    assert observe(look) == seen
    assert not is_alive(look)


def test_a_failure_that_kubernetes_brought_about_is_not_the_op_s() -> None:
    drained = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    seen = observe(pod(ended(143, "Error"), phase="Failed", conditions=drained))
    assert (seen.reason, seen.fault) == ("ContainerFailed", Fault.INFRASTRUCTURE)
    assert observe(pod(ended(143, "Error"), phase="Failed")).fault is Fault.APPLICATION


def test_what_is_being_deleted_is_not_alive() -> None:
    assert is_alive(pod({"running": {}}, phase="Running"))
    assert not is_alive(pod({"running": {}}, phase="Running", deleted=True))


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Terminated(exit_code=3), "exit code 3"),
        (Terminated(exit_code=1, reason="Error"), "exit code 1"),
        (Terminated(exit_code=139, reason="Error"), "exit code 139, SIGSEGV"),
        (Terminated(exit_code=128), "exit code 128"),
        (Terminated(exit_code=159), "exit code 159, SIGSYS"),
        (Terminated(exit_code=255), "exit code 255"),
        (Terminated(exit_code=0, signal=9), "exit code 0, SIGKILL"),
        (Terminated(exit_code=1, signal=99), "exit code 1, signal 99"),
        (Terminated(exit_code=2, reason="ContainerCannotRun"), "exit code 2, ContainerCannotRun"),
    ],
)
def test_how_a_container_ended(state: Terminated, words: str) -> None:
    assert describe_exit(state) == words


def beside(state: dict[str, Any], step: dict[str, Any] | None = None, **status: Any) -> Pod:
    """Return a pod whose init container `setup` is in a state, and whose step waits for it."""
    told = [{"name": "step", "state": step or waiting("PodInitializing")}]
    status = {"phase": "Pending", **status}
    more = {"initContainerStatuses": [{"name": "setup", "state": state}], "containerStatuses": told}
    return msgspec.convert({"metadata": {"name": "p"}, "status": {**status, **more}}, Pod)


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (beside({"running": {}}), PodState(Phase.STARTING)),
        (beside(waiting("PodInitializing")), PodState(Phase.STARTING)),
        (
            beside(waiting("CrashLoopBackOff", "back-off 10s")),
            PodState(Phase.STARTING, "CrashLoopBackOff", "init container 'setup': back-off 10s"),
        ),
        (
            beside(waiting("ErrImagePull", "x: not found")),
            PodState(Phase.STUCK, "ErrImagePull", "init container 'setup': x: not found", True, Fault.PERMANENT),
        ),
        (
            beside(ended(3, "Error", message="no disk"), phase="Failed"),
            PodState(
                Phase.ENDED, "InitContainerFailed", "its init container 'setup' ended with exit code 3", exit_code=3,
                text="no disk",
            ),
        ),
        (
            beside(ended(137, "Error"), phase="Failed", reason="Evicted", message="no memory"),
            PodState(Phase.ENDED, "Evicted", "no memory", fault=Fault.INFRASTRUCTURE, exit_code=-1),
        ),
        (beside(waiting("ErrImagePull"), {"running": {"startedAt": START}}), PodState(Phase.RUNNING, started_at=START)),
    ],
)  # fmt: skip
def test_init_containers(look: Pod, seen: PodState) -> None:
    assert observe(look) == seen


def test_a_pod_lingers_for_a_container_that_does_not_end() -> None:
    assert lingers(pod(ended(0)))
    assert not lingers(pod(ended(0), deleted=True))
    assert not lingers(pod({"running": {"startedAt": START}}))
    assert not lingers(pod())
    assert not lingers(beside({"running": {}}, ended(0)))  # a native sidecar, which the kubelet ends
