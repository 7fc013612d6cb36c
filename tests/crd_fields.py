"""The fields of our four CRDs, as crds/ has them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Obj = dict[str, Any]
CRDS = Path(__file__).parents[1] / "crds"
KINDS = ("Job", "JobDefinition", "JobSchedule", "JobSensor")
ANY = "*"
"""In a path: some key of a mapping, or some item of a list."""


@dataclass(frozen=True)
class Field:
    """One field that holds a text; `free` is a mapping with keys of the user's, or one whose content is free."""

    kind: str
    path: tuple[str, ...]
    schema: Mapping[str, Any]
    free: bool = False

    def __str__(self) -> str:
        return f"{self.kind}.{'.'.join(self.path)}"


def schema_of(kind: str) -> Obj:
    """The schema of a kind."""
    text = (CRDS / f"{kind.lower()}s.podgraph.dev.yaml").read_text()
    found: Obj = yaml.safe_load(text)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


def fields(kind: str) -> Iterator[Field]:
    """All fields of a kind that hold texts, and all mappings whose keys are free."""
    schema = schema_of(kind)["properties"]
    for part in ("spec", "status"):
        yield from _fields(kind, (part,), schema[part])


def _fields(kind: str, path: tuple[str, ...], schema: Mapping[str, Any]) -> Iterator[Field]:
    if schema.get("type") == "string" and "enum" not in schema:
        yield Field(kind, path, schema)
    for name, inner in (schema.get("properties") or {}).items():
        yield from _fields(kind, (*path, name), inner)
    if "items" in schema:
        yield from _fields(kind, (*path, ANY), schema["items"])
    inner = schema.get("additionalProperties")
    if inner or schema.get("x-kubernetes-preserve-unknown-fields"):
        yield Field(kind, path, schema, free=True)
    if isinstance(inner, Mapping):
        yield from _fields(kind, (*path, ANY), inner)


def properties(kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """All properties of a kind with their schemas, except `metadata` of the object, which Kubernetes describes."""
    for path, schema in _properties("", schema_of(kind)):
        if path != "metadata":
            yield path, schema


def _properties(path: str, schema: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name, inner in (schema.get("properties") or {}).items():
        here = f"{path}.{name}" if path else name
        yield here, inner
        yield from _properties(here, inner)
    for ending, key in (("[]", "items"), ("{}", "additionalProperties")):
        if isinstance(inner := schema.get(key), Mapping):
            yield from _properties(path + ending, inner)


def wrong_texts(schema: Mapping[str, Any], value: Any, at: str = "") -> list[str]:
    """Where an object has a text that breaks its pattern or its length: the part of the schema that is about names."""
    found = []
    if isinstance(value, str):
        pattern, most = schema.get("pattern"), schema.get("maxLength")
        if pattern is not None and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
            found.append(f"{at}: {value[:80]!r} does not match {pattern}")
        if len(value) < schema.get("minLength", 0) or (most is not None and len(value) > most):
            found.append(f"{at}: {len(value)} characters")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            found += wrong_texts(schema.get("items") or {}, item, f"{at}[{number}]")
    elif isinstance(value, dict):
        more = schema.get("additionalProperties")
        for key, item in value.items():
            inner = (schema.get("properties") or {}).get(key) or (more if isinstance(more, dict) else {})
            found += wrong_texts(inner, item, f"{at}.{key}")
    return found
