"""What an op says about its inputs and outputs, and JSON as it must be to cross from one pod to the next."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

__all__ = ["In", "NotJsonError", "Nothing", "Out", "Output", "to_json"]


class Nothing:
    """The type of an input that carries no value: the op only waits. Written `ins={"start": In(Nothing)}`."""


@dataclass(frozen=True)
class In:
    """An input of an op, where its function's parameter does not say enough.

    `type` is the type a value must have, or :class:`Nothing`; None leaves it to the parameter's annotation.
    """

    type: Any = None
    description: str = ""


@dataclass(frozen=True)
class Out:
    """An output of an op: `@op(out={"rows": Out(), "rejected": Out(is_required=False)})`.

    An op may leave out an output with `is_required=False`; the ops that need it are then skipped, which is how a job
    branches (as in Dagster).
    """

    type: Any = None
    description: str = ""
    is_required: bool = True


@dataclass(frozen=True)
class Output:
    """A value with the name of the output it is for, as an op yields or returns it.

    >>> Output(3, "rows")
    Output(value=3, output_name='rows')
    """

    value: Any
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
    try:
        _check(value, "")
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        text.encode()
    except RecursionError:
        raise NotJsonError("a value nested too deep, or one that holds itself") from None
    except UnicodeEncodeError:
        raise NotJsonError("text with half a surrogate pair, which is no valid Unicode") from None
    return text


def _check(value: Any, where: str) -> None:
    kind = type(value)
    if value is None or kind in (bool, int, str):
        return
    if kind is float:
        if not math.isfinite(value):
            raise NotJsonError(f"the number {value}{_at(where)}")
    elif kind is list:
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
    elif kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise NotJsonError(f"a dict with the key {key!r}, which is no text{_at(where)}")
            _check(item, f"{where}[{key!r}]")
    else:
        article = "an" if kind.__name__[0].lower() in "aeiou" else "a"
        hint = ", which JSON would turn into a list" if kind is tuple else ""
        raise NotJsonError(f"{article} {kind.__name__}{hint}{_at(where)}")


def _at(where: str) -> str:
    return f" at {where}" if where else ""
