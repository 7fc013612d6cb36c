"""Implementation of the commands for JobSchedules and JobSensors."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from podgraph.api import ready_of
from podgraph.cli.cluster import Cluster
from podgraph.cli.tables import age, print_table
from podgraph.cluster.polling import looks
from podgraph.definition.cron import check_cron
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.job_factory import TRY_ANNOTATION, second
from podgraph.scheduling.manual_ticks import (
    answer_to,
    asks_code,
    job_by_hand,
    named_by_hand,
    no_answer,
    question,
    tick_of,
)

__all__ = [
    "Schedules",
    "Sensors",
    "check_resumed",
    "jobs_by_hand",
    "print_jobs",
    "print_maker",
    "print_makers",
    "tried",
]

Object = dict[str, Any]


class Schedules(Cluster):
    """The JobSchedules of one namespace."""

    plural, kind = "jobschedules", "JobSchedule"
    columns = ("NAME", "SCHEDULE", "SUSPENDED", "LAST", "NEXT", "READY", "AGE")

    def row(self, found: Object) -> tuple[str, ...]:
        """Return the columns of one object in a list."""
        status = found.get("status") or {}
        last = age(status["lastTickTime"]) if status.get("lastTickTime") else "-"
        upcoming = status.get("nextTickTime") or "-"
        return (status.get("schedule") or "-", _suspended(found), last, upcoming)


class Sensors(Cluster):
    """The JobSensors of one namespace."""

    plural, kind = "jobsensors", "JobSensor"
    columns = ("NAME", "SOURCE", "SUSPENDED", "LAST", "READY", "AGE")

    def row(self, found: Object) -> tuple[str, ...]:
        """Return the columns of one object in a list."""
        status = found.get("status") or {}
        last = age(status["lastTickTime"]) if status.get("lastTickTime") else "-"
        return (status.get("source") or "-", _suspended(found), last)


def check_resumed(found: Object) -> None:
    """Raise DefinitionError (`InvalidSchedule`) if a schedule that is to be resumed would never tick."""
    spec = found["spec"]
    for text in [spec["schedule"]] if "schedule" in spec else spec.get("schedules") or ():
        try:
            check_cron(text)
        except DefinitionError as error:
            name = found["metadata"]["name"]
            raise DefinitionError(error.reason, f"JobSchedule {name!r} was not resumed: {error.message}") from None


def print_makers(cluster: Schedules | Sensors, output: str) -> None:
    """Print one line per object."""
    found = cluster.list()
    if output == "json":
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    rows = [cluster.columns]
    for item in found:
        meta = item["metadata"]
        ready = ready_of(item).reason or "-"
        rows.append((meta["name"], *cluster.row(item), ready, age(meta["creationTimestamp"])))
    print_table(rows)


def print_maker(cluster: Schedules | Sensors, name: str, output: str) -> None:
    """Print one object with the outcomes of its last ticks."""
    found = cluster.get(name)
    if output == "json":
        print(json.dumps(found, ensure_ascii=False, indent=2))
        return
    for title, text in zip(cluster.columns[1:], cluster.row(found), strict=False):
        print(f"{title.lower() + ':':11}{text}")
    ready = ready_of(found)
    print(f"{'ready:':11}{ready.reason or '-'}" + (f": {ready.message}" if ready.message else ""))
    ticks = (found.get("status") or {}).get("ticks") or ()
    if ticks:
        print()
        print_table(
            [
                ("TICK", "OUTCOME", "JOB", "WHY"),
                *(
                    (t["time"], t["outcome"], t.get("job", "-"), ": ".join(filter(None, map(t.get, _WHY))))
                    for t in ticks
                ),
            ]
        )


_WHY = ("reason", "message")


def jobs_by_hand(cluster: Schedules, name: str, at: str, upcoming: bool, seconds: float) -> tuple[list[Object], str]:
    """Return the Jobs that a manual tick of a schedule creates, and a message. Without a time, the tick is the next
    one with `upcoming`, else now. Raises DefinitionError.
    """
    schedule = cluster.get(name)
    if not asks_code(schedule):
        return [job_by_hand(schedule, at, upcoming, time.time())], ""
    tick = tick_of(schedule, at, upcoming, time.time())
    jobs, message = tried(cluster, name, second(tick), seconds)
    return named_by_hand(schedule, jobs), message


def tried(cluster: Schedules | Sensors, name: str, tick: str, seconds: float) -> tuple[list[Object], str]:
    """Request a dry run from the operator, for now or for a tick; return the Jobs and the operator's message.

    Raises DefinitionError (`Timeout`) when the operator does not answer within `seconds`.
    """
    wanted = question(tick)
    cluster.annotate(name, {TRY_ANNOTATION: wanted})
    for pause in looks(seconds):
        if (told := answer_to(wanted, cluster.get(name))) is not None:
            return told
        time.sleep(pause)
    raise no_answer(name, seconds)


def print_jobs(jobs: Sequence[Object], message: str) -> None:
    """Print Jobs as YAML, and messages on standard error."""
    import yaml

    if jobs:
        print(yaml.safe_dump_all(jobs, sort_keys=False, allow_unicode=True), end="")
    said = "; ".join(filter(None, ("" if jobs else "no Job would be created", message)))
    if said:
        print(said, file=sys.stderr)


def _suspended(found: Object) -> str:
    return "yes" if found["spec"].get("suspend") else "no"
