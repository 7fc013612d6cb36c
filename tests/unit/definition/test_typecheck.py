"""What a type hint lets through, and how it says what it does not."""

# ruff: noqa: UP006, UP007, UP035, UP045 - the old forms are tested too

from __future__ import annotations

import collections
import dataclasses
import enum
import sys
import time
import types
import typing
from collections import abc
from typing import (
    Annotated,
    Any,
    Generic,
    List,
    Literal,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Protocol,
    Required,
    TypedDict,
    TypeVar,
    Union,
    runtime_checkable,
)

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.hints import type_name
from podgraph.definition.typecheck import checker, shown

steady = settings(deadline=None, derandomize=True, max_examples=200)

T = TypeVar("T")
Small = TypeVar("Small", bound=int)
Either = TypeVar("Either", int, str)
UserId = NewType("UserId", int)
Deep = NewType("Deep", UserId)


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Retry:
    max: int = 3


class Row(TypedDict):
    n: int
    names: NotRequired[list[str]]


class Loose(TypedDict, total=False):
    n: Required[int]
    text: str


class Tree(TypedDict):
    name: str
    children: list[Tree]


class Point(NamedTuple):
    x: int


@runtime_checkable
class Closes(Protocol):
    def close(self) -> None: ...


class Static(Protocol):
    def close(self) -> None: ...


class Box(Generic[T]):
    pass


class Odd:
    """Whatever is asked of it fails."""

    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __eq__(self, other: object) -> bool:
        raise RuntimeError("no")

    __hash__ = None  # type: ignore[assignment]


class NeverAsk(type):
    def __instancecheck__(cls, instance: object) -> bool:
        raise RuntimeError("no")


class Unaskable(metaclass=NeverAsk):
    pass


class Ordered(list):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        raise RuntimeError("no")


def wrong(hint: Any, value: Any) -> str | None:
    check = checker(hint)
    return check(value) if check else None


FITS: list[tuple[Any, list[Any], list[Any]]] = [
    (int, [1, True], [1.0, "1", None]),
    (float, [1.5, 1, True], ["1", None, 1j]),
    (complex, [1j, 1.5, 1, True], ["1"]),
    (bool, [True], [1, None]),
    (str, ["x"], [b"x", 1]),
    (None, [None], [0, False]),
    (type(None), [None], [0]),
    (Color, [Color.RED], ["red"]),
    (Retry, [Retry()], [{}, Retry]),
    (Point, [Point(1)], [(1,)]),
    (Optional[int], [1, None], ["x"]),
    (Union[int, str], [1, "x"], [None, 1.5]),
    (int | None, [1, None], ["x"]),
    (Literal["a", 1], ["a", 1], ["b", True, 2, None]),
    (Literal[True], [True], [1]),
    (Literal[Color.RED], [Color.RED], ["red"]),
    (list, [[], [1]], [(), "x"]),
    (list[int], [[], [1, True]], [(1,), ["x"], [1, None], None]),
    (List[int], [[1]], [["x"]]),
    (List, [[1]], [()]),
    (list[Any], [["x"]], [()]),
    (list[list[int]], [[[1], []]], [[1], [["x"]]]),
    (dict[str, int], [{}, {"a": 1}], [{"a": "x"}, {1: 1}, []]),
    (dict[str, Any], [{"a": object()}], [{1: 1}]),
    (dict[Any, int], [{1: 1}], [{1: "x"}]),
    (dict, [{1: 1}], [[]]),
    (abc.Mapping[str, int], [{"a": 1}, types.MappingProxyType({"a": "not looked into"})], [{"a": "x"}, 1]),
    (collections.OrderedDict[str, int], [collections.OrderedDict(a=1)], [{"a": 1}]),
    (tuple[int, str], [(1, "x")], [(1,), (1, 2), [1, "x"], ("x", 1), (1, "x", 2)]),
    (tuple[int, ...], [(), (1, 2)], [("x",), [1]]),
    (tuple[()], [()], [(1,)]),
    (tuple, [(), (1,)], [[]]),
    (typing.Tuple, [(), (1,)], [[]]),
    (set[int], [set(), {1}], [{"x"}, frozenset({1}), [1]]),
    (frozenset[int], [frozenset({1})], [frozenset({"x"}), {1}]),
    (abc.Set[int], [{1}, frozenset({1})], [{"x"}, [1]]),
    (abc.Sequence[int], [[1], (1,), range(3)], ["abc", {1}, ["x"]]),
    (abc.Sequence[str], ["abc", ["a"]], [[1]]),
    (collections.deque[int], [collections.deque([1])], [collections.deque("x"), [1]]),
    (abc.Iterable[int], [["not looked into"], iter("x")], [1]),
    (abc.Iterator[int], [iter("x")], [[1]]),
    (abc.Callable[[int], str], [print, len], [1]),
    (typing.Callable, [print], [1]),
    (type[int], [int, bool], [str, 1, Color]),
    (type[Any], [int], [1]),
    (type, [int], [1]),
    (Annotated[int, "about"], [1], ["x"]),
    (UserId, [1], ["x"]),
    (Deep, [1], ["x"]),
    (Small, [1], ["x"]),
    (Either, [1, "x"], [None]),
    (Row, [{"n": 1}, {"n": 1, "names": ["x"]}, {"n": 1, "more": 2}], [{}, {"n": "x"}, {"n": 1, "names": [1]}, []]),
    (Loose, [{"n": 1}, {"n": 1, "text": "x"}], [{}, {"text": "x"}]),
    (Tree, [{"name": "x", "children": [{"anything": 1}]}], [{"name": "x", "children": 1}, {"name": 1, "children": []}]),
    (Closes, [sys.stdout], [1]),
    (Box[int], [Box()], [1]),
    (abc.Set, [{1}], [[1]]),
    (Ordered, [Ordered()], [[]]),
]


@pytest.mark.parametrize(("hint", "good", "bad"), FITS, ids=[type_name(hint) for hint, _, _ in FITS])
def test_what_fits(hint: Any, good: list[Any], bad: list[Any]) -> None:
    check = checker(hint)
    assert check
    assert [check(value) for value in good] == [None] * len(good)
    for value in bad:
        assert str(check(value)).startswith(f"expected {type_name(hint)}, got "), value


@pytest.mark.parametrize(
    "hint",
    [Any, object, T, "int", typing.ForwardRef("int"), Static, Unaskable, 3, Union[int, Any], Optional[T], ...],
    ids=repr,
)
def test_what_cannot_be_checked_lets_all_pass(hint: Any) -> None:
    assert checker(hint) is None


@pytest.mark.parametrize(
    ("hint", "value", "message"),
    [
        (int, "x", "expected int, got 'x' (str)"),
        (str, None, "expected str, got None"),
        (int | None, "x", "expected int | None, got 'x' (str)"),
        (list[int], [1, 2, 3, "x"], "expected list[int], got 'x' (str) at [3]"),
        (dict[str, int], {"key": "x"}, "expected dict[str, int], got 'x' (str) at ['key']"),
        (dict[str, int], {3: 1}, "expected dict[str, int], got a key 3 (int)"),
        (dict[str, list[int]], {"k": [0, "x"]}, "expected dict[str, list[int]], got 'x' (str) at ['k'][1]"),
        (set[int], {"x"}, "expected set[int], got an item 'x' (str)"),
        (list[set[int]], [{"x"}], "expected list[set[int]], got an item 'x' (str) at [0]"),
        (tuple[int, str], (1,), "expected tuple[int, str], got a tuple of 1"),
        (list[tuple[int, int]], [(1, 2, 3)], "expected list[tuple[int, int]], got a tuple of 3 at [0]"),
        (Optional[list[int]], [1, "x"], "expected list[int] | None, got 'x' (str) at [1]"),
        (list[int] | dict[str, int], ["x"], "expected list[int] | dict[str, int], got 'x' (str) at [0]"),
        (list[int] | list[str], [1, "x"], "expected list[int] | list[str], got [1, 'x'] (list)"),
        (Row, {}, "expected Row, got a dict without 'n'"),
        (list[Row], [{"n": 1}, {"n": "x"}], "expected list[Row], got 'x' (str) at [1]['n']"),
        (Literal["a", "b"], "c", "expected Literal['a', 'b'], got 'c' (str)"),
        (type[int], str, "expected type[int], got <class 'str'> (type)"),
        (int, "x" * 100, "expected int, got '" + "x" * 27 + "..."),
    ],
)
def test_messages(hint: Any, value: Any, message: str) -> None:
    found = wrong(hint, value)
    assert found
    assert found == message or (message.endswith("...") and "..." in found)


def test_a_class_of_the_same_name_is_told_apart() -> None:
    other = dataclasses.make_dataclass("Retry", [])
    other.__module__ = "elsewhere"
    for hint in (Retry, list[Retry]):
        assert (
            str(wrong(hint, other() if hint is Retry else [other()])).partition(" (")[2].startswith("elsewhere.Retry)")
        )


def test_only_the_first_items_are_looked_at() -> None:
    assert wrong(list[int], [1] * 99 + ["x"]) == "expected list[int], got 'x' (str) at [99]"
    assert wrong(list[int], [1] * 100 + ["x"]) is None
    assert wrong(dict[int, int], {at: at if at < 100 else "x" for at in range(101)}) is None


def test_a_large_value_costs_no_more() -> None:
    large = ["x"] * 3_000_000
    start = time.process_time()
    for hint in (int, list[str], list[int], set[int], dict[str, int], int | None):
        wrong(hint, large)
    assert time.process_time() - start < 2


def test_an_iterator_is_not_used_up() -> None:
    values = iter([1, 2])
    assert wrong(abc.Iterator[str], values) is None
    assert list(values) == [1, 2]


@pytest.mark.parametrize("hint", [int, list[int], Literal["a"], Row, int | None, dict[str, int]], ids=type_name)
def test_values_that_fail_when_asked(hint: Any) -> None:
    assert str(wrong(hint, Odd())).startswith(f"expected {type_name(hint)}, got <Odd")
    assert wrong(list[int], Ordered([1])) is None
    assert str(wrong(list[int], [Odd()])).endswith(" at [0]")


def test_a_value_whose_class_cannot_be_asked() -> None:
    class Hidden:
        @property
        def __class__(self) -> type:
            raise RuntimeError("no")

    for hint in (int, list[int], int | None):
        assert wrong(hint, Hidden()) is None


class Unknown(TypedDict):
    n: Missing  # type: ignore  # noqa: F821
    m: int


def test_a_typed_dict_whose_types_cannot_be_resolved() -> None:
    assert wrong(Unknown, {"n": "anything", "m": 1}) is None
    assert wrong(Unknown, {"n": "anything", "m": "x"}) == "expected Unknown, got 'x' (str) at ['m']"
    assert wrong(Unknown, {"m": 1}) == "expected Unknown, got a dict without 'n'"


def test_a_value_that_holds_itself() -> None:
    loop: list[Any] = []
    loop.append(loop)
    assert wrong(list[list[list[int]]], loop) is not None
    assert wrong(list[Any], loop) is None


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_type_statements() -> None:
    space: dict[str, Any] = {}
    exec("type Id = int\ntype Json = int | list[Json] | dict[str, Json]\ntype Self = Self", space)
    assert wrong(space["Id"], "x") == "expected Id, got 'x' (str)"
    assert wrong(space["Json"], [1]) is None
    assert wrong(space["Json"], "x") == "expected Json, got 'x' (str)"
    assert checker(space["Self"]) is None


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a star in a type is new in Python 3.11")
def test_tuples_of_open_length() -> None:
    hint = eval("tuple[int, *tuple[str, ...]]")
    assert wrong(hint, (1, "a", "b")) is None
    assert wrong(hint, [1]) is not None


def test_shown() -> None:
    assert [shown(value) for value in ("a  b", None, {"a": [1]})] == ["'a  b'", "None", "{'a': [1]}"]
    assert max(len(shown(value)) for value in ("x" * 999, list(range(999)), "\n" * 99, 10**3000)) <= 60


hints: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from([int, str, float, bool, type(None), Any, Color, Row, Literal["a", 1], UserId, T, Small, bytes]),
    lambda inner: st.one_of(
        inner.map(lambda hint: list[hint]),  # type: ignore[valid-type]
        inner.map(lambda hint: Optional[hint]),
        inner.map(lambda hint: tuple[hint, ...]),  # type: ignore[valid-type]
        inner.map(lambda hint: abc.Sequence[hint]),  # type: ignore[valid-type]
        st.tuples(inner, inner).map(lambda pair: tuple[pair]),  # type: ignore[misc]
        st.tuples(inner, inner).map(lambda pair: Union[pair]),  # type: ignore[misc]
        inner.map(lambda hint: dict[str, hint]),  # type: ignore[valid-type]
    ),
    max_leaves=6,
)
leaves = (
    st.none() | st.integers() | st.text(max_size=3) | st.floats() | st.booleans() | st.builds(Odd) | st.just(Color.RED)
)
values = st.recursive(
    leaves,
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner) | st.tuples(inner, inner),
    max_leaves=8,
)


@steady
@given(hints, values)
def test_it_never_fails(hint: Any, value: Any) -> None:
    found = wrong(hint, value)
    assert found is None or found.startswith(f"expected {type_name(hint)}, got ")
    assert "typing." not in type_name(hint)


@steady
@given(st.data())
def test_what_has_the_type_fits(data: st.DataObject) -> None:
    hint = data.draw(hints.filter(lambda hint: all(part not in str(hint) for part in ("Any", "~", "Sequence"))))
    value = data.draw(st.from_type(type(None) if hint is None else hint))
    assert wrong(hint, value) is None
