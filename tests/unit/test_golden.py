"""The golden files of the examples are what the planner asks for now, and all of them are there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import golden

STORED = {path.name: path.read_text() for path in golden.FOLDER.glob("*.yaml")}
HINT = "if that is meant, run `make golden` and commit what changed"


@pytest.fixture(scope="module")
def now() -> dict[str, str]:
    return golden.golden_files()


def test_each_job_of_the_examples_has_one(now: dict[str, str]) -> None:
    assert sorted(now) == sorted(STORED), HINT


@pytest.mark.parametrize("name", sorted(STORED))
def test_the_manifests_are_as_they_were(now: dict[str, str], name: str) -> None:
    assert now[name] == STORED[name], HINT


@pytest.mark.parametrize("name", sorted(STORED))
def test_each_shows_pods_that_belong_to_the_job_and_have_no_rights(name: str) -> None:
    pods = [d for d in yaml.safe_load_all(STORED[name]) if d["kind"] == "Pod"]
    assert pods
    for pod in pods:
        (owner,) = pod["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["name"], owner["controller"]) == ("Job", name.removesuffix(".yaml"), True)
        assert pod["spec"]["automountServiceAccountToken"] is False


def test_a_rerun_begins_behind_what_succeeded() -> None:
    pods = [d for d in yaml.safe_load_all(STORED["nightly-again.yaml"]) if d["kind"] == "Pod"]
    names = [pod["metadata"]["annotations"]["podgraph.dev/op"] for pod in pods]
    assert names == ["load", "report"]  # fetch succeeded in the parent


def test_the_files_are_written_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "FOLDER", tmp_path / "golden")
    (tmp_path / "golden").mkdir()
    (tmp_path / "golden" / "gone.yaml").write_text("of a Job that no longer exists")
    monkeypatch.setattr(golden, "EXAMPLES", tmp_path / "examples")
    (tmp_path / "examples").mkdir()
    example = "kind: Job\nmetadata: {name: a}\nspec: {ops: [{name: a, image: 'busybox:1', script: 'true'}]}\n"
    (tmp_path / "examples" / "a.yaml").write_text(example)
    golden.main()
    assert [path.name for path in (tmp_path / "golden").glob("*.yaml")] == ["a.yaml"]
    assert "image: busybox:1" in (tmp_path / "golden" / "a.yaml").read_text()


def test_an_example_that_would_be_refused_fails_here() -> None:
    job = {
        "kind": "Job",
        "metadata": {"name": "a"},
        "spec": {"ops": [{"name": "a", "image": "i"}], "opSelection": ["b"]},
    }
    with pytest.raises(AssertionError, match=r"a\.yaml: the Job is refused: .*'b'"):
        list(golden.FirstPasses(Path("a.yaml"), golden.as_stored(job), {}).manifests())
