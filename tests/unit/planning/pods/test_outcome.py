"""How an ended step came out: its outputs, or a reason and a message a person can use."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.graph import Op, Output
from podgraph.planning.pods import outcome as module
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome, container_outcome, micro, read_record
from podgraph.planning.pods.state import Phase, PodState
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import RECORD_MARK, Record

SIGNER = Signer("n")
steady = settings(deadline=None, derandomize=True, max_examples=150)

START, END = "2026-11-23T09:00:00Z", "2026-11-23T09:00:03Z"
TIMES = ("2026-11-23T09:00:00.000000Z", "2026-11-23T09:00:03.000000Z")
OWN_TIMES = ("2026-11-23T09:00:01.250000Z", "2026-11-23T09:00:02.500000Z")
OP = Op("f", outputs=(Output("a"), Output("b", required=False)))


def good(text: str = "") -> PodState:
    return PodState(Phase.ENDED, started_at=START, finished_at=END, text=text)


def bad(text: str = "", reason: str = "ContainerFailed", code: int = 1) -> PodState:
    return PodState(Phase.ENDED, reason, "it ended badly", exit_code=code, started_at=START, finished_at=END, text=text)


def record(outcome: str = "Succeeded", nonce: str = "n", **fields: Any) -> str:
    return Record(nonce, outcome, *OWN_TIMES, **fields).to_line()


def python_outcome(op: Op, seen: PodState) -> Outcome:
    return module.python_outcome(op, seen, read_record(seen, SIGNER))


# --- Python ops ---------------------------------------------------------------------------------------------------


def test_a_python_op_that_succeeds() -> None:
    text = record(outputs={"a": {"x": [1, "\u00fc", None]}, "b": 1.0})
    assert python_outcome(OP, good(text)) == Outcome({"a": '{"x":[1,"\u00fc",null]}', "b": "1.0"}, "", "", *OWN_TIMES)
    assert python_outcome(OP, good(record(outputs={"a": 1}))).outputs == {"a": "1"}
    assert python_outcome(Op("f", outputs=()), good(record())) == Outcome({}, "", "", *OWN_TIMES)


def test_what_becomes_of_the_process_after_its_record_changes_nothing() -> None:
    seen = bad(record(outputs={"a": 1}), "OOMKilled", 137)
    assert python_outcome(OP, seen) == Outcome({"a": "1"}, "", "", *OWN_TIMES)


def test_that_nothing_was_assigned_is_not_the_op_s_fault() -> None:
    outcome = python_outcome(OP, bad(record("Failed", reason="NotAssigned", message="x")))
    assert (outcome.reason, outcome.fault) == ("NotAssigned", Fault.INFRASTRUCTURE)


@pytest.mark.parametrize(
    ("seen", "reason", "message", "times"),
    [
        (bad(record("Failed", reason="OpFailed", message="ValueError: x")), "OpFailed", "ValueError: x", OWN_TIMES),
        (good(record("Failed", reason="Odd", message="x")), "Odd", "x", OWN_TIMES),
        (good(record("Failed", message="x")), "OpFailed", "x", OWN_TIMES),
        (good(), "NoResult", "its process ended with exit code 0 but left no result", TIMES),
        (good("{}"), "NoResult", "its process ended with exit code 0 but left no result", TIMES),
        (
            good(record(nonce="other", outputs={"a": 1})),
            "NoResult",
            "its process ended with exit code 0 but left no result",
            TIMES,
        ),
        (bad(reason="OOMKilled"), "OOMKilled", "it ended badly", TIMES),
        (
            bad("one\ntwo\n\n  \nthree\nfour\n"),
            "ContainerFailed",
            "it ended badly: two | three | four",
            TIMES,
        ),
        (bad("x" * 4_096), "ContainerFailed", "it ended badly: " + "x" * 600, TIMES),
        (
            good(record(outputs={"c": 1})),
            "WrongOutputs",
            "op 'f' wrote output 'c', but its outputs are: a, b",
            OWN_TIMES,
        ),
        (good(record(outputs={"b": 1})), "WrongOutputs", "op 'f' did not write its output 'a'", OWN_TIMES),
        (
            PodState(Phase.ENDED, "Evicted", "no disk", exit_code=-1),
            "Evicted",
            "no disk",
            (None, None),
        ),
    ],
)
def test_a_python_op_that_fails(seen: PodState, reason: str, message: str, times: tuple[str | None, ...]) -> None:
    found = python_outcome(OP, seen)
    assert found == Outcome({}, reason, message, *times)


def test_a_record_without_times_takes_the_containers() -> None:
    assert python_outcome(OP, good(Record("n", "Succeeded", outputs={"a": 1}).to_line())) == Outcome(
        {"a": "1"}, "", "", *TIMES
    )


def test_only_the_pods_own_record_is_read() -> None:
    assert read_record(good(record()), SIGNER) == Record("n", "Succeeded", *OWN_TIMES)
    other_key = Record("n", "Succeeded", *OWN_TIMES).to_line(b"other key")
    unsigned = Record("n", "Succeeded", *OWN_TIMES).to_text()
    for text in ("", "x", record(nonce="m"), record() + "x", record()[:-1], record()[1:], other_key, unsigned):
        assert read_record(good(text), SIGNER) is None


@pytest.mark.parametrize(
    "forged",
    [
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":NaN}}',
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":1e999}}',
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":"\\ud800"}}',
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":1},"start_time":"soon"}',
        '{"nonce":"n","outcome":"Failed","reason":"a b c"}',
        '{"nonce":"n","outcome":"Succeeded","outputs":{"a":' + "[" * 2_000 + "]" * 2_000 + "}}",
    ],
)
def test_a_forged_record_is_none(forged: str) -> None:
    """The user's code knows the nonce and may write what it likes."""
    assert python_outcome(OP, good(SIGNER.line(RECORD_MARK, forged))).reason == "NoResult"


def test_a_forged_record_with_too_much() -> None:
    large = json.dumps({"nonce": "n", "outcome": "Succeeded", "outputs": {"a": "x" * 3_500}})
    assert python_outcome(OP, good(SIGNER.line(RECORD_MARK, large))).reason == "OutputTooLarge"


# --- container ops ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "outputs"),
    [
        ("a=1", {"a": '"1"'}),
        ("a=1\nb=two words\n", {"a": '"1"', "b": '"two words"'}),
        ("\n\n a =\r\nb=x=y\r\n", {"a": '""', "b": '"x=y"'}),
        ("a= spaces stay ", {"a": '" spaces stay "'}),
        ('a={"x":1}', {"a": '"{\\"x\\":1}"'}),
        ("a=\u2028one\x0bline\x85\x1c", {"a": '"\u2028one\\u000bline\x85\\u001c"'}),
        ("a=1\na=2", {"a": '"2"'}),
        ('{"a": 1}', {"a": "1"}),
        ('\n {"a": [1, {"x": null}], "b": "\\u00fc"}\n', {"a": '[1,{"x":null}]', "b": '"\u00fc"'}),
        ('{"a": 1.0}', {"a": "1.0"}),
    ],
)
def test_what_a_container_writes(text: str, outputs: dict[str, str]) -> None:
    assert container_outcome(OP, good(text)) == Outcome(outputs, "", "", *TIMES)


TAKES = "to $PODGRAPH_OUTPUT; it takes name=value lines or JSON"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "op 'f' did not write its output 'a'"),
        ("b=1", "op 'f' did not write its output 'a'"),
        ("hello", f"op 'f' wrote the line 'hello' {TAKES}"),
        ("a=1\nhello " + "x" * 100, f"op 'f' wrote the line 'hello {'x' * 54}' {TAKES}"),
        ("[1]", f"op 'f' wrote the line '[1]' {TAKES}"),
        ("a=1\nc=2", "op 'f' wrote output 'c', but its outputs are: a, b"),
        ("=1", "op 'f' wrote output '', but its outputs are: a, b"),
        ('{"c": 1}', "op 'f' wrote output 'c', but its outputs are: a, b"),
        ("{}", "op 'f' did not write its output 'a'"),
        ('{"a": ', "what op 'f' wrote to $PODGRAPH_OUTPUT is not valid JSON: "),
        ('{"a": 1} x', "what op 'f' wrote to $PODGRAPH_OUTPUT is not valid JSON: Extra data: "),
        ('{"a": NaN}', "what op 'f' wrote to $PODGRAPH_OUTPUT is not valid JSON: NaN is not a JSON number"),
        (
            '{"a": 1e999}',
            "what op 'f' wrote to $PODGRAPH_OUTPUT contains a value that JSON cannot hold: the number inf",
        ),
        (
            '{"a": ["\\ud800"]}',
            "what op 'f' wrote to $PODGRAPH_OUTPUT contains a value that JSON cannot hold: a string with half",
        ),
        ('{"a": ' + "[" * 1_500 + "]" * 1_500 + "}", "what op 'f' wrote to $PODGRAPH_OUTPUT "),
    ],
)
def test_wrong_outputs_of_a_container(text: str, message: str) -> None:
    found = container_outcome(OP, good(text))
    assert (found.outputs, found.reason) == ({}, "WrongOutputs")
    assert found.message.startswith(message)
    assert len(found.message) < 500
    assert (found.start_time, found.completion_time) == TIMES


def test_an_op_without_outputs() -> None:
    assert container_outcome(Op("f", outputs=()), good()) == Outcome({}, "", "", *TIMES)
    assert container_outcome(Op("f", outputs=()), good("a=1")).message.endswith("but its outputs are: none")


def test_what_the_kubelet_cut() -> None:
    cut = ("a=" + "x" * 5_000)[-4_096:]
    assert container_outcome(OP, good(cut)) == Outcome(
        {},
        "OutputTooLarge",
        "the outputs together of op 'f': 4,096 bytes or more were written to $PODGRAPH_OUTPUT; the outputs of one step "
        "may have at most 3,072 bytes together",
        *TIMES,
    )
    one = Op("f", outputs=(Output("rows"),))
    assert container_outcome(one, good("\u00fc" * 2_048)).message.startswith("output 'rows' of op 'f': 4,096 bytes")


def test_too_large_but_not_cut() -> None:
    found = container_outcome(OP, good("a=" + "x" * 3_500))
    assert found.reason == "OutputTooLarge"
    assert found.message.startswith("output 'a' of op 'f' is 3,502 bytes of JSON; ")


@pytest.mark.parametrize(
    ("seen", "message"),
    [
        (bad(), "it ended badly"),
        (bad(" \n"), "it ended badly"),
        (bad("c=1"), "it ended badly: c=1"),
        (bad("1\n2\n3\n4"), "it ended badly: 2 | 3 | 4"),
        (bad("x" * 5_000), "it ended badly: " + "x" * 600),
    ],
)
def test_a_container_that_fails(seen: PodState, message: str) -> None:
    assert container_outcome(OP, seen) == Outcome({}, "ContainerFailed", message, *TIMES)


@pytest.mark.parametrize("reason", ["OOMKilled", "Evicted", "PodDeleted", "StartError"])
def test_why_a_container_failed(reason: str) -> None:
    assert container_outcome(OP, bad("log", reason)).reason == reason


@steady
@given(st.text(max_size=200) | st.text(st.sampled_from('ab={}[]"1,:\n')), st.booleans())
def test_any_text_has_an_outcome(text: str, fails: bool) -> None:
    for found in (
        container_outcome(OP, bad(text) if fails else good(text)),
        python_outcome(OP, bad(text) if fails else good(text)),
    ):
        assert bool(found.reason) == (not found.outputs)
        assert all(json.loads(value) is not json for value in found.outputs.values())


@pytest.mark.parametrize(
    ("time", "shown"),
    [(None, None), (START, TIMES[0]), (TIMES[0], TIMES[0]), ("2026-11-23T09:00:00.5Z", "2026-11-23T09:00:00.5Z")],
)
def test_micro(time: str | None, shown: str | None) -> None:
    assert micro(time) == shown
