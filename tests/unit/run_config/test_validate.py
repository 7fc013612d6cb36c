"""Plain data held against a JSON Schema, and examples that satisfy one."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import time
from collections import abc
from typing import Annotated, Any, Literal, NotRequired, Optional, TypedDict, Union

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.config_read import read_config
from podgraph.definition.config_schema import schema_of
from podgraph.definition.config_types import Field
from podgraph.run_config.validate import Problem, example, problems

steady = settings(deadline=None, derandomize=True, max_examples=300)

INT, TEXT = {"type": "integer"}, {"type": "string"}


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = 2


@dataclasses.dataclass
class Retry:
    max: int
    wait: float = 1.5


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)
    next: Optional[Node] = None  # noqa: UP045 - for Python 3.9


@dataclasses.dataclass
class Endless:
    next: Endless


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    lives: int


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    barks: bool


class Row(TypedDict):
    n: int
    mode: NotRequired[Mode]


class Bird(pydantic.BaseModel):
    kind: Literal["bird"]
    wings: int = 2


class Fish(pydantic.BaseModel):
    kind: Literal["fish"]
    fins: int


class Small(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid")
    count: Annotated[int, pydantic.Field(gt=0, le=10, multiple_of=3)]
    share: Annotated[float, pydantic.Field(gt=0, lt=1)]
    code: Annotated[str, pydantic.Field(pattern="^[a-z]+$", min_length=5)]
    pair: Annotated[list[int], pydantic.Field(min_length=2, max_length=3)]
    names: Annotated[set[str], pydantic.Field(min_length=3)]
    labels: Annotated[dict[str, int], pydantic.Field(min_length=2)]
    when: pydantic.AwareDatetime
    animal: Bird | Fish = pydantic.Field(discriminator="kind")
    parent: Optional[Small] = None  # noqa: UP045
    either: Union[int, str, None] = None  # noqa: UP007


def texts(schema: Any, value: Any, path: str = "x") -> list[str]:
    found = problems(schema, value, path)
    assert all(problem.message.startswith(f"{problem.path} " if problem.path else "it ") for problem in found)
    return [problem.message for problem in found]


@pytest.mark.parametrize(
    ("schema", "good", "bad", "message"),
    [
        (INT, [1, 1.0, -(10**400)], [True, 1.5, "1", None, math.nan], "x must be integer, not "),
        ({"type": "number"}, [1, 1.5], [True, "1", math.nan, math.inf], "x must be number, not "),
        (TEXT, [""], [1, None, b"x"], "x must be string, not "),
        ({"type": "boolean"}, [True], [1, 0, "yes"], "x must be boolean, not "),
        ({"type": "null"}, [None], [0, ""], "x must be null, not "),
        ({"type": "array"}, [[], (1,)], ["x", {}, {1}], "x must be array, not "),
        ({"type": "object"}, [{}, {"a": 1}], [[], None], "x must be object, not "),
        ({"type": ["integer", "null"]}, [1, None], ["x"], "x must be integer or null, not 'x' (str)"),
        (
            {"enum": ["a", 1, None, [1]]},
            ["a", 1, 1.0, None, [1]],
            [True, "b", [True]],
            "x must be one of 'a', 1, None, ",
        ),
        ({"const": {"a": 1}}, [{"a": 1}, {"a": 1.0}], [{"a": True}, 1], "x must be {'a': 1}, not "),
        ({"minimum": 1}, [1, "x"], [0, -1.5], "x must be at least 1, not "),
        ({"maximum": 1}, [1], [2], "x must be at most 1, not 2"),
        ({"exclusiveMinimum": 1}, [1.1], [1], "x must be more than 1, not 1"),
        ({"exclusiveMaximum": 1}, [0], [1], "x must be less than 1, not 1"),
        ({"multipleOf": 3}, [0, 9, -3], [1], "x must be a multiple of 3, not 1"),
        ({"multipleOf": 0.1}, [0.3, 1, 10**400], [0.35], "x must be a multiple of 0.1, not 0.35"),
        ({"minLength": 2}, ["ab", 1], ["a"], "x must have at least 2 characters, not 1"),
        ({"maxLength": 2}, ["ab"], ["abc"], "x must have at most 2 characters, not 3"),
        ({"pattern": "^a"}, ["ab", 1], ["ba"], "x must match '^a', not 'ba' (str)"),
        ({"pattern": r"\p{L}"}, ["not Python's"], [], ""),
        ({"minItems": 1}, [[1]], [[]], "x must have at least 1 item, not 0"),
        ({"maxItems": 1}, [[1]], [[1, 2]], "x must have at most 1 item, not 2"),
        (
            {"uniqueItems": True},
            [[1, True, "1"]],
            [[1, 1.0], [{"a": 1}, {"a": 1}]],
            "x must not contain the same item twice",
        ),
        ({"minProperties": 1}, [{"a": 1}], [{}], "x must have at least 1 key, not 0"),
        ({"maxProperties": 1}, [{"a": 1}], [{"a": 1, "b": 2}], "x must have at most 1 key, not 2"),
        ({"items": INT}, [[1], "x"], [[1, "x"]], "x[1] must be integer, not 'x' (str)"),
        ({"prefixItems": [INT], "items": TEXT}, [[1, "x"], []], [["x"]], "x[0] must be integer"),
        ({"prefixItems": [INT], "items": False}, [[1]], [[1, 2]], "x[1] must be left out"),
        ({"properties": {"a": INT}}, [{"a": 1, "b": 2}], [{"a": "x"}], "x.a must be integer"),
        ({"additionalProperties": INT}, [{"a": 1}], [{"a b": "x"}], "x['a b'] must be integer"),
        ({"additionalProperties": False}, [{}], [{"a": 1}], "x.a is unknown; there are none"),
        (
            {"patternProperties": {"^a": INT}, "additionalProperties": False},
            [{"a1": 1}],
            [{"a1": "x"}],
            "x.a1 must be integer",
        ),
        ({"allOf": [INT, {"minimum": 3}]}, [3], [2], "x must be at least 3, not 2"),
        (
            {"oneOf": [INT, {"minimum": 3}]},
            [2, "x"],
            [3],
            "x must match only one of integer or another value, but matches 2",
        ),
        ({"type": "object"}, [{"a": 1}], [{1: 1}], "x has the key 1, which is not a string"),
        (False, [], [1, None], "x must be left out"),
        (True, [1, None], [], ""),
        ({"$ref": "#/$defs/n", "$defs": {"n": INT}, "minimum": 2}, [2], [1], "x must be at least 2, not 1"),
        ({"$ref": "#/$defs/a~1b", "$defs": {"a/b": INT}}, [2], ["x"], "x must be integer"),
        ({"$ref": "#/nowhere"}, [1], [], ""),
        ({"$ref": "#"}, [1], [], ""),
        ({"unknown": 3, "not": {}, "type": 3, "properties": [], "minimum": "x", "required": 1}, [1, {}, []], [], ""),
    ],
    ids=str,
)
def test_each_word(schema: Any, good: list[Any], bad: list[Any], message: str) -> None:
    assert [texts(schema, value) for value in good] == [[]] * len(good)
    for value in bad:
        found = texts(schema, value)
        assert len(found) == 1
        assert found[0].startswith(message)


def test_all_problems_each_with_its_path() -> None:
    schema = schema_of({"n": int, "retry": Retry, "rows": list[Row], "mode": Field(Mode, is_required=False)})
    value = {"n": "x", "retry": {"max": 1, "wait": "y", "mx": 1}, "rows": [{"n": 1}, {"n": None}, {}], "mode": "fats"}
    assert texts(schema, value, "ops.add.config") == [
        "ops.add.config.n must be integer, not 'x' (str)",
        "ops.add.config.retry.wait must be number, not 'y' (str)",
        "ops.add.config.retry.mx is unknown; did you mean 'max'?",
        "ops.add.config.rows[1].n must be integer, not None",
        "ops.add.config.rows[2].n is missing",
        "ops.add.config.mode must be one of 'fast', 2, not 'fats' (str); did you mean 'fast'?",
    ]


def test_paths_from_the_top() -> None:
    schema = {"properties": {"a": INT}, "required": ["b"], "additionalProperties": False}
    assert [problem.path for problem in problems(schema, {"a": "x", "c d": 1}, "")] == ["b", "a", "['c d']"]
    assert problems(INT, "x", "") == [Problem("", "it must be integer, not 'x' (str)")]


def test_what_is_missing_comes_with_an_example() -> None:
    schema = schema_of({"n": Field(int, description="how many"), "retry": Retry, "rows": list[Row]})
    assert problems(schema, {}, "c") == [
        Problem("c.n", "c.n is missing: how many", True, 0),
        Problem("c.retry.max", "c.retry.max is missing", True, 0),
        Problem("c.rows", "c.rows is missing", True, []),
    ]
    assert problems(schema_of({"node": Node}), {}, "c") == [
        Problem("c.node.name", "c.node.name is missing", True, "...")
    ]


def test_no_branch_fits() -> None:
    assert texts(schema_of(int | None), "x") == ["x must be integer or null, not 'x' (str)"]
    assert texts(schema_of(Literal["a", "b"] | None), "c") == ["x must be one of 'a', 'b', not 'c' (str)"]
    assert texts(schema_of(Literal["a", "b"] | None), 3) == ["x must be 'a' or 'b' or null, not 3 (int)"]
    assert texts(schema_of(int | (list[int] | None)), "x") == ["x must be integer or array or null, not 'x' (str)"]
    assert texts({"anyOf": [{"$ref": "#/$defs/N"}, TEXT], "$defs": {"N": INT}}, []) == [
        "x must be integer or string, not [] (list)"
    ]


def test_the_one_branch_of_the_right_kind_tells_its_problems() -> None:
    assert texts(schema_of(Retry | None), {"mx": 1}) == ["x.max is missing", "x.mx is unknown; did you mean 'max'?"]
    assert texts(schema_of(list[int] | int), [1, "x"]) == ["x[1] must be integer, not 'x' (str)"]
    assert texts({"anyOf": [{"type": "integer", "minimum": 3}, TEXT]}, 1) == ["x must be at least 3, not 1"]
    assert texts({"anyOf": [{"type": "integer", "minimum": 3}, {"type": "integer", "maximum": 0}]}, 1) == [
        "x must be at least 3, not 1"
    ]


@pytest.mark.parametrize(
    "schema",
    [schema_of(Cat | Dog), pydantic.TypeAdapter(Cat | Dog).json_schema(), schema_of(Cat | Dog | None)],
)
def test_a_tag_tells_the_branch(schema: Any) -> None:
    assert texts(schema, {"kind": "dog"}) == ["x.barks is missing"]
    assert texts(schema, {"kind": "cat", "lives": "x"}) == ["x.lives must be integer, not 'x' (str)"]
    assert texts(schema, {"kind": "dog", "barks": True}) == []
    assert texts(schema, {"kind": "cow"})[0].startswith("x.")


def test_a_pydantic_model() -> None:
    schema = schema_of(Small)
    value = {"count": 4, "share": 1, "animal": {"kind": "fish"}, "parent": {"count": "x"}, "pair": [1, "x", 2, 3]}
    found = texts(schema, value)
    assert {
        "x.count must be a multiple of 3, not 4",
        "x.share must be less than 1, not 1",
        "x.code is missing",
        "x.animal.fins is missing",
        "x.parent.count must be integer, not 'x' (str)",
        "x.pair[1] must be integer, not 'x' (str)",
        "x.pair must have at most 3 items, not 4",
    } <= set(found)


def test_a_type_that_holds_itself() -> None:
    schema = schema_of(Node)
    value: Any = {"name": "x"}
    for _ in range(50):
        value = {"name": "x", "next": value, "children": [{"name": "y"}]}
    assert texts(schema, value) == []
    value["next"]["next"]["children"][0]["name"] = 3
    assert texts(schema, value) == ["x.next.next.children[0].name must be string, not 3 (int)"]


def nested(levels: int) -> Any:
    value: Any = {"name": "x"}
    for _ in range(levels):
        value = {"name": "x", "next": value}
    return value


def test_nothing_is_too_deep() -> None:
    loop: dict[str, Any] = {"name": "x"}
    loop["next"] = loop
    for value in (nested(5_000), loop):
        assert texts(schema_of(Node), value)[-1] == "x is nested too deeply or contains itself"
    assert texts({}, loop) == []
    for schema in (
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/A"}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"anyOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}}},
        {"$ref": "#/$defs/A", "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}},
    ):
        problems(schema, 1, "x")
        example(schema)
        example(schema, everything=True)


def test_it_takes_little_time() -> None:
    start = time.process_time()
    assert texts({"items": {**INT, "maximum": 100_000}, "uniqueItems": True}, list(range(20_000))) == []
    assert len(texts({"items": INT}, ["x"] * 5_000)) == 5_000
    texts(schema_of(dict[str, int | None]), {str(at): at for at in range(20_000)})
    assert time.process_time() - start < 20  # of this process alone; each pair looked at once would be minutes


@pytest.mark.parametrize(
    ("hint", "made", "everything"),
    [
        (int, 0, 0),
        (float, 0.0, 0.0),
        (str, "...", "..."),
        (bool, False, False),
        (None, None, None),
        (Any, "...", "..."),
        (list[int], [], []),
        (dict[str, int], {}, {}),
        (tuple[int, str], [0, "..."], [0, "..."]),
        (int | None, 0, 0),
        (Mode, "fast", "fast"),
        (Retry, {"max": 0}, {"max": 0, "wait": 1.5}),
        (Retry | None, {"max": 0}, {"max": 0, "wait": 1.5}),
        (Row, {"n": 0}, {"n": 0, "mode": "fast"}),
        (Node, {"name": "..."}, {"name": "...", "children": [], "next": None}),
        (Endless, None, None),
        ({"a": Field(int, default_value=7), "b": Field(int, is_required=False)}, {}, {"a": 7, "b": 0}),
        (Field(int, default_value=7), 7, 7),
        ({}, {}, {}),
    ],
    ids=repr,
)
def test_examples(hint: Any, made: Any, everything: Any) -> None:
    assert example(schema_of(hint)) == made
    assert example(schema_of(hint), everything=True) == everything


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "integer", "minimum": 3},
        {"type": "integer", "maximum": -3},
        {"type": "integer", "exclusiveMinimum": 0, "multipleOf": 7},
        {"type": "integer", "exclusiveMinimum": 0.5, "exclusiveMaximum": 2.5},
        {"type": "integer", "minimum": 10**30},
        {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
        {"type": "number", "exclusiveMinimum": 3, "multipleOf": 0.25},
        {"type": "string", "minLength": 9},
        {"type": "string", "maxLength": 1},
        {"type": "string", "pattern": "^[A-Z]{2,}$", "minLength": 4},
        {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        {"type": "string", "format": "date-time"},
        {"type": "array", "items": INT, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": TEXT, "minItems": 3, "uniqueItems": True},
        {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2, "uniqueItems": True},
        {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "uniqueItems": True},
        {"type": "object", "minProperties": 2, "additionalProperties": INT},
        {"type": "object", "properties": {"a": INT, "b": INT}, "minProperties": 1, "additionalProperties": False},
        {"type": "object", "properties": {"a": INT, "b": INT}, "maxProperties": 1, "additionalProperties": False},
        {"type": "object", "required": ["a"]},
        {"properties": {"a": INT}, "required": ["a"]},
        {"type": "integer", "default": "of the wrong type"},
        {"type": "integer", "examples": ["x", 5]},
        {"allOf": [{"properties": {"a": INT}, "required": ["a"]}, {"properties": {"b": TEXT}, "required": ["b"]}]},
        {"allOf": [{"enum": ["a", "b"]}, {"minLength": 1}]},
        {"anyOf": [{"type": "null"}, False, INT]},
        {"oneOf": [{"minimum": 3, "type": "integer"}, INT]},
        {"type": ["null", "object"]},
        {"const": 3},
        schema_of(Small),
    ],
    ids=str,
)
def test_an_example_satisfies_its_schema(schema: Any) -> None:
    for everything in (False, True):
        assert problems(schema, example(schema, everything=everything), "x") == []


def test_an_example_makes_a_model() -> None:
    assert isinstance(read_config(Small, example(schema_of(Small))), Small)
    whole = example(schema_of(Small), everything=True)
    assert isinstance(read_config(Small, whole), Small)
    assert "either" in whole


def test_an_example_shares_nothing_with_its_schema() -> None:
    schema = {"type": "object", "default": {"a": [1]}}
    example(schema)["a"].append(2)
    assert schema["default"] == {"a": [1]}


def test_references_are_looked_up_in_the_root() -> None:
    root = {"$defs": {"N": INT}}
    assert [p.message for p in problems({"$ref": "#/$defs/N"}, "x", "x", root)] == ["x must be integer, not 'x' (str)"]
    assert example({"$ref": "#/$defs/N"}, root) == 0


def made_dataclass(fields: list[tuple[Any, bool]]) -> Any:
    spec = []
    for at, (hint, has_default) in enumerate(sorted(fields, key=lambda pair: pair[1])):
        spec.append((f"f{at}", hint, dataclasses.field(default=None)) if has_default else (f"f{at}", hint))
    return dataclasses.make_dataclass("Made", spec)


plain_hints = st.sampled_from(
    [int, str, float, bool, None, Any, Mode, Literal["a", 1], Retry, Row, Node, Small, Cat, list]
)
hints: st.SearchStrategy[Any] = st.recursive(
    plain_hints,
    lambda inner: st.one_of(
        inner.map(lambda hint: list[hint]),  # type: ignore[valid-type]
        inner.map(lambda hint: abc.Sequence[hint]),  # type: ignore[valid-type]
        inner.map(lambda hint: dict[str, hint]),  # type: ignore[valid-type]
        inner.map(lambda hint: Optional[hint]),  # noqa: UP045
        st.tuples(inner, inner).map(lambda pair: Union[pair]),  # type: ignore[misc]  # noqa: UP007
        st.lists(inner, min_size=1, max_size=3).map(lambda args: tuple[tuple(args)]),  # type: ignore[misc]
        st.lists(st.tuples(inner, st.booleans()), max_size=3).map(made_dataclass),
        st.dictionaries(st.sampled_from(["a", "b c", "d"]), inner).map(lambda keys: TypedDict("Made", keys)),  # type: ignore
    ),
    max_leaves=6,
)
shorthands = st.recursive(hints, lambda inner: st.dictionaries(st.sampled_from(["x", "y", "z"]), inner), max_leaves=4)


@steady
@given(shorthands, st.booleans())
def test_the_example_of_any_type_is_right_and_can_be_read(hint: Any, everything: bool) -> None:
    schema = schema_of(hint)
    made = example(json.loads(json.dumps(schema)), everything=everything)
    assert problems(schema, made, "x") == []
    read_config(hint, made)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["fast", "cat"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=3) | st.sampled_from(["n", "name", "kind", "path", "max", "children"]), inner
        )
    ),
    max_leaves=8,
)


@steady
@given(shorthands, json_values)
def test_what_passes_can_be_read(hint: Any, value: Any) -> None:
    """A pydantic model may still refuse what no schema tells, such as what is no date."""
    if "Small" not in str(schema_of(hint)) and problems(schema_of(hint), value, "x") == []:
        read_config(hint, value)


words = ["type", "properties", "required", "items", "enum", "anyOf", "oneOf", "allOf", "$ref", "minimum", "pattern"]
words += [
    "additionalProperties",
    "prefixItems",
    "minItems",
    "uniqueItems",
    "default",
    "const",
    "multipleOf",
    "maxLength",
]
odd_schemas = st.recursive(
    json_values | st.sampled_from(["integer", "object", "array", "#", "#/type"]),
    lambda inner: st.dictionaries(st.sampled_from(words), inner, max_size=4) | st.lists(inner, max_size=2),
    max_leaves=10,
)


@steady
@given(odd_schemas, json_values)
def test_no_schema_makes_it_fail(schema: Any, value: Any) -> None:
    problems(schema, value, "x")
    example(schema)
    example(schema, everything=True)
