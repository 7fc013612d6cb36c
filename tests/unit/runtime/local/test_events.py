"""Each event as a sentence, and Dagster's names for what it is."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.runtime.local.events import _SENTENCES, Event

DATA: dict[str, Any] = {"name": "n", "error": "e", "reason": "r", "seconds": 1.5, "attempt": 2}


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("RUN_START", "the run starts"),
        ("STEP_INPUT", "op g.f received its input n"),
        ("STEP_FAILURE", "op g.f failed: e"),
        ("STEP_SKIPPED", "op g.f was skipped: r"),
        ("STEP_UP_FOR_RETRY", "op g.f failed and will be retried in 1.5 s: e"),
        ("RESOURCE_TEARDOWN_FAILURE", "resource n could not be cleaned up: e"),
        ("HOOK_ERRORED", "hook n failed for op g.f: e"),
    ],
)
def test_messages(kind: str, message: str) -> None:
    assert Event(kind, "g.f", 0.0, DATA).message == message


@pytest.mark.parametrize("kind", _SENTENCES)
def test_every_event_has_a_sentence_and_a_kind(kind: str) -> None:
    event = Event(kind, "g.f", 0.0, DATA)
    assert "{" not in event.message
    assert (event.event_type_value, event.node_name) == (kind, "f")
    assert event.is_step_event == kind.startswith("STEP_")
    assert event.is_successful_output == (kind == "STEP_OUTPUT")
    assert event.is_step_failure == (kind == "STEP_FAILURE")


def test_braces_in_what_is_told() -> None:
    assert Event("STEP_FAILURE", "f", 0.0, {"error": "{x}", "reason": "r"}).message == "op f failed: {x}"
