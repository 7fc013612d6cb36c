"""What an op says about its inputs and outputs, and JSON as it must be to cross from one pod to the next."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from podgraph.definition.errors import DefinitionError

__all__ = ["NO_DEFAULT", "GraphOut", "In", "NotJsonError", "Nothing", "Out", "Output", "check_json", "to_json"]


_MAX_DEPTH = 200  # far from where any reader's recursion ends, however deep its own stack is
_MAX_BITS = 14_000  # Python reads integers of at most 4,300 digits


NO_DEFAULT: Any = type("NoDefault", (), {"__repr__": lambda self: "<no default>"})()


class Nothing:
    """The type of an input that carries no value: the op only waits. Written `ins={"start": In(Nothing)}`."""


@dataclass(frozen=True)
class In:
    """An input of an op, where its function's parameter does not say enough.

    `type` is the type a value must have, or :class:`Nothing`; None leaves it to the parameter's annotation.
    `default_value` is what the input has when nothing else gives it a value.
    """

    type: Any = None
    description: str = ""
    default_value: Any = NO_DEFAULT


@dataclass(frozen=True)
class Out:
    """An output of an op: `@op(out={"rows": Out(), "rejected": Out(is_required=False)})`.

    An op may leave out an output with `is_required=False`; the ops that need it are then skipped, which is how a job
    branches (as in Dagster). `type` is the type its value must have; None leaves it to the function's annotation.
    In a cluster a value passes as JSON where JSON holds it unchanged, else as a pickle; `serializer` "json" refuses
    what would be a pickle, "pickle" makes one of every value.
    """

    type: Any = None
    description: str = ""
    is_required: bool = True
    serializer: str | None = None

    def __post_init__(self) -> None:
        if self.serializer not in (None, "json", "pickle"):
            raise DefinitionError(
                "InvalidOutput", f"an Out has serializer={self.serializer!r}; it must be 'json', 'pickle' or None"
            )


@dataclass(frozen=True)
class GraphOut:
    """An output of a graph: `@graph(out={"rows": GraphOut(), "count": GraphOut()})`."""

    description: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Output(Generic[T]):
    """A value with the name of the output it is for, as an op yields or returns it.

    >>> Output(3, "rows")
    Output(value=3, output_name='rows')
    """

    value: T
    output_name: str = "result"


class NotJsonError(ValueError):
    """A value that JSON cannot hold without changing it; the message names what it is and where it lies."""


def to_json(value: Any) -> str:
    """Return `value` as compact JSON text that reads back equal, of the same types.

    Raises NotJsonError for what JSON has no form for (a set, an object, NaN) and for what it would quietly change
    (a tuple into a list, a number as a key into text).

    >>> to_json({"a": [1, None, "ü"]})
    '{"a":[1,null,"ü"]}'
    >>> to_json({"a": [{1, 2}]})
    Traceback (most recent call last):
        ...
    podgraph.definition.values.NotJsonError: a set at ['a'][0]
    """
    check_json(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def check_json(value: Any) -> None:
    """Raise NotJsonError as :func:`to_json` does, without making a text."""
    try:
        _check(value, ())
    except RecursionError:
        raise NotJsonError("a value nested too deep or holding itself") from None


def _check(value: Any, path: tuple[Any, ...]) -> None:
    kind = type(value)
    if value is None or kind is bool:
        return
    if kind is str:
        _check_text(value, path)
    elif kind is int:
        if value.bit_length() > _MAX_BITS:
            raise NotJsonError(f"an integer of {value.bit_length():,} bits (at most {_MAX_BITS:,}){_at(path)}")
    elif kind is float:
        if not math.isfinite(value):
            raise NotJsonError(f"the number {value}{_at(path)}")
    elif kind in (list, dict) and len(path) >= _MAX_DEPTH:
        raise NotJsonError(f"a value nested deeper than {_MAX_DEPTH} levels or holding itself{_at(path)}")
    elif kind is list:
        for index, item in enumerate(value):
            _check(item, (*path, index))
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotJsonError(f"a dict with the key {key!r}, which is no text{_at(path)}")
            _check_text(key, (*path, key))
            _check(item, (*path, key))
    else:
        article = "an" if kind.__name__[:1].lower() in tuple("aeiou") else "a"
        hint = ", which JSON would turn into a list" if kind is tuple else ""
        raise NotJsonError(f"{article} {kind.__name__}{hint}{_at(path)}")


def _check_text(text: str, path: tuple[Any, ...]) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise NotJsonError(f"text with half a surrogate pair, no valid Unicode{_at(path)}") from None


def _at(path: tuple[Any, ...]) -> str:
    keys = [f"[{key!r}]" for key in path]
    return " at " + "".join(keys if len(keys) <= 8 else [*keys[:6], "...", keys[-1]]) if keys else ""
