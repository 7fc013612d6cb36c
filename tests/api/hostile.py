"""Objects of ours with one hostile text each, for every field that the CRDs have; no CRD has checked them.

Each stands in a namespace of its own, whose name is in its hostile text, so what leads elsewhere tells where it is
from.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from api.fake import Request
from crd_fields import ANY, Field, fields
from podgraph.planning.model.names import STORAGE_FINALIZER
from podgraph.scheduling.job_factory import RUN_KEY_ANNOTATION, TICK_ANNOTATION, TRY_ANNOTATION

Obj = dict[str, Any]
API = "podgraph.dev/v1alpha1"
VICTIM = "other-ns"
MARK = "zz"
"""What no request may have in its path: it begins the part behind `?`, `#` and the like."""
TEXTS = [
    f"../../{VICTIM}/configmaps/private", f"../../../namespaces/{VICTIM}/secrets/private", "%2e%2e%2fzz", "%2e%2e",
    "..", ".", "zz/b", "zz?watch=1", "zz#b", "", "zz\n", "\x00zz", "zz" * 150, "\uff0e\uff0e", "\u2024\u2024/zz",
    "zz\\..\\b",
]  # fmt: skip
OPS = [
    {
        "name": "a", "image": "i", "script": "x", "env": [{"name": "E", "value": "1"}], "outputs": [{"name": "result"}],
        "tags": {"k": "v"}, "inputs": [{"name": "x", "value": 1}], "podTemplate": {"metadata": {"labels": {"l": "v"}}},
    },
    {"name": "b", "image": "i", "inputs": [{"name": "x", "from": {"op": "a"}}], "after": ["a"]},
]  # fmt: skip
CODE = {"source": "pass", "image": "i"}
CLAIM = {"claimRef": {"name": "c"}, "secretRef": {"name": "s"}}
TIME = "2026-01-01T00:00:00Z"
KEY = "{namespace}/origin/6e1f-1/a/1/result"
STATUS: Obj = {
    "observedGeneration": 1, "startTime": TIME, "storage": {"url": "s3://b/p", "secret": "s", "image": "i"},
    "definition": {"name": "d", "uid": "u", "generation": 1, "digest": ""},
    "pods": {"p": {"state": "Running", "attempt": 1}},
    "steps": {
        "a": {
            "state": "Succeeded", "attempt": 1, "podUID": "p-1", "takenFrom": "origin",
            "stored": {"result": {"format": "pickle", "size": 9, "sha256": "0" * 64, "key": KEY}},
        },
        "b": {"state": "Failed", "attempt": 1, "podUID": "p-2"},
    },
}  # fmt: skip
JOB_SPECS: dict[str, Obj] = {
    "ops": {"ops": OPS},
    "code": {"code": {"configMapRef": {"name": "cm", "key": "job.py"}}},
    "storage": {"code": CODE, "storage": CLAIM},
    "definitionRef": {"definitionRef": {"name": "d"}},
    "rerunOf": {"ops": OPS, "rerunOf": {"name": "parent", "uid": "u"}},
}
SOURCES: dict[str, Obj] = {
    "job": {"job": {"name": "x"}},
    "kubernetes": {
        "kubernetes": {"apiVersion": "v1", "resource": "configmaps", "name": "x", "field": {"path": "data.v"}}
    },
    "http": {
        "http": {
            "url": "http://127.0.0.1:1/x", "headers": [{"name": "H", "secretKeyRef": {"name": "s", "key": "k"}}],
        }
    },
    "objectStore": {"objectStore": CLAIM},
    "python": {"python": {"definitionRef": {"name": "d"}}},
}  # fmt: skip
TEMPLATE = {"metadata": {"annotations": {"n": "{{ tick.time }}"}}, "spec": {"ops": OPS}}


@dataclass(frozen=True)
class Hostile:
    """What is put into the cluster in one namespace, and the field of it that is hostile."""

    namespace: str
    where: str
    text: str
    objects: tuple[Obj, ...]

    def __str__(self) -> str:
        return f"{self.namespace}: {self.where} = {self.text[:60]!r}"


def hostile(kind: str, part: str) -> Iterator[Hostile]:
    """Objects of a kind, each with one hostile text in its `spec`, its `status` or its `metadata`."""
    number = 0
    places: list[Field | str] = [f for f in fields(kind) if f.path[0] == part]
    if part == "metadata":
        places = [TICK_ANNOTATION, TRY_ANNOTATION, RUN_KEY_ANNOTATION, "owner.name", "owner.uid"]
    for place in places:
        for text in TEXTS:
            number += 1
            namespace = f"{part[0]}{kind[3:].lower()}-{number}"
            told = text.replace(VICTIM, f"{VICTIM}-{namespace}")
            base = _base(kind, place if isinstance(place, Field) else None)
            yield Hostile(namespace, str(place), told, tuple(_made(kind, base, place, told, namespace)))


def _made(kind: str, base: Obj, place: Field | str, text: str, namespace: str) -> Iterator[Obj]:
    base = _with_namespace(base, namespace)
    if isinstance(place, Field):
        _put(base, place.path, {text: text} if place.free else text)
    elif place.startswith("owner.") and text:
        owner = {"apiVersion": API, "kind": "JobSchedule", "name": "o", "uid": "u", "controller": True}
        base["metadata"]["ownerReferences"] = [{**owner, place.partition(".")[2]: text}]
    else:
        base["metadata"]["annotations"] = {place: text}
    yield {"apiVersion": API, "kind": kind, **base, "metadata": {**base["metadata"], "namespace": namespace}}
    if kind != "Job" or not isinstance(place, Field) or place.path[0] != "status":
        return
    # What is written in a status is read by a Job's reruns too, and when the Job is deleted.
    ended = copy.deepcopy(base)
    ended["status"]["conditions"] = _ended()
    yield {"apiVersion": API, "kind": "Job", **ended, "metadata": {"name": "parent", "namespace": namespace}}
    again = {"code": CODE, "rerunOf": {"name": "parent"}, "storage": {"url": "s3://b/p"}}
    yield {"apiVersion": API, "kind": "Job", "metadata": {"name": "again", "namespace": namespace}, "spec": again}
    going = {"name": "going", "namespace": namespace, "finalizers": [STORAGE_FINALIZER]}
    yield {"apiVersion": API, "kind": "Job", **copy.deepcopy(ended), "metadata": going}


def _base(kind: str, field: Field | None) -> Obj:
    """An object that has what a field belongs to."""
    path = (*(field.path if field is not None else ()), "", "", "")
    part = path[1] if path[0] == "spec" else ""
    if kind == "Job" and path[0] == "status":
        return {"metadata": {"name": "x"}, "spec": JOB_SPECS["storage"], "status": STATUS}
    if kind in ("Job", "JobDefinition"):
        status = {"status": {"storage": STATUS["storage"]}} if path[0] == "status" else {}
        return {"metadata": {"name": "x"}, "spec": JOB_SPECS.get(part, JOB_SPECS["ops"]), **status}
    if kind == "JobSensor":
        source = SOURCES.get(path[2] if part == "source" else "", SOURCES["job"])
        if path[1] == "cursor":  # such a source reads what it remembers
            source = SOURCES["objectStore"]
        status = {"cursor": {"begun": True, "blocks": ["block"], "keys": ["0" * 16]}}
        return {"metadata": {"name": "x"}, "spec": {"source": source, "jobTemplate": TEMPLATE}, "status": status}
    spec = {"everySeconds": 3600, **({"python": SOURCES["python"]["python"]} if part == "python" else {})}
    status = {"sinceTime": TIME, "lastTickTime": TIME}
    return {"metadata": {"name": "x"}, "spec": {**spec, "jobTemplate": TEMPLATE}, "status": status}


def _ended() -> list[Obj]:
    kinds = (("Accepted", "True"), ("Succeeded", "False"), ("Finished", "True"))
    told = {"reason": "X", "message": "m", "lastTransitionTime": TIME}
    return [{"type": kind, "status": status, **told} for kind, status in kinds]


def _with_namespace(value: Any, namespace: str) -> Any:
    """A copy of an object in which keys of stored values are those of a namespace."""
    if isinstance(value, dict):
        return {key: _with_namespace(item, namespace) for key, item in value.items()}
    if isinstance(value, list):
        return [_with_namespace(item, namespace) for item in value]
    return value.replace("{namespace}", namespace) if isinstance(value, str) else value


def _put(value: Any, path: tuple[str, ...], text: Any) -> None:
    """Set what stands at a path, making what is not there."""
    for at, key in enumerate(path):
        last = at == len(path) - 1
        if key != ANY:
            if last:
                value[key] = text
            else:
                value = value.setdefault(key, [] if path[at + 1] == ANY and _is_list(path, at) else {})
        elif isinstance(value, list):
            if not value:
                value.append({})
            if last:
                value[0] = text
            value = value[0]
        else:
            name = next(iter(value), "k")
            if last:
                value[name] = text
            else:
                value = value.setdefault(name, {})


_MAPPINGS = ("tags", "labels", "annotations", "matchLabels", "steps", "pods", "outputs", "stored", "counts")


def _is_list(path: tuple[str, ...], at: int) -> bool:
    return path[at] not in _MAPPINGS or (path[at] == "outputs" and path[0] == "spec")


_PLURALS = {
    "pods", "configmaps", "secrets", "persistentvolumeclaims", "events", "jobs", "jobdefinitions", "jobschedules",
    "jobsensors",
}  # fmt: skip
_EVERYWHERE = {
    "/api/v1/pods",
    *(f"/apis/podgraph.dev/v1alpha1/{plural}" for plural in ("jobs", "jobdefinitions", "jobschedules", "jobsensors")),
}
_QUERY = {
    "labelSelector", "fieldSelector", "limit", "continue", "watch", "allowWatchBookmarks", "resourceVersion",
    "timeoutSeconds", "dryRun", "fieldValidation", "container", "timestamps", "follow", "sinceTime", "tailLines",
    "limitBytes",
}  # fmt: skip


def wrong(request: Request, namespaces: Collection[str]) -> str:
    """What is wrong with a request that was made for objects of these namespaces, "" when nothing is."""
    if set(request.query) - _QUERY:
        return "its query is not ours"
    if request.method == "GET" and request.path in _EVERYWHERE:
        return ""
    base, _, rest = request.path.partition("/namespaces/")
    parts = rest.split("/")
    if base not in ("/api/v1", "/apis/podgraph.dev/v1alpha1") or not 2 <= len(parts) <= 4 or "" in parts:
        return "its path is not one of ours"
    if parts[0] not in namespaces or parts[1] not in _PLURALS or not {".", ".."}.isdisjoint(parts):
        return "it leaves the namespace"
    if len(parts) > 3 and parts[3] not in ("status", "log"):
        return "it asks for a subresource that is not ours"
    if len(parts) == 2 and request.method != "POST" and not {"labelSelector", "fieldSelector"} & set(request.query):
        return "it is about all objects of a kind"
    if any(MARK in part or VICTIM in part or "%" in part for part in parts[1:]):
        return "it has a part of a hostile text"
    return ""


def found(requests: Iterable[Request], namespaces: Collection[str]) -> list[str]:
    return [f"{why}: {r.method} {r.path} {r.query}" for r in requests if (why := wrong(r, namespaces))]
