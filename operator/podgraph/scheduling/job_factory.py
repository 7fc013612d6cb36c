"""Builds the Job of a tick. Its name is derived from the tick, so that a tick creates at most one Job."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from podgraph.api import Object, manifest, owner_reference
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.kube_names import check_field
from podgraph.planning.model.names import DEFINITION_LABEL, GROUP, label_value
from podgraph.run_config.binding import merge
from podgraph.scheduling.templates import render

__all__ = [
    "RUN_KEY_ANNOTATION", "SCHEDULE_LABEL", "SENSOR_LABEL", "TICK_ANNOTATION", "TRY_ANNOTATION", "Request",
    "launched_name", "made_job", "second", "tick_names",
]  # fmt: skip

SCHEDULE_LABEL, SENSOR_LABEL = f"{GROUP}/schedule", f"{GROUP}/sensor"
TICK_ANNOTATION, RUN_KEY_ANNOTATION = f"{GROUP}/tick-time", f"{GROUP}/run-key"
TRY_ANNOTATION = f"{GROUP}/try"
"""Requests a dry run of a schedule or sensor; for a schedule the tick follows after a space."""
_LABELS = {"JobSchedule": SCHEDULE_LABEL, "JobSensor": SENSOR_LABEL}
_MAX_NAME = 63


@dataclass(frozen=True)
class Request:
    """The fields of one Job that a function requests; they override the template."""

    run_key: str = ""
    run_config: Object = field(default_factory=dict)
    op_selection: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, data: Object) -> Request:
        """Read a run request of an evaluation. Raises DefinitionError (`InvalidAnswer`) if it is not valid."""
        kinds: dict[str, type] = {"run_key": str, "run_config": dict, "op_selection": list, "tags": dict}
        if any(key not in kinds or not isinstance(value, kinds[key]) for key, value in data.items()):
            raise DefinitionError("InvalidAnswer", "its pod returned an invalid run request")
        return cls(**{**data, "op_selection": tuple(map(str, data.get("op_selection", ())))})

    def lay_over(self, spec: dict[str, Any]) -> None:
        """Apply the request to the spec of a Job."""
        if self.run_config:
            spec["runConfig"] = merge(spec.get("runConfig") or {}, self.run_config)
        if self.op_selection:
            spec["opSelection"] = list(self.op_selection)
        if self.tags:
            spec["tags"] = {**(spec.get("tags") or {}), **self.tags}


def second(time: float) -> str:
    """Return a time in UTC to the second.

    >>> second(86400)
    '1970-01-02T00:00:00Z'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tick_names(tick: float, zone: ZoneInfo) -> dict[str, str]:
    """Return the template variables of a tick; dates are in the time zone.

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
    """Return the name of the Job that `owner` creates for `what`.

    >>> launched_name("nightly", "1767225600")
    'nightly-1767225600'
    """
    room = _MAX_NAME - len(what) - 1
    if len(owner) > room:
        digest = hashlib.sha256(owner.encode()).hexdigest()[:8]
        owner = f"{owner[: room - 9].rstrip('-.')}-{digest}"
    return f"{owner}-{what}"


def made_job(
    owner: Object, name: str, names: Mapping[str, str], annotations: Mapping[str, str], request: Request | None = None
) -> dict[str, Any]:
    """Return the Job of this name from the template of a JobSchedule or JobSensor, with the variables `names` replaced.

    The fields of `request` override the template; variables in them are not replaced. Raises DefinitionError
    (`InvalidTemplate`, `InvalidName`, `UnknownName`, `TooDeep`).
    """
    meta, template = owner["metadata"], _template(owner["spec"])
    given = template.get("metadata") or {}
    where = "spec.jobTemplate"
    labels = render(given.get("labels") or {}, names, f"{where}.metadata.labels")
    noted = render(given.get("annotations") or {}, names, f"{where}.metadata.annotations")
    for key in (*labels, *noted):
        if key.split("/")[0] == GROUP:
            raise DefinitionError(
                "InvalidTemplate", f"{where}.metadata has {key!r}; the prefix {GROUP}/ is reserved for podgraph"
            )
    spec = dict(template["spec"])
    if "rerunOf" in spec:
        raise DefinitionError("InvalidTemplate", f"{where}.spec.rerunOf is allowed in a Job, not in a template")
    for part in ("runConfig", "opSelection"):
        if part in spec:
            spec[part] = render(spec[part], names, f"{where}.spec.{part}")
    if request is not None:
        request.lay_over(spec)
        annotations = {**annotations, **({RUN_KEY_ANNOTATION: request.run_key} if request.run_key else {})}
    labels[_LABELS[owner["kind"]]] = label_value(meta["name"])
    if "definitionRef" in spec:
        labels[DEFINITION_LABEL] = label_value(check_field(f"{where}.spec.definitionRef", spec["definitionRef"]))
    made = {
        "name": name,
        "namespace": meta["namespace"],
        "labels": labels,
        "annotations": {**noted, **annotations},
        "ownerReferences": [owner_reference(owner)],
    }
    return manifest("Job", made, spec)


def _template(spec: Object) -> Object:
    """Return the template of the Jobs; by default a function creates Jobs of its JobDefinition."""
    python = spec.get("python") or (spec.get("source") or {}).get("python")
    default = {"spec": {"definitionRef": dict(python["definitionRef"])}} if python else {}
    found: Object = spec.get("jobTemplate") or default
    return found
