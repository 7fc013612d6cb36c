"""The types of config: dataclasses, TypedDicts, pydantic models, `{name: type}` and the plain types in them."""

from __future__ import annotations

import dataclasses
import typing
from collections import abc
from typing import Any, Callable, NamedTuple

from podgraph.definition.errors import DefinitionError
from podgraph.definition.hints import is_class, is_typed_dict, plain, required_keys, type_name
from podgraph.definition.typecheck import shown

__all__ = ["Field", "is_config_class", "key_path"]
__all__ += ["ALLOWED", "DICTS", "LISTS", "SCALARS", "SETS", "UNSET", "Entry", "at_path", "bare", "default_of"]
__all__ += ["entries_of", "invalid", "is_dataclass", "is_fillable", "is_model", "name_of"]

SCALARS: dict[type, str] = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}
SETS = (set, frozenset, abc.Set, abc.MutableSet)
LISTS = (list, tuple, abc.Sequence, abc.MutableSequence, abc.Collection, *SETS)
DICTS = (dict, abc.Mapping, abc.MutableMapping)
ALLOWED = (
    "; allowed are bool, int, float, str, None, Any, list, tuple, set, dict with string keys, Optional, Union, "
    "Literal, Enum, and dataclasses, TypedDicts, pydantic models and {name: type} of these"
)


class _Unset:
    def __repr__(self) -> str:
        return "<unset>"


UNSET = _Unset()


@dataclasses.dataclass(frozen=True)
class Field:
    """An entry of a config schema that is a dict: `{"mode": Field(str, default_value="fast")}` (as in Dagster).

    It is required unless it has a default or `is_required=False`. With `is_required=False` and no default, a missing
    key stays missing. Raises DefinitionError (`InvalidConfigSchema`) for a required Field with a default.
    """

    type: Any
    default_value: Any = UNSET
    is_required: bool | None = None
    description: str = ""

    def __post_init__(self) -> None:
        if self.is_required and self.default_value is not UNSET:
            raise invalid("a Field has a default_value and is_required=True", "; give only one of the two")


class Entry(NamedTuple):
    """One key of config with known keys; `default` returns the value of a missing key."""

    name: str
    type: Any
    required: bool
    default: Callable[[], Any] | None = None
    description: str = ""


def is_config_class(hint: Any) -> bool:
    """Return whether `hint` is a class that describes config: a dataclass, a TypedDict or a pydantic model."""
    return is_dataclass(hint) or is_typed_dict(hint) or is_model(hint)


def key_path(key: Any) -> str:
    """Return the part of a path that leads to a key or an index.

    >>> key_path("max") + key_path(2) + key_path("a b")
    ".max[2]['a b']"
    """
    is_plain = isinstance(key, str) and key.replace("-", "_").isidentifier()
    return f".{key}" if is_plain else f"[{shown(key)}]"


def bare(hint: Any) -> Any:
    """Return the type behind a Field or a shorthand."""
    while isinstance(hint, Field):
        hint = hint.type
    return list[hint[0]] if isinstance(hint, list) and len(hint) == 1 else plain(hint)


def entries_of(hint: Any, path: str = "") -> list[Entry]:
    """Return the entries of config with known keys; `path` is its place in a larger schema."""
    if isinstance(hint, dict):
        for key in hint:
            if not isinstance(key, str):
                raise invalid(f"the config schema has {at_path(path)}the key {key!r}, which is not a string")
        return [_dict_entry(name, item, path + key_path(name)) for name, item in hint.items()]
    try:
        hints = typing.get_type_hints(hint, include_extras=True)
    except Exception as error:  # noqa: BLE001 - the text of an annotation is code
        raise invalid(f"the types of {hint.__name__} in the config schema cannot be read: {error}", "") from None
    if is_typed_dict(hint):
        required = required_keys(hint, hints)
        return [Entry(name, inner, name in required) for name, inner in hints.items()]
    made = []
    for field in dataclasses.fields(hint):
        default = default_of(field)
        about = str(field.metadata.get("description", ""))
        made += [Entry(field.name, hints[field.name], default is None, default, about)] if field.init else []
    return made


def _dict_entry(name: str, item: Any, path: str) -> Entry:
    if not isinstance(item, Field):
        item = Field(item)
    required = item.default_value is UNSET if item.is_required is None else item.is_required
    if required and item.is_required is None and is_fillable(item):
        required = any(entry.required for entry in entries_of(bare(item), path))
    return Entry(name, item.type, required, default_of(item), item.description)


def is_fillable(hint: Any) -> bool:
    """Return whether `{}` may replace missing config, given that all its keys have defaults."""
    hint = bare(hint)
    return isinstance(hint, dict) or is_dataclass(hint) or is_typed_dict(hint)


def default_of(field: Any) -> Callable[[], Any] | None:
    """Return a function that returns the default of a Field or of a dataclass field, None if there is no default."""
    if isinstance(field, Field):
        return None if field.default_value is UNSET else lambda: field.default_value
    if field.default_factory is not dataclasses.MISSING:
        return typing.cast("Callable[[], Any]", field.default_factory)
    return None if field.default is dataclasses.MISSING else lambda: field.default


def is_dataclass(hint: Any) -> bool:
    """Return whether `hint` is a dataclass (not an instance of one)."""
    return is_class(hint) and hasattr(hint, "__dataclass_fields__")


def is_model(hint: Any) -> bool:
    """Return whether `hint` is a pydantic model. This module never imports pydantic."""
    return is_class(hint) and hasattr(hint, "model_validate") and hasattr(hint, "model_json_schema")


def name_of(hint: Any) -> str:
    """Return a config type in the notation of users."""
    hint = bare(hint)
    return "a mapping" if isinstance(hint, dict) else type_name(hint)


def at_path(path: str) -> str:
    """Return the part of a message that names a place in a schema, "" for the top level."""
    return f"at {path} " if path else ""


def invalid(message: str, allowed: str = ALLOWED) -> DefinitionError:
    """Return the error for a type that config cannot have."""
    return DefinitionError("InvalidConfigSchema", message + allowed)
