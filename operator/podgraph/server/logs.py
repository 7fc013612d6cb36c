"""What a step printed, as it comes: without the lines in which its pod speaks to the operator."""

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
    """Return what is told of the pods of each step, the oldest attempt first; those of the Job itself under "".

    Of a pod that a step shares only the last is known, by its uid.
    Pods that only waited for a step to be ready, and were deleted, are no attempts and not there any more.
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
    """Return what is told of a pod by its container of this name, or else by its first."""
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
    """Return why a step has no pod whose log could be shown."""
    name, steps = job["metadata"]["name"], (job.get("status") or {}).get("steps") or {}
    if step not in steps:
        return f"Job {name!r} has no step {step!r}{nearest(step, steps)}"
    if taken := steps[step].get("takenFrom"):
        return f"step {step!r} was not run here but taken from Job {taken!r}"
    if has_run(steps[step]):
        return f"the pod of step {step!r} is gone, and its logs with it; {lost(job)}"
    return f"step {step!r} has no pod yet"


async def own_words(parts: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    """Yield whole lines of a log but for those with our mark; a line longer than 64 KiB comes in pieces."""
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
