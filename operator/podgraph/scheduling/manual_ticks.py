"""Jobs that a user requests from a schedule, in addition to its own ticks. Pure logic."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.status import seconds_of
from podgraph.scheduling.cron import read_zone
from podgraph.scheduling.job_factory import TICK_ANNOTATION, launched_name, made_job, second, tick_names

__all__ = ["answer_to", "asks_code", "job_by_hand", "named_by_hand", "no_answer", "question", "tick_of"]


def asks_code(automation: Mapping[str, Any]) -> bool:
    """Return whether a schedule or sensor needs an evaluator pod: it has a function, or an object store."""
    spec = automation["spec"]
    return "python" in spec or not {"python", "objectStore"}.isdisjoint(spec.get("source") or ())


def job_by_hand(schedule: Mapping[str, Any], at: str, upcoming: bool, now: float) -> dict[str, Any]:
    """Return the Job of a schedule for a time: for `at`, else with `upcoming` for its next tick, else for `now`.

    Raises DefinitionError.
    """
    zone = read_zone(schedule["spec"].get("timeZone", "UTC"))
    tick = tick_of(schedule, at, upcoming, now)
    made = launched_name(schedule["metadata"]["name"], f"manual-{int(tick)}")
    return made_job(schedule, made, tick_names(tick, zone), {TICK_ANNOTATION: second(tick)})


def named_by_hand(schedule: Mapping[str, Any], jobs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the Jobs of a tick under other names, so that the tick itself is still due."""
    name = schedule["metadata"]["name"]
    return [
        {**job, "metadata": {**job["metadata"], "name": launched_name(name, f"manual-{_unique(name, job)}")}}
        for job in jobs
    ]


def tick_of(schedule: Mapping[str, Any], at: str, upcoming: bool, now: float) -> float:
    """Return the time of a manual tick in seconds since the epoch. Raises DefinitionError (`InvalidTime`)."""
    following = (schedule.get("status") or {}).get("nextTickTime")
    return _time(at) if at else seconds_of(following) if upcoming and following else float(int(now))


def question(tick: str) -> str:
    """Return the value of TRY_ANNOTATION that requests a dry run of this tick, or with "" of now."""
    return f"{secrets.token_hex(4)} {tick}".strip()


def answer_to(request_id: str, automation: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str] | None:
    """Return the Jobs and the message of a dry run; None while the operator has not written the result."""
    result = (automation.get("status") or {}).get("tried") or {}
    if result.get("id") != request_id:
        return None
    return [json.loads(text) for text in result.get("jobs") or ()], result.get("message", "")


def no_answer(name: str, seconds: float) -> DefinitionError:
    """Return the error for a question that the operator has not answered in time."""
    return DefinitionError("Timeout", f"the operator did not answer for {name!r} within {seconds:.0f} s")


def _unique(name: str, job: Mapping[str, Any]) -> str:
    return str(job["metadata"]["name"]).removeprefix(f"{name}-")


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DefinitionError(
            "InvalidTime", f"{text!r} is not a valid time; for example: 2026-11-24T02:00:00Z"
        ) from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
