"""The Python value that plain data becomes, and what is wrong with data."""

# ruff: noqa: UP007, UP045 - the old forms are tested too

from __future__ import annotations

import dataclasses
from collections import abc
from pathlib import Path
from typing import Any, Literal, Optional, Union

import pydantic
import pydantic.dataclasses
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.config_types import Field
from unit.definition.config_samples import (
    Cat,
    Chain,
    Dog,
    Exact,
    Holder,
    Inner,
    Level,
    Load,
    Loose,
    Mode,
    Model,
    Names,
    Node,
    Retry,
    Row,
    Strict,
)

steady = settings(deadline=None, derandomize=True, max_examples=200)


def wrong(hint: Any, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_config(hint, value)
    return caught.value.problems


@pytest.mark.parametrize(
    ("hint", "value", "made"),
    [
        (int, 3, 3),
        (int, 3.0, 3),
        (float, 3, 3.0),
        (float, 10**400, 10**400),
        (float | int, 3, 3),
        (int | float, 3.5, 3.5),
        (Optional[int], None, None),
        (Any, {"a": [1]}, {"a": [1]}),
        (Mode, "fast", Mode.FAST),
        (Mode, Mode.FAST, Mode.FAST),
        (Level, 1, Level.LOW),
        (Literal["a", Mode.SLOW], 2, Mode.SLOW),
        (list[Mode], ["fast", 2], [Mode.FAST, Mode.SLOW]),
        (list[int], (1, 2), [1, 2]),
        (tuple[int, Mode], [1, 2], (1, Mode.SLOW)),
        (tuple[int, ...], [1, 2], (1, 2)),
        (tuple, [1], (1,)),
        (set[Mode], ["fast"], {Mode.FAST}),
        (frozenset[int], [1], frozenset({1})),
        (abc.Sequence[int], [1], [1]),
        (dict[str, Retry], {"a": {"max": 1}}, {"a": Retry(1)}),
        (dict, {"a": 1}, {"a": 1}),
        (Retry, None, Retry()),
        (Retry, {}, Retry()),
        (Retry, Retry(5), Retry(5)),
        (Optional[Retry], None, None),
        (Optional[Retry], {"max": 1}, Retry(1)),
        (Load, {"path": "x", "mode": 2, "tags": ["a"]}, Load("x", Mode.SLOW, tags=frozenset({"a"}))),
        (Cat | Dog, {"kind": "dog"}, Dog("dog")),
        (list[Cat | Dog], [{"kind": "cat", "lives": 1}], [Cat("cat", 1)]),
        (Row, {"n": 1}, {"n": 1}),
        (Row, {"n": 1, "mode": 2}, {"n": 1, "mode": Mode.SLOW}),
        (Loose, None, {}),
        ({}, None, {}),
        ([int], [1], [1]),
    ],
    ids=repr,
)
def test_what_is_made(hint: Any, value: Any, made: Any) -> None:
    found = read_config(hint, value)
    assert found == made
    assert type(found) is type(made)


@pytest.mark.parametrize(
    ("hint", "value", "problems"),
    [
        (int, "x", [("", "expected int, got 'x' (str)")]),
        (int, True, [("", "expected int, got True (bool)")]),
        (int, 1.5, [("", "expected int, got 1.5 (float)")]),
        (int, None, [("", "expected int, got None")]),
        (float, True, [("", "expected float, got True (bool)")]),
        (bool, 1, [("", "expected bool, got 1 (int)")]),
        (Literal["a"], "b", [("", "expected Literal['a'], got 'b' (str)")]),
        (Literal[1], True, [("", "expected Literal[1], got True (bool)")]),
        (Mode, "x", [("", "expected Mode, got 'x' (str)")]),
        (Load, 3, [("", "expected Load, got 3 (int)")]),
        ({}, 3, [("", "expected a mapping, got 3 (int)")]),
        (Optional[int], "x", [("", "expected int | None, got 'x' (str)")]),
        (Optional[Retry], {"max": "x"}, [(".max", "expected int, got 'x' (str)")]),
        (Cat | Dog, {"kind": "dog", "barks": 3}, [(".barks", "expected bool, got 3 (int)")]),
        (tuple[int, int], [1], [("", "expected 2 items, got 1")]),
        (set[Any], [{}], [("", "expected a set, got an item that cannot be in one: unhashable type: 'dict'")]),
        (dict[str, int], {"a b": "x"}, [("['a b']", "expected int, got 'x' (str)")]),
        (Retry, {"max": -1}, [("", "max must not be negative")]),
        (list[Retry], [{}, {"max": -1}], [("[1]", "max must not be negative")]),
        (Optional[Retry], {"max": -1}, [("", "max must not be negative")]),
        (Strict, {"n": 1}, [("", "TypeError")]),
        (
            Load,
            {"mode": "x", "retry": {"max": "y"}, "tag": []},
            [
                (".tag", "unknown key; did you mean 'tags'?"),
                (".path", "missing; expected str"),
                (".mode", "expected Mode, got 'x' (str)"),
                (".retry.max", "expected int, got 'y' (str)"),
            ],
        ),
    ],
    ids=repr,
)
def test_what_is_wrong(hint: Any, value: Any, problems: list[tuple[str, str]]) -> None:
    assert wrong(hint, value) == problems


@pytest.mark.parametrize(
    ("hint", "made"),
    [
        (Field(int, default_value=3), 3),
        (Field(Mode, default_value=Mode.SLOW), Mode.SLOW),
        (Retry, Retry()),
        (Inner, Inner()),
        (Loose, {}),
        ({"n": Field(int, default_value=1)}, {"n": 1}),
        ({"r": Field({"max": Field(int, default_value=3)}, default_value={})}, {"r": {"max": 3}}),
        (dict[str, int], {}),
        (Union[Retry, int], Retry()),
        (Optional[Retry], None),
        (Any, None),
        (None, None),
    ],
    ids=repr,
)
def test_what_none_stands_for(hint: Any, made: Any) -> None:
    assert read_config(hint, None) == made


@pytest.mark.parametrize(
    "hint", [bytes, Path, abc.Iterable[int], abc.Iterator[int], type[int], dict[int, str], "Load"], ids=repr
)
def test_what_is_no_config_is_left_as_it_is(hint: Any) -> None:
    """An input may be of such a type; its own check then speaks."""
    assert read_config(hint, {"a": "x"}) == {"a": "x"}


def test_all_defaults_of_a_dict_of_types() -> None:
    hint = {
        "n": int,
        "mode": Field(Mode, default_value="fast"),
        "maybe": Field(int, is_required=False),
        "retry": {"max": Field(int, default_value=3)},
        "cls": Retry,
        "needy": Field({"m": int}, is_required=False),
    }
    assert read_config(hint, {"n": 1}) == {"n": 1, "mode": Mode.FAST, "retry": {"max": 3}, "cls": Retry()}
    assert wrong(hint, {"needy": {}, "retry": {"mx": 1}}) == [
        (".n", "missing; expected int"),
        (".retry.mx", "unknown key; did you mean 'max'?"),
        (".needy.m", "missing; expected int"),
    ]


def test_a_default_is_made_anew_each_time() -> None:
    hint = {"rows": Field([int], default_value=[1])}
    read_config(hint, {})["rows"].append(2)
    assert read_config(hint, {}) == {"rows": [1]}
    read_config(Load, {"path": "x"}).retry.max = 9
    assert read_config(Load, {"path": "x"}).retry == Retry()


def test_a_pydantic_model() -> None:
    made = read_config(Model, {"name": "ab", "inner": {"n": 4}, "mode": 2, "waits": [1, 2]})
    assert made == Model(name="ab", inner=Inner(n=4), mode=Mode.SLOW, waits=(1, 2))
    assert read_config(Inner, None) == Inner()
    assert read_config(Inner, Inner(n=1)) == Inner(n=1)
    assert wrong(Model, {"name": "a", "inner": {"n": "x"}, "waits": [1, "y"], "choice": {"n": "z"}}) == [
        (".name", "String should have at least 2 characters"),
        (".inner.n", "Input should be a valid integer, unable to parse string as an integer"),
        (".waits[1]", "Input should be a valid integer, unable to parse string as an integer"),
        (".choice", "Input should be a valid integer"),
        (".choice.n", "Input should be a valid integer, unable to parse string as an integer"),
    ]
    assert wrong(Model, {}) == [(".name", "Field required")]
    assert read_config(Exact, {"pair": [3, 4], "mode": "fast"}).pair == (3, 4)
    assert wrong(Exact, {"pear": 1}) == [(".pear", "Extra inputs are not permitted")]
    assert wrong(Exact, 3) == [("", "expected Exact, got 3 (int)")]
    assert wrong(Exact, {"pair": object()})[0][0] == ".pair"
    assert read_config(Names, ["x"]) == Names(["x"])
    assert wrong(Names, [1]) == [("[0]", "Input should be a valid string")]


def test_a_dataclass_of_pydantic() -> None:
    made = pydantic.dataclasses.dataclass(dataclasses.make_dataclass("Made", [("n", "int", pydantic.Field(gt=0))]))
    assert read_config(made, {"n": 1}) == made(n=1)
    assert wrong(list[made], [{"n": 0}]) == [("[0].n", "Input should be greater than 0")]


def test_an_error_says_all() -> None:
    error = ConfigError([(".a", "one"), ("", "two")])
    assert isinstance(error, ValueError)
    assert str(error) == ".a: one; two"


def test_a_failure_of_its_own_is_not_hidden() -> None:
    def fail(self: Any) -> None:
        raise KeyError("x")

    broken = dataclasses.make_dataclass("Broken", [("n", int, 1)], namespace={"__post_init__": fail})
    with pytest.raises(KeyError):
        read_config(broken, {})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.just("fast"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["n", "name", "kind", "path", "max", "children"]), inner
        )
    ),
    max_leaves=8,
)
any_hint = st.sampled_from(
    [Load, Retry, Node, Row, Loose, Model, Names, Holder, Chain, Cat | Dog, Optional[Load], set[Mode], tuple[int, str],
     dict[str, Load], {"n": int, "x": Field(Mode, default_value="fast")}, list[Any], Union[int, list[Retry], None]]
)  # fmt: skip


@steady
@given(any_hint, json_values)
def test_it_makes_a_value_or_says_why_not(hint: Any, value: Any) -> None:
    found = []
    try:
        read_config(hint, value)
    except ConfigError as error:
        found = error.problems or [("no problem", "")]
    assert all(path == "" or path[0] in ".[" for path, _ in found)
