"""Whole jobs with each step in a process of its own: how values cross, how processes end, and that none is left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.channel import load
from podgraph.runtime.local.multiprocess import run_multiprocess
from podgraph.runtime.local.run_plan import plan_run
from podgraph.runtime.local.steps import LocalSteps

METHODS = ["forkserver", "spawn"]
OPERATOR = Path(__file__).parents[4] / "operator"

HEAD = """
import os, pathlib, signal, subprocess, sys, time
from typing import Any
from podgraph import *

here = pathlib.Path(__file__).parent

def wait_for(found):
    end = time.monotonic() + 30
    while not found():
        assert time.monotonic() < end
        time.sleep(0.005)

@op
def one() -> int:
    return 1

@op
def add(a: int, b: int = 2) -> int:
    return a + b
"""


@dataclass
class Ran:
    """How a run went."""

    steps: LocalSteps
    succeeded: bool = False
    printed: list[tuple[str, str]] = field(default_factory=list)

    @property
    def states(self) -> dict[str, str]:
        return {name: step.state for name, step in self.steps.records.items()}

    def value(self, name: str, output: str = "result") -> Any:
        return load(self.steps.records[name].outputs[output], name)

    def failure(self, name: str) -> tuple[str, str]:
        error = self.steps.records[name].error
        assert error is not None
        return error.reason, error.message

    def lines(self, name: str) -> list[str]:
        return [line for step, line in self.printed if step == name]

    def events(self, name: str) -> list[str]:
        return [event.type for event in self.steps.events if event.step_key == name]


class Runner:
    """Runs the job of a source text; a folder is there for what its ops write."""

    def __init__(self, folder: Path, method: str) -> None:
        self.folder, self.method = folder, method

    def __call__(self, source: str, run_config: dict[str, Any] | None = None, **settings: Any) -> Ran:
        file = self.folder / "my_job.py"
        file.write_text(HEAD + source)
        code = CodeRef(str(file))
        chosen = {"multiprocess": {"start_method": {self.method: {}}, "max_concurrent": 4, **settings}}
        prepared = plan_run(code.load(), {**(run_config or {}), "execution": {"config": chosen}}, tags={"team": "data"})
        ran = Ran(LocalSteps(prepared.graph, prepared.selected))
        run = RunInfo("run-1", prepared.tags, prepared.execution.retries)
        ran.succeeded = run_multiprocess(prepared, ran.steps, run, code, lambda *said: ran.printed.append(said))
        return ran

    def text(self, name: str) -> str:
        return (self.folder / name).read_text()


@pytest.fixture(params=METHODS)
def run(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runner:
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setitem(sys.modules, "my_job", sys)  # and taken out again
    return Runner(tmp_path, request.param)


def until(found: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if result := found():
            return result
        time.sleep(0.01)
    raise AssertionError(what)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children() -> set[int]:
    """This process's children, dead ones that nobody has waited for too."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(pid) for task in tasks for pid in task.read_text().split()}


def pids_in(file: Path, count: int = 1) -> list[int]:
    return until(
        lambda: file.exists() and len(found := [int(pid) for pid in file.read_text().split()]) >= count and found,
        f"{file} was not written",
    )  # type: ignore[no-any-return]


VALUES = """
import dataclasses

@dataclasses.dataclass
class Thing:
    x: int

@op
def make() -> Thing:
    return Thing(3)

@op(out={"count": Out(), "rest": Out()})
def split(thing: Thing):
    assert type(thing) is Thing
    return thing.x, {"pid": os.getpid(), "set": {1, 2}}

@op
def total(items: list, config: Thing) -> int:
    return sum(items) * config.x

@op(ins={"start": In(Nothing)})
def last(context):
    return context.run_id, dict(context.tags), context.job_name, context.retry_number

@graph
def inner(x):
    return add(x)

@job(config={"ops": {"total": {"config": {"x": 10}}}})
def my_job(given=5):
    count, rest = split(make())
    last(total([inner(count), add.alias("more")(given, 10)]))
"""


def test_values_cross(run: Runner) -> None:
    ran = run(VALUES)
    assert ran.succeeded
    assert set(ran.states.values()) == {"Succeeded"}
    assert ran.value("make").x == 3
    assert (ran.value("split", "count"), ran.value("inner.add"), ran.value("more")) == (3, 5, 15)
    assert ran.value("split", "rest")["set"] == {1, 2}
    assert ran.value("split", "rest")["pid"] != os.getpid()
    assert ran.value("total") == 200
    assert ran.value("last") == ("run-1", {"team": "data"}, "my_job", 0)
    assert ran.steps.events[0].type == "RUN_START"
    assert ran.events("split") == ["STEP_START", "STEP_INPUT", "STEP_OUTPUT", "STEP_OUTPUT", "STEP_SUCCESS"]
    assert ran.steps.events[-1].type == "RUN_SUCCESS"


def test_large_outputs_go_through_files(run: Runner) -> None:
    ran = run("""
@op
def large():
    return b"x" * 10_000_000

@op
def size(x):
    return len(x)

@op
def sizes(xs):
    return [len(x) for x in xs]

@job
def my_job():
    x = large()
    size(x)
    sizes([x, large()])
""")
    assert ran.succeeded
    assert (ran.value("size"), ran.value("sizes")) == (10_000_000, [10_000_000] * 2)
    stored = ran.steps.records["large"].outputs["result"]
    assert (stored.data, stored.size > 10_000_000) == (b"", True)
    assert not Path(stored.path).parent.exists()


def test_what_cannot_be_pickled_is_the_ops_failure(run: Runner) -> None:
    ran = run("""
@failure_hook
def tell(context):
    print("told", context.op_exception.reason)

@op(out={"good": Out(), "bad": Out()})
def make():
    return 1, lambda: 2

@job(hooks={tell})
def my_job():
    good, bad = make()
    add(good)
    add(one())
""")
    assert ran.states == {"make": "Failed", "add": "UpstreamFailed", "one": "Succeeded", "add_2": "Succeeded"}
    reason, message = ran.failure("make")
    assert reason == "OutputNotPicklable"
    assert message.startswith("output 'bad' of op 'make' cannot be passed to another process: ")
    assert ran.lines("make") == ["told OutputNotPicklable"]


def test_what_cannot_be_unpickled_is_the_next_ops_failure(run: Runner) -> None:
    ran = run("""
class Odd:
    def __reduce__(self):
        return int, ("x",)

@op
def make():
    return Odd()

@op
def use(x): ...

@job
def my_job():
    use(make())
""")
    assert ran.states == {"make": "Succeeded", "use": "Failed"}
    assert ran.failure("use") == (
        "InputNotReadable",
        "input 'x' of op 'use' cannot be read: ValueError: invalid literal for int() with base 10: 'x'",
    )


@pytest.mark.parametrize(
    ("end", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL, perhaps because memory ran out"),
        ("os.abort()", "was killed by SIGABRT"),
        (
            "signal.signal(signal.SIGSEGV, signal.SIG_DFL); os.kill(os.getpid(), signal.SIGSEGV)",
            "was killed by SIGSEGV",
        ),
        ("os._exit(3)", "ended with exit code 3"),
        ("os._exit(0)", "ended with exit code 0"),
    ],
)
def test_a_process_that_dies_fails_its_step_alone(run: Runner, end: str, said: str) -> None:
    ran = run(f"""
@op
def dies(x):
    print("before", end="", flush=True)
    {end}

@job
def my_job():
    x = one()
    add.alias("last")(add.alias("after")(dies(x)), x)
    add(x)
""")
    assert not ran.succeeded
    assert ran.states == {
        "one": "Succeeded", "dies": "Failed", "after": "UpstreamFailed", "last": "UpstreamFailed", "add": "Succeeded",
    }  # fmt: skip
    assert ran.failure("dies") == ("WorkerDied", f"its process {said} before the op finished")
    assert ran.lines("dies") == ["before"]
    assert ran.steps.events[-1].type == "RUN_FAILURE"


def test_failures_are_told_with_the_users_line(run: Runner) -> None:
    ran = run("""
@op
def bad():
    raise Failure("no luck", metadata={"rows": 3, "open": sys.stdout}, allow_retries=False)

@op
def leaves():
    sys.exit(3)

@op
def mute():
    class Mute(Exception):
        def __str__(self):
            raise ValueError
    raise Mute

@op
def stopped():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)

@job
def my_job():
    bad(), leaves(), mute(), stopped()
""")
    assert set(ran.states.values()) == {"Failed"}
    error = ran.steps.records["bad"].error
    assert error is not None
    assert error.message.startswith("no luck (my_job.py line ")
    assert error.metadata["rows"] == 3
    assert "TextIOWrapper" in error.metadata["open"]
    assert 'raise Failure("no luck"' in error.stack
    assert ran.failure("leaves")[1].startswith("SystemExit: 3 (my_job.py line ")
    assert ran.failure("mute")[1].startswith("Mute (my_job.py line ")
    assert ran.failure("stopped")[1].startswith("KeyboardInterrupt (my_job.py line ")


RETRIES = """
@op(retry_policy=RetryPolicy(3, delay=0.01))
def dies(context):
    if context.retry_number < 2:
        os._exit(7)
    return context.retry_number

@op
def asks(context):
    if not context.retry_number:
        raise RetryRequested(1, 0.01)
    return context.retry_number

@op
def plain(context):
    raise ValueError("always")

@success_hook
def tell(context):
    print("done")

@job(op_retry_policy=RetryPolicy(1), hooks={tell})
def my_job():
    dies(), asks(), plain()
"""


def test_retries(run: Runner) -> None:
    ran = run(RETRIES)
    assert ran.states == {"dies": "Succeeded", "asks": "Succeeded", "plain": "Failed"}
    assert (ran.value("dies"), ran.value("asks")) == (2, 1)
    again = ["STEP_UP_FOR_RETRY", "STEP_RESTARTED"]
    done = ["STEP_OUTPUT", "HOOK_COMPLETED", "STEP_SUCCESS"]
    assert ran.events("dies") == ["STEP_START", *again, *again, *done]
    assert ran.events("asks") == ["STEP_START", *again, *done]
    assert ran.events("plain") == ["STEP_START", *again, "STEP_FAILURE"]
    assert (ran.lines("dies"), ran.lines("plain")) == (["done"], [])


def test_retries_switched_off(run: Runner) -> None:
    ran = run(RETRIES, retries={"disabled": {}})
    assert set(ran.states.values()) == {"Failed"}
    assert ran.failure("dies") == ("WorkerDied", "its process ended with exit code 7 before the op finished")


def test_steps_that_are_skipped(run: Runner) -> None:
    ran = run("""
@op(out={"a": Out(is_required=False), "b": Out(is_required=False)})
def branch():
    yield Output(1, "a")

@op
def total(items: list) -> int:
    return sum(items)

@job
def my_job():
    a, b = branch()
    total([add(a), add(add.alias("no")(b))])
""")
    assert ran.succeeded
    assert ran.states == {
        "branch": "Succeeded", "add": "Succeeded", "no": "Skipped", "add_2": "Skipped", "total": "Succeeded",
    }  # fmt: skip
    assert ran.value("total") == 3


def test_printed_lines_are_told_with_their_op(run: Runner) -> None:
    ran = run("""
@op
def says(context, text: str):
    print(f"{text} 1")
    print(f"{text} 2", file=sys.stderr)
    os.system(f"echo {text} 3")
    context.log.info("logged")
    print(f"{text} unfinished", end="")

@op
def bytes_too():
    os.write(1, b"\\xff\\n\\n")

@op
def much():
    for number in range(50_000):
        print(number)

@job
def my_job():
    says("a"), says("b"), bytes_too(), much()
""")
    assert ran.succeeded
    for name, text in (("says", "a"), ("says_2", "b")):
        *plain, logged, last = ran.lines(name)
        assert plain == [f"{text} 1", f"{text} 2", f"{text} 3"]
        assert logged.endswith(f"INFO podgraph.op.{name}: logged")
        assert last == f"{text} unfinished"
    assert ran.lines("bytes_too") == ["\ufffd", ""]
    assert ran.lines("much") == [str(number) for number in range(50_000)]


@pytest.mark.parametrize(
    "closing",
    ["sys.stdout.close()", "os.close(1)", "sys.stdout.close(); sys.stderr.close(); os.closerange(1, 3)"],
)
def test_an_op_that_closes_what_it_prints_to(run: Runner, closing: str) -> None:
    ran = run(f"""
@op
def closes() -> int:
    print("before", flush=True)
    {closing}
    return 3

@job
def my_job():
    add(closes())
""")
    assert ran.succeeded, ran.steps.records["closes"].error
    assert ran.value("add") == 5
    assert ran.lines("closes") == ["before"]


def test_hooks_and_resources_are_in_the_process_of_the_step(run: Runner) -> None:
    ran = run(
        """
@resource(config_schema={"name": str})
def db(context):
    print("open", context.resource_config["name"], os.getpid())
    yield context.resource_config["name"]
    print("closed", os.getpid())

@resource(required_resource_keys={"db"})
def table(context):
    yield context.resources.db + "/table"
    raise ValueError("stuck")

@success_hook(required_resource_keys={"db"})
def tell(context):
    print("told", context.resources.db, os.getpid())

@op(required_resource_keys={"table"})
def use(context):
    return context.resources.table, os.getpid()

@op
def uses_none():
    return None

@job(resource_defs={"table": table, "db": db, "limit": 3})
def my_job():
    use.with_hooks({tell})(), uses_none()
""",
        {"resources": {"db": {"config": {"name": "n"}}}},
    )
    assert ran.succeeded
    value, pid = ran.value("use")
    assert (value, pid != os.getpid()) == ("n/table", True)
    lines = [line for line in ran.lines("use") if line.split()[0] in ("open", "told", "closed")]
    assert lines == [f"open n {pid}", f"told n {pid}", f"closed {pid}"]
    assert ran.lines("uses_none") == []
    assert ran.events("use") == [
        "STEP_START", "RESOURCE_INIT_SUCCESS", "RESOURCE_INIT_SUCCESS", "STEP_OUTPUT", "HOOK_COMPLETED",
        "RESOURCE_TEARDOWN_FAILURE", "STEP_SUCCESS",
    ]  # fmt: skip


def test_a_resource_that_cannot_be_made_fails_the_steps_that_need_it(run: Runner) -> None:
    ran = run("""
@resource
def db():
    raise OSError("no such host")

@op(required_resource_keys={"db"})
def use(context): ...

@job(resource_defs={"db": db})
def my_job():
    use(), one()
""")
    assert ran.states == {"use": "Failed", "one": "Succeeded"}
    reason, message = ran.failure("use")
    assert reason == "ResourceFailed"
    assert message.startswith("resource 'db' cannot be created: OSError: no such host (my_job.py line ")


LIMITED = """
def listed(folder):
    return os.listdir(here / folder)

@op
def counts(context) -> int:
    (here / "ever" / context.op_name).touch()
    mine = here / "now" / context.op_name
    mine.touch()
    wait_for(lambda: len(listed("ever")) >= 2)  # so two at least are there at once
    found = len(listed("now"))
    mine.unlink()
    return found

@job
def my_job():
    for _ in range(6):
        counts()
"""


def test_no_more_steps_than_max_concurrent_run_at_once(run: Runner) -> None:
    for name in ("ever", "now"):
        (run.folder / name).mkdir()
    ran = run(LIMITED, max_concurrent=2)
    assert ran.succeeded
    found = [ran.value(name) for name in ran.states]
    assert max(found) <= 2


def test_limits_of_tags(run: Runner) -> None:
    ran = run(
        """
import fcntl

def alone(file):
    lock = open(here / file, "w")
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or BlockingIOError

@op(tags={"db": "x"})
def first():
    alone("x")
    (here / "first").touch()
    wait_for((here / "free").exists)  # which runs meanwhile
    wait_for((here / "other").exists)

@op(tags={"db": "x"})
def second():
    alone("x")

@op(tags={"db": "y"})
def other():
    wait_for((here / "first").exists)
    (here / "other").touch()

@op
def free():
    wait_for((here / "first").exists)
    (here / "free").touch()

@job
def my_job():
    first(), second(), second(), other(), free()
""",
        tag_concurrency_limits=[{"key": "db", "limit": 1, "value": {"applyLimitPerUniqueValue": True}}],
    )
    assert ran.succeeded, [step.message for step in ran.steps.records.values()]


BACKGROUND = """
@op
def starts():
    {start}
    (here / "pids").write_text(str(pid))

@job
def my_job():
    starts()
"""


@pytest.mark.parametrize(
    "start",
    [
        "pid = subprocess.Popen(['sleep', '60']).pid",
        "pid = subprocess.Popen(['yes']).pid",
        "pid = os.fork() or (time.sleep(60), os._exit(0))",
    ],
)
def test_a_process_that_an_op_leaves_behind_ends_with_it(run: Runner, start: str) -> None:
    ran = run(BACKGROUND.format(start=start))
    assert ran.succeeded
    (pid,) = pids_in(run.folder / "pids")
    until(lambda: not is_alive(pid), "what the op started is still there")


def test_a_thread_that_an_op_leaves_behind_keeps_nobody_waiting(run: Runner) -> None:
    ran = run(
        BACKGROUND.format(start="import threading; threading.Thread(target=time.sleep, args=(60,)).start(); pid=0")
    )
    assert ran.succeeded


def test_nothing_stays_open_and_no_process_is_left(run: Runner) -> None:
    run(VALUES)
    files, before = len(os.listdir("/proc/self/fd")), children()
    for _ in range(2):
        run(VALUES)
        run(RETRIES)
    assert len(os.listdir("/proc/self/fd")) == files
    assert children() == before


def test_code_that_cannot_be_loaded_again(run: Runner) -> None:
    ran = run("""
if "_pytest" not in sys.modules:
    raise ValueError("not here")

@job
def my_job():
    add(one())
""")
    assert ran.states == {"one": "Failed", "add": "UpstreamFailed"}
    assert ran.failure("one") == ("WorkerDied", "its process ended with exit code 1 before the op finished")


@pytest.mark.parametrize("run", ["forkserver"], indirect=True)
def test_a_fork_server_that_is_killed_is_made_anew(run: Runner) -> None:
    ran = run(
        """
@op(retry_policy=RetryPolicy(1))
def kills(context):
    if not context.retry_number:
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)
    return 1

@job
def my_job():
    add(kills()), one()
""",
        max_concurrent=1,
    )
    assert ran.succeeded, ran.states
    assert ran.events("kills").count("STEP_RESTARTED") == 1


# What a Ctrl-C or the death of the run does is seen in a process of its own.

DRIVE = """
import sys
from podgraph.runtime.local import multiprocess
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.load import CodeRef
from podgraph.runtime.local.run_plan import plan_run
from podgraph.runtime.local.steps import LocalSteps

multiprocess._GRACE_SECONDS = float(sys.argv[2])
code = CodeRef("my_job.py")
config = {"execution": {"config": {"multiprocess": {"start_method": {sys.argv[1]: {}}, "max_concurrent": 4}}}}
prepared = plan_run(code.load(), config)
steps = LocalSteps(prepared.graph, prepared.selected)
try:
    multiprocess.run_multiprocess(prepared, steps, RunInfo("r"), code, lambda step, line: print(step, "|", line))
except KeyboardInterrupt:
    print("canceled", steps.events[-1].type)
print({name: step.state for name, step in steps.records.items()})
"""

WAITING = """
def note(file):
    with open(here / file, "a") as to:
        to.write(f"{os.getpid()}\\n")

@resource
def db():
    yield 1
    note("closed")

@op(required_resource_keys={"db"})
def waits(context):
    grandchild = subprocess.Popen(["sleep", "60"])
    with open(here / "pids", "a") as to:
        to.write(f"{os.getpid()} {grandchild.pid} {os.getppid()}\\n")
    try:
        time.sleep(60)
    except BaseException:
        handle()
        raise

def handle():
    pass

@job(resource_defs={"db": db})
def my_job():
    x = waits()
    waits()
    add(x)
"""


def start(folder: Path, method: str, source: str, grace: float = 30) -> subprocess.Popen[str]:
    (folder / "my_job.py").write_text(HEAD + source)
    env = {**os.environ, "PYTHONPATH": str(OPERATOR), "TMPDIR": str(folder)}
    return subprocess.Popen(
        [sys.executable, "-c", DRIVE, method, str(grace)], cwd=folder, env=env, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_ends_all_and_puts_resources_away(tmp_path: Path, method: str) -> None:
    with start(tmp_path, method, WAITING) as driver:
        pids = pids_in(tmp_path / "pids", 6)
        os.killpg(driver.pid, signal.SIGINT)  # as a terminal does: to all of its group
        out, err = driver.communicate(timeout=60)
    assert out.splitlines()[-2:] == [
        "canceled RUN_CANCELED",
        "{'waits': 'Canceled', 'waits_2': 'Canceled', 'add': 'Pending'}",
    ]
    assert (driver.returncode, err) == (0, "")
    assert sorted(pids_in(tmp_path / "closed")) == sorted([pids[0], pids[3]])
    assert not [pid for pid in pids if pid != driver.pid and is_alive(pid)]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "handle",
    [
        "time.sleep(60)",  # will not end when it is asked
        "print('x' * 1_000_000)",  # more than a pipe holds
    ],
)
def test_ctrl_c_with_ops_that_make_it_hard(tmp_path: Path, method: str, handle: str) -> None:
    grace = 0.3 if "sleep" in handle else 30
    source = WAITING.replace("def handle():\n    pass", f"def handle():\n    {handle}")
    with start(tmp_path, method, source, grace) as driver:
        pids = pids_in(tmp_path / "pids", 6)
        driver.send_signal(signal.SIGINT)
        out, _ = driver.communicate(timeout=60)
    assert out.splitlines()[-2] == "canceled RUN_CANCELED"
    assert (tmp_path / "closed").exists() == ("print" in handle)
    assert not [pid for pid in pids if pid != driver.pid and is_alive(pid)]


@pytest.mark.parametrize("method", METHODS)
def test_a_second_ctrl_c_asks_no_more(tmp_path: Path, method: str) -> None:
    source = WAITING.replace("def handle():\n    pass", "def handle():\n    note('asked')\n    time.sleep(60)")
    with start(tmp_path, method, source) as driver:
        pids = pids_in(tmp_path / "pids", 6)
        driver.send_signal(signal.SIGINT)
        pids_in(tmp_path / "asked", 2)
        driver.send_signal(signal.SIGINT)
        out, _ = driver.communicate(timeout=60)
    assert out.splitlines()[-2] == "canceled RUN_CANCELED"
    until(lambda: not [pid for pid in pids if pid != driver.pid and is_alive(pid)], "processes are left behind")


@pytest.mark.parametrize("method", METHODS)
def test_ctrl_c_while_the_code_is_loaded(tmp_path: Path, method: str) -> None:
    slow = """
if {"podgraph.runtime.local.forkserver", "podgraph.runtime.local.worker"} & set(sys.orig_argv):
    (here / "pids").write_text(str(os.getpid()))
    time.sleep(60)
"""
    with start(tmp_path, method, slow + WAITING) as driver:
        (pid,) = pids_in(tmp_path / "pids")
        driver.send_signal(signal.SIGINT)
        out, _ = driver.communicate(timeout=60)
    assert "canceled RUN_CANCELED" in out
    assert not is_alive(pid)


@pytest.mark.parametrize("method", METHODS)
def test_the_death_of_the_run_is_that_of_its_steps(tmp_path: Path, method: str) -> None:
    with start(tmp_path, method, WAITING) as driver:
        pids = pids_in(tmp_path / "pids", 6)
        driver.kill()
        driver.communicate(timeout=60)
    until(lambda: not [pid for pid in pids if is_alive(pid)], "processes are left behind")


def test_what_the_code_prints_while_it_is_loaded_is_no_ops_line(tmp_path: Path) -> None:
    with start(tmp_path, "forkserver", "print('loaded')\n\n@job\ndef my_job():\n    one(), one()\n") as driver:
        out, _ = driver.communicate(timeout=60)
    assert out.splitlines().count("loaded") == 2  # by the run and by the fork server
    assert "| loaded" not in out


def test_an_op_that_runs_longer_than_its_timeout_is_ended_and_tried_again(run: Runner) -> None:
    ran = run(
        """
@resource
def db():
    yield 1
    with (here / "closed").open("a") as file:
        file.write("x")

@op(timeout=2, retry_policy=RetryPolicy(max_retries=1), required_resource_keys={"db"})
def slow():
    time.sleep(60)

@op(timeout=60)
def quick() -> int:
    return 1

@op
def after(x): ...

@job(resource_defs={"db": db})
def my_job():
    after(slow())
    quick()
"""
    )
    assert ran.states == {"slow": "Failed", "after": "UpstreamFailed", "quick": "Succeeded"}
    assert ran.failure("slow") == ("Timeout", "it ran longer than its timeout of 2 seconds")
    assert ran.events("slow").count("STEP_UP_FOR_RETRY") == 1
    assert run.text("closed") == "xx"


def test_an_op_that_will_not_end_is_killed(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.runtime.local.multiprocess._GRACE_SECONDS", 0.2)
    ran = run(
        """
@op(timeout=0.3)
def stubborn():
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(60)

@job
def my_job():
    stubborn()
"""
    )
    assert ran.failure("stubborn")[0] == "Timeout"
