"""What a hint is read as: names, plain types, and the hints of a function."""

# ruff: noqa: UP006, UP035, UP045 - the old forms are tested too

from __future__ import annotations

import functools
import typing
from collections import abc
from typing import (
    Annotated,
    Any,
    Generic,
    List,
    NewType,
    NotRequired,
    Optional,
    Required,
    TypedDict,
    TypeVar,
)

import pytest
from hypothesis import settings

from podgraph.definition.hints import hints_of, is_class, plain, required_keys, type_name

steady = settings(deadline=None, derandomize=True, max_examples=200)

T = TypeVar("T")
Small = TypeVar("Small", bound=int)
Either = TypeVar("Either", int, str)
UserId = NewType("UserId", int)
Deep = NewType("Deep", UserId)


class Row(TypedDict):
    n: int
    names: NotRequired[list[str]]


class Loose(TypedDict, total=False):
    n: Required[int]
    text: str


class Box(Generic[T]):
    pass


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (int, "int"),
        ("Row", "Row"),
        (Any, "Any"),
        (None, "None"),
        (Row, "Row"),
        (typing.Dict[str, int], "dict[str, int]"),
        (typing.List, "list"),
        (Optional[list[int]], "list[int] | None"),
        (int | str | None, "int | str | None"),
        (abc.Callable[[int], str], "Callable[[int], str]"),
        (abc.Callable[..., str], "Callable[..., str]"),
        (tuple[int, ...], "tuple[int, ...]"),
        (tuple[()], "tuple[()]"),
        (abc.Mapping[str, Any], "Mapping[str, Any]"),
        (Annotated[int, 3], "int"),
        (NotRequired[int], "int"),
        (UserId, "UserId"),
        (T, "T"),
        (Box[int], "Box[int]"),
        (typing.NoReturn, "NoReturn"),
        (typing.ForwardRef("X"), "X"),
        (list["X"], "list[X]"),  # type: ignore[name-defined]  # noqa: F821
        (type[int], "type[int]"),
        ({"n": 1}, "{'n': 1}"),
    ],
    ids=repr,
)
def test_type_names(hint: Any, name: str) -> None:
    assert type_name(hint) == name


def test_hints_of_a_function() -> None:
    def made(a: int, b: Optional[str] = None, *, c: Annotated[int, "x"] = 1, d=2) -> list[Row]: ...  # type: ignore

    assert hints_of(made) == {"a": int, "b": Optional[str], "c": Annotated[int, "x"], "return": list[Row]}

    def plain_default(a: int = None, b: None = None) -> None: ...  # type: ignore[assignment]  # noqa: RUF013

    assert hints_of(plain_default) == {"a": int, "b": type(None), "return": type(None)}
    assert hints_of(lambda x: x) == {}


def test_a_name_that_cannot_be_resolved_is_any() -> None:
    def made(a: Missing, b: int, c: list[Missing], d: 1 + [2]) -> str: ...  # type: ignore  # noqa: F821

    assert hints_of(made) == {"a": Any, "b": int, "c": Any, "d": Any, "return": str}


def test_hints_of_other_callables() -> None:
    def fn(a: int) -> str:
        return str(a)

    @functools.wraps(fn)
    def wrapper(*args: Any) -> Any: ...

    class Callable:
        limit: int = 3

        def __call__(self, a: int) -> str: ...

        def method(self, a: int) -> str: ...

        @staticmethod
        def static(a: int) -> str: ...

    class Made:
        def __init__(self, a: int) -> None: ...

    expected = {"a": int, "return": str}
    for each in (fn, wrapper, functools.partial(fn, 1), functools.lru_cache(fn), Callable(), Callable().method):
        assert hints_of(each) == expected
    assert hints_of(Callable.static) == expected
    assert hints_of(Made) == {"a": int, "return": type(None)}
    assert hints_of(len) == {}


def test_is_class() -> None:
    assert [is_class(hint) for hint in (int, Row, list[int], List, None, "int")] == [
        True,
        True,
        False,
        False,
        False,
        False,
    ]


def test_plain() -> None:
    assert [plain(hint) for hint in (None, Annotated[UserId, 1], Small, T, int)] == [type(None), int, int, Any, int]


def test_required_keys_where_annotations_are_text() -> None:
    hints = typing.get_type_hints(Loose, include_extras=True)
    assert required_keys(Loose, hints) == {"n"}
    assert required_keys(Row, typing.get_type_hints(Row, include_extras=True)) == {"n"}
