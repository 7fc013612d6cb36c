"""The tree of a Job in the terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from podgraph.cli.follow import is_finished
from podgraph.cli.tree import job_tree, state_of
from podgraph.planning.job.rerun_manifest import graph_of_job


def job(state: str, steps: dict[str, Any], message: str = "") -> dict[str, Any]:
    return {
        "metadata": {"name": "nested"},
        "spec": {
            "ops": [
                {"name": "src.one", "image": "i", "outputs": [{"name": "result"}]},
                {"name": "src.add", "image": "i", "inputs": [{"name": "x", "from": {"op": "src.one"}}]},
                {"name": "use", "image": "i", "after": ["src.add"]},
            ]
        },
        "status": {
            "conditions": [{"type": "Succeeded", "status": "False", "reason": state, "message": message}],
            "progress": "1/3",
            "steps": steps,
        },
    }


def drawn(resource: dict[str, Any]) -> str:
    console = Console(width=160, no_color=True)
    with console.capture() as text:
        console.print(job_tree(resource))
    return text.get()


def test_steps_stand_below_their_graph_with_outputs_and_errors() -> None:
    text = drawn(
        job(
            "Failed",
            {
                "use": {"state": "UpstreamFailed", "message": "not run: src.add failed"},
                "src.add": {"state": "Failed", "reason": "OpFailed", "message": "ValueError: [x]"},
                "src.one": {
                    "state": "Succeeded",
                    "startTime": "2026-11-23T09:00:00.250000Z",
                    "completionTime": "2026-11-23T09:00:01.500000Z",
                    "outputs": {"result": "1"},
                },
            },
            "op 'src.add' failed",
        )
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines == [
        "nested  Failed  1/3",
        "├── op 'src.add' failed",
        "├── src",
        "│   ├── ✓ one  Succeeded  1.250s  result = 1",
        "│   └── ✗ add ← src.one  Failed  OpFailed: ValueError: [x]",
        "└── ! use ← src.add  UpstreamFailed  not run: src.add failed",
    ]


def test_what_is_stored_is_told_by_size_and_place() -> None:
    stored = {
        "rows": {"format": "pickle", "size": 1234567, "sha256": "0" * 64, "key": "ns/nested/uid/src.one/1/rows"},
        "when": {"format": "pickle", "data": "gAVLAS4="},
    }
    text = drawn(job("Running", {"src.one": {"state": "Succeeded", "outputs": {"n": "1"}, "stored": stored}}))
    assert "n = 1  rows = <pickle, 1,234,567 bytes at ns/nested/uid/src.one/1/rows>  when = <pickle, 6 bytes>" in text


def test_a_job_the_operator_has_not_seen_is_pending() -> None:
    resource = job("", {})
    del resource["status"]
    assert state_of(resource) == "Pending"
    assert not is_finished(resource)
    assert drawn(resource).strip() == "nested  Pending"


def test_a_refused_graph_is_no_trouble() -> None:
    resource = job("Refused", {}, "Cycle: the ops wait for each other")
    resource["spec"]["ops"][0]["after"] = ["use"]
    assert graph_of_job(resource) is None
    assert "Cycle: the ops wait" in drawn(resource)


def test_attempts_and_what_was_ended() -> None:
    text = drawn(
        job(
            "Canceled",
            {
                "use": {"state": "Canceled", "message": "not run: the job was canceled"},
                "src.add": {"state": "Stopping", "attempt": 2, "reason": "Canceled", "message": "the job was canceled"},
                "src.one": {"state": "UpForRetry", "attempt": 1, "reason": "Evicted", "message": "low on memory"},
            },
            "the job was canceled",
        )
    )
    lines = [line.rstrip() for line in text.splitlines()]
    assert lines == [
        "nested  Canceled  1/3",
        "├── the job was canceled",
        "├── src",
        "│   ├── ↻ one  UpForRetry  Evicted: low on memory",
        "│   └── ◍ add ← src.one  Stopping  attempt 2  Canceled: the job was canceled",
        "└── ⊘ use ← src.add  Canceled  not run: the job was canceled",
    ]


def test_tags_of_the_run_stand_behind_its_state() -> None:
    made = job("Running", {})
    made["spec"]["tags"] = {"team": "data", "on": "2026-11-24"}
    assert drawn(made).splitlines()[0].rstrip() == "nested  Running  1/3  team=data  on=2026-11-24"
