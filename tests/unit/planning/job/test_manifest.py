"""The Jobs that the CLI and the page send."""

from __future__ import annotations

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.manifest import job_manifest, run_spec
from podgraph.planning.job.rerun_manifest import rerun_manifest

CODE = {"code": {"module": "jobs"}}


def test_options_that_are_empty_leave_what_the_source_says() -> None:
    source = {**CODE, "opSelection": ["a"], "runConfig": {"ops": {}}, "tags": {"k": "v"}}
    assert run_spec(source) == run_spec(source, [], {}, {}) == source


def test_options_take_the_place_of_the_sources() -> None:
    spec = run_spec({**CODE, "opSelection": ["a"]}, ("b", "c"), {"ops": {"b": {}}}, {"n": 1})
    assert spec == {**CODE, "opSelection": ["b", "c"], "runConfig": {"ops": {"b": {}}}, "tags": {"n": "1"}}


def test_tags_that_have_no_text_are_refused() -> None:
    with pytest.raises(DefinitionError, match="the run has the tag 'k'"):
        run_spec(CODE, tags={"k": object()})


def test_a_job_of_a_definition_has_its_label_and_keeps_others() -> None:
    made = job_manifest({"name": "j", "labels": {"team": "a"}}, {"definitionRef": {"name": "daily"}})
    assert made["metadata"] == {"name": "j", "labels": {"team": "a", "podgraph.dev/definition": "daily"}}
    assert made["kind"] == "Job"


def test_a_job_of_code_has_no_labels_of_its_own() -> None:
    assert job_manifest({"generateName": "j-"}, CODE)["metadata"] == {"generateName": "j-"}
    assert job_manifest({"name": "j", "labels": {}}, CODE)["metadata"] == {"name": "j"}


def test_a_rerun_of_a_definitions_job_is_found_among_its_jobs() -> None:
    parent = {
        "metadata": {"name": "j", "uid": "u", "labels": {"podgraph.dev/definition": "daily"}},
        "spec": {"definitionRef": {"name": "daily"}},
        "status": {
            "conditions": [{"type": "Finished", "status": "True", "message": ""}],
            "steps": {"a": {"state": "Failed"}},
        },
    }
    made = rerun_manifest(parent, False, [], "again", {})
    assert made["metadata"] == {"name": "again", "labels": {"podgraph.dev/definition": "daily"}}
