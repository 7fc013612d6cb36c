"""Hold plain data against a JSON Schema, and make an example of what one asks for."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from podgraph.definition.config_schema import key_path
from podgraph.definition.errors import nearest
from podgraph.definition.typecheck import got

__all__ = ["Problem", "example", "problems"]

Schema = Mapping[str, Any]

_DEEPEST = 60
_KINDS: dict[str, tuple[type, ...]] = {
    "object": (Mapping,), "array": (list, tuple), "string": (str,), "boolean": (bool,), "null": (type(None),),
    "integer": (int,), "number": (int, float),
}  # fmt: skip

_NUMBERS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "minimum": ("at least", operator.ge),
    "maximum": ("at most", operator.le),
    "exclusiveMinimum": ("more than", operator.gt),
    "exclusiveMaximum": ("less than", operator.lt),
    "multipleOf": ("a multiple of", lambda value, step: value % step == 0),
}


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with run config: where (`ops.add.config.n`), and a sentence that names the place.

    When something is `missing`, `example` is what could stand there.
    """

    path: str
    message: str
    missing: bool = False
    example: Any = None


def problems(schema: Schema, value: Any, path: str, root: Schema | None = None) -> list[Problem]:
    """Return all that is wrong with `value`, each with its path below `path`."""
    return _check(schema, value, path, schema if root is None else root, 0)


def example(schema: Schema, root: Schema | None = None, everything: bool = False) -> Any:
    """Return a value that the schema allows: what it requires, with `everything` also what it leaves open."""
    return _example(schema, schema if root is None else root, everything, 0)


def _check(schema: Schema, value: Any, path: str, root: Schema, depth: int) -> list[Problem]:
    schema = _resolved(schema, root)
    if not schema or depth > _DEEPEST:
        return []
    kinds = _kinds(schema)
    if kinds and not any(_is(kind, value) for kind in kinds):
        return [_problem(path, f"must be {' or '.join(kinds)}, not {got(value)}")]
    if found := [_problem(path, text) for text in _wrong(schema, value)]:
        return found
    below = _check_choice(schema, value, path, root, depth)
    if isinstance(value, Mapping):
        below += _check_object(schema, value, path, root, depth)
    elif isinstance(value, (list, tuple)):
        below += _check_array(schema, value, path, root, depth)
    return below


def _wrong(schema: Schema, value: Any) -> list[str]:
    found = []
    if "enum" in schema and not any(_same(value, allowed) for allowed in schema["enum"]):
        found.append(f"must be one of {', '.join(map(repr, schema['enum']))}, not {got(value)}")
    if "const" in schema and not _same(value, schema["const"]):
        found.append(f"must be {schema['const']!r}, not {got(value)}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        for key, (word, is_right) in _NUMBERS.items():
            if key in schema and not is_right(value, schema[key]):
                found.append(f"must be {word} {schema[key]}, not {value!r}")
    if isinstance(value, str):
        found += _sizes(schema, len(value), "Length", "characters")
        if "pattern" in schema and not re.search(schema["pattern"], value):
            found.append(f"must match {schema['pattern']!r}, not {got(value)}")
    if isinstance(value, (list, tuple)):
        found += _sizes(schema, len(value), "Items", "items")
        if schema.get("uniqueItems") and any(_same(a, b) for at, a in enumerate(value) for b in value[:at]):
            found.append("must not hold the same item twice")
    if isinstance(value, Mapping):
        found += _sizes(schema, len(value), "Properties", "keys")
        found += [f"has the key {key!r}, which is no text" for key in value if not isinstance(key, str)]
    return found


def _sizes(schema: Schema, size: int, kind: str, what: str) -> list[str]:
    least, most = schema.get(f"min{kind}", 0), schema.get(f"max{kind}", size)
    if size < least:
        return [f"must have at least {least} {what}, not {size}"]
    return [f"must have at most {most} {what}, not {size}"] if size > most else []


def _check_choice(schema: Schema, value: Any, path: str, root: Schema, depth: int) -> list[Problem]:
    found: list[Problem] = []
    for branch in schema.get("allOf", ()):
        found += _check(branch, value, path, root, depth + 1)
    branches = [_resolved(branch, root) for branch in schema.get("anyOf") or schema.get("oneOf") or ()]
    if not branches:
        return found
    results = [(branch, _check(branch, value, path, root, depth + 1)) for branch in branches]
    if any(not wrong for _, wrong in results):
        return found
    fitting = [wrong for branch, wrong in results if any(_is(kind, value) for kind in _kinds(branch))]
    if len(fitting) == 1:
        return found + fitting[0]
    names = list(dict.fromkeys(kind for branch in branches for kind in _kinds(branch) or ["another value"]))
    return [*found, _problem(path, f"must be {' or '.join(names)}, not {got(value)}")]


def _check_object(schema: Schema, value: Mapping[str, Any], path: str, root: Schema, depth: int) -> list[Problem]:
    found: list[Problem] = []
    known, others = schema.get("properties", {}), schema.get("additionalProperties", True)
    for key in schema.get("required", ()):
        if key not in value:
            found += _missing(known.get(key, {}), _join(path, key), root)
    for key, item in value.items():
        if key in known:
            found += _check(known[key], item, _join(path, key), root, depth + 1)
        elif others is False:
            hint = nearest(str(key)[:128], known) if known else ": nothing may be set there"
            found.append(_problem(_join(path, key), f"is unknown{hint}"))
        elif isinstance(others, Mapping):
            found += _check(others, item, _join(path, key), root, depth + 1)
    return found


def _missing(schema: Any, path: str, root: Schema) -> list[Problem]:
    """Say that something is missing: in a mapping, each thing that it must hold."""
    inner = _resolved(schema, root)
    if inner.get("type") == "object" and inner.get("required"):
        known = inner.get("properties", {})
        return [p for key in inner["required"] for p in _missing(known.get(key, {}), _join(path, key), root)]
    hint = f": {inner['description']}" if isinstance(inner.get("description"), str) else ""
    return [Problem(path, f"{path} is missing{hint}", True, example(inner, root))]


def _check_array(schema: Schema, value: Any, path: str, root: Schema, depth: int) -> list[Problem]:
    found: list[Problem] = []
    first = schema.get("prefixItems", ())
    for at, item in enumerate(value):
        inner = first[at] if at < len(first) else schema.get("items", {})
        if inner is False:
            found.append(_problem(f"{path}[{at}]", "is one item too many"))
        elif isinstance(inner, Mapping):
            found += _check(inner, item, f"{path}[{at}]", root, depth + 1)
    return found


def _example(schema: Schema, root: Schema, everything: bool, depth: int) -> Any:
    schema = _resolved(schema, root)
    for key in ("default", "const"):
        if key in schema:
            return schema[key]
    if schema.get("enum"):
        return schema["enum"][0]
    for branch in (schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf") or ())[:1]:
        return _example(branch, root, everything, depth + 1)
    kind = next(iter(_kinds(schema)), "")
    if kind == "object":
        known = schema.get("properties", {})
        wanted = known if everything and depth < 12 else [key for key in known if key in schema.get("required", ())]
        return {key: _example(known[key], root, everything, depth + 1) for key in wanted if depth < _DEEPEST}
    if kind == "array":
        first = [_example(item, root, everything, depth + 1) for item in schema.get("prefixItems", ())]
        more = max(0, schema.get("minItems", 0) - len(first))
        return [*first, *(_example(schema.get("items", {}), root, everything, depth + 1) for _ in range(more))]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return {"boolean": False, "null": None}.get(kind, "...".ljust(schema.get("minLength", 0), "."))


def _number(schema: Schema, kind: str) -> Any:
    least = schema.get("minimum", schema.get("exclusiveMinimum", 0) + (1 if "exclusiveMinimum" in schema else 0))
    most = schema.get("maximum", schema.get("exclusiveMaximum", 0) - (1 if "exclusiveMaximum" in schema else 0))
    value = max(0, least) if "maximum" not in schema and "exclusiveMaximum" not in schema else min(max(0, least), most)
    return float(value) if kind == "number" else int(value)


def _resolved(schema: Any, root: Schema) -> Schema:
    for _ in range(_DEEPEST):
        ref = schema.get("$ref") if isinstance(schema, Mapping) else None
        if not isinstance(ref, str) or not ref.startswith("#/$defs/"):
            break
        schema = root.get("$defs", {}).get(ref[len("#/$defs/") :], {})
    return schema if isinstance(schema, Mapping) else {}


def _kinds(schema: Schema) -> list[str]:
    kind = schema.get("type", [])
    return [kind] if isinstance(kind, str) else list(kind)


def _is(kind: str, value: Any) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _KINDS.get(kind, ()))


def _same(one: Any, two: Any) -> bool:
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)


def _problem(path: str, text: str) -> Problem:
    return Problem(path, f"{path} {text}" if path else f"it {text}")


def _join(path: str, key: Any) -> str:
    return (path + key_path(key)).lstrip(".") if not path else path + key_path(key)
