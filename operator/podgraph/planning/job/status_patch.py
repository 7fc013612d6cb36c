"""What of the steps goes into a Job's status after a pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.planning.model.limits import longest_message
from podgraph.planning.model.status import STATES, duration, seconds_of
from podgraph.planning.steps.records import Steps

__all__ = ["status_patch"]

_QUIET = ("Pending", "Waiting", "Running", "Succeeded")
"""States of steps that need no message."""


def status_patch(steps: Steps, pods: Mapping[str, Any], since: str | None, now: float) -> dict[str, Any]:
    """Return the merge patch for the steps that changed since the last call, empty when nothing changed.

    `pods` is the change of the pods that steps share, `since` the start of a Job that still runs.
    """
    if not (steps.has_changes or pods):
        return {}
    counts = {state[0].lower() + state[1:]: steps.count(state) for state in STATES}
    if steps.taken:
        counts["taken"] = steps.taken
    total, done = len(steps.records), steps.count("Succeeded") + steps.count("Skipped")
    status = {
        "steps": _records(steps, steps.take_changed()),
        "counts": {"total": total, **counts},
        "progress": f"{done}/{total}",
        **pods,
    }
    if since is not None:
        status["duration"] = duration(now - seconds_of(since))
    return status


def _records(steps: Steps, names: Iterable[str]) -> dict[str, Any]:
    """Return records as the status has room for them: those of a large Job are short."""
    troubled = len(steps.records) - sum(map(steps.count, _QUIET))
    short = longest_message(len(steps.records), troubled)
    alone = set(steps.alone if short else ())
    first = steps.first  # its record tells after a restart that the one pod of all steps exists
    return {name: steps.records[name].to_patch(short, name not in alone or name == first) for name in names}
