"""A graph on its way out of a pod: in the record when it is short, through the log when it is long."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph import DefinitionError, job, op
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.protocol.graph_codec import MAX_GRAPH, from_log, pack, unpack
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record
from podgraph.runtime.pod import resolve as module
from podgraph.runtime.pod.resolve import resolve

steady = settings(deadline=None, derandomize=True, max_examples=60)

ASSIGNMENT = Assignment("", "nonce", "r")


@op(description="Adds\none: \u00fc\u4e00\U0001f600")
def add(a: int, b: int = 1) -> int:
    return a + b


def chain(length: int):  # type: ignore[no-untyped-def]
    def body() -> None:
        last = add(1)
        for _ in range(length - 1):
            last = add(last)

    return job(name="chain")(body)


def refused(packed: str) -> str:
    with pytest.raises(DefinitionError) as caught:
        unpack(packed)
    assert caught.value.reason == "InvalidGraph"
    return caught.value.message


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_-]{0,8}(\.[a-z]{1,3})?", fullmatch=True)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    ops: dict[str, Op] = {}
    for name in draw(st.lists(names, unique_by=lambda n: n.split(".")[0], min_size=1, max_size=8)):
        ups = draw(st.lists(st.sampled_from(list(ops)), max_size=3)) if ops else []
        inputs = (Input("x", tuple(map(OutputRef, ups)), fan_in=True), Input("y", literal=draw(st.sampled_from("12"))))
        ops[name] = Op(name, inputs, description=draw(st.text(max_size=20)))
    return Graph.of(draw(st.text(max_size=10)), ops.values())


@steady
@given(graphs())
def test_what_is_packed_unpacks_the_same(graph: Graph) -> None:
    packed = pack(graph)
    assert unpack(packed) == graph
    assert packed.isascii()
    assert pack(unpack(packed)) == packed


def test_a_short_graph_is_in_the_record() -> None:
    made = chain(3)
    record, lines = resolve(made, ASSIGNMENT)
    assert lines == []
    assert (record.nonce, record.outcome, record.graph_digest) == ("nonce", "Succeeded", "")
    assert len(record.to_text().encode()) <= 4_096
    assert unpack(Record.from_text(record.to_text()).graph) == made.graph


@pytest.mark.parametrize("noise", [False, True])
def test_a_long_graph_is_in_the_log(noise: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINE", 500)
    made = chain(1_001)
    record, lines = resolve(made, ASSIGNMENT)
    assert len(lines) > 5
    assert len(record.to_text()) < 200
    assert record.graph == ""
    read = Record.from_text(record.to_text())
    if noise:
        lines = [
            "hello",
            "::podgraph-graph other::xyz",
            Signer("other").line("::podgraph-graph ", "0 xyz"),
            *(x for line in lines for x in (line + "\r\n", "noise\n")),
        ]
        lines[3] = "an open line ..." + lines[3]
    packed = from_log(read, iter(lines))
    assert unpack(packed) == made.graph
    assert len(made.graph.ops) == 1_001


def test_lines_that_come_twice_or_in_another_order_tell_the_same() -> None:
    record, lines = resolve(chain(3_000), ASSIGNMENT, b"key")
    assert from_log(record, [*lines[::-1], lines[0]], b"key") == from_log(record, lines, b"key")


def test_a_broken_log() -> None:
    record, lines = resolve(chain(3_000), ASSIGNMENT)
    assert len(lines) > 1
    for broken in ([], lines[:-1], lines[1:], [lines[0][:-1], *lines[1:]], [lines[0].replace("0", "1"), *lines[1:]]):
        with pytest.raises(DefinitionError, match="is not complete") as caught:
            from_log(record, broken)
        assert caught.value.reason == "InvalidGraph"
    _, signed = resolve(chain(3_000), ASSIGNMENT, b"another key")
    with pytest.raises(DefinitionError, match="is not complete"):
        from_log(record, signed)


@pytest.mark.parametrize(
    "packed", ["", "x", "====", "\u00fc", "bm9uZQ==", "a b", base64.b64encode(b"\x78\x9c").decode()]
)
def test_what_is_no_packed_graph(packed: str) -> None:
    assert refused(packed).startswith("the graph cannot be unpacked: ")


def packed_bytes(data: bytes) -> str:
    return base64.b64encode(zlib.compress(data, 9)).decode()


def test_what_unpacks_to_something_else() -> None:
    assert refused(packed_bytes(b"\xff")).startswith("the graph cannot be unpacked: ")
    assert refused(packed_bytes(b"[]")).startswith("the graph cannot be read: ")
    whole = pack(chain(50).graph)
    assert refused(whole[: len(whole) // 8 * 4]) == "the graph cannot be unpacked: it is not complete"


def test_a_text_that_unpacks_to_far_too_much() -> None:
    bomb = packed_bytes(b" " * (MAX_GRAPH + 1) + b'{"name":"j","ops":[{"name":"a"}]}')
    assert len(bomb) < MAX_GRAPH // 500
    assert refused(bomb) == "the graph unpacks to more than 16,777,216 bytes"
    twice = packed_bytes(b" " * (4 * MAX_GRAPH))
    assert refused(twice) == "the graph unpacks to more than 16,777,216 bytes"
