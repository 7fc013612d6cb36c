"""The Job that a tick makes. Its name follows from the tick, so that a tick makes at most one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from podgraph.definition.errors import DefinitionError
from podgraph.planning.names import GROUP, label_value
from podgraph.scheduling.templates import render

__all__ = ["SCHEDULE_LABEL", "SENSOR_LABEL", "TICK_ANNOTATION", "launched_name", "made_job", "second", "tick_names"]

SCHEDULE_LABEL, SENSOR_LABEL = f"{GROUP}/schedule", f"{GROUP}/sensor"
TICK_ANNOTATION = f"{GROUP}/tick-time"
_LABELS = {"JobSchedule": SCHEDULE_LABEL, "JobSensor": SENSOR_LABEL}
_MAX_NAME = 63

Object = Mapping[str, Any]


def second(time: float) -> str:
    """Return a time in UTC to the second.

    >>> second(86400)
    '1970-01-02T00:00:00Z'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tick_names(tick: float, zone: ZoneInfo) -> dict[str, str]:
    """Return what stands for a tick in a template; dates are those of the time zone.

    >>> tick_names(1_767_222_000, ZoneInfo("Europe/Berlin"))["tick.previousDate"]
    '2025-12-31'
    """
    date = datetime.fromtimestamp(tick, zone).date()
    return {
        "tick.time": second(tick),
        "tick.date": date.isoformat(),
        "tick.previousDate": (date - timedelta(days=1)).isoformat(),
    }


def launched_name(owner: str, what: str) -> str:
    """Return the name of the Job that `owner` makes for `what`.

    >>> launched_name("nightly", "1767225600")
    'nightly-1767225600'
    """
    room = _MAX_NAME - len(what) - 1
    if len(owner) > room:
        digest = hashlib.sha256(owner.encode()).hexdigest()[:8]
        owner = f"{owner[: room - 9].rstrip('-.')}-{digest}"
    return f"{owner}-{what}"


def made_job(owner: Object, name: str, names: Mapping[str, str], annotations: Mapping[str, str]) -> dict[str, Any]:
    """Return the Job of this name from the template of a JobSchedule or JobSensor, with `names` put into it.

    Raises DefinitionError.
    """
    meta, template = owner["metadata"], owner["spec"]["jobTemplate"]
    given = template.get("metadata") or {}
    where = "spec.jobTemplate"
    labels = render(given.get("labels") or {}, names, f"{where}.metadata.labels")
    noted = render(given.get("annotations") or {}, names, f"{where}.metadata.annotations")
    for key in (*labels, *noted):
        if key.split("/")[0] == GROUP:
            raise DefinitionError("InvalidTemplate", f"{where}.metadata has {key!r}; {GROUP}/ is for podgraph itself")
    spec = dict(template["spec"])
    if "rerunOf" in spec:
        raise DefinitionError("InvalidTemplate", f"{where}.spec.rerunOf is for a single Job, not for a template")
    for field in ("runConfig", "opSelection"):
        if field in spec:
            spec[field] = render(spec[field], names, f"{where}.spec.{field}")
    kind = owner["kind"]
    return {
        "apiVersion": f"{GROUP}/v1alpha1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": meta["namespace"],
            "labels": {**labels, _LABELS[kind]: label_value(meta["name"])},
            "annotations": {**noted, **annotations},
            "ownerReferences": [
                {
                    "apiVersion": f"{GROUP}/v1alpha1",
                    "kind": kind,
                    "name": meta["name"],
                    "uid": meta["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": spec,
    }
