"""Converts a config type to its JSON Schema."""

from __future__ import annotations

import inspect
from enum import Enum
from typing import Any, TypeVar, get_args, get_origin

from podgraph.definition.config_read import json_default
from podgraph.definition.config_types import (
    DICTS,
    LISTS,
    SCALARS,
    SETS,
    UNSET,
    Entry,
    Field,
    at_path,
    bare,
    default_of,
    entries_of,
    invalid,
    is_config_class,
    is_model,
    key_path,
    name_of,
)
from podgraph.definition.hints import is_alias, is_class, is_literal, is_union, plain
from podgraph.definition.typecheck import shown

__all__ = ["schema_of"]

Schema = dict[str, Any]


def schema_of(hint: Any) -> Schema:
    """Return the JSON Schema (2020-12) of a config type; a pydantic model supplies its own.

    Raises DefinitionError (`InvalidConfigSchema`) for a type that JSON Schema cannot describe.

    >>> from podgraph.definition.config_types import Field
    >>> schema_of({"n": int, "mode": Field(str, default_value="fast")})["properties"]
    {'n': {'type': 'integer'}, 'mode': {'type': 'string', 'default': 'fast'}}
    """
    if is_model(plain(hint)):
        return _model_schema(plain(hint))
    maker = _Maker()
    schema = maker.make(hint, "")
    return {**schema, "$defs": maker.defs} if maker.defs else schema


class _Maker:
    """Builds one schema; a type that refers to itself goes to `defs`."""

    def __init__(self) -> None:
        self.defs: Schema = {}
        self.names: dict[int, str] = {}  # by the id of each type that is in progress or in `defs`
        self.kept: list[Any] = []  # keeps types alive, so that Python does not reuse an id

    def make(self, hint: Any, path: str) -> Schema:
        if isinstance(hint, Field):
            return self.entry(Entry("", hint.type, True, default_of(hint), hint.description), path, strict=True)
        hint = bare(hint)
        origin, args = (hint, ()) if is_class(hint) else (get_origin(hint), get_args(hint))
        if hint in (Any, object) or isinstance(hint, TypeVar):
            return {}
        if isinstance(hint, dict):
            return self.fields(hint, path)
        if is_config_class(hint) or is_alias(hint):
            return self.named(hint, path)
        if is_class(hint) and hint in SCALARS:
            return {"type": SCALARS[hint]}
        if is_class(hint) and issubclass(hint, Enum) and len(hint):
            return {"title": hint.__name__, **self.choice(hint, [member.value for member in hint], path)}
        if is_literal(hint):
            return self.choice(hint, [arg.value if isinstance(arg, Enum) else arg for arg in args], path)
        if is_union(hint):
            return {"anyOf": [self.make(arg, path) for arg in args]}
        if origin in DICTS and (not args or plain(args[0]) in (str, Any)):
            inner = self.make(args[1], f"{path}[...]") if args else {}
            return {"type": "object", "additionalProperties": inner} if inner else {"type": "object"}
        if origin is tuple and args and args[-1] is not ...:
            items = [self.make(arg, path + key_path(at)) for at, arg in enumerate(args) if arg != ()]
            return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
        if origin in LISTS:
            inner = self.make(args[0], f"{path}[...]") if args else {}
            unique = {"uniqueItems": True} if origin in SETS else {}
            return {"type": "array", **({"items": inner} if inner else {}), **unique}
        raise invalid(f"the config schema has {at_path(path)}the type {name_of(hint)}, which JSON cannot describe")

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
            schema = self.model(hint, name) if is_model(hint) else self.fields(hint, path)
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
        entries = entries_of(hint, path)
        strict = isinstance(hint, dict)
        schema["properties"] = {e.name: self.entry(e, path + key_path(e.name), strict) for e in entries}
        required = [entry.name for entry in entries if entry.required]
        return {**schema, **({"required": required} if required else {}), "additionalProperties": False}

    def entry(self, entry: Entry, path: str, strict: bool) -> Schema:
        schema = dict(self.make(entry.type, path))
        if entry.description:
            schema["description"] = entry.description
        default = json_default(entry)
        if default is not UNSET:
            schema["default"] = default
        elif strict and entry.default is not None:
            raise invalid(
                f"the config schema has {at_path(path)}the default {shown(entry.default())}, "
                f"which is not valid JSON for {name_of(entry.type)}",
                "",
            )
        return schema

    def choice(self, hint: Any, values: list[Any], path: str) -> Schema:
        if not all(type(value) in SCALARS for value in values):
            raise invalid(
                f"the config schema has {at_path(path)}{name_of(hint)}, whose values are not all plain JSON values"
            )
        kinds = list(dict.fromkeys(SCALARS[type(value)] for value in values))
        return {"type": kinds[0] if len(kinds) == 1 else kinds, "enum": values}


def _model_schema(hint: Any, **options: Any) -> Schema:
    try:
        return dict(hint.model_json_schema(**options))
    except Exception as error:  # noqa: BLE001 - pydantic's own, which must not be imported here
        raise invalid(f"the pydantic model {hint.__name__} has no JSON Schema: {error}", "") from None
