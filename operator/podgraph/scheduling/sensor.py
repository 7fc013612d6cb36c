"""The spec of a JobSensor, and the Jobs that it creates for its observations."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from podgraph.api import Object
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cursor import key_digest
from podgraph.scheduling.job_factory import TICK_ANNOTATION, Request, launched_name, made_job, second
from podgraph.scheduling.sources import Observation, Source, default_interval, read_source

__all__ = ["SensorSpec", "job_of_request", "job_of_seen", "read_sensor"]


@dataclass(frozen=True)
class SensorSpec:
    """The settings of a JobSensor; `interval` is the minimum number of seconds between two ticks."""

    source: Source
    interval: int = 0
    suspend: bool = False
    kept_succeeded: int = 3
    kept_failed: int = 1


def read_sensor(sensor: Object) -> SensorSpec:
    """Read a JobSensor that the API server has validated against its schema. Raises DefinitionError."""
    spec = sensor["spec"]
    source = read_source(spec["source"])
    return SensorSpec(
        source=source,
        interval=spec.get("minimumIntervalSeconds", default_interval(source)),
        suspend=spec.get("suspend", False),
        kept_succeeded=spec.get("successfulJobsHistoryLimit", 3),
        kept_failed=spec.get("failedJobsHistoryLimit", 1),
    )


def job_of_seen(sensor: Object, seen: Observation, now: float) -> dict[str, Any]:
    """Return the Job of a sensor for an observation; its name is derived from the key. Raises DefinitionError."""
    meta = sensor["metadata"]
    name = launched_name(meta["name"], key_digest(f"{meta['uid']}/{seen.key}"))
    if len(seen.value.encode()) > 65_536:
        raise DefinitionError("TooLarge", "the value is larger than 65,536 bytes, the maximum in a Job")
    names = {
        "source.name": seen.name,
        "source.value": seen.value,
        "source.key": key_digest(seen.key),
        "tick.time": second(now),
    }
    return made_job(sensor, name, names, {TICK_ANNOTATION: second(now)})


def job_of_request(sensor: Object, request: Request, unique: str, now: float) -> dict[str, Any]:
    """Return the Job of a run request of a `@sensor` function.

    Its name is derived from the run key, or without a run key from `unique` and the content of the request. Raises
    DefinitionError.
    """
    meta = sensor["metadata"]
    content = json.dumps([unique, vars(request)], sort_keys=True)
    key = key_digest(f"{meta['uid']}/run/{request.run_key}" if request.run_key else f"{meta['uid']}/{content}")
    names = {"source.name": meta["name"], "source.value": request.run_key, "source.key": key, "tick.time": second(now)}
    return made_job(sensor, launched_name(meta["name"], key), names, {TICK_ANNOTATION: second(now)}, request)
