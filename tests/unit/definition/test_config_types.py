"""What may stand in a config type, and how a path is written."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from podgraph.definition.config_types import Field, is_config_class, key_path
from podgraph.definition.errors import DefinitionError
from unit.definition.config_samples import (
    Load,
    Mode,
    Model,
    Names,
    Row,
)


def test_a_field() -> None:
    assert Field(int) == Field(int, is_required=None)
    assert repr(Field(int)) == "Field(type=<class 'int'>, default_value=<unset>, is_required=None, description='')"
    with pytest.raises(DefinitionError, match="give only one of the two"):
        Field(int, default_value=1, is_required=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        Field(int).type = str  # type: ignore[misc]


def test_config_classes() -> None:
    assert [is_config_class(hint) for hint in (Load, Row, Model, Names)] == [True] * 4
    assert [
        is_config_class(hint) for hint in (int, {}, Load("x"), list[int], None, Mode, Model(name="ab"), "Load")
    ] == ([False] * 8)


@pytest.mark.parametrize(
    ("key", "path"), [("a", ".a"), ("a-b", ".a-b"), (3, "[3]"), ("a.b", "['a.b']"), ("", "['']"), ("9", "['9']")]
)
def test_paths(key: Any, path: str) -> None:
    assert key_path(key) == path
