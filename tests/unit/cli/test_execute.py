"""`podgraph job execute`, as a person runs it: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from unit.cli.running import ARITHMETIC, COMMAND, environment, podgraph, written

EXECUTORS = ["in_process", "multiprocess"]

FAILING = """
import os
from podgraph import job, op

@op
def one():
    print("said by one")
    return 1

@op
def bad(x: int):
    return helper(x)

def helper(x):
    raise ValueError("no luck")

@op
def after(x: int):
    return x

@op
def other(x: int):
    return x

@job
def my_job():
    x = one()
    after(bad(x))
    other(x)
"""

CONFIGURED = """
from dataclasses import dataclass
from podgraph import job, op

@dataclass
class Scale:
    factor: int
    offset: int = 0

@op
def start() -> int:
    return 1

@op
def scale(context, x: int, config: Scale) -> int:
    return x * config.factor + config.offset + int(context.tags.get("more", 0))

@job(config={"ops": {"scale": {"config": {"offset": 100}}}})
def my_job():
    scale(start())
"""

WAITING = """
import pathlib, sys, time
from podgraph import job, op, resource

here = pathlib.Path(__file__).parent

@resource
def db():
    yield 1
    (here / "put_away").write_text("")

@op(required_resource_keys={"db"})
def wait():
    import os
    (here / "pid").write_text(str(os.getpid()))
    time.sleep(60)

@op
def later(x): ...

@job(resource_defs={"db": db})
def my_job():
    later(wait())
"""


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_job_of_the_seed(tmp_path: Path, executor: str) -> None:
    status, out, err = podgraph("job", "execute", "-f", written(tmp_path, ARITHMETIC), "--executor", executor)
    assert (status, out) == (0, "return_one.result = 1\nadd_two.result = 3\nmulti_three.result = 9\n"), err
    assert [line.split(" ", 1)[1] for line in err.splitlines()] == [
        "op return_one starts",
        "op return_one succeeded",
        "op add_two starts",
        "op add_two succeeded",
        "op multi_three starts",
        "op multi_three succeeded",
        "'my_job' succeeded: 3 Succeeded",
    ]


def test_the_multiprocess_config_of_the_seed(tmp_path: Path) -> None:
    config = '{"multiprocess": {"start_method": {"forkserver": {}}, "max_concurrent": 4}}'
    source = ARITHMETIC.replace("@job\n", f'@job(config={{"execution": {{"config": {config}}}}})\n')
    pids = source.replace("return i * 3", "import os; return os.getpid()")
    status, out, _ = podgraph("job", "execute", "-f", written(tmp_path, pids), "--output", "json")
    assert status == 0
    assert json.loads(out)["steps"]["multi_three"]["outputs"]["result"] != os.getpid()


def test_a_module_and_a_selection(tmp_path: Path) -> None:
    written(tmp_path, ARITHMETIC, "jobs_here.py")
    status, out, _ = podgraph("job", "execute", "-m", "jobs_here", "-o", "*add_two", cwd=tmp_path)
    assert (status, out) == (0, "return_one.result = 1\nadd_two.result = 3\n")


def test_code_may_import_what_lies_beside_it(tmp_path: Path) -> None:
    written(tmp_path, "ONE = 1\n", "beside.py")
    source = "from beside import ONE\n" + ARITHMETIC.replace("return 1", "return ONE")
    assert podgraph("job", "execute", "-f", written(tmp_path, source))[0] == 0


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_failed_step(tmp_path: Path, executor: str) -> None:
    file = written(tmp_path, FAILING)
    status, out, err = podgraph("job", "execute", "-f", file, "--executor", executor)
    assert status == 1
    said = "said by one" if executor == "in_process" else "one | said by one"
    assert sorted(out.splitlines()) == sorted([said, "one.result = 1", "other.result = 1"])
    assert "op 'bad' failed: OpFailed: ValueError: no luck (my_job.py line 15 in helper)" in err
    assert "job 'my_job' failed: 2 Succeeded, 1 Failed, 1 UpstreamFailed" in err
    shown = err[err.index("Traceback") :]
    assert f'File "{file}", line 12, in bad' in shown
    assert "podgraph/runtime" not in shown
    assert shown.count("File ") == 2


@pytest.mark.parametrize("executor", EXECUTORS)
def test_json(tmp_path: Path, executor: str) -> None:
    file = written(tmp_path, FAILING)
    status, out, err = podgraph("job", "execute", "-f", file, "--executor", executor, "--output", "json")
    told = json.loads(out)
    assert (status, told["success"], told["job"]) == (1, False, "my_job")
    assert {name: step["state"] for name, step in told["steps"].items()} == {
        "one": "Succeeded",
        "bad": "Failed",
        "after": "UpstreamFailed",
        "other": "Succeeded",
    }
    assert told["steps"]["other"]["outputs"] == {"result": 1}
    assert told["steps"]["bad"]["reason"] == "OpFailed"
    assert "said by one" in err


def test_outputs_that_json_cannot_hold_are_shown_as_texts(tmp_path: Path) -> None:
    source = ARITHMETIC.replace("return 1", "return {1}").replace("i: int", "i").replace("i + 2", "'x' * 100_000")
    status, out, _ = podgraph("job", "execute", "-f", written(tmp_path, source), "-o", "*add_two", "--output", "json")
    steps = json.loads(out)["steps"]
    assert (status, steps["return_one"]["texts"]) == (0, {"result": "{1}"})
    assert re.fullmatch(r"<100,\d+ bytes>", steps["add_two"]["texts"]["result"])


def test_config_from_files_and_tags(tmp_path: Path) -> None:
    file = written(tmp_path, CONFIGURED)
    written(tmp_path, "ops: {scale: {config: {factor: 2}}}\n", "a.yaml")
    written(tmp_path, "ops: {scale: {config: {factor: 3}}}\n", "b.yaml")

    def result(*arguments: object) -> str:
        status, out, err = podgraph("job", "execute", "-f", file, *arguments)
        assert status == 0, err
        return out.splitlines()[-1]

    assert result("-c", tmp_path / "a.yaml") == "scale.result = 102"
    assert result("-c", tmp_path / "a.yaml", "-c", tmp_path / "b.yaml") == "scale.result = 103"
    assert result("-c", str(tmp_path / "*.yaml"), "--config-json", '{"ops": {"scale": {"config": {"offset": 0}}}}') == (
        "scale.result = 3"
    )
    assert result("-c", tmp_path / "a.yaml", "--tags", "more=10") == "scale.result = 112"
    assert result("-c", tmp_path / "a.yaml", "--tags", '{"more": "20"}') == "scale.result = 122"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "ops.scale.config.factor is missing"),
        (["--config-json", '{"ops": {"scale": {"config": {"factor": "x"}}}}'], "must be integer, not 'x'"),
        (["--config-json", "{"], "--config-json is not valid JSON"),
        (["--config-json", "[1]"], "--config-json must hold a mapping, not a list"),
        (["-c", "none.yaml"], "config file 'none.yaml' does not exist"),
        (["--executor", "multi_proces"], "did you mean 'multiprocess'?"),
        (["--tags", "x"], "--tags is 'x'"),
        (["-o", "scal"], "did you mean 'scale'?"),
        (["-j", "my_jobb"], "did you mean 'my_job'?"),
        (["-m", "also"], "one of --file"),
        (["--config-json", '{"execution": {"config": {"k8s": {}}}}'], "execution.config.k8s is unknown"),
    ],
)
def test_refused_before_anything_runs(tmp_path: Path, arguments: list[str], said: str) -> None:
    status, out, err = podgraph("job", "execute", "-f", written(tmp_path, CONFIGURED), *arguments)
    assert (status, out) == (2, "")
    assert said in err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_all_problems_of_config_are_told_each_on_a_line(tmp_path: Path) -> None:
    config = '{"ops": {"scale": {"config": {"offsett": 1}}, "x": {}}}'
    status, _, err = podgraph("job", "execute", "-f", written(tmp_path, CONFIGURED), "--config-json", config)
    assert status == 2
    assert err.splitlines() == [
        "error: run config has 3 problems:",
        "  ops.scale.config.factor is missing",
        "  ops.scale.config.offsett is unknown; did you mean 'offset'?",
        "  ops.x is unknown; there are: start, scale",
        'for example: {"ops": {"scale": {"config": {"factor": 0}}}}',
    ]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_children_and_says_where_each_step_stood(tmp_path: Path, executor: str, number: int) -> None:
    file = written(tmp_path, WAITING)
    run = subprocess.Popen(
        [*COMMAND, "job", "execute", "-f", str(file), "--executor", executor],
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    try:
        pid = int(_wait_for_text(tmp_path / "pid"))
        run.send_signal(number)
        _, err = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == 128 + number
    assert err.endswith("canceled; state of each step:\n  wait  Canceled\n  later  Pending\n")
    assert "Traceback" not in err
    assert (tmp_path / "put_away").exists()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_terminal_shows_a_tree(tmp_path: Path, executor: str) -> None:
    file = written(tmp_path, FAILING)
    primary, secondary = pty.openpty()
    run = subprocess.Popen(
        [*COMMAND, "job", "execute", "-f", str(file), "--executor", executor],
        env=environment(), stdin=secondary, stdout=secondary, stderr=secondary,
    )  # fmt: skip
    os.close(secondary)
    text = _all_of(primary)
    assert run.wait(30) == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    last = plain[plain.rindex("my_job  Failed") :].replace("\r", "")
    assert "said by one" in plain
    assert re.search(r"├── ✓ one  Succeeded  \d\.\d{3}s  result = 1\n", last)
    assert "✗ bad ← one  Failed" in last
    assert "! after ← bad  UpstreamFailed  not run: bad failed" in last


def _wait_for_text(path: Path) -> str:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path} was not written")


def _all_of(terminal: int) -> str:
    text = b""
    while select.select([terminal], [], [], 30)[0]:
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other side is closed
            break
        text += part
    os.close(terminal)
    return text.decode()
