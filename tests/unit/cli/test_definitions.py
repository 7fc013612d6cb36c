"""The resources that `podgraph definition apply` and `job launch -d` send, and what they refuse before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podgraph.cli.definitions import definition_of, job_of, print_definition, print_definitions
from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.manifests.settings import Settings
from podgraph.runtime.load import CodeRef
from unit.cli.running import ARITHMETIC, podgraph, written

Obj = dict[str, Any]

OPS = [
    {"name": "a", "image": "i", "inputs": [{"name": "x"}], "outputs": [{"name": "result"}]},
    {"name": "b", "image": "i", "inputs": [{"name": "a", "from": {"op": "a"}}]},
]
GIVEN = {"ops": {"a": {"inputs": {"x": 1}}}}


def resolved(name: str = "d", **spec: Any) -> Obj:
    """A definition as the operator leaves it."""
    meta = {"name": name, "namespace": "ns", "uid": "u", "generation": 1, "creationTimestamp": "2026-11-24T10:00:00Z"}
    definition = {"metadata": meta, "spec": {"ops": OPS, **spec}}
    return {**definition, "status": DefinitionRun(definition, Settings("i", "r")).advance({}, (), 1.8e9).status}


def test_a_file_becomes_a_definition(tmp_path: Path) -> None:
    code = CodeRef(file=str(written(tmp_path, ARITHMETIC)))
    made = definition_of(code, "python:3.13", "", ["*add_two"], {})
    assert made == {
        "apiVersion": "podgraph.dev/v1alpha1",
        "kind": "JobDefinition",
        "metadata": {"name": "my-job"},
        "spec": {"code": {"source": ARITHMETIC, "image": "python:3.13"}, "opSelection": ["*add_two"]},
    }
    # What run config lacks, its Jobs may give.
    assert definition_of(code, "", "named", ["add_two"], {})["metadata"]["name"] == "named"


@pytest.mark.parametrize(
    ("selection", "config", "said"),
    [
        (["add_twoo"], {}, "did you mean 'add_two'?"),
        ([], {"ops": {"add_tow": {}}}, "did you mean 'add_two'?"),
        ([], {"ops": {"add_two": {"inputs": {"i": 1}}}}, "gets its value from op 'return_one'"),
    ],
)
def test_a_definition_is_refused_before_anything_is_sent(
    tmp_path: Path, selection: list[str], config: Obj, said: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        definition_of(CodeRef(file=str(written(tmp_path, ARITHMETIC))), "", "", selection, config)
    assert said in caught.value.message


def test_a_job_of_a_definition_has_its_label() -> None:
    job = job_of(resolved(runConfig=GIVEN), "", ["b"], {"ops": {"b": {"inputs": {"a": 2}}}})
    assert job == {
        "apiVersion": "podgraph.dev/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "d-", "labels": {"podgraph.dev/definition": "d"}},
        "spec": {
            "definitionRef": {"name": "d"},
            "opSelection": ["b"],
            "runConfig": {"ops": {"b": {"inputs": {"a": 2}}}},
        },
    }
    named = job_of(resolved("d" * 253, runConfig=GIVEN), "j", [], {})
    assert named["metadata"]["name"] == "j"
    assert len(named["metadata"]["labels"]["podgraph.dev/definition"]) <= 63


@pytest.mark.parametrize(
    ("spec", "selection", "config", "said"),
    [
        ({}, [], {}, "ops.a.inputs.x is missing"),
        ({"opSelection": ["a"], "runConfig": GIVEN}, ["c"], {}, "'c'"),
        ({"runConfig": GIVEN}, [], {"ops": {"bb": {}}}, "did you mean 'b'?"),
        ({"opSelection": ["c"]}, [], {}, "JobDefinition 'd' cannot be run: "),
    ],
)
def test_a_job_is_refused_before_anything_is_sent(spec: Obj, selection: list[str], config: Obj, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        job_of(resolved(**spec), "", selection, config)
    assert said in caught.value.message


def test_a_job_of_a_definition_that_is_not_resolved_yet_is_sent_unchecked() -> None:
    changed = resolved(opSelection=["c"])
    changed["metadata"]["generation"] = 2
    assert job_of(changed, "", ["nonsense"], {})["spec"]["opSelection"] == ["nonsense"]


def test_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = resolved(runConfig=GIVEN), resolved("bad", opSelection=["c"])
    new = {"metadata": {**good["metadata"], "name": "new"}, "spec": {}}
    print_definitions([good, bad, new], "text")
    lines = [line.split()[:3] for line in capsys.readouterr().out.splitlines()]
    assert [lines[0], lines[1], lines[2][:2], lines[3][:2]] == [
        ["NAME", "READY", "OPS"], ["d", "True", "2"], ["bad", "False"], ["new", "Unknown"]
    ]  # fmt: skip
    assert print_definition(good, "text") == 0
    assert "b(a: Any) ← a" in capsys.readouterr().out
    assert print_definition(bad, "text") == 1
    assert capsys.readouterr().err.startswith("JobDefinition 'bad' cannot be run: ")
    assert print_definition(new, "text") == 0
    assert capsys.readouterr().err == "JobDefinition 'new' is not ready yet: the operator has not reconciled it yet\n"


def test_a_definition_and_a_file_are_not_given_both(tmp_path: Path) -> None:
    status, _, err = podgraph("job", "launch", "-d", "x", "-f", written(tmp_path, ARITHMETIC))
    assert (status, err) == (2, "error: --definition cannot be used with --file; the definition provides the code\n")


def test_the_yaml_of_a_definition_is_read_as_that_of_a_job() -> None:
    folder = Path(__file__).parents[2] / "examples" / "definitions"
    status, out, _ = podgraph("job", "select", "-f", folder / "scripts.yaml", "-o", "*report")
    assert (status, out.split()) == (0, ["measure", "report"])
    status, out, _ = podgraph("job", "scaffold-config", "-f", folder / "orders.yaml")
    assert (status, "day" in out) == (0, True)


def test_the_yaml_of_a_job_without_its_definition_is_refused(tmp_path: Path) -> None:
    text = "apiVersion: podgraph.dev/v1alpha1\nkind: Job\nmetadata: {name: j}\nspec: {definitionRef: {name: d}}\n"
    status, _, err = podgraph("job", "select", "-f", written(tmp_path, text, "j.yaml"))
    assert (status, err) == (2, "error: spec.definitionRef names a JobDefinition, which only the cluster has\n")
