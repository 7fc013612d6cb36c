"""The sources of a JobSensor (`spec.source`), and its observations."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.api import Object
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.storage import Storage, read_storage
from podgraph.planning.model.kube_names import (
    API_VERSION,
    CONFIG_KEY,
    IMAGE,
    RESOURCE,
    check_field,
    check_labels,
)
from podgraph.planning.model.status import seconds_of
from podgraph.scheduling.json_path import Path, read_path, text_at

__all__ = [
    "MOST_OBJECTS", "FunctionRef", "HttpSource", "JobSource", "KubernetesSource", "PythonSource", "Observation",
    "Source", "StoreSource", "default_interval", "read_function", "read_source",
]  # fmt: skip

MOST_OBJECTS = 1_000
_MOST_VALUE = 4_096  # characters of an observed value that are kept
_ASKED_SECONDS = 30
_EVALUATION_SECONDS = 60
_HEADER = re.compile(r"[A-Za-z0-9-]+")
_URL = re.compile(r"https?://[^\s\x00-\x1f\x7f]+")
_MOST_URL = 2_048


@dataclass(frozen=True)
class Observation:
    """One observation of a sensor. `key` identifies it; `time` is the time of the change, "" if unknown."""

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
        """The source for display."""
        return f"Job {self.name or _labels(self.labels)} {self.outcome}"

    def counts(self, name: str, labels: Mapping[str, str], succeeded: bool) -> bool:
        """Return whether a finished Job matches this source."""
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
        """The source for display."""
        what = f"{self.resource} {self.name or _labels(self.labels)} "
        if self.condition is not None:
            return what + "=".join(self.condition)
        return what + self.path_text + (f"={self.equals}" if self.equals is not None else "")

    def see(self, found: Object) -> Observation | None:
        """Return the observation in an object, None if the object does not match."""
        meta = found["metadata"]
        if self.condition is not None:
            kind, status = self.condition
            reported = found.get("status")
            conditions = reported.get("conditions") if isinstance(reported, Mapping) else None
            for item in conditions if isinstance(conditions, list) else ():  # the status may have any shape
                if isinstance(item, Mapping) and item.get("type") == kind and item.get("status") == status:
                    time = _valid_time(item.get("lastTransitionTime"))
                    return Observation(f"{meta['uid']}/{kind}/{status}/{time}", meta["name"], status, time)
            return None
        value = text_at(found, self.path)
        if value is None or (self.equals is not None and value != self.equals):
            return None
        return Observation(f"{meta['uid']}/{self.path_text}/{_short(value)}", meta["name"], value[:_MOST_VALUE])


@dataclass(frozen=True)
class HttpSource:
    """The response of a web server; `headers` are (name, Secret, key). An empty `path` is the whole response."""

    url: str
    headers: tuple[tuple[str, str, str], ...] = ()
    path: Path = ()
    path_text: str = ""
    equals: str | None = None

    @property
    def text(self) -> str:
        """The source for display, without the query, which may contain secrets."""
        what = self.url.split("?")[0] + (f" {self.path_text}" if self.path else "")
        return what + (f"={self.equals}" if self.equals is not None else "")


@dataclass(frozen=True)
class StoreSource:
    """Objects below an fsspec URL, listed by a pod with this image ("" is the default of the operator)."""

    storage: Storage
    pattern: str = ""
    image: str = ""

    @property
    def text(self) -> str:
        """The source for display."""
        return self.storage.url + (f" {self.pattern}" if self.pattern else "")

    def see(self, key: str, version: str) -> Observation:
        """Return the observation of one version of an object."""
        return Observation(f"{key}@{version}", key, f"{self.storage.url}/{key}")


@dataclass(frozen=True)
class FunctionRef:
    """A function in the code of a JobDefinition, "" for the only one of its kind; `seconds` is its timeout."""

    definition: str
    function: str = ""
    seconds: int = _EVALUATION_SECONDS


@dataclass(frozen=True)
class PythonSource:
    """A `@sensor` function."""

    ref: FunctionRef

    @property
    def text(self) -> str:
        """The source for display."""
        return f"sensor {self.ref.function}".strip() + f" of JobDefinition {self.ref.definition}"


Source = JobSource | KubernetesSource | HttpSource | StoreSource | PythonSource


def _short(value: str) -> str:
    """Return a bounded key for a value: the value, or its digest if it is long."""
    return value if len(value) <= _MOST_VALUE else hashlib.sha256(value.encode(errors="replace")).hexdigest()


def default_interval(source: Source) -> int:
    """Return the default interval of a source in seconds; 0 for sources that are watched."""
    return 0 if isinstance(source, JobSource | KubernetesSource) else _ASKED_SECONDS


def read_source(source: Object) -> Source:
    """Read `spec.source`. Raises DefinitionError."""
    if "job" in source:
        job, where = source["job"], "spec.source.job"
        return JobSource(*_which(where, job), job.get("outcome", "Succeeded"))
    if "http" in source:
        http = source["http"]
        path = read_path(http["path"]) if "path" in http else ()
        refs = tuple(_header(item) for item in http.get("headers") or ())
        return HttpSource(_url(http["url"]), refs, path, http.get("path", ""), http.get("equals"))
    if "objectStore" in source:
        store = source["objectStore"]
        storage = read_storage(store, "spec.source.objectStore")
        image = check_field("spec.source.objectStore", store, "image", IMAGE, "")
        return StoreSource(storage, store.get("pattern", ""), image)
    if "python" in source:
        return PythonSource(read_function(source["python"], "spec.source.python"))
    wanted, where = source["kubernetes"], "spec.source.kubernetes"
    condition, of_field = wanted.get("condition"), wanted.get("field")
    return KubernetesSource(
        check_field(where, wanted, "apiVersion", API_VERSION),
        check_field(where, wanted, "resource", RESOURCE),
        *_which(where, wanted),
        None if condition is None else (condition["type"], condition.get("status", "True")),
        read_path(of_field["path"]) if of_field else (),
        of_field["path"] if of_field else "",
        of_field.get("equals") if of_field else None,
    )


def read_function(python: Object, where: str) -> FunctionRef:
    """Read a reference to a function. Raises DefinitionError (`InvalidName`)."""
    seconds = python.get("timeoutSeconds", _EVALUATION_SECONDS)
    definition = check_field(f"{where}.definitionRef", python["definitionRef"])
    return FunctionRef(definition, python.get("function", ""), seconds)


def _which(where: str, item: Object) -> tuple[str, Mapping[str, str]]:
    """Return the name or the labels of the observed objects; without either it would be all objects."""
    name = check_field(where, item) if "name" in item else ""
    labels = check_labels(f"{where}.selector.matchLabels", (item.get("selector") or {}).get("matchLabels") or {})
    if bool(name) == bool(labels):
        raise DefinitionError("InvalidSpec", f"exactly one of name and selector must be set in {where}")
    return name, labels


def _header(item: Object) -> tuple[str, str, str]:
    where, name, ref = "spec.source.http.headers", item["name"], item["secretKeyRef"]
    if not (len(name) <= 128 and _HEADER.fullmatch(name)):
        raise DefinitionError(
            "InvalidName",
            f"{where}.name: {name[:60]!r} is not allowed; a header has at most 128 letters, digits and '-'",
        )
    where = f"{where}.secretKeyRef"
    return name, check_field(where, ref), check_field(where, ref, "key", CONFIG_KEY)


def _url(url: str) -> str:
    if len(url) > _MOST_URL or not _URL.fullmatch(url):
        raise DefinitionError(
            "InvalidUrl",
            f"spec.source.http.url is {url[:100]!r}; it must be an http:// or https:// URL of at most {_MOST_URL:,} "
            "characters without whitespace",
        )
    return url


def _valid_time(text: Any) -> str:
    try:
        seconds_of(text)
    except (ValueError, TypeError, AttributeError, OverflowError):
        return ""
    return str(text)


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={value}" for key, value in labels.items())
