"""`podgraph job launch` and the commands about what it sent, on a real cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube
from unit.cli.running import podgraph, written

SEED = CHECKOUT / "tests" / "examples" / "my_job.py"

TALKING = """
import time

from podgraph import job, op

@op
def one():
    print("said by one ü")
    return 1

@op
def two(x: int):
    time.sleep(20)  # so long the pod of one is there: a job's succeeded pods go at its end
    print("said by two")
    raise ValueError("no luck")

@job
def talking():
    two(one())
"""


@pytest.fixture
def command(operator: Any, shared: Kube, step_image: str) -> Any:
    where = ["--namespace", shared.namespace, "--kubeconfig", shared.kubeconfig]

    def run(*arguments: object) -> tuple[int, str, str]:
        image = ["--image", step_image] if arguments[0] == "launch" else []
        return podgraph("job", *arguments, *image, *where)

    return run


def test_launch_and_wait(command: Any) -> None:
    status, out, err = command("launch", "-f", SEED, "--wait", "--name", "launched")
    assert (status, "multi_three ← add_two  Succeeded" in out, "result = 9" in out) == (0, True, True), err
    assert "✓ return_one  Succeeded" in err
    status, out, _ = command("get", "launched")
    assert (status, out.splitlines()[0].split()[:3]) == (0, ["launched", "Succeeded", "3/3"])
    status, out, _ = command("list")
    assert out.splitlines()[0].split() == ["NAME", "STATE", "STEPS", "DURATION", "AGE"]
    assert any(line.split()[:3] == ["launched", "Succeeded", "3/3"] for line in out.splitlines())
    status, _, err = command("launch", "-f", SEED, "--name", "launched")
    assert (status, '"launched" already exists' in err) == (2, True)


def test_launch_wait_apart_logs_and_delete(command: Any, tmp_path: Path) -> None:
    status, out, _ = command("launch", "-f", written(tmp_path, TALKING), "-o", "*two")
    name = out.strip()
    assert (status, name.startswith("talking-")) == (0, True)
    status, out, err = command("logs", name, "--follow")
    assert (status, [line for line in out.splitlines() if " | said " in line]) == (
        1,  # as the Job ended
        ["one | said by one ü", "two | said by two"],
    )
    assert "two | ValueError: no luck" in out
    status, out, _ = command("wait", name, "--output", "json")
    assert (status, json.loads(out)["status"]["steps"]["two"]["reason"]) == (1, "OpFailed")
    assert command("logs", name, "--step", "two")[1].startswith("said by two\n")
    status, out, err = command("logs", name, "--step", "one")
    assert (status, out, "podRetention: Always keeps pods" in err) == (0, "", True)
    status, _, err = command("logs", name, "--step", "twoo")
    assert (status, err) == (2, f"error: Job {name!r} has no step 'twoo'; did you mean 'two'?\n")
    assert command("delete", name)[0] == 0
    status, _, err = command("get", name)
    assert (status, "not found" in err) == (2, True)


def test_a_wait_has_an_end_and_a_job_can_be_canceled(command: Any, shared: Kube, tmp_path: Path) -> None:
    source = TALKING.replace("return 1", "import time; time.sleep(60)")
    name = command("launch", "-f", written(tmp_path, source))[1].strip()
    status, _, err = command("wait", name, "--timeout", "2")
    assert (status, f"error: after 2 s not finished: {name}; Job {name} continues" in err) == (3, True)
    assert command("cancel", name)[0] == 0
    status, out, _ = command("wait", name, "--timeout", "90")
    assert (status, out.split()[1]) == (1, "Canceled")
    assert command("cancel", name) == (2, "", f"error: Job {name!r} is already finished: Canceled\n")
