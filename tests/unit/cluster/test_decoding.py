"""JSON of more levels than the parsers take."""

from __future__ import annotations

import json
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph.cluster.decoding import MOST_LEVELS, cut, decode, loads

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=20,
)


def shallow(value: Any, most: int) -> Any:
    """What is to be left of a value."""
    if not isinstance(value, dict | list):
        return value
    if most == 0:
        return None
    if isinstance(value, list):
        return [shallow(item, most - 1) for item in value]
    return {key: shallow(item, most - 1) for key, item in value.items()}


@given(values, st.integers(0, 5), st.booleans())
def test_what_is_deep_is_left_out_and_all_else_stays(value: Any, most: int, spaces: bool) -> None:
    text = json.dumps(value, indent=1 if spaces else None).encode()
    assert json.loads(cut(text, most)) == shallow(value, most)


class Typed(msgspec.Struct):
    name: str


@pytest.mark.parametrize("levels", [100_000, 400_000])
def test_what_surrounds_it_is_read(levels: int) -> None:
    """The parsers raise for so many levels, whatever Python they are built for."""
    text = b'{"a": ' + b"[" * levels + b"]" * levels + b', "name": "x"}'
    with pytest.raises(RecursionError):
        json.loads(text)
    begun = time.process_time()
    for found in (decode(text), loads(text), loads(text.decode())):
        assert found["name"] == "x"
        assert json.dumps(found["a"]).count("[") == MOST_LEVELS - 1
    assert decode(text, Typed) == Typed("x")
    assert time.process_time() - begun < 5.0


def test_what_is_no_json_is_no_json() -> None:
    with pytest.raises(msgspec.DecodeError):
        decode(b'{"a": ' + b"[" * 10)
    with pytest.raises(ValueError, match="Expecting"):
        loads("[")
