"""Paths into JSON values, cursors and what a sensor remembers."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, fuzzed, json_values, long_texts, texts
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.dedup_store import read_block
from podgraph.scheduling.json_path import read_path, text_at


@fuzzed
@given(texts | st.text("a.[0]'\"", max_size=60) | long_texts(), json_values)
def test_any_path(text: str, value: Any) -> None:
    with bounded(DefinitionError):
        text_at(value, read_path(text))


def test_long_paths() -> None:
    for text in (
        "a" * 1_000_000,
        ".a" * 100_000,
        "['" * 100_000,
        '["' + "a" * 1_000_000,
        "[0]" * 100_000,
        "[1" * 100_000,
    ):
        with bounded(DefinitionError):
            read_path(text)


@fuzzed
@given(texts)
def test_any_block(text: str) -> None:
    with bounded(DefinitionError):
        assert all(
            len(digest) <= 16 for digest in read_block({"metadata": {"name": "x"}, "binaryData": {"keys": text}})
        )
