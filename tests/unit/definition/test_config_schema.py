"""Config types: the schema they give, and the Python value that plain data becomes."""

# ruff: noqa: UP006, UP007, UP035, UP045 - the old forms are tested too

from __future__ import annotations

import dataclasses
import enum
import itertools
import json
import math
import subprocess
import sys
from collections import abc
from pathlib import Path
from typing import Annotated, Any, List, Literal, NewType, NotRequired, Optional, TypedDict, TypeVar, Union

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition import config_schema
from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.config_schema import schema_of
from podgraph.definition.config_types import Field, is_config_class, key_path
from podgraph.definition.errors import DefinitionError

steady = settings(deadline=None, derandomize=True, max_examples=200)
counter = itertools.count()

T = TypeVar("T")
UserId = NewType("UserId", int)


class Mode(enum.Enum):
    FAST = "fast"
    SLOW = 2


class Level(enum.IntEnum):
    LOW = 1


class Unwritable(enum.Enum):
    NO = (1, 2)


class Empty(enum.Enum):
    pass


@dataclasses.dataclass
class Retry:
    """How often to try."""

    max: int = 3
    waits: tuple[float, ...] = (1.0, 2.0)

    def __post_init__(self) -> None:
        if self.max < 0:
            raise ValueError("max must not be negative")


@dataclasses.dataclass(frozen=True)
class Load:
    path: str = dataclasses.field(metadata={"description": "what to load"})
    mode: Mode = Mode.FAST
    retry: Retry = dataclasses.field(default_factory=Retry)
    tags: frozenset[str] = dataclasses.field(default_factory=frozenset)
    limit: Optional[int] = None
    made: int = dataclasses.field(default=0, init=False)


@dataclasses.dataclass
class Node:
    name: str
    children: list[Node] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Misfit:
    n: int = None  # type: ignore[assignment]
    at: float = dataclasses.field(default_factory=lambda: float(next(counter)))
    path: Any = Path("x")
    worst: float = math.nan


@dataclasses.dataclass
class Strict:
    n: int

    def __post_init__(self) -> None:
        raise TypeError


@dataclasses.dataclass
class Unresolved:
    n: Missing  # type: ignore  # noqa: F821


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    lives: int = 9


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    barks: bool = True


class Row(TypedDict):
    n: int
    mode: NotRequired[Mode]


class Loose(TypedDict, total=False):
    n: int


class Inner(pydantic.BaseModel):
    n: int = 3


class Model(pydantic.BaseModel):
    name: str = pydantic.Field(description="its name", min_length=2)
    inner: Inner = Inner()
    mode: Mode = Mode.FAST
    waits: tuple[int, ...] = ()
    choice: Union[int, Inner] = 1


class Exact(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(strict=True, extra="forbid")
    pair: tuple[int, int] = (1, 2)
    mode: Mode = Mode.FAST


class Names(pydantic.RootModel[list[str]]):
    pass


class Chain(pydantic.BaseModel):
    next: Optional[Chain] = None


@dataclasses.dataclass
class Holder:
    model: Model
    chain: Chain = dataclasses.field(default_factory=Chain)
    more: list[Model] = dataclasses.field(default_factory=list)


def refusal(hint: Any) -> str:
    with pytest.raises(DefinitionError) as caught:
        schema_of(hint)
    assert caught.value.reason == "InvalidConfigSchema"
    return caught.value.message


def wrong(hint: Any, value: Any) -> list[tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read_config(hint, value)
    return caught.value.problems


INT, TEXT, FLOAT = {"type": "integer"}, {"type": "string"}, {"type": "number"}


@pytest.mark.parametrize(
    ("hint", "schema"),
    [
        (int, INT),
        (float, FLOAT),
        (str, TEXT),
        (bool, {"type": "boolean"}),
        (None, {"type": "null"}),
        (Any, {}),
        (object, {}),
        (T, {}),
        (UserId, INT),
        (Annotated[int, "about"], INT),
        (list, {"type": "array"}),
        (List, {"type": "array"}),
        (list[Any], {"type": "array"}),
        (list[int], {"type": "array", "items": INT}),
        (abc.Sequence[int], {"type": "array", "items": INT}),
        (tuple, {"type": "array"}),
        (tuple[int, ...], {"type": "array", "items": INT}),
        (tuple[int, str], {"type": "array", "prefixItems": [INT, TEXT], "minItems": 2, "maxItems": 2}),
        (set[int], {"type": "array", "items": INT, "uniqueItems": True}),
        (frozenset, {"type": "array", "uniqueItems": True}),
        (dict, {"type": "object"}),
        (dict[str, Any], {"type": "object"}),
        (dict[str, int], {"type": "object", "additionalProperties": INT}),
        (abc.Mapping[str, int], {"type": "object", "additionalProperties": INT}),
        (Optional[int], {"anyOf": [INT, {"type": "null"}]}),
        (int | str, {"anyOf": [INT, TEXT]}),
        (Literal["a"], {"type": "string", "enum": ["a"]}),
        (Literal["a", 1, None], {"type": ["string", "integer", "null"], "enum": ["a", 1, None]}),
        (Literal[Mode.FAST], {"type": "string", "enum": ["fast"]}),
        (Mode, {"title": "Mode", "type": ["string", "integer"], "enum": ["fast", 2]}),
        (Level, {"title": "Level", "type": "integer", "enum": [1]}),
        ([int], {"type": "array", "items": INT}),
        (Field(int, default_value=3, description="how many"), {**INT, "description": "how many", "default": 3}),
        (Field(Mode, default_value=Mode.SLOW), {**schema_of(Mode), "default": 2}),
        (Field([int], default_value=(1,)), {"type": "array", "items": INT, "default": [1]}),
    ],
    ids=repr,
)
def test_simple_types(hint: Any, schema: Any) -> None:
    assert schema_of(hint) == schema


def test_a_dataclass() -> None:
    assert schema_of(Load) == {
        "type": "object",
        "title": "Load",
        "properties": {
            "path": {"type": "string", "description": "what to load"},
            "mode": {**schema_of(Mode), "default": "fast"},
            "retry": {
                "type": "object",
                "title": "Retry",
                "description": "How often to try.",
                "properties": {
                    "max": {**INT, "default": 3},
                    "waits": {"type": "array", "items": FLOAT, "default": [1.0, 2.0]},
                },
                "additionalProperties": False,
                "default": {"max": 3, "waits": [1.0, 2.0]},
            },
            "tags": {"type": "array", "items": TEXT, "uniqueItems": True, "default": []},
            "limit": {"anyOf": [INT, {"type": "null"}], "default": None},
        },
        "required": ["path"],
        "additionalProperties": False,
    }


def test_defaults_that_are_not_told() -> None:
    """None of a wrong type, what changes each time, what JSON cannot hold."""
    schema = schema_of(Misfit)
    assert [name for name, inner in schema["properties"].items() if "default" in inner] == []
    assert "required" not in schema
    made = read_config(Misfit, None)
    assert made.n is None
    assert made.path == Path("x")


def test_a_typed_dict() -> None:
    assert schema_of(Row) == {
        "type": "object",
        "title": "Row",
        "properties": {"n": INT, "mode": schema_of(Mode)},
        "required": ["n"],
        "additionalProperties": False,
    }
    assert "required" not in schema_of(Loose)


def test_a_dict_of_types() -> None:
    hint = {
        "n": int,
        "mode": Field(str, default_value="fast", is_required=False, description="which"),
        "maybe": Field(int, is_required=False),
        "must": Field(int, is_required=True),
        "retry": {"max": Field(int, default_value=3)},
        "inner": {"m": int},
        "cls": Retry,
        "rows": [Row],
    }
    schema = schema_of(hint)
    assert schema["required"] == ["n", "must", "inner", "rows"]
    assert schema["properties"]["mode"] == {"type": "string", "description": "which", "default": "fast"}
    assert schema["properties"]["rows"] == {"type": "array", "items": schema_of(Row)}
    assert schema["additionalProperties"] is False
    assert "title" not in schema
    value = {"n": 1, "must": 2, "inner": {"m": 3}, "rows": [{"n": 1}]}
    assert read_config(hint, value) == {**value, "mode": "fast", "retry": {"max": 3}, "cls": Retry()}
    assert read_config(hint, {**value, "retry": {"max": 4}, "maybe": 5})["retry"] == {"max": 4}
    assert read_config({"n": Field(int, default_value=1)}, None) == {"n": 1}
    assert schema_of({}) == {"type": "object", "properties": {}, "additionalProperties": False}


def test_a_field() -> None:
    assert Field(int) == Field(int, is_required=None)
    assert repr(Field(int)) == "Field(type=<class 'int'>, default_value=<unset>, is_required=None, description='')"
    with pytest.raises(DefinitionError, match="give only one of the two"):
        Field(int, default_value=1, is_required=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Field(int).type = str  # type: ignore[misc]
    assert refusal({"n": Field(int, default_value="x")}) == (
        "the config schema has at .n the default 'x', which is no int that JSON can hold"
    )
    assert read_config(Field(int, default_value=3), None) == 3
    assert read_config({"r": Field({"max": Field(int, default_value=3)}, default_value={})}, {}) == {"r": {"max": 3}}


def test_a_type_that_holds_itself() -> None:
    schema = schema_of(Node)
    assert schema["$ref"] == "#/$defs/Node"
    assert schema["$defs"]["Node"]["properties"]["children"]["items"] == {"$ref": "#/$defs/Node"}
    assert schema_of({"a": Node, "b": Optional[Node]})["properties"]["a"] == {"$ref": "#/$defs/Node"}
    value = {"name": "x", "children": [{"name": "y"}]}
    assert read_config(Node, value) == Node("x", [Node("y")])
    assert wrong(Node, {"name": "x", "children": [{"name": 1}]}) == [(".children[0].name", "expected str, got 1 (int)")]


def test_two_types_of_one_name() -> None:
    other = dataclasses.make_dataclass("Node", [("next", "Optional[Node]", None)])
    other.__module__ = __name__  # whose Node is the other one
    schema = schema_of({"one": Node, "two": other})
    assert schema["properties"]["one"] == {"$ref": "#/$defs/Node"}
    assert schema["properties"]["two"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/Node"}


def test_a_pydantic_model() -> None:
    assert schema_of(Model) == Model.model_json_schema()
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


def test_pydantic_models_inside_of_others() -> None:
    schema = schema_of(Holder)
    text = json.dumps(schema)
    names = set(schema["$defs"])
    assert names == {"Model", "Model.Inner", "Model.Mode", "Chain", "Chain.Chain"}
    assert {part.partition('"')[0] for part in text.split('"#/$defs/')[1:]} <= names
    assert schema["properties"]["model"] == {"$ref": "#/$defs/Model"}
    made = read_config(Holder, {"model": {"name": "ab"}, "more": [{"name": "cd"}]})
    assert made == Holder(Model(name="ab"), Chain(), [Model(name="cd")])
    assert wrong(Holder, {"model": {"name": "a"}}) == [(".model.name", "String should have at least 2 characters")]


def test_pydantic_is_never_imported() -> None:
    code = (
        "import sys, podgraph.definition.config_schema as c; c.schema_of({'n': int}); print('pydantic' in sys.modules)"
    )
    root = Path(config_schema.__file__).parents[2]
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert ran.stdout == "False\n"


@pytest.mark.parametrize(
    ("hint", "message"),
    [
        (bytes, "the config schema has the type bytes, which JSON cannot describe; allowed are bool, int, float, str"),
        (Path, "the config schema has the type Path, which"),
        ({"a": {"b": list[bytes]}}, "the config schema has at .a.b[...] the type bytes, which"),
        (tuple[int, bytes], "the config schema has at [1] the type bytes, which"),
        (dict[int, str], "the config schema has the type dict[int, str], which"),
        (complex | None, "the config schema has the type complex, which"),
        (abc.Callable[[], int], "the config schema has the type Callable[[], int], which"),
        (Unwritable, "the config schema has Unwritable, whose values are not all plain JSON values"),
        (Literal[b"x"], "the config schema has Literal[b'x'], whose values"),
        (Empty, "the config schema has the type Empty, which"),
        ({1: int}, "the config schema has the key 1, which is no text"),
        ({"a": {1: int}}, "the config schema has at .a the key 1, which is no text"),
        (3, "the config schema has the type 3, which"),
        ("int", "the config schema has the type int, which"),
        ([int, str], "the config schema has the type [int, str], which"),
        (Unresolved, "the types of Unresolved in the config schema cannot be read: name 'Missing' is not defined"),
    ],
    ids=repr,
)
def test_types_that_are_no_config(hint: Any, message: str) -> None:
    assert refusal(hint).startswith(message)


def test_a_pydantic_model_without_a_schema() -> None:
    class Bad(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        own: Node
        other: subprocess.Popen  # type: ignore[type-arg]

    assert refusal(Bad).startswith("the pydantic model Bad gives no JSON Schema: ")


def test_config_classes() -> None:
    assert [is_config_class(hint) for hint in (Load, Row, Model, Names)] == [True] * 4
    assert [
        is_config_class(hint) for hint in (int, {}, Load("x"), list[int], None, Mode, Model(name="ab"), "Load")
    ] == ([False] * 8)


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


@pytest.mark.parametrize(
    ("key", "path"), [("a", ".a"), ("a-b", ".a-b"), (3, "[3]"), ("a.b", "['a.b']"), ("", "['']"), ("9", "['9']")]
)
def test_paths(key: Any, path: str) -> None:
    assert key_path(key) == path


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_type_statements() -> None:
    space: dict[str, Any] = {}
    exec("type Id = int\ntype Json = int | list[Json]", space)
    assert schema_of(space["Id"]) == INT
    assert schema_of(space["Json"])["$ref"] == "#/$defs/Json"
    assert read_config(space["Json"], [[1]]) == [[1]]
    assert wrong(space["Json"], ["x"]) == [("[0]", "expected Json, got 'x' (str)")]


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
