"""Declarations of an op's inputs and outputs, and the JSON that passes values between pods."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from podgraph.definition.errors import DefinitionError

__all__ = ["NO_DEFAULT", "GraphOut", "In", "NotJsonError", "Nothing", "Out", "Output", "check_json", "to_json"]


_MAX_DEPTH = 200  # far below the recursion limit of any reader
_MAX_BITS = 14_000  # Python reads integers of at most 4,300 digits


NO_DEFAULT: Any = type("NoDefault", (), {"__repr__": lambda self: "<no default>"})()


class Nothing:
    """The type of an input without a value: the op only waits for it. Write `ins={"start": In(Nothing)}`."""


@dataclass(frozen=True)
class In:
    """Declares an input of an op, in addition to the parameter of its function.

    `type` is the type of the value, or :class:`Nothing`; None uses the annotation of the parameter.
    `default_value` is the value of the input if nothing else sets one.

    >>> In(int, default_value=3)
    In(type=<class 'int'>, description='', default_value=3)
    """

    type: Any = None
    description: str = ""
    default_value: Any = NO_DEFAULT


@dataclass(frozen=True)
class Out:
    """Declares an output of an op: `@op(out={"rows": Out(), "rejected": Out(is_required=False)})`.

    An op may omit an output with `is_required=False`. The ops that need the output are then skipped: this is how a
    job branches (as in Dagster). `type` is the type of the value; None uses the annotation of the function.
    In a cluster a value passes as JSON if JSON represents it exactly, otherwise as a pickle. `serializer="json"`
    refuses a value that needs a pickle; `serializer="pickle"` pickles every value.

    Raises DefinitionError (`InvalidOutput`) for any other serializer.
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
    """Declares an output of a graph: `@graph(out={"rows": GraphOut(), "count": GraphOut()})`."""

    description: str = ""


T = TypeVar("T")


@dataclass(frozen=True)
class Output(Generic[T]):
    """A value and the name of its output. An op yields or returns it.

    >>> Output(3, "rows")
    Output(value=3, output_name='rows')
    """

    value: T
    output_name: str = "result"


class NotJsonError(ValueError):
    """JSON cannot represent a value exactly. The message names the value and its place."""


def to_json(value: Any) -> str:
    """Return `value` as compact JSON text. Reading it back gives an equal value of the same types.

    Raises NotJsonError for a value that JSON cannot represent (a set, an object, NaN) and for a value that JSON
    would change (a tuple becomes a list, a number as a key becomes a string).

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
    """Raise NotJsonError as :func:`to_json` does, without producing the text."""
    try:
        _check(value, ())
    except RecursionError:
        raise NotJsonError("a value that is nested too deeply or contains itself") from None


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
        raise NotJsonError(f"a value that is nested deeper than {_MAX_DEPTH} levels or contains itself{_at(path)}")
    elif kind is list:
        for index, item in enumerate(value):
            _check(item, (*path, index))
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotJsonError(f"a dict with the key {key!r}, which is not a string{_at(path)}")
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
        raise NotJsonError(f"a string with half a surrogate pair, which is not valid Unicode{_at(path)}") from None


def _at(path: tuple[Any, ...]) -> str:
    keys = [f"[{key!r}]" for key in path]
    return " at " + "".join(keys if len(keys) <= 8 else [*keys[:6], "...", keys[-1]]) if keys else ""
