"""Assignments and records: what is written is read back; anything else is refused; a record always fits."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.protocol.step import (
    MAX_OUTPUTS,
    Assignment,
    ProtocolError,
    Record,
    StepError,
    check_outputs,
    shorten,
)
from podgraph.protocol.times import utc

steady = settings(deadline=None, derandomize=True, max_examples=150)

texts = st.text(max_size=30)
numbers = st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
times = st.just("") | st.floats(0, 4e9).map(utc)
words = st.from_regex(r"([A-Z][A-Za-z]{0,20})?", fullmatch=True)
assignments = st.builds(
    Assignment, texts, texts, texts, st.integers(1, 9), texts, texts, texts, st.dictionaries(texts, values, max_size=4)
)
records = st.builds(
    Record,
    nonce=texts,
    outcome=st.sampled_from(["Succeeded", "Failed"]),
    start_time=times,
    completion_time=times,
    outputs=st.dictionaries(texts, values, max_size=3),
    reason=words,
    message=st.text(max_size=200),
    graph=texts,
    graph_digest=texts,
)


@steady
@given(assignments)
def test_an_assignment_reads_back(assignment: Assignment) -> None:
    text = assignment.to_text()
    assert Assignment.from_text(text) == assignment
    assert "\n" not in text
    text.encode()


@steady
@given(records)
def test_a_record_reads_back(record: Record) -> None:
    text = record.to_text()
    again = Record.from_text(text)
    assert again == record
    assert again.outputs == json.loads(text).get("outputs", {})


any_text = st.text(st.characters(), max_size=50) | st.text(st.sampled_from('\ud800\U0001f600\x00"\\\n\x1fé\u2028a'))


@steady
@given(any_text, st.integers(1, 3_000), any_text, st.sampled_from([0, 100, 3_000]))
def test_a_record_always_fits(message: str, times: int, reason: str, size: int) -> None:
    outputs = {"x": "é" * (size // 2)}
    record = Record("n" * 16, "Failed", utc(0), utc(1), outputs, reason * times, message * times)
    data = record.to_text().encode()
    assert len(data) <= 4_096
    read = json.loads(data)
    assert read["nonce"] == record.nonce
    assert read["outputs"] == outputs
    assert len(Record("n" * 16, "Failed", graph="g" * 3_072, message=message * times).to_text().encode()) <= 4_096


def test_a_long_message_keeps_both_of_its_ends() -> None:
    message = "ValueError: " + "x" * 10_000 + " (job.py line 5 in divide)"
    kept = Record.from_text(Record("n", "Failed", message=message).to_text()).message
    assert kept.startswith("ValueError: xxx")
    assert kept.endswith("xxx (job.py line 5 in divide)")
    assert " ... " in kept
    assert 1_400 < len(kept.encode()) <= 1_500


@steady
@given(any_text, st.integers(0, 60))
def test_shorten(text: str, most: int) -> None:
    short = shorten(text, most)
    assert len(json.dumps(short, ensure_ascii=False).encode()) - 2 <= most
    whole = text.encode(errors="replace").decode()
    head, _, tail = short.partition(" ... ")
    assert short == whole or (whole.startswith(head) and whole.endswith(tail))


@steady
@given(
    st.sampled_from([Assignment, Record]),
    st.text()
    | values.map(json.dumps)
    | st.dictionaries(
        st.sampled_from([*Record.__dataclass_fields__, *Assignment.__dataclass_fields__, "x"]),
        values | st.sampled_from([float("nan"), "Failed", "\ud800"]),
    ).map(json.dumps),
)
def test_garbage_is_refused_cleanly(kind: type[Record] | type[Assignment], text: str) -> None:
    message = ""
    try:
        kind.from_text(text)
    except ProtocolError as error:
        message = str(error)
    assert len(message.encode()) < 1_000


@steady
@given(records, st.data())
def test_half_a_record_is_none(record: Record, data: st.DataObject) -> None:
    text = record.to_text()
    with pytest.raises(ProtocolError):
        Record.from_text(text[: data.draw(st.integers(0, len(text) - 1))])
    with pytest.raises(ProtocolError):
        Record.from_text(text + text)


GOOD = {"nonce": "n", "outcome": "Succeeded"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "3",
        '"nonce"',
        "{}",
        "[" * 100_000,
        '{"outputs":' * 100_000,
        '{"nonce":"n"}',
        '{"outcome":"Failed"}',
        *(
            json.dumps({**GOOD, **bad})
            for bad in (
                {"outcome": "succeeded"},
                {"outcome": "x" * 4_000},
                {"nonce": None},
                {"nonce": 1},
                {"outputs": []},
                {"outputs": None},
                {"other": 1},
                {"x" * 4_000: 1},
                {"outputs": {"a": float("nan")}},
                {"outputs": {"a": [float("-inf")]}},
                {"outputs": {"a": "\ud800"}},
                {"message": "\udfff"},
                {"start_time": "yesterday"},
                {"start_time": "2026-11-23T09:00:00Z"},
                {"completion_time": "2026-13-23T09:00:00.000000Z"},
                {"completion_time": "2026-1-1T09:00:00.000000Z"},
                {"reason": "two words"},
                {"reason": "x" * 101},
                {"reason": "R\n"},
            )
        ),
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":1e999}}',
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":' + "9" * 5_000 + "}}",
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":' + "[" * 500 + "]" * 500 + "}}",
    ],
)
def test_no_records(text: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        Record.from_text(text)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("bad", [{"attempt": True}, {"attempt": "1"}, {"attempt": 1.0}, {"inputs": []}, {"op": None}])
def test_no_assignments(bad: dict[str, Any]) -> None:
    data = {"op": "a", "nonce": "n", "run_id": "r"}
    assert Assignment.from_text(json.dumps(data)) == Assignment("a", "n", "r")
    with pytest.raises(ProtocolError):
        Assignment.from_text(json.dumps({**data, **bad}))


def refused(texts: dict[str, str]) -> str:
    with pytest.raises(StepError) as caught:
        check_outputs("a", texts)
    assert caught.value.reason == "OutputTooLarge"
    return caught.value.message


def test_output_sizes() -> None:
    check_outputs("a", {})
    check_outputs("a", {"result": "x" * MAX_OUTPUTS})
    check_outputs("a", {"x": "é" * 1_000, "y": "é" * (MAX_OUTPUTS // 2 - 1_000)})
    assert refused({"result": "x" * (MAX_OUTPUTS + 1)}) == (
        "output 'result' of op 'a' is 3,073 bytes of JSON; the outputs of one step may have at most 3,072 bytes "
        "together"
    )
    assert refused({"x": "é" * 1_000, "y": "é" * 600}) == (
        "output 'x' of op 'a' is 2,000 bytes of JSON (all outputs of the step: 3,200 bytes); the outputs of one step "
        "may have at most 3,072 bytes together"
    )


def test_names_count_too() -> None:
    many = {f"{'n' * 60}{i:03}": "1" for i in range(55)}
    assert refused(many) == (
        "the 55 outputs of op 'a' are 3,740 bytes of JSON with their names; the outputs of one step may have at most "
        "3,712 bytes together with their names"
    )


@steady
@given(st.dictionaries(st.from_regex(r"[a-z]{1,63}", fullmatch=True), st.text(max_size=400), max_size=60))
def test_what_passes_fits_into_a_record(outputs: dict[str, str]) -> None:
    try:
        check_outputs("a", {name: json.dumps(value, ensure_ascii=False) for name, value in outputs.items()})
    except StepError:
        return
    text = Record("n" * 16, "Succeeded", utc(1.5), utc(2.5), outputs).to_text()
    assert len(text.encode()) <= 4_096
