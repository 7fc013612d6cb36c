"""`podgraph job logs` for steps whose pods are gone: the pod that reads the storage does here what it would there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podgraph.cli.logs import print_logs
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.names import ASSIGNMENT
from unit.cli.running import environment

WORK = """
import sys
from podgraph.runtime.__main__ import work
from podgraph.runtime.pod.link import Link
from podgraph.runtime.pod.output import PodOutput
from podgraph.protocol.step import Assignment
record = work(Assignment.from_text(sys.argv[1]), PodOutput(), Link(""))
print(record.to_text(), file=sys.stderr)
"""


class Pods:
    """A cluster with one Job and no pod of it; a pod that is made runs its assignment at once."""

    namespace = "ns"

    def __init__(self, job: dict[str, Any]) -> None:
        self.job = job
        self.made: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self.ended: tuple[str, str] = ("", "")

    def get(self, name: str) -> dict[str, Any]:
        return self.job

    def step_pods(self, job: Any) -> dict[str, str]:
        return {}

    def create_config_map(self, manifest: dict[str, Any]) -> None:
        assert manifest["binaryData"]["runtime.pyz"]

    def create_pod(self, manifest: dict[str, Any]) -> None:
        self.made.append(manifest)
        command = [sys.executable, "-c", WORK, manifest["metadata"]["annotations"][ASSIGNMENT]]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60, check=True)
        self.ended = (done.stdout, done.stderr.strip().splitlines()[-1])

    def pod(self, name: str) -> dict[str, Any]:
        state = {"terminated": {"message": self.ended[1]}}
        phase = "Succeeded" if '"outcome":"Succeeded"' in self.ended[1] else "Failed"
        return {"status": {"phase": phase, "containerStatuses": [{"state": state}]}}

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        yield from self.ended[0].splitlines()

    def delete_pod(self, name: str) -> None:
        self.deleted.append(name)


def finished(folder: Path | str, **storage: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "j", "namespace": "ns", "uid": "u"},
        "spec": {"code": {"source": "x"}},
        "status": {
            "conditions": [{"type": "Finished", "status": "True"}],
            "storage": {"url": f"file://{folder}", "claim": "c", "image": "python:3", **storage},
            "steps": {
                "one": {"state": "Succeeded", "attempt": 2},
                "two": {"state": "Failed", "attempt": 1},
                "old": {"state": "Succeeded", "takenFrom": "before"},
                "not": {"state": "UpstreamFailed"},
            },
        },
    }


def test_kept_logs_are_printed_and_what_is_lost_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ns/j/u/one/2").mkdir(parents=True)
    (tmp_path / "ns/j/u/one/2/log.txt").write_text("hello ü\n")
    cluster: Any = Pods(finished(tmp_path, logs=True))
    print_logs(cluster, "j", "", False)
    out, err = capsys.readouterr()
    assert out == "one | hello ü\n"
    assert f"from the storage file://{tmp_path}, because the pods are gone: one" in err
    assert "deleted with their pods: the logs of two; the storage has none" in err
    assert "old did not run here but was taken from Job 'before'" in err
    [pod] = cluster.made
    assert cluster.deleted == [pod["metadata"]["name"]]
    spec = pod["spec"]
    assert spec["containers"][0]["image"] == "python:3"
    assert {"name": "storage", "persistentVolumeClaim": {"claimName": "c"}} in spec["volumes"]
    assert spec["activeDeadlineSeconds"] == 120
    assert "podgraph.dev/job-uid" not in pod["metadata"]["labels"]


def test_where_nothing_is_kept_no_pod_is_made(capsys: pytest.CaptureFixture[str]) -> None:
    cluster: Any = Pods(finished("/x"))
    print_logs(cluster, "j", "two", False)
    assert "the logs of two; spec.storage.logs: true would have kept them" in capsys.readouterr().err
    assert cluster.made == []


def test_a_storage_that_cannot_be_read_is_told_and_the_pod_is_deleted(tmp_path: Path) -> None:
    cluster: Any = Pods(finished(tmp_path, logs=True))
    (tmp_path / "ns").write_text("no folder")
    with pytest.raises(DefinitionError, match=r"the kept logs of Job 'j' cannot be read from file://.*NotADirectory"):
        print_logs(cluster, "j", "", False)
    assert len(cluster.deleted) == 1
