"""The config of an op or a resource: the JSON Schema of its type, and the Python value made from plain data."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections import abc
from collections.abc import Iterable
from enum import Enum
from typing import Any, Callable, Literal, NamedTuple, TypeVar, get_args, get_origin

from podgraph.definition import typecheck
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.typecheck import got, is_alias, is_class, is_typed_dict, is_union, plain
from podgraph.definition.values import to_json

__all__ = ["ConfigError", "Field", "is_config_class", "key_path", "read_config", "schema_of"]

Schema = dict[str, Any]
Problems = list[tuple[str, str]]

_SCALARS = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
_SETS = (set, frozenset, abc.Set, abc.MutableSet)
_LISTS = (list, tuple, abc.Sequence, abc.MutableSequence, abc.Collection, *_SETS)
_JSON_LIST = (list, tuple)  # Python's own run config may have either
_DICTS = (dict, abc.Mapping, abc.MutableMapping)
_ALLOWED = (
    "; allowed are bool, int, float, str, None, Any, list, tuple, set, dict with text keys, Optional, Union, Literal, "
    "Enum, and dataclasses, TypedDicts, pydantic models and {name: type} of these"
)


class _Unset:
    def __repr__(self) -> str:
        return "<unset>"


_UNSET = _Unset()


@dataclasses.dataclass(frozen=True)
class Field:
    """An entry of a config schema written as a dict: `{"mode": Field(str, default_value="fast")}` (as in Dagster).

    It is required unless it has a default or says `is_required=False`; without either value its key is left out.
    """

    type: Any
    default_value: Any = _UNSET
    is_required: bool | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.is_required and self.default_value is not _UNSET:
            raise _invalid("a Field has a default_value and is_required=True", "; give only one of the two")


class ConfigError(ValueError):
    """Config that is not right; `problems` holds the path of each problem (`.retries.max`, or "") and a sentence.

    >>> str(ConfigError([(".n", "expected int, got 'x' (str)")]))
    ".n: expected int, got 'x' (str)"
    """

    def __init__(self, problems: Iterable[tuple[str, str]]) -> None:
        self.problems = list(problems)
        super().__init__("; ".join(f"{path}: {text}" if path else text for path, text in self.problems))


def is_config_class(hint: Any) -> bool:
    """Return whether `hint` is a class that describes config: a dataclass, a TypedDict or a pydantic model."""
    return _is_dataclass(hint) or is_typed_dict(hint) or _is_model(hint)


def key_path(key: Any) -> str:
    """Return how a path goes on to a key or an index.

    >>> key_path("max") + key_path(2) + key_path("a b")
    ".max[2]['a b']"
    """
    is_plain = isinstance(key, str) and key.replace("-", "_").isidentifier()
    return f".{key}" if is_plain else f"[{typecheck.shown(key)}]"


def schema_of(hint: Any) -> Schema:
    """Return the JSON Schema (2020-12) of a config type; a pydantic model gives its own.

    Raises DefinitionError (`InvalidConfigSchema`) for a type that JSON cannot describe.

    >>> schema_of({"n": int, "mode": Field(str, default_value="fast")})["properties"]
    {'n': {'type': 'integer'}, 'mode': {'type': 'string', 'default': 'fast'}}
    """
    if _is_model(plain(hint)):
        return _model_schema(plain(hint))
    maker = _Maker()
    schema = maker.make(hint, "")
    return {**schema, "$defs": maker.defs} if maker.defs else schema


def read_config(hint: Any, value: Any) -> Any:
    """Return the Python value of plain data: an instance of a class, a tuple, an enum's member, a dict with defaults.

    None stands for an empty mapping where a class or a dict is to be read. Raises ConfigError with all problems.

    >>> read_config({"n": int, "mode": Field(str, default_value="fast")}, {"n": 1})
    {'n': 1, 'mode': 'fast'}
    """
    if value is None and isinstance(hint, Field) and hint.default_value is not _UNSET:
        value = hint.default_value
    if value is None and (isinstance(_bare(hint), dict) or is_config_class(_bare(hint))):
        value = {}
    problems: Problems = []
    made = _read(hint, value, "", problems)
    if problems:
        raise ConfigError(dict.fromkeys(problems))
    return made


class _Entry(NamedTuple):
    name: str
    type: Any
    required: bool
    default: Callable[[], Any] | None = None
    description: str = ""


class _Maker:
    """Makes one schema; a type that holds itself goes to `defs`."""

    def __init__(self) -> None:
        self.defs: Schema = {}
        self.names: dict[int, str] = {}  # by the id of each type that is being made or is in `defs`
        self.kept: list[Any] = []  # so that no id is given twice

    def make(self, hint: Any, path: str) -> Schema:
        if isinstance(hint, Field):
            return self.entry(_Entry("", hint.type, True, _default_of(hint), hint.description), path, strict=True)
        hint = _bare(hint)
        origin, args = (hint, ()) if is_class(hint) else (get_origin(hint), get_args(hint))
        if hint in (Any, object) or isinstance(hint, TypeVar):
            return {}
        if isinstance(hint, dict):
            return self.fields(hint, path)
        if is_config_class(hint) or is_alias(hint):
            return self.named(hint, path)
        if is_class(hint) and hint in _SCALARS:
            return {"type": _SCALARS[hint]}
        if is_class(hint) and issubclass(hint, Enum) and len(hint):
            return {"title": hint.__name__, **self.choice(hint, [member.value for member in hint], path)}
        if origin is Literal:
            return self.choice(hint, [arg.value if isinstance(arg, Enum) else arg for arg in args], path)
        if is_union(hint):
            return {"anyOf": [self.make(arg, path) for arg in args]}
        if origin in _DICTS and (not args or plain(args[0]) in (str, Any)):
            inner = self.make(args[1], f"{path}[...]") if args else {}
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        if origin is tuple and args and args[-1] is not ...:
            items = [self.make(arg, path + key_path(at)) for at, arg in enumerate(args) if arg != ()]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if origin in _LISTS:
            inner = self.make(args[0], f"{path}[...]") if args else {}
            unique = {"uniqueItems": True} if origin in _SETS else {}
            return {"type": "array", **({"items": inner} if inner else {}), **unique}
        raise _invalid(f"the config schema has {_at(path)}the type {_name(hint)}, which JSON cannot describe")

    def named(self, hint: Any, path: str) -> Schema:
        if id(hint) in self.names:
            name = self.names[id(hint)]
            self.defs.setdefault(name, {})
            return {"$ref": f"#/$defs/{name}"}
        self.kept.append(hint)
        name = self.names[id(hint)] = self.free_name(hint.__name__)
        if is_alias(hint):
            schema = self.make(hint.__value__, path)
        else:
            schema = self.model(hint, name) if _is_model(hint) else self.fields(hint, path)
        if name in self.defs:
            self.defs[name] = schema
            return {"$ref": f"#/$defs/{name}"}
        del self.names[id(hint)]
        return schema

    def free_name(self, name: str) -> str:
        taken = {*self.names.values(), *(key.partition(".")[0] for key in self.defs)}
        return next(free for free in (name, *(f"{name}_{at}" for at in range(2, len(taken) + 3))) if free not in taken)

    def model(self, hint: Any, name: str) -> Schema:
        schema = _model_schema(hint, ref_template=f"#/$defs/{name}.{{model}}")
        if "$defs" in schema:
            self.defs.update({f"{name}.{key}": inner for key, inner in schema.pop("$defs").items()})
            self.defs[name] = {}
        return schema

    def fields(self, hint: Any, path: str) -> Schema:
        schema: Schema = {"type": "object"}
        if not isinstance(hint, dict):
            schema["title"] = hint.__name__
            about = inspect.cleandoc(hint.__doc__ or "")
            if about and not about.startswith(f"{hint.__name__}("):  # what dataclass itself writes
                schema["description"] = about
        entries = _entries(hint, path)
        strict = isinstance(hint, dict)
        schema["properties"] = {e.name: self.entry(e, path + key_path(e.name), strict) for e in entries}
        required = [entry.name for entry in entries if entry.required]
        return {**schema, **({"required": required} if required else {}), "additionalProperties": False}

    def entry(self, entry: _Entry, path: str, strict: bool) -> Schema:
        schema = dict(self.make(entry.type, path))
        if entry.description:
            schema["description"] = entry.description
        default = _json_default(entry)
        if default is not _UNSET:
            schema["default"] = default
        elif strict and entry.default is not None:
            raise _invalid(
                f"the config schema has {_at(path)}the default {typecheck.shown(entry.default())}, "
                f"which is no {_name(entry.type)} that JSON can hold",
                "",
            )
        return schema

    def choice(self, hint: Any, values: list[Any], path: str) -> Schema:
        if not all(type(value) in _SCALARS for value in values):
            raise _invalid(
                f"the config schema has {_at(path)}{_name(hint)}, whose values are not all plain JSON values"
            )
        kinds = list(dict.fromkeys(_SCALARS[type(value)] for value in values))
        return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _bare(hint: Any) -> Any:
    """Return the type a Field or a shorthand stands for."""
    while isinstance(hint, Field):
        hint = hint.type
    return list[hint[0]] if isinstance(hint, list) and len(hint) == 1 else plain(hint)


def _entries(hint: Any, path: str = "") -> list[_Entry]:
    if isinstance(hint, dict):
        for key in hint:
            if not isinstance(key, str):
                raise _invalid(f"the config schema has {_at(path)}the key {key!r}, which is no text")
        return [_dict_entry(name, item, path + key_path(name)) for name, item in hint.items()]
    try:
        hints = typing.get_type_hints(hint, include_extras=True)
    except Exception as error:  # noqa: BLE001 - the text of an annotation is code
        raise _invalid(f"the types of {hint.__name__} in the config schema cannot be read: {error}", "") from None
    if is_typed_dict(hint):
        required = typecheck.required_keys(hint, hints)
        return [_Entry(name, inner, name in required) for name, inner in hints.items()]
    made = []
    for field in dataclasses.fields(hint):
        default = _default_of(field)
        about = str(field.metadata.get("description", ""))
        made += [_Entry(field.name, hints[field.name], default is None, default, about)] if field.init else []
    return made


def _dict_entry(name: str, item: Any, path: str) -> _Entry:
    if not isinstance(item, Field):
        item = Field(item)
    required = item.default_value is _UNSET if item.is_required is None else item.is_required
    if required and item.is_required is None and _is_fillable(item):
        required = any(entry.required for entry in _entries(_bare(item), path))
    return _Entry(name, item.type, required, _default_of(item), item.description)


def _is_fillable(hint: Any) -> bool:
    hint = _bare(hint)
    return isinstance(hint, dict) or _is_dataclass(hint) or is_typed_dict(hint)


def _default_of(field: Any) -> Callable[[], Any] | None:
    if isinstance(field, Field):
        return None if field.default_value is _UNSET else lambda: field.default_value
    if field.default_factory is not dataclasses.MISSING:
        return typing.cast("Callable[[], Any]", field.default_factory)
    return None if field.default is dataclasses.MISSING else lambda: field.default


def _json_default(entry: _Entry) -> Any:
    """Return an entry's default as JSON; `_UNSET` when it has none, or one that JSON cannot hold or that varies."""
    if entry.default is None:
        return _UNSET
    try:
        value, again = _as_json(entry.default()), _as_json(entry.default())
        to_json(value)
        misfits: Problems = []
        _read(entry.type, value, "", misfits)
    except Exception:  # noqa: BLE001 - the user's code
        return _UNSET
    return _UNSET if misfits or value != again else value


def _as_json(value: Any) -> Any:
    if _is_dataclass(type(value)):
        return {f.name: _as_json(getattr(value, f.name)) for f in dataclasses.fields(value) if f.init}
    if _is_model(type(value)):
        return value.model_dump(mode="json")
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    return sorted(map(_as_json, value), key=repr) if isinstance(value, (set, frozenset)) else value


def _read(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    hint = _bare(hint)
    if not _takes(hint, value):
        problems.append((path, f"expected {_name(hint)}, got {got(value)}"))
        return None
    origin, args = (hint, ()) if is_class(hint) else (get_origin(hint), get_args(hint))
    if is_alias(hint):
        return _read(hint.__value__, value, path, problems)
    if is_union(hint):
        return _read_union(args, value, path, problems)
    if isinstance(hint, dict) or is_config_class(hint):
        return _read_object(hint, value, path, problems)
    if origin is Literal or (is_class(hint) and issubclass(hint, Enum)):
        choices = args or list(hint)
        return next(choice for choice in choices if choice is value or _same(getattr(choice, "value", choice), value))
    if hint in (int, float):
        return _number(hint, value)
    if isinstance(value, abc.Mapping) and args:
        return {key: _read(args[1], item, path + key_path(key), problems) for key, item in value.items()}
    if isinstance(value, _JSON_LIST) and origin in _LISTS:
        return _read_list(origin, args, value, path, problems)
    return value


def _takes(hint: Any, value: Any) -> bool:
    """Return whether JSON of the kind of `value` is what `hint` is written as; what is inside is not looked at."""
    hint = _bare(hint)
    if is_alias(hint) or is_union(hint):
        return any(_takes(arg, value) for arg in ([hint.__value__] if is_alias(hint) else get_args(hint)))
    if isinstance(hint, dict) or is_typed_dict(hint):
        return isinstance(value, abc.Mapping)
    if is_config_class(hint):
        return isinstance(value, (abc.Mapping, hint)) or getattr(hint, "__pydantic_root_model__", False)
    if get_origin(hint) is Literal:
        return any(_same(arg.value if isinstance(arg, Enum) else arg, value) for arg in get_args(hint))
    origin = hint if is_class(hint) else get_origin(hint)
    if is_class(hint) and issubclass(hint, Enum):
        return isinstance(value, hint) or any(_same(member.value, value) for member in hint)
    if hint in (int, float) and isinstance(value, (int, float)):
        return not isinstance(value, bool) and (hint is float or isinstance(value, int) or value.is_integer())
    if origin in _SCALARS:
        return isinstance(value, origin)
    return not (origin in _LISTS or origin in _DICTS) or isinstance(
        value, _JSON_LIST if origin in _LISTS else abc.Mapping
    )


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
    if origin not in (tuple, *_SETS):
        return made
    try:
        return (tuple if origin is tuple else frozenset if origin is frozenset else set)(made)
    except TypeError as error:
        problems.append((path, f"expected a set, got an item that cannot be in one: {error}"))
        return None


def _read_object(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    if not isinstance(hint, dict) and not is_typed_dict(hint) and isinstance(value, hint):
        return value  # made already
    if _is_model(hint):
        return _read_model(hint, value, path, problems)
    entries = {entry.name: entry for entry in _entries(hint)}
    before, made = len(problems), {}
    for key in value:
        if key not in entries:
            problems.append((path + key_path(key), f"unknown key{nearest(str(key)[:128], entries)}"))
    for name, entry in entries.items():
        if name in value:
            made[name] = _read(entry.type, value[name], path + key_path(name), problems)
        elif entry.required:
            problems.append((path + key_path(name), f"missing; expected {_name(entry.type)}"))
        elif isinstance(hint, dict):
            made.update(_filled(entry))
    if not _is_dataclass(hint) or len(problems) > before:
        return made
    try:
        return hint(**made)
    except (TypeError, ValueError) as error:
        problems.append((path, str(error) or type(error).__name__))
        return None


def _filled(entry: _Entry) -> dict[str, Any]:
    """Return what stands for an entry that is left out: its default, or the defaults within it."""
    hint, misfits = _bare(entry.type), Problems()
    default = _json_default(entry)
    if default is not _UNSET:
        return {entry.name: _read(hint, default, "", misfits)}
    made = _read(hint, {}, "", misfits) if _is_fillable(hint) else _UNSET
    return {} if made is _UNSET or misfits else {entry.name: made}


def _read_model(hint: Any, value: Any, path: str, problems: Problems) -> Any:
    try:
        text = json.dumps(value)  # because a strict model takes a list for a tuple only from JSON
    except TypeError:
        text = ""
    try:
        return hint.model_validate_json(text) if text else hint.model_validate(value)
    except ValueError as error:
        errors: list[Any] = error.errors() if hasattr(error, "errors") else [{"loc": (), "msg": str(error)}]
        problems += [(path + _trail(value, item["loc"], item.get("type")), item["msg"]) for item in errors]
        return None


def _trail(value: Any, location: tuple[Any, ...], kind: str | None) -> str:
    """Return an error's path without the names of types that pydantic puts in it."""
    path = ""
    for part in location:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            if kind != "missing" or part != location[-1]:
                continue
        path += key_path(part)
    return path


def _model_schema(hint: Any, **options: Any) -> Schema:
    try:
        return dict(hint.model_json_schema(**options))
    except Exception as error:  # noqa: BLE001 - pydantic's own, which must not be imported here
        raise _invalid(f"the pydantic model {hint.__name__} gives no JSON Schema: {error}", "") from None


def _number(hint: type, value: Any) -> Any:
    try:
        return hint(value)
    except OverflowError:
        return value


def _same(one: Any, two: Any) -> bool:
    return isinstance(one, bool) == isinstance(two, bool) and bool(one == two)


def _is_dataclass(hint: Any) -> bool:
    return is_class(hint) and hasattr(hint, "__dataclass_fields__")


def _is_model(hint: Any) -> bool:
    return is_class(hint) and hasattr(hint, "model_validate") and hasattr(hint, "model_json_schema")


def _name(hint: Any) -> str:
    hint = _bare(hint)
    return "a mapping" if isinstance(hint, dict) else typecheck.type_name(hint)


def _at(path: str) -> str:
    return f"at {path} " if path else ""


def _invalid(message: str, allowed: str = _ALLOWED) -> DefinitionError:
    return DefinitionError("InvalidConfigSchema", message + allowed)
