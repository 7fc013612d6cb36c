"""The Job that `podgraph job launch` sends, and what it refuses before it sends anything."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from podgraph.cli.launch import MAX_SOURCE, manifest
from podgraph.definition.errors import DefinitionError
from podgraph.runtime.load import CodeRef
from unit.cli.running import ARITHMETIC, podgraph, written

SHARED = ARITHMETIC.replace("@op\ndef return_one", '@op(pod="p")\ndef return_one').replace(
    "@op\ndef multi_three", '@op(pod="p")\ndef multi_three'
)


def test_a_file_goes_as_it_is(tmp_path: Path) -> None:
    file = written(tmp_path, ARITHMETIC)
    job = manifest(CodeRef(file=str(file)), "python:3.13", "", ["*add_two"], {})
    assert job == {
        "apiVersion": "podgraph.dev/v1alpha1",
        "kind": "Job",
        "metadata": {"generateName": "my-job-"},
        "spec": {"code": {"source": ARITHMETIC, "image": "python:3.13"}, "opSelection": ["*add_two"]},
    }


def test_a_module_that_only_the_image_has() -> None:
    job = manifest(CodeRef(module="only.there.Jobs", job="daily"), "i", "named", [], {"ops": {}})
    assert job["metadata"] == {"name": "named"}
    assert job["spec"] == {
        "code": {"module": "only.there.Jobs", "image": "i", "job": "daily"},
        "runConfig": {"ops": {}},
    }


def test_tags_of_the_run_are_texts(tmp_path: Path) -> None:
    file = written(tmp_path, ARITHMETIC)
    job = manifest(CodeRef(file=str(file)), "", "", [], {}, {"team": "data", "n": 1})
    assert job["spec"]["tags"] == {"team": "data", "n": "1"}
    status, _, err = podgraph("job", "launch", "-f", file, "--tags", "team", "--kubeconfig", tmp_path / "none")
    assert (status, err) == (2, "error: --tags is 'team'; it must be key=value,key=value or a JSON object\n")


def test_code_whose_packages_only_the_image_has_is_not_checked_here(tmp_path: Path) -> None:
    file = written(tmp_path, "import pandas_of_the_image\n" + ARITHMETIC, "Daily Load.py")
    assert manifest(CodeRef(file=str(file)), "", "", ["nonsense"], {})["metadata"] == {"generateName": "daily-load-"}


@pytest.mark.parametrize(
    ("source", "selection", "config", "said"),
    [
        (ARITHMETIC, ["add_twoo"], {}, "did you mean 'add_two'?"),
        (
            ARITHMETIC,
            ["add_two"],
            {},
            "i is missing: op 'return_one', which produces it, is not selected",
        ),
        (ARITHMETIC, [], {"execution": {"config": {"threads": {}}}}, "threads"),
        (SHARED, [], {}, "return_one -> add_two -> multi_three"),
        ("def broken(:\n", [], {}, "does not compile"),
        ("x = 1\n", [], {}, "no @job"),
        (ARITHMETIC + "#" * MAX_SOURCE, [], {}, "at most 524,288 fit into a Job"),
    ],
)
def test_refused_before_anything_is_sent(
    tmp_path: Path, source: str, selection: list[str], config: dict[str, Any], said: str
) -> None:
    with pytest.raises(DefinitionError) as caught:
        manifest(CodeRef(file=str(written(tmp_path, source))), "", "", selection, config)
    assert said in caught.value.message


def test_no_cluster_is_told_in_a_line(tmp_path: Path) -> None:
    file = written(tmp_path, ARITHMETIC)
    status, out, err = podgraph("job", "launch", "-f", file, "--kubeconfig", tmp_path / "none")
    assert (status, out) == (2, "")
    assert err.startswith("error: no usable kubeconfig: ")
    assert err.count("\n") == 1


def test_a_cluster_that_does_not_answer_is_told_in_a_line(tmp_path: Path) -> None:
    config = written(
        tmp_path,
        "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
        "contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {}}]\n"
        "clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n",
        "kubeconfig",
    )
    status, out, err = podgraph("job", "get", "x", "--kubeconfig", config)
    assert (status, out) == (4, "")
    assert "the cluster at http://127.0.0.1:1 does not answer" in err
    assert "Traceback" not in err
