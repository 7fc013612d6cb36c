"""The Job that `podgraph job rerun` sends, what it refuses before it sends anything, and how steps taken are shown."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.cli.rerun import one_way
from podgraph.cli.tree import StepView, step_line
from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.rerun_manifest import rerun_manifest
from unit.cli.running import podgraph

OPS = [{"name": "a", "image": "i"}, {"name": "b", "image": "i", "after": ["a"]}]


def parent(state: str = "Failed", **spec: Any) -> dict[str, Any]:
    finished = {"type": "Finished", "status": "True", "reason": state, "message": "over"}
    return {
        "metadata": {
            "name": "nightly", "uid": "u1", "labels": {"team": "data", "podgraph.dev/schedule": "s"},
        },
        "spec": {"ops": OPS, "execution": {"maxConcurrent": 2}, **spec},
        "status": {"conditions": [finished], "steps": {"a": {"state": "Succeeded"}, "b": {"state": state}}},
    }  # fmt: skip


def test_the_spec_goes_as_it_is_with_a_reference() -> None:
    job = rerun_manifest(parent(cancel=True, suspend=False, rerunOf={"name": "before"}), False, [], "", {})
    assert job["metadata"] == {"generateName": "nightly-", "labels": {"team": "data"}}
    assert job["spec"] == {
        "ops": OPS,
        "execution": {"maxConcurrent": 2},
        "rerunOf": {"name": "nightly", "uid": "u1", "steps": "FromFailure"},
    }


def test_all_a_selection_a_name_and_run_config() -> None:
    old = parent("Succeeded", opSelection=["*b"], runConfig={"ops": {"a": {"config": 1}}, "resources": {"r": {}}})
    job = rerun_manifest(old, True, [], "new", {"ops": {"a": {"config": 2}}})
    assert job["metadata"]["name"] == "new"
    assert job["spec"]["opSelection"] == ["*b"]
    assert job["spec"]["rerunOf"]["steps"] == "All"
    assert job["spec"]["runConfig"] == {"ops": {"a": {"config": 2}}, "resources": {"r": {}}}
    job = rerun_manifest(old, False, ["b"], "", {})
    assert (job["spec"]["opSelection"], job["spec"]["rerunOf"]["steps"]) == (["b"], "All")
    assert old["spec"]["runConfig"]["ops"]["a"]["config"] == 1


@pytest.mark.parametrize(
    ("job", "selection", "said"),
    [
        (parent("Succeeded"), [], "all steps of Job 'nightly' that are selected are done"),
        (parent(), ["bb"], "names no op or graph of the job; did you mean 'b'?"),
        ({**parent(), "status": {}}, [], "Job 'nightly' is not finished"),
    ],
)
def test_refused_before_anything_is_sent(job: Any, selection: list[str], said: str) -> None:
    with pytest.raises(DefinitionError, match=said.replace("?", "[?]")):
        rerun_manifest(job, False, selection, "", {})


def test_only_one_way_to_say_what_is_run() -> None:
    with pytest.raises(DefinitionError, match="mutually exclusive"):
        one_way(True, False, ["a"])
    assert podgraph("job", "rerun", "x", "--all", "--from-failure")[0] == 2


def test_a_taken_step_says_where_it_is_from() -> None:
    view = StepView.of_record({"state": "Succeeded", "takenFrom": "nightly", "outputs": {"result": "1"}})
    assert step_line("a", view).plain == "↩ a  Succeeded  taken from nightly  result = 1"
