"""Validates plain data against a JSON Schema, and generates an example of a valid value."""

from __future__ import annotations

import copy
import math
import operator
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from podgraph.definition.config_types import key_path
from podgraph.definition.errors import nearest
from podgraph.definition.typecheck import got, shown
from podgraph.run_config.budget import MOST_STEPS, PROBLEM_STEPS, Budget, TooMuch
from podgraph.run_config.patterns import InvalidPattern

__all__ = ["Problem", "example", "problems"]

_DEEPEST = 300  # levels; the branches of a schema count too
_MOST_WORDS = 16  # types that a message lists
_MOST_EXAMPLES = 50  # examples of missing values
_LONGEST = 300  # characters of a path or a description in a message
_MOST = 1000  # maximum items or characters of an example
_KINDS = {dict: "object", list: "array", tuple: "array", str: "string", bool: "boolean", type(None): "null"}
_ENDLESS = object()  # the example of a schema that has no finite value


def _is_multiple(value: Any, step: Any) -> bool:
    try:
        times = value / step
        return bool(value % step == 0) or (math.isfinite(times) and abs(times - round(times)) < 1e-9)
    except (OverflowError, ZeroDivisionError):
        return True


_LIMITS: dict[str, tuple[str, Callable[[Any, Any], bool], str]] = {
    "minimum": ("number", operator.ge, "be at least {}"),
    "maximum": ("number", operator.le, "be at most {}"),
    "exclusiveMinimum": ("number", operator.gt, "be more than {}"),
    "exclusiveMaximum": ("number", operator.lt, "be less than {}"),
    "multipleOf": ("number", _is_multiple, "be a multiple of {}"),
    "minLength": ("string", operator.ge, "have at least {} characters"),
    "maxLength": ("string", operator.le, "have at most {} characters"),
    "minItems": ("array", operator.ge, "have at least {} items"),
    "maxItems": ("array", operator.le, "have at most {} items"),
    "minProperties": ("object", operator.ge, "have at least {} keys"),
    "maxProperties": ("object", operator.le, "have at most {} keys"),
}
_FORMATS = {
    "date-time": "2026-01-31T12:00:00Z", "date": "2026-01-31", "time": "12:00:00Z", "duration": "PT1H",
    "uuid": "00000000-0000-4000-8000-000000000000", "uri": "https://example.com/", "email": "me@example.com",
    "ipv4": "127.0.0.1", "ipv6": "::1", "quantity": "500m",
}  # fmt: skip
_MEANT = {"quantity": "be a Kubernetes quantity such as 500m, 2 or 1.5Gi"}  # the meaning of a pattern in words


@dataclass(frozen=True)
class Problem:
    """One problem of run config: its path (`ops.add.config.n`), and a sentence that includes the path.

    For a `missing` value `example` is a possible value; an `extra` value is not allowed at its place.
    """

    path: str
    message: str
    missing: bool = False
    example: Any = None
    extra: bool = False


def problems(schema: Any, value: Any, path: str, root: Any = None) -> list[Problem]:
    """Return all problems of `value`, each with its path below `path`; `$ref` is resolved in `root`.

    `root` may also be a Budget that several checks share. The number of steps is bounded for any schema and value.

    >>> schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "additionalProperties": False}
    >>> [problem.message for problem in problems(schema, {"n": "x", "m": 1}, "ops.add.config")]
    ["ops.add.config.n must be integer, not 'x' (str)", 'ops.add.config.m is unknown; there are: n']
    """
    found: list[Problem] = []
    try:
        _check(schema, value, path, _budget(schema, root), found, 0)
    except RecursionError:
        found.append(_problem(path, "is nested too deeply or contains itself"))
    except TooMuch:
        found.append(
            _problem(path, f"takes too long to check: the value and its schema need more than {MOST_STEPS:,} steps")
        )
    return list({(problem.path, problem.message): problem for problem in found}.values())


def example(schema: Any, root: Any = None, everything: bool = False) -> Any:
    """Return a value that the schema allows, with all required keys; `everything` adds the optional keys.

    >>> number = {"type": "integer", "minimum": 1}
    >>> example({"type": "object", "properties": {"n": number, "to": {"type": "string"}}, "required": ["n"]})
    {'n': 1}
    """
    try:
        made = _example(schema, _budget(schema, root), everything, ())
    except (RecursionError, TooMuch, ArithmeticError):
        made = _ENDLESS
    return None if made is _ENDLESS else made


def _budget(schema: Any, root: Any) -> Budget:
    return root if isinstance(root, Budget) else Budget(schema if root is None else root)


def _check(schema: Any, value: Any, path: str, root: Budget, found: list[Problem], depth: int) -> None:
    if depth > _DEEPEST:
        raise RecursionError
    root.spend(1 + len(path) // 256)
    if schema is False:
        found.append(_problem(path, "must be left out", extra=True))
    if not isinstance(schema, Mapping):
        return
    schema, kind = _resolved(schema, root), _kind(value)
    kinds = _of(schema, "type", (str, list))
    if kinds and not _is_any(kind, [kinds] if isinstance(kinds, str) else kinds):
        root.spend(PROBLEM_STEPS)
        found.append(_must_be(schema, value, path, root))
        return
    found += [_problem(path, text) for text in _wrong(schema, value, kind, root)]
    if kind == "object":
        _check_object(schema, value, path, root, found, depth + 1)
    elif kind == "array":
        first, rest = _of(schema, "prefixItems", (list,)) or [], schema.get("items", True)
        for at, item in enumerate(value):
            _check(first[at] if at < len(first) else rest, item, f"{path}[{at}]", root, found, depth + 1)
    for part in _of(schema, "allOf", (list,)) or ():
        _check(part, value, path, root, found, depth + 1)
    for word in ("anyOf", "oneOf"):
        if branches := _of(schema, word, (list,)):
            _check_branches(schema, branches, word == "oneOf", value, path, root, found, depth + 1)


def _wrong(schema: Mapping[str, Any], value: Any, kind: str, root: Budget) -> Iterable[str]:
    allowed = _choices(schema)
    if allowed and not root.one_of(allowed, value):
        root.spend(PROBLEM_STEPS)
        wants_hint = isinstance(value, str) and root.wants_hint()
        texts = [item for item in allowed if isinstance(item, str)] if wants_hint else []
        hint = nearest(value[:128], texts) if texts else ""
        choice = ", ".join(map(shown, allowed[:8])) + (f" and {len(allowed) - 8} more" if len(allowed) > 8 else "")
        yield (
            f"must be {'one of ' if len(allowed) > 1 else ''}{choice}, not {got(value)}" + hint.partition("; there")[0]
        )
    for word, (about, is_right, text) in _LIMITS.items():
        limit = _of(schema, word, (int, float))
        if limit is not None and _is_any(kind, [about]):
            size = value if about == "number" else len(value)
            if not is_right(size, limit):
                yield f"must {text.format(limit).rstrip('s' if limit == 1 else '')}, not {size}"
    if kind == "string" and isinstance(pattern := schema.get("pattern"), str):
        try:
            if root.search(pattern, value) is False:
                yield f"must {_MEANT.get(str(schema.get('format'))) or f'match {shown(pattern)}'}, not {got(value)}"
        except InvalidPattern as error:
            yield f"has the pattern {shown(pattern)} in its schema, which is not a valid regular expression: {error}"
    if kind == "array" and schema.get("uniqueItems") is True and len(set(map(root.frozen, value))) < len(value):
        yield "must not contain the same item twice"
    if kind == "object":
        yield from (f"has the key {shown(key)}, which is not a string" for key in value if not isinstance(key, str))


def _check_object(
    schema: Mapping[str, Any], value: Any, path: str, root: Budget, found: list[Problem], depth: int
) -> None:
    known, others = _of(schema, "properties", (Mapping,)) or {}, schema.get("additionalProperties", True)
    patterns = _of(schema, "patternProperties", (Mapping,)) or {}
    for key in _required(schema):
        if key not in value:
            _miss(known.get(key, others), _join(path, key), root, found)
    for key, item in value.items():
        if not isinstance(key, str):
            continue
        rules = [known[key]] if key in known else []
        rules += [rule for pattern, rule in patterns.items() if _matches(pattern, key, path, root, found)]
        if not rules and others is False:
            root.spend(PROBLEM_STEPS)
            hint = nearest(key[:128], known) if root.wants_hint() else ""
            found.append(_problem(_join(path, key), f"is unknown{hint}", extra=True))
        for rule in rules or [others] * (others is not False):
            _check(rule, item, _join(path, key), root, found, depth)


def _miss(schema: Any, path: str, root: Budget, found: list[Problem], within: tuple[Any, ...] = ()) -> None:
    """Add a problem for a missing value; for a mapping, one for each of its required keys."""
    root.spend(PROBLEM_STEPS + len(path) // 256)
    inner, ref = _resolved(schema, root), schema.get("$ref") if isinstance(schema, Mapping) else None
    if inner.get("type") == "object" and _required(inner) and (ref is None or ref not in within):
        known = _of(inner, "properties", (Mapping,)) or {}
        for key in _required(inner):
            _miss(known.get(key, True), _join(path, key), root, found, (*within, ref))
        return
    hint = f": {_cut(inner['description'])}" if isinstance(inner.get("description"), str) else ""
    made = example(schema, root.part()) if len(found) < _MOST_EXAMPLES else None
    found.append(Problem(path, f"{_cut(path)} is missing{hint}", True, made))


def _check_branches(
    schema: Mapping[str, Any], branches: list[Any], only_one: bool, value: Any, path: str, root: Budget,
    found: list[Problem], depth: int,
) -> None:  # fmt: skip
    results: list[tuple[Any, list[Problem]]] = []
    for branch in branches:
        wrong: list[Problem] = []
        _check(branch, value, path, root, wrong, depth)
        if not wrong and not only_one:
            return
        results.append((_resolved(branch, root), wrong))
    right = sum(not wrong for _, wrong in results)
    if right > 1:
        found.append(_problem(path, f"must match only one of {_words(schema, root)}, but matches {right} of them"))
    if right:
        return
    kind = _kind(value)
    alike = [(branch, wrong) for branch, wrong in results if _is_any(kind, _kinds_of(branch, root))]
    tagged = [(branch, wrong) for branch, wrong in alike if _has_tags(branch, value, root)] if len(alike) > 1 else []
    alike = tagged or alike
    if len(alike) == 1 or (alike and len(_word_list({"anyOf": [branch for branch, _ in alike]}, root)) == 1):
        fewest = min((wrong for _, wrong in alike), key=len)
        found += fewest
    else:
        found.append(_must_be(schema, value, path, root))


def _has_tags(branch: Any, value: Any, root: Budget) -> bool:
    """Return whether a mapping has the constants that a branch requires, such as `kind: cat`."""
    if not isinstance(value, Mapping):
        return False
    rules = _of(branch, "properties", (Mapping,)) or {}
    root.spend(1 + len(rules))
    tags = [(value[key], _choices(rule)) for key, rule in rules.items() if key in value and _choices(rule)]
    return bool(tags) and all(root.one_of(allowed, tag) for tag, allowed in tags)


def _must_be(schema: Any, value: Any, path: str, root: Budget) -> Problem:
    return _problem(path, f"must be {_words(schema, root)}, not {got(value)}")


def _words(schema: Any, root: Budget) -> str:
    words = _word_list(schema, root)
    more = ["..."] if len(words) > _MOST_WORDS else []
    return " or ".join([*words[:_MOST_WORDS], *more])


def _word_list(schema: Any, root: Budget) -> list[str]:
    words = [shown(item) for item in _choices(_resolved(schema, root))[:8]] or _kinds_of(schema, root, _word_list)
    return list(dict.fromkeys(words)) or ["another value"]


def _kinds_of(schema: Any, root: Budget, of_branch: Callable[[Any, Any], list[str]] | None = None) -> list[str]:
    """Return the JSON types that a schema allows at its top level; an empty list is all types."""
    root.spend()
    schema = _resolved(schema, root)
    if kinds := _of(schema, "type", (str, list)):
        return [kinds] if isinstance(kinds, str) else [str(kind)[:_LONGEST] for kind in kinds[:_MOST_WORDS]]
    if choices := _choices(schema):
        return [_kind(item) for item in choices]
    branches = _of(schema, "anyOf", (list,)) or _of(schema, "oneOf", (list,)) or []
    return [kind for branch in branches for kind in (of_branch or _kinds_of)(branch, root)]


def _choices(schema: Any) -> list[Any]:
    if isinstance(schema, Mapping) and "const" in schema:
        return [schema["const"]]
    return _of(schema, "enum", (list,)) or []


def _example(schema: Any, root: Budget, everything: bool, within: tuple[Any, ...]) -> Any:
    """Return an example; `within` are the references that contain it, as a recursive reference must be omitted."""
    root.spend()
    if not isinstance(schema, Mapping):
        return _ENDLESS if schema is False else "..."
    if isinstance(ref := schema.get("$ref"), str):
        whole = {**_target(ref, root), **{key: rule for key, rule in schema.items() if key != "$ref"}}
        return _ENDLESS if ref in within else _example(whole, root, everything, (*within, ref))
    known = [schema["default"]] if "default" in schema else []
    known += [*(_of(schema, "examples", (list,)) or ()), *_choices(schema)]
    if (made := _first_right(schema, root, known, _ENDLESS)) is not _ENDLESS:
        return copy.deepcopy(made)
    if parts := _of(schema, "allOf", (list,)):
        whole = {key: rule for key, rule in schema.items() if key != "allOf"}
        for part in parts:
            whole = _joined(whole, _resolved(part, root))
        return _example(whole, root, everything, within)
    branches = _of(schema, "anyOf", (list,)) or _of(schema, "oneOf", (list,))
    if branches:
        branches = sorted(branches, key=lambda branch: _kinds_of(branch, root) == ["null"])
        each = [_example(branch, root, everything, within) for branch in branches]
        each = [item for item in each if item is not _ENDLESS]
        return _first_right(schema, root, each, each[0]) if each else _ENDLESS
    kinds = sorted(_kinds_of(schema, root), key=lambda kind: kind == "null") or ["object" * ("properties" in schema)]
    if kinds[0] == "object":
        return _object_example(schema, root, everything, within)
    if kinds[0] == "array":
        return _array_example(schema, root, everything, within)
    if kinds[0] in ("integer", "number"):
        return _first_right(schema, root, _numbers(schema, kinds[0]), 0)
    if kinds[0] in ("boolean", "null"):
        return False if kinds[0] == "boolean" else None
    text, least = _FORMATS.get(str(schema.get("format")), "..."), min(_of(schema, "minLength", (int,)) or 0, _MOST)
    texts = [text, text.ljust(least, "."), text[: _of(schema, "maxLength", (int,))]]
    texts += [sign * max(1, least) for sign in "aA0"] + ["a-0", "a.a", "0.0.0", "a:0"]
    return _first_right(schema, root, texts, text)


def _joined(one: dict[str, Any], two: Mapping[str, Any]) -> dict[str, Any]:
    known = {**(_of(two, "properties", (Mapping,)) or {}), **(_of(one, "properties", (Mapping,)) or {})}
    required = [*_required(one), *_required(two)]
    return {**two, **one, **({"properties": known} if known else {}), **({"required": required} if required else {})}


def _object_example(schema: Any, root: Budget, everything: bool, within: tuple[Any, ...]) -> Any:
    known, others = _of(schema, "properties", (Mapping,)) or {}, schema.get("additionalProperties", True)
    required, least = _required(schema), min(_of(schema, "minProperties", (int,)) or 0, _MOST)
    most = _of(schema, "maxProperties", (int,))
    room = len(known) if everything else max(0, least - len(required))
    if most is not None:
        room = min(room, max(0, most - len(required)))
    chosen = [*required, *[key for key in known if key not in required][:room]]
    places, made = {key: at for at, key in enumerate(known)}, {}
    for key in sorted(chosen, key=lambda key: places.get(key, len(known))):
        item = _example(known.get(key, others), root, everything, within)
        if item is not _ENDLESS:
            made[key] = item
        elif key in required:
            return _ENDLESS
    while len(made) < least and others is not False:
        made[f"key{len(made) + 1}"] = _example(others, root, everything, within)
    return _ENDLESS if _ENDLESS in made.values() else made


def _array_example(schema: Any, root: Budget, everything: bool, within: tuple[Any, ...]) -> Any:
    first, rest = _of(schema, "prefixItems", (list,)) or [], schema.get("items", True)
    made: list[Any] = []
    for at in range(min(_of(schema, "minItems", (int,)) or 0, _MOST)):
        rule = first[at] if at < len(first) else rest
        item = _example(rule, root, everything, within)
        if item is _ENDLESS:
            return _ENDLESS
        if schema.get("uniqueItems") is True and root.frozen(item) in map(root.frozen, made):
            more = [*_choices(_resolved(rule, root)), f"{item}{at}", True]
            more += [item + at, item - at] if isinstance(item, (int, float)) else []
            item = _first_right(
                rule, root, [other for other in more if root.frozen(other) not in map(root.frozen, made)], item
            )
        made.append(item)
    return made


def _numbers(schema: Mapping[str, Any], kind: str) -> Iterable[Any]:
    """Return numbers that are likely to be within the bounds of a schema, the simplest first."""
    words = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum")
    bounds = [limit for word in words if (limit := _of(schema, word, (int, float))) is not None]
    step = _of(schema, "multipleOf", (int, float)) or 1
    near = [0, *bounds, *([sum(bounds) / len(bounds)] if bounds else ())]
    near += [number // step * step + more for number in near for more in (0, step, -step)]
    if kind == "integer":
        return [whole(number) for number in near for whole in (math.floor, math.ceil)]
    return [float(number) if abs(number) < 1e15 else number for number in near]


def _first_right(schema: Any, root: Budget, values: Iterable[Any], other: Any) -> Any:
    return next((value for value in values if not problems(schema, value, "", root)), other)


def _resolved(schema: Any, root: Budget) -> Mapping[str, Any]:
    """Return a schema with its reference replaced by the target."""
    for _ in range(50):
        if not isinstance(schema, Mapping) or not isinstance(ref := schema.get("$ref"), str):
            break
        root.spend(1 + (len(ref) + len(schema)) // 32)
        schema = {**_target(ref, root), **{key: rule for key, rule in schema.items() if key != "$ref"}}
    return schema if isinstance(schema, Mapping) else {}


def _target(ref: str, root: Budget) -> Mapping[str, Any]:
    found = root.schema
    for part in ref.split("/")[1:]:
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _of(schema: Any, word: str, kinds: tuple[Any, ...]) -> Any:
    """Return the value of a keyword of a schema, None if it is absent or has another type."""
    rule = schema.get(word) if isinstance(schema, Mapping) else None
    return rule if isinstance(rule, kinds) and not isinstance(rule, bool) else None


def _required(schema: Any) -> list[str]:
    return [key for key in _of(schema, "required", (list,)) or () if isinstance(key, str)]


def _kind(value: Any) -> str:
    """Return the JSON type of a value, "" if it has none."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and not math.isfinite(value):
            return ""
        return "integer" if isinstance(value, int) or value.is_integer() else "number"
    return (
        "object"
        if isinstance(value, Mapping)
        else next((name for kind, name in _KINDS.items() if isinstance(value, kind)), "")
    )


def _is_any(kind: str, kinds: Iterable[str]) -> bool:
    return kind in kinds or (kind == "integer" and "number" in kinds)


def _matches(pattern: Any, key: str, path: str, root: Budget, found: list[Problem]) -> bool:
    try:
        return isinstance(pattern, str) and root.search(pattern, key) is not False
    except InvalidPattern as error:
        text = f"has the pattern {shown(pattern)} in its schema, which is not a valid regular expression: {error}"
        found.append(_problem(path, text))
        return True


def _problem(path: str, text: str, extra: bool = False) -> Problem:
    return Problem(path, f"{_cut(path)} {text}" if path else f"it {text}", extra=extra)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _join(path: str, key: Any) -> str:
    return (path + key_path(key)).lstrip(".") if not path else path + key_path(key)
