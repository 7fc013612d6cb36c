"""JSON as it must be to cross from one pod to the next: it reads back equal and of the same types, or is refused."""

from __future__ import annotations

import collections
import enum
import json
import math
import sys
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.values import In, NotJsonError, Out, Output, to_json

steady = settings(deadline=None, derandomize=True, max_examples=200)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=20
)


class Color(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


Point = collections.namedtuple("Point", "x y")


def refused(value: Any) -> str:
    with pytest.raises(NotJsonError) as caught:
        to_json(value)
    return str(caught.value)


def same(one: Any, two: Any) -> bool:
    """Equal, of the same types, at every depth, with keys in the same order and the same zero."""
    if type(one) is not type(two):
        return False
    if isinstance(one, dict):
        return list(one) == list(two) and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(two) and all(map(same, one, two))
    if isinstance(one, float):
        return math.copysign(1, one) == math.copysign(1, two) and one == two
    return bool(one == two)


@steady
@given(values)
def test_what_is_written_reads_back_the_same(value: Any) -> None:
    text = to_json(value)
    assert same(json.loads(text), value)
    text.encode()
    assert "\n" not in text


@steady
@given(values, st.sampled_from([{1}, (1,), math.nan, {1: 2}, "\ud800", Color.RED, b"x"]), st.data())
def test_one_bad_part_anywhere_refuses_all(value: Any, bad: Any, data: st.DataObject) -> None:
    path = ""
    for _ in range(data.draw(st.integers(0, 5))):
        if data.draw(st.booleans()):
            path, bad = f"[{len(path)}]{path}", [value] * len(path) + [bad]
        else:
            path, bad = f"['k']{path}", {"a": value, "k": bad}
    assert refused(bad).endswith(f" at {path}" if path else "")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1, 2}, "a set"),
        ([set()], "a set at [0]"),
        ((1, 2), "a tuple, which JSON would turn into a list"),
        ({"a": [0, ()]}, "a tuple, which JSON would turn into a list at ['a'][1]"),
        (Point(1, 2), "a Point"),
        (math.nan, "the number nan"),
        ([math.inf], "the number inf at [0]"),
        ({"x": -math.inf}, "the number -inf at ['x']"),
        ({1: 2}, "a dict with the key 1, which is not a string"),
        ([{None: 2}], "a dict with the key None, which is not a string at [0]"),
        ({"a": {True: 2}}, "a dict with the key True, which is not a string at ['a']"),
        ({Text("a"): 1}, "a dict with the key 'a', which is not a string"),
        (Color.RED, "a Color"),
        ([Text("a")], "a Text at [0]"),
        (collections.OrderedDict(), "an OrderedDict"),
        (collections.Counter(), "a Counter"),
        (object(), "an object"),
        (type("", (), {})(), "a "),
        (b"x", "a bytes"),
        (1j, "a complex"),
        (int, "a type"),
        ("\ud800", "a string with half a surrogate pair, which is not valid Unicode"),
        (["ok", "\udfff"], "a string with half a surrogate pair, which is not valid Unicode at [1]"),
        ({"\ud800": 1}, "a string with half a surrogate pair, which is not valid Unicode at ['\\ud800']"),
        ([10**5000], "an integer of 16,610 bits (at most 14,000) at [0]"),
        ([-(10**5000)], "an integer of 16,610 bits (at most 14,000) at [0]"),
    ],
)
def test_the_message_says_what_and_where(value: Any, message: str) -> None:
    assert refused(value) == message
    assert message.encode()


def test_large_integers_are_kept() -> None:
    for value in (2**63, -(2**64), 10**4200):
        assert json.loads(to_json(value)) == value


@pytest.mark.parametrize("limit", [1_000, 100_000])
@pytest.mark.parametrize("make", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_deep_values(make: Any, limit: int) -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        value: Any = 1
        for _ in range(200):
            value = make(value)
        assert same(json.loads(to_json(value)), value)
        message = refused(make(value))
        assert message.startswith("a value that is nested deeper than 200 levels or contains itself at [")
        assert len(message) < 200
        for _ in range(50_000):
            value = make(value)
        assert refused(value).startswith("a value that is nested deeper")
        while isinstance(value, (list, dict)):  # taken apart by hand: freeing it at once would recurse as well
            value = value.pop() if isinstance(value, list) else value.popitem()[1]
    finally:
        sys.setrecursionlimit(before)


def test_values_that_hold_themselves() -> None:
    loop: list[Any] = []
    loop.append(loop)
    twice: dict[str, Any] = {}
    twice.update(a=twice, b=twice)
    for value in (loop, twice, [loop]):
        assert "contains itself" in refused(value)
    shared = [1]
    assert to_json([shared, shared]) == "[[1],[1]]"


def test_declarations() -> None:
    assert (In().type, Out().is_required, Out(is_required=False).is_required) == (None, True, False)
    assert Output(1) == Output(1, "result")
