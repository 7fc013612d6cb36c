"""Manifests where Python files may stand, and what a shell is offered behind TAB."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from podgraph.cli import complete
from unit.cli.running import ARITHMETIC, podgraph, written


def manifest(folder: Path, **spec: Any) -> Path:
    whole = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": "m"}, "spec": spec}
    return written(folder, yaml.safe_dump(whole), "job.yaml")


def test_code_in_a_manifest_runs_here(tmp_path: Path) -> None:
    file = manifest(tmp_path, code={"source": ARITHMETIC}, opSelection=["*add_two"], tags={"team": "data"})
    status, out, err = podgraph("job", "execute", "-f", file, "--output", "json")
    assert status == 0, err
    assert {name: step["outputs"]["result"] for name, step in json.loads(out)["steps"].items()} == {
        "return_one": 1, "add_two": 3,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"ops": [{"name": "a", "image": "i"}]}, "job.yaml consists of container ops (a), which run only in pods"),
        ({"definitionRef": {"name": "d"}}, "the code of job.yaml is in a JobDefinition"),
        ({"code": {"configMapRef": {"name": "c", "key": "k"}}}, "is in a ConfigMap in the cluster"),
    ],
)
def test_what_cannot_run_here_says_so(tmp_path: Path, spec: dict[str, Any], said: str) -> None:
    status, _, err = podgraph("job", "execute", "-f", manifest(tmp_path, **spec))
    assert (status, err.count("\n"), said in err, "podgraph job launch -f" in err) == (2, 1, True, True)


def context(**params: Any) -> Any:
    return SimpleNamespace(params=params)


def test_jobs_and_ops_of_the_file_are_offered(tmp_path: Path) -> None:
    file = str(written(tmp_path, ARITHMETIC))
    assert complete.jobs(context(file=file), "my") == ["my_job"]
    assert complete.ops(context(file=file), "return_one,*ad") == ["return_one,*add_two"]
    assert complete.ops(context(file=file), "+") == ["+return_one", "+add_two", "+multi_three"]


@pytest.mark.parametrize("source", ["raise SystemExit(3)", "print('x'); import nothing_there", "def broken(:"])
def test_nothing_is_said_about_what_goes_wrong(tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert complete.jobs(context(file=str(written(tmp_path, source))), "") == []
    assert complete.job_names(context(kubeconfig=str(tmp_path / "none")), "") == []
    assert tuple(capsys.readouterr()) == ("", "")


def test_a_file_that_takes_long_is_not_waited_for(tmp_path: Path) -> None:
    begun = time.monotonic()
    assert complete.jobs(context(file=str(written(tmp_path, "import time; time.sleep(60)", "slow.py"))), "") == []
    assert time.monotonic() - begun < 30
