"""Dotted paths: what they find, and what is none."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.json_path import read_path, text_at

OBJECT = {"a": {"b": [{"c": 1}, "x"], "d.e": True, "n": None}, "0": "key", "big": 12345678901234567890}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.b[0].c", "1"),
        ("a.b[1]", "x"),
        ("a['d.e']", "true"),
        ('a["d.e"]', "true"),
        ("a.b", '[{"c":1},"x"]'),
        ("0", "key"),
        ("big", "12345678901234567890"),
        ("a.n", None),
        ("a.b[2]", None),
        ("a.b.c", None),
        ("a[0]", None),
        ("missing.b", None),
        ("a.b[1].x", None),
    ],
)
def test_what_stands_there(path: str, text: str | None) -> None:
    assert text_at(OBJECT, read_path(path)) == text


@pytest.mark.parametrize("path", ["a..b", ".a", "a.", "a[", "a[x]", "a[-1]", "a b", "a]", "a['b", "[0]x", "$.a[*]"])
def test_what_is_no_path(path: Any) -> None:
    with pytest.raises(DefinitionError, match="is not a valid path"):
        read_path(path)
