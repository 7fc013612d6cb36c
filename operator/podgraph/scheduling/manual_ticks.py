"""The Job that a schedule makes when a person asks for it, beside those of its own ticks: pure."""

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


def asks_code(maker: Mapping[str, Any]) -> bool:
    """Whether the operator has to ask a pod what a schedule or sensor makes: of a function, or what lies in a store."""
    spec = maker["spec"]
    return "python" in spec or not {"python", "objectStore"}.isdisjoint(spec.get("source") or ())


def job_by_hand(schedule: Mapping[str, Any], at: str, upcoming: bool, now: float) -> dict[str, Any]:
    """Return the Job that a schedule makes for a time: for `at`, at its next tick with `upcoming`, else for `now`.

    Raises DefinitionError.
    """
    zone = read_zone(schedule["spec"].get("timeZone", "UTC"))
    tick = tick_of(schedule, at, upcoming, now)
    made = launched_name(schedule["metadata"]["name"], f"manual-{int(tick)}")
    return made_job(schedule, made, tick_names(tick, zone), {TICK_ANNOTATION: second(tick)})


def named_by_hand(schedule: Mapping[str, Any], jobs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the Jobs of a tick under other names, so that the tick itself is not taken for done."""
    name = schedule["metadata"]["name"]
    return [
        {**job, "metadata": {**job["metadata"], "name": launched_name(name, f"manual-{_unique(name, job)}")}}
        for job in jobs
    ]


def tick_of(schedule: Mapping[str, Any], at: str, upcoming: bool, now: float) -> float:
    """Return the time for which that is, in seconds since the epoch. Raises DefinitionError (`InvalidTime`)."""
    told = (schedule.get("status") or {}).get("nextTickTime")
    return _time(at) if at else seconds_of(told) if upcoming and told else float(int(now))


def question(tick: str) -> str:
    """Return what the operator is asked by TRY_ANNOTATION: what comes of this tick, or of now when it is empty."""
    return f"{secrets.token_hex(4)} {tick}".strip()


def answer_to(asked: str, maker: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str] | None:
    """Return the Jobs that it would make, and what the operator says of them; None while it has not answered."""
    told = (maker.get("status") or {}).get("tried") or {}
    if told.get("id") != asked:
        return None
    return [json.loads(text) for text in told.get("jobs") or ()], told.get("message", "")


def no_answer(name: str, seconds: float) -> DefinitionError:
    """Return the error for a question that the operator has not answered in time."""
    return DefinitionError("Timeout", f"the operator did not answer for {name!r} within {seconds:.0f} s")


def _unique(name: str, job: Mapping[str, Any]) -> str:
    return str(job["metadata"]["name"]).removeprefix(f"{name}-")


def _time(text: str) -> float:
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise DefinitionError("InvalidTime", f"{text!r} is no time; for example: 2026-11-24T02:00:00Z") from None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
