"""Packed graphs, which a user's pod says and a status holds."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, corpus, fuzzed, json_values, texts
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.definition.values import NotJsonError, to_json
from podgraph.protocol.graph_codec import MAX_GRAPH, deflate, inflate, unpack
from podgraph.protocol.reports import unpack_states

keys = st.sampled_from(
    [
        "name",
        "ops",
        "inputs",
        "outputs",
        "after",
        "sources",
        "op",
        "output",
        "type",
        "schema",
        "default",
        "resources",
        "config",
        "tags",
    ]
)
shapes: st.SearchStrategy[Any] = st.recursive(
    json_values | st.sampled_from(["a", "b", "a.b"]),
    lambda inner: st.dictionaries(keys, inner, max_size=5) | st.lists(inner, max_size=4),
    max_leaves=20,
)


@fuzzed
@given(shapes, texts)
def test_any_graph(value: Any, text: str) -> None:
    for packed in (text, deflate(text.encode(errors="replace").decode())):
        with bounded(DefinitionError):
            unpack(packed)
    with bounded(DefinitionError, NotJsonError):
        Graph.from_json(to_json(value))


@pytest.mark.parametrize("text", corpus("graph"), ids=len)
def test_the_corpus(text: str) -> None:
    with pytest.raises(DefinitionError, match="unpacks to more than"):
        inflate(text)
    with bounded():
        assert unpack_states(text) == []


@pytest.mark.parametrize("text", ["[" * 1_000_000, '{"a":' * 100_000, "[" * 900 + "]" * 900, "9" * 5_000])
def test_depth_and_numbers(text: str) -> None:
    with bounded(DefinitionError):
        unpack(deflate(text))


def test_a_bomb_is_inflated_no_further_than_its_bound() -> None:
    packed = base64.b64encode(zlib.compress(b"0" * (MAX_GRAPH + 1), 9)).decode()
    with bounded(), pytest.raises(DefinitionError, match="unpacks to more than"):
        inflate(packed)


@pytest.mark.parametrize("count", [20_000, 300_000])
def test_a_graph_of_very_many_parts_is_refused_fast(count: int) -> None:
    ops = ",".join(f'{{"name":"o{at}"}}' for at in range(count))
    source = ",".join(['["o0","result"]'] * count)
    for text in (ops, f'{{"name":"o0"}},{{"name":"a","inputs":[{{"name":"x","fan_in":true,"sources":[{source}]}}]}}'):
        with bounded(DefinitionError):
            unpack(deflate(f'{{"name":"j","ops":[{text}]}}'))
