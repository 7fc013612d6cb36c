"""Records, reports and what is kept of a pod's lines."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, corpus, fuzzed, json_values, long_texts, texts
from podgraph.planning.manifests.shell_runner import ended_in
from podgraph.planning.steps.log_lines import KeptReports, graph_lines, script_lines
from podgraph.protocol.reports import pack_states, reports_in, unpack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, ProtocolError, Record, record_text_in

SIGNER = Signer("n", b"key")
signed = st.builds(
    lambda mark, data: SIGNER.line(mark, json.dumps(data, default=str)),
    st.sampled_from(["::podgraph-record ", "::podgraph-step ", "::podgraph-graph "]),
    json_values,
)

fields = st.sampled_from(
    [
        "nonce",
        "outcome",
        "start_time",
        "completion_time",
        "outputs",
        "reason",
        "message",
        "graph",
        "graph_digest",
        "stored",
        "retry",
        "summary",
        "step",
        "state",
        "attempt",
        "retry_time",
        "op",
        "run_id",
        "lost",
        "inputs",
    ]
)
records = st.dictionaries(fields, json_values | st.sampled_from(["Succeeded", "Failed", "Running", "n", 1, {}]))
lines = st.lists(
    st.builds("{}::podgraph-{} {}::{}".format, texts, st.sampled_from(["record", "step", "output", "end", "graph"]),
              st.sampled_from(["n", "m", ""]), texts | records.map(lambda data: json.dumps(data, default=str))),
    max_size=10,
)  # fmt: skip
lines = st.builds(lambda one, other: one + other, lines, st.lists(signed, max_size=3))


@fuzzed
@given(records, texts)
def test_any_record(data: dict[str, Any], text: str) -> None:
    for given_text in (json.dumps(data), text, "[" * 10_000, "{" * 10_000):
        with bounded(ProtocolError), contextlib.suppress(ProtocolError):
            assert len(Record.from_text(given_text).to_text().encode()) <= 4_096 or data
        with bounded(ProtocolError):
            Assignment.from_text(given_text)


@fuzzed
@given(lines)
def test_any_lines(found: list[str]) -> None:
    with bounded():
        record_text_in(found, SIGNER)
        ended_in(found, "n")
        KeptReports(["a"]).take(reports_in(found, SIGNER))
        for kept in (script_lines("n"), graph_lines(SIGNER)):
            kept.take(found)
            assert all("::podgraph-" in line for line in kept.lines)


@fuzzed
@given(long_texts())
def test_long_lines(text: str) -> None:
    with bounded():
        kept = script_lines("n")
        for line in (
            text,
            f"::podgraph-output n::{text}",
            f"::podgraph-record n::{text}",
            f"::podgraph-step n::{text}",
        ):
            kept.take([line])
            record_text_in([line], SIGNER)
            list(reports_in([line], SIGNER))
        assert sum(map(len, kept.lines)) <= 4_096 + 100 * len(kept.lines)


@fuzzed
@given(texts, st.lists(st.sampled_from(["Succeeded", "Failed", "Running", "x"])))
def test_any_states(text: str, states: list[str]) -> None:
    with bounded():
        assert unpack_states(text) == [] or text
        assert len(unpack_states(pack_states(states))) == len(states)


def test_the_corpus() -> None:
    for text in corpus("lines"):
        found = text.splitlines()
        with bounded():
            kept = script_lines("n")
            for _ in range(1_000):
                kept.take(found)
            assert kept.lines == []
