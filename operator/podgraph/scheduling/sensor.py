"""A JobSensor's spec, what it sees, and what of that is new: pure, (cursor, seen) -> what to make a Job for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.status import seconds_of
from podgraph.scheduling.making import TICK_ANNOTATION, launched_name, made_job, second
from podgraph.scheduling.paths import Path, read_path, text_at

__all__ = [
    "Cursor", "HttpSource", "JobSource", "KubernetesSource", "Seen", "SensorSpec", "job_of_seen", "key_digest",
    "read_sensor",
]  # fmt: skip

MOST_OBJECTS = 1_000
_KEPT = 200
_HTTP_SECONDS = 30

Object = Mapping[str, Any]


@dataclass(frozen=True)
class Seen:
    """One thing that a sensor saw. `key` tells it from all others; `time`, where it is known, when it came about."""

    key: str
    name: str
    value: str
    time: str = ""


@dataclass(frozen=True)
class JobSource:
    """Jobs that finish; exactly one of `name` and `labels` is set. `outcome` is Succeeded, Failed or Finished."""

    name: str
    labels: Mapping[str, str]
    outcome: str

    @property
    def text(self) -> str:
        """The source as a person reads it."""
        return f"Job {self.name or _labels(self.labels)} {self.outcome}"

    def counts(self, name: str, labels: Mapping[str, str], succeeded: bool) -> bool:
        """Whether the end of a Job is what this looks for."""
        if self.outcome != "Finished" and (self.outcome == "Succeeded") is not succeeded:
            return False
        return name == self.name if self.name else self.labels.items() <= labels.items()


@dataclass(frozen=True)
class KubernetesSource:
    """Objects of a kind; exactly one of `condition` (type, status) and `path` is set."""

    api_version: str
    resource: str
    name: str
    labels: Mapping[str, str]
    condition: tuple[str, str] | None = None
    path: Path = ()
    path_text: str = ""
    equals: str | None = None

    @property
    def text(self) -> str:
        """The source as a person reads it."""
        what = f"{self.resource} {self.name or _labels(self.labels)} "
        if self.condition is not None:
            return what + "=".join(self.condition)
        return what + self.path_text + (f"={self.equals}" if self.equals is not None else "")

    def see(self, found: Object) -> Seen | None:
        """Return what this looks for in an object, None when it is not there."""
        meta = found["metadata"]
        if self.condition is not None:
            kind, status = self.condition
            for item in (found.get("status") or {}).get("conditions") or ():
                if item.get("type") == kind and item.get("status") == status:
                    time = _valid_time(item.get("lastTransitionTime"))
                    return Seen(f"{meta['uid']}/{kind}/{status}/{time}", meta["name"], status, time)
            return None
        value = text_at(found, self.path)
        if value is None or (self.equals is not None and value != self.equals):
            return None
        return Seen(f"{meta['uid']}/{self.path_text}/{value}", meta["name"], value)


@dataclass(frozen=True)
class HttpSource:
    """A web server's answer; `headers` are (name, Secret, key). `path` is empty for the whole answer."""

    url: str
    headers: tuple[tuple[str, str, str], ...] = ()
    path: Path = ()
    path_text: str = ""
    equals: str | None = None

    @property
    def text(self) -> str:
        """The source as a person reads it, without what may be secret in a query."""
        what = self.url.split("?")[0] + (f" {self.path_text}" if self.path else "")
        return what + (f"={self.equals}" if self.equals is not None else "")


@dataclass(frozen=True)
class SensorSpec:
    """What a JobSensor looks at; `interval` is the least number of seconds between two looks."""

    source: JobSource | KubernetesSource | HttpSource
    interval: int = 0
    suspend: bool = False
    kept_succeeded: int = 3
    kept_failed: int = 1


@dataclass
class Cursor:
    """What a sensor has dealt with: all up to `time`, and what `keys` name, those with a time behind an `@`.

    Of an http source it is `value`, the digest of its last value, and `count`, how many Jobs it has made. `begun` says
    that what was so already when the sensor began to look is taken in.
    """

    time: str = ""
    keys: list[str] = field(default_factory=list)
    value: str = ""
    count: int = 0
    begun: bool = False

    @classmethod
    def from_status(cls, data: Object) -> Cursor:
        """Read what :meth:`to_status` wrote."""
        return cls(
            data.get("time") or "",
            list(data.get("keys") or ()),
            data.get("value") or "",
            data.get("count") or 0,
            bool(data.get("begun")),
        )

    def to_status(self) -> dict[str, Any]:
        """Return the cursor as the status has it; what is empty is null."""
        return {
            "time": self.time or None,
            "keys": self.keys or None,
            "value": self.value or None,
            "count": self.count or None,
            "begun": self.begun or None,
        }

    def fresh(self, seen: Iterable[Seen]) -> list[Seen]:
        """Return what is not dealt with, the oldest first."""
        known, since = {key.partition("@")[0] for key in self.keys}, seconds_of(self.time) if self.time else 0.0
        found = [s for s in seen if key_digest(s.key) not in known and not (s.time and seconds_of(s.time) <= since)]
        return sorted(found, key=lambda s: (seconds_of(s.time) if s.time else 0.0, s.name))

    def begin(self, seen: Iterable[Seen], is_http: bool) -> None:
        """Take in what is so already when the sensor begins to look: it makes no Job."""
        self.begun = True
        if is_http:
            self.value = _state(list(seen))
            return
        for item in seen:
            if not item.time:
                self.take(item)

    def turn(self, seen: list[Seen], equals: str | None) -> Seen | None:
        """Return what an http source has come to, if that makes a Job; :meth:`turned` says that it is dealt with.

        A value that comes again makes another Job, so its key counts the Jobs too.
        """
        if _state(seen) == self.value or not seen or (equals is not None and seen[0].value != equals):
            return None
        return Seen(f"{self.count}/{seen[0].key}", seen[0].name, seen[0].value)

    def turned(self, seen: list[Seen], made: bool) -> None:
        """Take in the value that an http source has come to, and whether that was a Job."""
        self.value = _state(seen)
        self.count += made

    def take(self, seen: Seen) -> None:
        """Take in that a Job was made, or is not to be made, for this."""
        self.keys.append(f"{key_digest(seen.key)}@{seen.time}" if seen.time else key_digest(seen.key))

    def prune(self, live: Iterable[Seen]) -> None:
        """Keep few keys: of those with a time the latest, all else being up to `time`; of the others those of `live`
        and the latest.
        """
        timed = sorted((k for k in self.keys if "@" in k), key=lambda k: seconds_of(k.partition("@")[2]))
        if len(timed) > _KEPT:
            dropped, timed = timed[:-_KEPT], timed[-_KEPT:]
            self.time = dropped[-1].partition("@")[2]
        plain = [key for key in self.keys if "@" not in key]
        if len(plain) > _KEPT:
            alive = {key_digest(s.key) for s in live}
            surplus = len(plain) - _KEPT
            plain = [key for at, key in enumerate(plain) if at >= surplus or key in alive]
        self.keys = plain + timed


def _state(seen: list[Seen]) -> str:
    return key_digest(seen[0].key) if seen else "Absent"


def key_digest(key: str) -> str:
    """Return a key as the cursor and a Job's name have it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]


def read_sensor(sensor: Object) -> SensorSpec:
    """Read a JobSensor that the API server has checked against its schema. Raises DefinitionError."""
    spec = sensor["spec"]
    source = spec["source"]
    default = _HTTP_SECONDS if "http" in source else 0
    return SensorSpec(
        source=_source(source),
        interval=spec.get("minimumIntervalSeconds", default),
        suspend=spec.get("suspend", False),
        kept_succeeded=spec.get("successfulJobsHistoryLimit", 3),
        kept_failed=spec.get("failedJobsHistoryLimit", 1),
    )


def _source(source: Object) -> JobSource | KubernetesSource | HttpSource:
    if "job" in source:
        job = source["job"]
        return JobSource(job.get("name", ""), _match_labels(job), job.get("outcome", "Succeeded"))
    if "http" in source:
        http = source["http"]
        refs = [(h["name"], h["secretKeyRef"]["name"], h["secretKeyRef"]["key"]) for h in http.get("headers") or ()]
        path = read_path(http["path"]) if "path" in http else ()
        return HttpSource(http["url"], tuple(refs), path, http.get("path", ""), http.get("equals"))
    wanted = source["kubernetes"]
    condition, of_field = wanted.get("condition"), wanted.get("field")
    return KubernetesSource(
        wanted["apiVersion"],
        wanted["resource"],
        wanted.get("name", ""),
        _match_labels(wanted),
        None if condition is None else (condition["type"], condition.get("status", "True")),
        read_path(of_field["path"]) if of_field else (),
        of_field["path"] if of_field else "",
        of_field.get("equals") if of_field else None,
    )


def _match_labels(item: Object) -> Mapping[str, str]:
    return dict((item.get("selector") or {}).get("matchLabels") or {})


def job_of_seen(sensor: Object, seen: Seen, now: float) -> dict[str, Any]:
    """Return the Job that a sensor makes for what it saw; its name follows from the key. Raises DefinitionError."""
    meta = sensor["metadata"]
    name = launched_name(meta["name"], key_digest(f"{meta['uid']}/{seen.key}"))
    if len(seen.value.encode()) > 65_536:
        raise DefinitionError("TooLarge", "the value is larger than 65,536 bytes, the most that goes into a Job")
    names = {
        "source.name": seen.name,
        "source.value": seen.value,
        "source.key": key_digest(seen.key),
        "tick.time": second(now),
    }
    return made_job(sensor, name, names, {TICK_ANNOTATION: second(now)})


def _valid_time(text: Any) -> str:
    try:
        seconds_of(text)
    except (ValueError, AttributeError, OverflowError):
        return ""
    return str(text)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
