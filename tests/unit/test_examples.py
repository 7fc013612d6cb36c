"""The Python examples, as their own first lines say to run them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from podgraph.runtime.load import find_jobs, import_file
from unit.cli.running import environment, podgraph

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_a_job_runs_itself_as_a_script() -> None:
    done = subprocess.run(
        [sys.executable, EXAMPLES / "my_job.py"], env=environment(), capture_output=True, text=True, check=True
    )
    assert done.stdout == "9\n"


def test_the_seed_in_python() -> None:
    (my_job,) = find_jobs(import_file(str(EXAMPLES / "my_job.py")))
    assert my_job.execute_in_process().output_for_node("multi_three") == 9
    part = my_job.execute_in_process(op_selection=["*add_two"])
    assert (part.success, part.output_for_node("add_two")) == (True, 3)
    assert part.is_node_untouched("multi_three")


def test_ops_that_share_a_pod_run_anywhere() -> None:
    (my_job,) = find_jobs(import_file(str(EXAMPLES / "groups" / "prep.py")))
    assert my_job.execute_in_process().output_for_node("report") == "12 in 2 regions"


@pytest.mark.parametrize("name", ["my_job.py", "forkserver_job.py"])
def test_the_seed_on_the_command_line(name: str) -> None:
    status, out, _ = podgraph("job", "execute", "-f", name, cwd=EXAMPLES)
    assert (status, out.splitlines()[-1]) == (0, "multi_three.result = 9")


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_orders(executor: str) -> None:
    arguments = ["-f", "orders.py", "-c", "config/orders.yaml", "--executor", executor, "--output", "json"]
    status, out, err = podgraph("job", "execute", *arguments, cwd=EXAMPLES)
    assert status == 0, err
    steps = json.loads(out)["steps"]
    assert steps["totals.report"]["outputs"] == {"result": "10 in 1 part(s)"}
    assert (steps["totals.large"]["state"], steps["load"]["attempts"]) == ("Skipped", 2)


def test_what_pods_need_is_no_matter_on_this_machine() -> None:
    arguments = ["-f", "pods/train.py", "-c", "pods/train.yaml", "--tags", "run=here"]
    status, out, err = podgraph("job", "execute", *arguments, cwd=EXAMPLES)
    assert (status, out.splitlines()[-1]) == (0, 'train.result = "here: 1 thread(s), scratch False"'), err


def test_orders_needs_config() -> None:
    status, _, err = podgraph("job", "execute", "-f", "orders.py", cwd=EXAMPLES)
    assert status == 2
    assert "ops.load.config.table is missing" in err
    assert "resources.database.config.url is missing" in err
