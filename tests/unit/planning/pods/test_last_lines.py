"""A failed step's message ends with the user's last lines, whatever else the kubelet found in the log."""

from __future__ import annotations

import json

import msgspec
import pytest

from podgraph.definition.graph import Op, Output
from podgraph.planning.pods.last_lines import last_lines, without_outputs
from podgraph.planning.pods.outcome import container_outcome, python_outcome
from podgraph.planning.pods.state import Phase, PodState, observe
from podgraph.planning.pods.types import Pod
from podgraph.protocol.reports import StepReport
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Record

SIGNER = Signer("n", b"key")
RECORD = Record("n", "Succeeded", graph="eJx" + "A" * 1_000).to_line(b"key")
STEP = StepReport("a", "Running").to_line(SIGNER)


def failed(text: str) -> PodState:
    return PodState(Phase.ENDED, "ContainerFailed", "it ended badly", exit_code=1, text=text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("", ""),
        (f"{RECORD}\n{STEP}\n", ""),
        (f"{RECORD}\nlast words\n", ": last words"),
        (f"open{RECORD}\nlast words\n", ": open | last words"),
        (f"{RECORD[-500:]}\nlast words\n", ": last words"),  # the kubelet keeps the last 2,048 bytes
        (f"1\n2\r\n\n3\n{STEP}\n4", ": 2 | 3 | 4"),
        ("x" * 10_000 + "the end", ": " + "x" * 593 + "the end"),
    ],
)
def test_what_is_shown_of_a_log(text: str, shown: str) -> None:
    assert last_lines(text) == shown
    assert python_outcome(Op("f"), failed(text), None).message == f"it ended badly{shown}"


@pytest.mark.parametrize("text", ["x=1\n", "x=1", "x=1\n\ny=a=b\n", json.dumps({"x": 1}), '{"x": "1",\n "y": 2}'])
def test_the_outputs_of_a_script_that_fails_are_not_its_error(text: str) -> None:
    op = Op("f", outputs=(Output("x"), Output("y")))
    assert container_outcome(op, failed(text)).message == "it ended badly"


@pytest.mark.parametrize("text", ["z=1", "x=1\nno such file", '{"error": 1}', "{x", "="])
def test_other_text_is_its_error(text: str) -> None:
    assert without_outputs(text, ["x", "y"]) == text


def test_a_container_that_never_started_has_no_start_time() -> None:
    state = {"exitCode": 128, "reason": "StartError", "message": "no such file", "startedAt": "1970-01-01T00:00:00Z"}
    status = {"name": "step", "state": {"terminated": {**state, "finishedAt": "2026-11-23T09:00:00Z"}}}
    pod = msgspec.convert({"metadata": {"name": "p"}, "status": {"containerStatuses": [status]}}, Pod)
    seen = observe(pod)
    assert (seen.reason, seen.started_at, seen.finished_at) == ("StartError", None, "2026-11-23T09:00:00Z")


def test_a_failed_init_container_without_a_message_says_how_to_read_its_log() -> None:
    status = {"name": "prep", "state": {"terminated": {"exitCode": 4, "reason": "Error"}}}
    pod = msgspec.convert(
        {
            "metadata": {"name": "p", "namespace": "ns"},
            "status": {"phase": "Failed", "initContainerStatuses": [status]},
        },
        Pod,
    )
    seen = observe(pod)
    assert (seen.reason, seen.message) == (
        "InitContainerFailed",
        "its init container 'prep' ended with exit code 4; read its log with: kubectl logs -n ns p -c prep",
    )


@pytest.mark.parametrize("text", ["x=a\0b", "x=caf\ufffd", '{"x": "\ufffd"}'])
def test_bytes_that_cannot_be_kept_are_refused(text: str) -> None:
    outcome = container_outcome(Op("f", outputs=(Output("x"),)), PodState(Phase.ENDED, text=text))
    assert outcome.reason == "WrongOutputs"
    assert "encode it, as with base64" in outcome.message
