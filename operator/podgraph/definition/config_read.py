"""Converts plain data to the Python value of a config type, or reports all problems."""

from __future__ import annotations

import dataclasses
import json
from collections import abc
from collections.abc import Iterable
from enum import Enum
from typing import Any, get_args, get_origin

from podgraph.definition.config_types import (
    DICTS,
    LISTS,
    SCALARS,
    SETS,
    UNSET,
    Entry,
    Field,
    bare,
    entries_of,
    is_config_class,
    is_dataclass,
    is_fillable,
    is_model,
    key_path,
    name_of,
)
from podgraph.definition.errors import nearest
from podgraph.definition.hints import is_alias, is_class, is_literal, is_typed_dict, is_union, plain
from podgraph.definition.typecheck import got
from podgraph.definition.values import to_json

__all__ = ["ConfigError", "json_default", "read_config"]

Problems = list[tuple[str, str]]

_JSON_LIST = (list, tuple)  # run config from Python may contain either


class ConfigError(ValueError):
    """Config is not valid; `problems` holds the path (`.retries.max`, or "") and the description of each problem.

    >>> str(ConfigError([(".n", "expected int, got 'x' (str)")]))
    ".n: expected int, got 'x' (str)"
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in self.problems))


def read_config(hint: Any, value: Any) -> Any:
    """Return the Python value of plain data: an instance of a class, a tuple, an enum member, a dict with defaults.

    None selects the default of a Field, or else an empty mapping where the type allows a mapping but not None. Raises
    ConfigError with all problems.

    >>> from podgraph.definition.config_types import Field
    >>> read_config({"n": int, "mode": Field(str, default_value="fast")}, {"n": 1})
    {'n': 1, 'mode': 'fast'}
    """
    if value is None and isinstance(hint, Field) and hint.default_value is not UNSET:
        value = hint.default_value
    if value is None and (is_config_class(bare(hint)) or not _takes(hint, None)) and _takes(hint, {}):
        value = {}
    problems: Problems = []
    made = _read(hint, value, "", problems)
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return made


def json_default(entry: Entry) -> Any:
    """Return the default of an entry as JSON; `UNSET` if there is none, or if it varies or JSON cannot represent it."""
    if entry.default is None:
        return UNSET
    try:
        value, again = _as_json(entry.default()), _as_json(entry.default())
        to_json(value)
        misfits: Problems = []
        _read(entry.type, value, "", misfits)
    except Exception:  # noqa: BLE001 - the user's code
        return UNSET
    return UNSET if misfits or value != again else value


def _as_json(value: Any) -> Any:
    if is_dataclass(type(value)):
        return {f.name: _as_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if is_model(type(value)):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return sorted(map(_as_json, value), key=repr) if isinstance(value, (set, frozenset)) else value


def _read(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    hint = bare(hint)
    if not _takes(hint, value):
        problems.append((path, f"expected {name_of(hint)}, got {got(value)}"))
        return None
    origin, args = (hint, ()) if is_class(hint) else (get_origin(hint), get_args(hint))
    if is_alias(hint):
        return _read(hint.__value__, value, path, problems)
    if is_union(hint):
        return _read_union(args, value, path, problems)
    if isinstance(hint, dict) or is_config_class(hint):
        return _read_object(hint, value, path, problems)
    if is_literal(hint) or (is_class(hint) and issubclass(hint, Enum)):
        choices = args or list(hint)
        return next(choice for choice in choices if choice is value or _same(getattr(choice, "value", choice), value))
    if hint in (int, float):
        return _number(hint, value)
    if origin in DICTS and args:
        return {key: _read(args[1], item, path + key_path(key), problems) for key, item in value.items()}
    if origin in LISTS:
        return _read_list(origin, args, value, path, problems)
    return value


def _takes(hint: Any, value: Any) -> bool:
    """Return whether `hint` accepts JSON of the type of `value`; the contents are not checked."""
    hint = bare(hint)
    if is_alias(hint) or is_union(hint):
        return any(_takes(arg, value) for arg in ([hint.__value__] if is_alias(hint) else get_args(hint)))
    if isinstance(hint, dict) or is_typed_dict(hint):
        return isinstance(value, abc.Mapping)
    if is_config_class(hint):
        return isinstance(value, (abc.Mapping, hint)) or getattr(hint, "__pydantic_root_model__", False)
    if is_literal(hint):
        return any(_same(arg.value if isinstance(arg, Enum) else arg, value) for arg in get_args(hint))
    origin = hint if is_class(hint) else get_origin(hint)
    if is_class(hint) and issubclass(hint, Enum):
        return isinstance(value, hint) or any(_same(member.value, value) for member in hint)
    if hint in (int, float) and isinstance(value, (int, float)):
        return not isinstance(value, bool) and (hint is float or isinstance(value, int) or value.is_integer())
    if origin in SCALARS:
        return isinstance(value, origin)
    return not (origin in LISTS or origin in DICTS) or isinstance(value, _JSON_LIST if origin in LISTS else abc.Mapping)


def _read_union(args: tuple[Any, ...], value: Any, path: str, problems: Problems) -> Any:
    fitting = sorted((arg for arg in args if _takes(arg, value)), key=lambda arg: type(value) is not plain(arg))
    tried: list[Problems] = []
    for arg in fitting:
        tried.append([])
        made = _read(arg, value, path, tried[-1])
        if not tried[-1]:
            return made
    fewest = min(tried, key=len)
    problems += fewest
    return None


def _read_list(origin: Any, args: tuple[Any, ...], value: Any, path: str, problems: Problems) -> Any:
    if origin is tuple and args and args[-1] is not ...:
        hints = [arg for arg in args if arg != ()]
        if len(hints) != len(value):
            problems.append((path, f"expected {len(hints)} items, got {len(value)}"))
            return None
    else:
        hints = [args[0] if args else Any] * len(value)
    made = [_read(hint, item, path + key_path(at), problems) for at, (hint, item) in enumerate(zip(hints, value))]
    if origin not in (tuple, *SETS):
        return made
    try:
        return (tuple if origin is tuple else frozenset if origin is frozenset else set)(made)
    except TypeError as error:
        problems.append((path, f"expected a set, got an item that cannot be in one: {error}"))
        return None


def _read_object(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    if not isinstance(hint, dict) and not is_typed_dict(hint) and isinstance(value, hint):
        return value  # already an instance
    if is_model(hint):
        return _read_model(hint, value, path, problems)
    entries = {entry.name: entry for entry in entries_of(hint)}
    before, made = len(problems), {}
    for key in value:
        if key not in entries:
            problems.append((path + key_path(key), f"unknown key{nearest(str(key)[:128], entries)}"))
    for name, entry in entries.items():
        if name in value:
            made[name] = _read(entry.type, value[name], path + key_path(name), problems)
        elif entry.required:
            problems.append((path + key_path(name), f"missing; expected {name_of(entry.type)}"))
        elif isinstance(hint, dict):
            made.update(_filled(entry))
    if not is_dataclass(hint) or len(problems) > before:
        return made
    try:
        return hint(**made)
    except (TypeError, ValueError) as error:
        problems += _told(error, value, path)
        return None


def _filled(entry: Entry) -> dict[str, Any]:
    """Return the value for a missing entry: its default, or the defaults of its keys."""
    hint, misfits = bare(entry.type), Problems()
    default = json_default(entry)
    if default is not UNSET:
        return {entry.name: _read(hint, default, "", misfits)}
    made = _read(hint, {}, "", misfits) if is_fillable(hint) else UNSET
    return {} if made is UNSET or misfits else {entry.name: made}


def _read_model(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    try:
        text = json.dumps(value)  # because a strict model accepts a list for a tuple only from JSON
    except (TypeError, ValueError):
        text = ""
    try:
        return hint.model_validate_json(text) if text else hint.model_validate(value)
    except ValueError as error:
        problems += _told(error, value, path)
        return None


def _told(error: Exception, value: Any, path: str) -> Problems:
    """Return the problems that an error describes; a pydantic error describes several."""
    if not hasattr(error, "error_count"):
        return [(path, str(error) or type(error).__name__)]
    errors: list[Any] = error.errors()  # type: ignore[attr-defined]
    return [(path + _trail(value, part["loc"], part.get("type")), part["msg"]) for part in errors]


def _trail(value: Any, location: tuple[Any, ...], kind: str | None) -> str:
    """Return the path of an error without the type names that pydantic adds."""
    path = ""
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            if kind != "missing" or part != location[-1]:
                continue
        path += key_path(part)
    return path


def _number(hint: type, value: Any) -> Any:
    try:
        return hint(value)
    except OverflowError:
        return value


def _same(one: Any, two: Any) -> bool:
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)
