"""A step's log as it arrives, without the pod's messages to the operator."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

from podgraph.api import Object
from podgraph.definition.errors import nearest
from podgraph.planning.manifests.log_reader import has_run, lost
from podgraph.planning.model import names
from podgraph.protocol.step import LINE_MARK
from podgraph.server.views import Pod

__all__ = ["attempts_of", "own_words", "why_none"]

_MARK = LINE_MARK.encode()
_MOST_LINE = 64 * 1024


def attempts_of(pods: list[dict[str, Any]], job: Object) -> dict[str, list[Pod]]:
    """Return the pods of each step, oldest attempt first; those of the Job itself under "".

    Of a pod group, only the last pod is known, by its UID. Unused prestarted pods that were deleted are not included.
    """
    found: dict[str, list[Pod]] = {}
    run = names.run_pod(job["metadata"]["name"], job["metadata"]["uid"])
    shared: dict[str, dict[str, Any]] = {}
    for pod in pods:
        meta = pod["metadata"]
        op = (meta.get("annotations") or {}).get(names.OP_ANNOTATION, "")
        found.setdefault(op, []).append(_told(pod, names.CONTAINER, run))
        if names.POD_LABEL in (meta.get("labels") or {}):
            shared[meta["uid"]] = pod
    for step, record in ((job.get("status") or {}).get("steps") or {}).items():
        if (uid := record.get("podUID")) in shared:
            found.setdefault(step, []).append(_told(shared[uid], names.step_container(step), run))
    return found


def _told(pod: dict[str, Any], container: str, run: str) -> Pod:
    """Return the view of a pod from its container with this name, or from its first container."""
    meta, status, spec = pod["metadata"], pod.get("status") or {}, pod.get("spec") or {}
    containers = spec.get("containers") or [{}]
    own = next((item for item in containers if item.get("name") == container), containers[0])
    states = {item["name"]: item.get("state") or {} for item in status.get("containerStatuses") or ()}
    state: dict[str, Any] = states.get(own.get("name", ""), {})
    ended, running, waiting = state.get("terminated"), state.get("running"), state.get("waiting")
    return {
        "pod": meta["name"],
        "container": str(own.get("name", names.CONTAINER)),
        "uid": meta["uid"],
        "node": spec.get("nodeName", ""),
        "phase": status.get("phase", "Pending"),
        "ahead": (meta.get("labels") or {}).get(names.AHEAD_LABEL) == names.WAITING,
        "all": meta["name"] == run,
        "created": meta.get("creationTimestamp"),
        "started": (ended or running or {}).get("startedAt"),
        "ended": (ended or {}).get("finishedAt"),
        "exitCode": (ended or {}).get("exitCode"),
        "reason": (ended or waiting or {}).get("reason") or status.get("reason") or "",
        "message": str((waiting or {}).get("message") or status.get("message") or "")[:1_000],
        "image": str(own.get("image", "")),
    }


def why_none(job: Object, step: str) -> str:
    """Return why a step has no pod with a log to show."""
    name, steps = job["metadata"]["name"], (job.get("status") or {}).get("steps") or {}
    if step not in steps:
        return f"Job {name!r} has no step {step!r}{nearest(step, steps)}"
    if taken := steps[step].get("takenFrom"):
        return f"step {step!r} did not run here but was taken from Job {taken!r}"
    if has_run(steps[step]):
        return f"the pod of step {step!r} is gone, and its logs with it; {lost(job)}"
    return f"step {step!r} has no pod yet"


async def own_words(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield whole lines of a log, except those with our mark. A line longer than 64 KiB is yielded in parts."""
    rest, hiding = b"", False
    async for part in parts:
        *lines, rest = (rest + part).split(b"\n")
        shown = b""
        for line in lines:
            if not hiding and _MARK not in line:
                shown += line + b"\n"
            hiding = False
        if len(rest) > _MOST_LINE:
            hiding = hiding or _MARK in rest
            shown += b"" if hiding else rest
            rest = b""
        if shown:
            yield shown
    if rest and not hiding and _MARK not in rest:
        yield rest
