"""What forked children and closed descriptors of the user's code do to a step: nothing, in each kind of pod."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import podgraph
from podgraph.protocol.reports import reports_in, unpack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record, record_text_in

START = """
import sys
from podgraph.protocol import step as protocol
protocol.ASSIGNMENT_FILE, protocol.CODE_DIR, protocol.TERMINATION_FILE = sys.argv[1:]
from podgraph.runtime.__main__ import run
run()
"""

HEAD = """
import atexit, multiprocessing, os, signal, sys, time
from podgraph import *

def child(leave, wait=True):
    pid = os.fork()
    if pid == 0:
        leave()
        return True
    assert not wait or os.waitpid(pid, 0)[1] >= 0
    return False

def fails():
    raise RuntimeError("in the child")
"""

FORKS = {
    "returns": "child(lambda: None)",
    "exits": "child(lambda: sys.exit(3))",
    "raises": "child(fails)",
    "exits at once": "child(lambda: os._exit(0))",
    "is interrupted": "child(lambda: os.kill(os.getpid(), signal.SIGINT))",
    "is stopped": "child(lambda: os.kill(os.getpid(), signal.SIGTERM))",
}

CLOSES = {
    "the first 256": "os.closerange(3, 256)",
    "all": "os.closerange(3, os.sysconf('SC_OPEN_MAX'))",
    "standard output": "sys.stdout.flush(); os.close(1); sys.stdout = None",
    "standard output replaced": "sys.stdout = open(os.devnull, 'w'); os.dup2(sys.stdout.fileno(), 1)",
}

OP = """
@op
def first() -> str:
    {what}
    mine = [open("mine%d" % i, "w+") for i in range(40)] if {opens} else []
    for file in mine:
        file.write("x")
        file.flush()
    return "parent"

@op
def second(x) -> str:
    print("second ran", flush=True)
    with open("ran", "a") as file:
        file.write("second ")
    return x + " second"

@job
def main():
    second(first())
"""


@dataclass
class Ended:
    code: int
    lines: list[str]
    record: Record

    @property
    def states(self) -> dict[str, tuple[str, dict[str, str]]]:
        return {report.step: (report.state, report.outputs) for report in reports_in(self.lines, Signer("n"))}


def run(folder: Path, source: str, op: str = "", **fields: Any) -> Ended:
    (folder / "code").mkdir()
    (folder / "code" / "my.py").write_text(HEAD + source)
    (folder / "assignment").write_text(Assignment(op, "n", "run-1", file="my.py", **fields).to_text())
    (folder / "end").write_text("")
    done = subprocess.run(
        [sys.executable, "-c", START, folder / "assignment", folder / "code", folder / "end"],
        cwd=folder / "code", env={**os.environ, "PYTHONPATH": str(Path(podgraph.__file__).parents[1])},
        capture_output=True, text=True, errors="replace", timeout=60, check=False,
    )  # fmt: skip
    text = record_text_in((folder / "end").read_text().splitlines(), Signer("n"))
    assert text is not None, done.stdout
    lines = done.stdout.splitlines()
    assert sum(record_text_in([line], Signer("n")) is not None for line in lines) == 1, done.stdout
    return Ended(done.returncode, lines, Record.from_text(text))


GROUPS: dict[str, dict[str, Any]] = {
    "in process": {"group": {"execution": {"config": {"in_process": {}}}}},
    "multiprocess": {"group": {"execution": {"config": {"multiprocess": {"max_concurrent": 2}}}}},
    "pod group": {
        "shared": {"ops": {"first": {}, "second": {"told": ["result"]}}, "done": {}, "members": ["first", "second"]}
    },
}


def source_of(what: str, opens: bool = False) -> str:
    return OP.format(what=what, opens=opens)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("what", [*FORKS.values(), *CLOSES.values()], ids=[*FORKS, *CLOSES])
def test_a_step_in_its_own_pod(tmp_path: Path, what: str, kept: bool) -> None:
    storage = {"storage": f"file://{tmp_path}/store", "prefix": "p", "keep_log": True} if kept else {}
    ended = run(tmp_path, source_of(what, opens="close" in what), "first", **storage)
    assert (ended.code, ended.record.outcome, ended.record.outputs) == (0, "Succeeded", {"result": "parent"})
    assert {file.read_text() for file in (tmp_path / "code").glob("mine*")} <= {"x"}


@pytest.mark.parametrize("mode", GROUPS)
@pytest.mark.parametrize("what", [*FORKS.values(), *CLOSES.values()], ids=[*FORKS, *CLOSES])
def test_steps_in_one_pod(tmp_path: Path, what: str, mode: str) -> None:
    ended = run(tmp_path, source_of(what, opens="close" in what), "group", **GROUPS[mode])
    assert (ended.code, ended.record.outcome) == (0, "Succeeded"), ended
    assert unpack_states(ended.record.summary) == ["Succeeded", "Succeeded"]
    assert ended.states == {
        "first": ("Succeeded", {"result": '"parent"'}),
        "second": ("Succeeded", {"result": '"parent second"'}),
    }
    assert (tmp_path / "code" / "ran").read_text() == "second "
    assert {file.read_text() for file in (tmp_path / "code").glob("mine*")} <= {"x"}


def test_children_that_live_on_and_end_later(tmp_path: Path) -> None:
    ended = run(tmp_path, source_of("child(lambda: (time.sleep(0.3), sys.exit(3)), wait=False)"), "g",
                **GROUPS["in process"])  # fmt: skip
    assert ended.record.outcome == "Succeeded"
    assert (tmp_path / "code" / "ran").read_text() == "second "


ELSEWHERE = {
    "import": "child(fails)\n" + OP.format(what="pass", opens=False),
    "generator": """
@op
def first():
    child(fails)
    yield Output("parent")
@job
def main():
    first()
""",
    "async": """
@op
async def first():
    child(fails)
    return "parent"
@job
def main():
    first()
""",
    "resource": """
@resource
def forks():
    child(fails)
    yield 1
    child(lambda: None)
@op(required_resource_keys={"forks"})
def first():
    return "parent"
@job(resource_defs={"forks": forks})
def main():
    first()
""",
    "hook": """
@success_hook
def forks(context):
    child(lambda: None)
    child(fails)
@op
def first():
    return "parent"
@job(hooks={forks})
def main():
    first()
""",
}


@pytest.mark.parametrize("where", ELSEWHERE)
@pytest.mark.parametrize("mode", ["own pod", "in process", "multiprocess"])
def test_a_child_of_other_user_code(tmp_path: Path, where: str, mode: str) -> None:
    ended = run(tmp_path, ELSEWHERE[where], "first", **GROUPS.get(mode, {}))
    assert (ended.code, ended.record.outcome) == (0, "Succeeded"), ended
    assert sum("in the child" in line for line in ended.lines) >= 1  # its own traceback is in the log


def test_the_exit_status_of_a_child_is_that_of_a_plain_script(tmp_path: Path) -> None:
    source = """
def status(leave):
    pid = os.fork()
    if pid == 0:
        return leave()
    return os.waitpid(pid, 0)[1]

def stop():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(10)

@op
def first():
    out = []
    for leave in (lambda: None, sys.exit, lambda: sys.exit(3), lambda: sys.exit("text"), fails, stop):
        found = status(leave)
        if found is None:
            return
        out.append(found)
    return out

@job
def main():
    first()
"""
    ended = run(tmp_path, source, "first")
    assert ended.record.outputs == {"result": [0, 0, 3 << 8, 1 << 8, 1 << 8, 15]}
    assert "text" in ended.lines


def test_a_pool_of_processes_works_as_before(tmp_path: Path) -> None:
    source = """
@op
def first():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        found = pool.map(abs, [-1, -2])
        pool.close()
        pool.join()
        return found

@job
def main():
    first()
"""
    ended = run(tmp_path, source, "first")
    assert ended.record.outputs == {"result": [1, 2]}
    assert not any("Traceback" in line for line in ended.lines)


def test_a_local_run_goes_on_in_its_own_process_only(tmp_path: Path) -> None:
    run_it = "\nprint('end', main.execute_in_process().output_for_node('second'))\n"
    (tmp_path / "my.py").write_text(HEAD + source_of("child(fails) or child(lambda: sys.exit(0))") + run_it)
    env = {**os.environ, "PYTHONPATH": str(Path(podgraph.__file__).parents[1])}
    done = subprocess.run([sys.executable, "my.py"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "second ran\nend parent second\n"), done.stderr
    assert (tmp_path / "ran").read_text() == "second "


def test_a_multiprocess_run_without_a_temporary_folder_says_so(tmp_path: Path) -> None:
    source = OP.format(what="pass", opens=False) + "\nimport tempfile\ntempfile._candidate_tempdir_list = lambda: []\n"
    ended = run(tmp_path, source, "group", **GROUPS["multiprocess"])
    assert (ended.record.outcome, ended.record.reason) == ("Failed", "NoTemporaryFolder")
    assert "mount an emptyDir at /tmp" in ended.record.message
    assert not any("Traceback" in line for line in ended.lines)
