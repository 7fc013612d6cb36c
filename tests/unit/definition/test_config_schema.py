"""The JSON Schema of every kind of config type."""

# ruff: noqa: UP006, UP035, UP045 - the old forms are tested too

from __future__ import annotations

import dataclasses
import enum
import json
import subprocess
import sys
from collections import abc
from pathlib import Path
from typing import Annotated, Any, List, Literal, NewType, Optional, TypeVar

import pydantic
import pytest

from podgraph.definition import config_schema
from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.config_schema import schema_of
from podgraph.definition.config_types import Field
from podgraph.definition.errors import DefinitionError
from unit.definition.config_samples import (
    Chain,
    Holder,
    Level,
    Load,
    Loose,
    Misfit,
    Mode,
    Model,
    Node,
    Retry,
    Row,
)

T = TypeVar("T")
UserId = NewType("UserId", int)


class Unwritable(enum.Enum):
    NO = (1, 2)


class Empty(enum.Enum):
    pass


@dataclasses.dataclass
class Unresolved:
    n: Missing  # type: ignore  # noqa: F821


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
    other.__module__ = Node.__module__  # whose Node is the other one
    schema = schema_of({"one": Node, "two": other})
    assert schema["properties"]["one"] == {"$ref": "#/$defs/Node"}
    assert schema["properties"]["two"]["properties"]["next"]["anyOf"][0] == {"$ref": "#/$defs/Node"}


def test_a_pydantic_model() -> None:
    assert schema_of(Model) == Model.model_json_schema()


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
        ({1: int}, "the config schema has the key 1, which is not a string"),
        ({"a": {1: int}}, "the config schema has at .a the key 1, which is not a string"),
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

    assert refusal(Bad).startswith("the pydantic model Bad has no JSON Schema: ")


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the type statement is new in Python 3.12")
def test_type_statements() -> None:
    space: dict[str, Any] = {}
    exec("type Id = int\ntype Json = int | list[Json]", space)
    assert schema_of(space["Id"]) == INT
    assert schema_of(space["Json"])["$ref"] == "#/$defs/Json"
    assert read_config(space["Json"], [[1]]) == [[1]]
    assert wrong(space["Json"], ["x"]) == [("[0]", "expected Json, got 'x' (str)")]


def test_a_default_of_the_wrong_type() -> None:
    assert refusal({"n": Field(int, default_value="x")}) == (
        "the config schema has at .n the default 'x', which is not valid JSON for int"
    )
