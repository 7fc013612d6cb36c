"""`podgraph job select`, as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest

from unit.cli.running import ARITHMETIC, podgraph, written

OPS_YAML = """
apiVersion: podgraph.dev/v1alpha1
kind: Job
metadata: {name: nested}
spec:
  ops:
  - {name: src.one, image: i, outputs: [{name: result}]}
  - {name: src.add, image: i, inputs: [{name: x, from: {op: src.one}}]}
  - {name: use, image: i, after: [src.add]}
"""


@pytest.fixture
def my_job(tmp_path: Path) -> Path:
    return written(tmp_path, ARITHMETIC)


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("*add_two", ["return_one", "add_two"]),
        ("multi_three, return_one", ["return_one", "multi_three"]),
        ("", ["return_one", "add_two", "multi_three"]),
    ],
)
def test_prints_the_selected_ops_in_the_order_they_run(my_job: Path, selection: str, names: list[str]) -> None:
    status, out, err = podgraph("job", "select", "-f", my_job, "-o", selection)
    assert (status, out.split(), err) == (0, names, "")


def test_selects_from_the_yaml_of_a_job(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text(OPS_YAML)
    status, out, _ = podgraph("job", "select", "-f", file, "-o", "src.*add")
    assert (status, out.split()) == (0, ["src.one", "src.add"])


def test_selects_from_code_inside_of_yaml(tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    indented = "\n".join(f"      {line}" for line in ARITHMETIC.splitlines())
    file.write_text(
        "apiVersion: podgraph.dev/v1alpha1\nkind: Job\nmetadata: {name: a}\nspec:\n  code:\n    source: |\n" + indented
    )
    status, out, err = podgraph("job", "select", "-f", file, "-o", "return_one+")
    assert (status, out.split(), err) == (0, ["return_one", "add_two"], "")


@pytest.mark.parametrize(
    ("text", "selection", "said"),
    [
        (ARITHMETIC, "*ad_two", "did you mean 'add_two'?"),
        (ARITHMETIC, "add_two,,return_one", "empty"),
        ("def broken(:\n", "", "does not compile"),
        ("x = 1\n", "", "no @job"),
        (ARITHMETIC + "\n@job\ndef other():\n    return_one()\n", "", "2 jobs (my_job, other)"),
    ],
)
def test_refuses_with_status_2_and_one_line(tmp_path: Path, text: str, selection: str, said: str) -> None:
    file = tmp_path / "my_job.py"
    file.write_text(text)
    status, out, err = podgraph("job", "select", "-f", file, "-o", selection)
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("none.py", None, "does not exist"),
        ("job.txt", "", "must end in .py, .yaml"),
        ("job.yaml", "a: [", "not valid YAML"),
        ("job.yaml", "kind: Job\napiVersion: batch/v1\n", "no Job of podgraph.dev"),
        ("job.yaml", OPS_YAML + "---" + OPS_YAML.replace("nested", "two"), "2 Jobs (nested, two)"),
        ("job.yaml", OPS_YAML.replace("name: src.one, ", ""), "does not match the schema"),
    ],
)
def test_refuses_a_file_that_holds_no_job(tmp_path: Path, name: str, text: str | None, said: str) -> None:
    file = tmp_path / name
    if text is not None:
        file.write_text(text)
    status, out, err = podgraph("job", "select", "-f", file)
    assert (status, out) == (2, "")
    assert said in err


def test_one_of_several_jobs_is_named(tmp_path: Path) -> None:
    file = tmp_path / "my_job.py"
    file.write_text(ARITHMETIC + "\n@job\ndef other():\n    return_one()\n")
    assert podgraph("job", "select", "-f", file, "-j", "other")[1].split() == ["return_one"]
