"""The runtime as pods run it: one zip archive of the standard library's own, in a process, under each Python here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipapp
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import podgraph
from podgraph.planning.manifests.keys import Keys
from podgraph.protocol.graph_codec import from_log, unpack
from podgraph.protocol.reports import reports_in, unpack_states
from podgraph.protocol.signing import KEY_VARIABLE, Signer
from podgraph.protocol.step import RECORD_MARK, Assignment, Record, record_text_in
from podgraph.reconcile.jobs.link_server import LinkServer

PARTS = ("__init__.py", "definition", "flow.py", "run_config", "selection.py", "protocol", "runtime")

CODE = """
import os
import signal
import subprocess
import sys
import threading
import time
from podgraph import In, Nothing, Out, Output, graph, job, op, resource

print("no line end", end="")

@op
def return_one():
    return 1

@op
def add_two(context, i: int) -> int:
    context.log.info("adding")
    return i + 2

@op(out={"a": Out(), "b": Out(is_required=False)})
def split(i):
    yield Output(i, "a")

@op
def fail(i=0):
    return i / 0

@op
def leave(how):
    if how == "thread":
        threading.Thread(target=time.sleep, args=(600,)).start()
    elif how == "close":
        sys.stdout.close()
    elif how == "exit":
        sys.exit(0)
    elif how == "surrogate":
        raise ValueError("\\ud800" * 5000)
    return how

@graph
def src():
    return return_one()

@job
def main():
    one = src()
    split(add_two(one))
    fail()
    leave("x")

@op
def few():
    return {1, 2, 3}

@op
def many():
    return list(range(2_000)) + [(i,) for i in range(2_000)]

@op
def use(x):
    return len(x)

@op
def speak():
    print("to stdout", flush=True)
    print("to stderr", file=sys.stderr, flush=True)
    subprocess.run(["echo", "of a child"])

@op
def crash():
    print("last words", flush=True)
    os.kill(os.getpid(), signal.SIGSEGV)

@op
def leave_behind():
    print("gone soon", flush=True)
    subprocess.Popen(["sleep", "30"])

@op
def wait():
    def told(*_):
        print("got SIGTERM", flush=True)
        os._exit(3)
    signal.signal(signal.SIGTERM, told)
    print("waiting", flush=True)
    time.sleep(30)

@resource
def opened():
    yield 1
    print("resource closed", flush=True)

@op(required_resource_keys={"opened"})
def stay():
    try:
        print("staying", flush=True)
        time.sleep(60)
    finally:
        print("put away", flush=True)

@job(resource_defs={"opened": opened})
def told_to_end():
    stay()

@graph
def values():
    many()
    return few()

@job
def kept():
    use(values())
    speak()
    crash()
    leave_behind()
    wait()

@job
def leaves():
    leave()

@job
def long():
    last = return_one()
    for _ in range(1000):
        last = add_two(last)
"""

START = """
import sys
sys.path.insert(0, sys.argv[1])
from podgraph.protocol import step as protocol
protocol.ASSIGNMENT_FILE, protocol.CODE_DIR, protocol.TERMINATION_FILE = sys.argv[2:]
from podgraph.runtime.__main__ import run
run()
"""


def _oldest() -> str | None:
    """Return a Python 3.9 of this machine, if there is one."""
    home = os.environ.get("PYENV_ROOT") or str(Path(shutil.which("pyenv") or "/none/bin/pyenv").parents[1])
    found = [shutil.which("python3.9"), *map(str, Path(home).glob("versions/3.9*/bin/python"))]
    for path in filter(None, found):
        if subprocess.run([path, "-c", "import json"], capture_output=True, check=False).returncode == 0:
            return path
    return None


OLDEST = _oldest()


@pytest.fixture(params=["current", "3.9"], scope="module")
def python(request: pytest.FixtureRequest) -> str:
    if request.param == "current":
        return sys.executable
    if OLDEST is None:
        pytest.skip("there is no Python 3.9 here")
    return OLDEST


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the runtime's archive, made as the operator makes it."""
    folder = tmp_path_factory.mktemp("runtime")
    package = Path(podgraph.__file__).parent
    for part in PARTS:
        source, target = package / part, folder / "app" / "podgraph" / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    (folder / "app" / "__main__.py").write_text("from podgraph.runtime.__main__ import run; run()\n")
    zipapp.create_archive(folder / "app", folder / "runtime.pyz")
    return folder / "runtime.pyz"


@dataclass
class Ended:
    code: int
    out: str
    text: str

    @property
    def record(self) -> Record:
        return Record.from_text(self.text)


def unsigned(line: str, key: bytes) -> str:
    """Return what a termination message tells, which must be signed with this key; "" when there is none."""
    if not line:
        return ""
    text = line.partition(RECORD_MARK)[2].rpartition("::")[0]
    assert Signer(json.loads(text)["nonce"], key).read(RECORD_MARK, line) == text
    assert len(line.encode()) <= 4_096
    return text


class Pod:
    """Runs one assignment as a pod would."""

    def __init__(self, python: str, archive: Path, folder: Path) -> None:
        self.python, self.archive, self.folder = python, archive, folder
        (folder / "code").mkdir()
        (folder / "code" / "job.py").write_text(CODE)

    def start(self, op: str = "", env: dict[str, str] | None = None, **fields: Any) -> subprocess.Popen[str]:
        given = {"file": "job.py", "job": "main", **fields}
        (self.folder / "assignment").write_text(Assignment(op, "nonce", "run-1", **given).to_text(), encoding="utf-8")
        end = self.folder / "end"
        end.write_text("")
        return subprocess.Popen(
            [self.python, "-c", START, self.archive, self.folder / "assignment", self.folder / "code", end],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=self.folder / "code",
            env={"PYTHONDONTWRITEBYTECODE": "1", **(env or {})},
        )

    def put(self, op: str, nonce: str = "nonce", **fields: Any) -> None:
        """Put another assignment in the place of the one that it has, as the kubelet does."""
        given = {"file": "job.py", "job": "main", **fields}
        new = self.folder / "new"
        new.write_text(Assignment(op, nonce, "run-1", **given).to_text(), encoding="utf-8")
        os.replace(new, self.folder / "assignment")

    def run(self, op: str = "", *, env: dict[str, str] | None = None, **fields: Any) -> Ended:
        with self.start(op, env, **fields) as process:
            out, _ = process.communicate(timeout=60)
        key = (env or {}).get(KEY_VARIABLE, "").encode()
        return Ended(process.returncode, out, unsigned((self.folder / "end").read_text(encoding="utf-8"), key))


@pytest.fixture
def pod(python: str, archive: Path, tmp_path: Path) -> Pod:
    return Pod(python, archive, tmp_path)


def test_steps(pod: Pod) -> None:
    ended = pod.run("add_two", inputs={"i": 1})
    assert (ended.code, ended.record.outcome, ended.record.outputs) == (0, "Succeeded", {"result": 3})
    assert ended.record.nonce == "nonce"
    assert "podgraph.op.add_two: adding" in ended.out
    assert ended.record.start_time <= ended.record.completion_time
    assert pod.run("split", inputs={"i": [None, "\u00fc"]}).record.outputs == {"a": [None, "\u00fc"]}
    assert pod.run("src.return_one").record.outputs == {"result": 1}


def test_a_step_that_fails(pod: Pod) -> None:
    ended = pod.run("fail")
    line = CODE.splitlines().index("    return i / 0") + 1
    assert (ended.code, ended.record.outcome, ended.record.reason) == (1, "Failed", "OpFailed")
    assert ended.record.message == f"ZeroDivisionError: division by zero (job.py line {line} in fail)"
    assert f"line {line}, in fail" in ended.out
    assert "runtime" not in ended.out


def test_the_graph(pod: Pod) -> None:
    graph = unpack(pod.run().record.graph)
    assert list(graph.ops) == ["src.return_one", "add_two", "split", "fail", "leave"]
    ended = pod.run(job="long")
    assert ended.code == 0
    assert len(unpack(from_log(ended.record, ended.out.splitlines())).ops) == 1_001


def told(process: subprocess.Popen[str]) -> tuple[Record, list[str]]:
    """Read what a pod prints up to its record of the graph."""
    assert process.stdout is not None
    lines: list[str] = []
    while (text := record_text_in(lines[-1:], Signer("nonce"))) is None:
        lines.append(process.stdout.readline())
        assert lines[-1], "it ended"
    return Record.from_text(text), lines


def ended(pod: Pod, process: subprocess.Popen[str]) -> Ended:
    out, _ = process.communicate(timeout=60)
    return Ended(process.returncode, out, unsigned((pod.folder / "end").read_text(encoding="utf-8"), b""))


def test_the_pod_that_told_the_graph_goes_on_with_a_step(pod: Pod) -> None:
    with pod.start(ahead=60) as process:
        record, _ = told(process)
        assert list(unpack(record.graph).ops)[:2] == ["src.return_one", "add_two"]
        assert (pod.folder / "end").read_text() == ""
        pod.put("add_two", "n2", inputs={"i": 1})
        end = ended(pod, process)
    assert (end.code, end.record.nonce, end.record.outputs) == (0, "n2", {"result": 3})
    assert record_text_in(end.out.splitlines(), Signer("n2")) == end.text
    assert "no line end" not in end.out  # the code was not imported again


@pytest.mark.parametrize(("op", "reason"), [("fail", "OpFailed"), ("nobody", "UnknownOp")])
def test_a_step_that_fails_in_it_tells_it_as_its_own(pod: Pod, op: str, reason: str) -> None:
    with pod.start(ahead=60) as process:
        told(process)
        pod.put(op, "n2")
        end = ended(pod, process)
    assert (end.code, end.record.nonce, end.record.outcome, end.record.reason) == (1, "n2", "Failed", reason)
    assert record_text_in(end.out.splitlines(), Signer("n2")) == end.text


def test_it_ends_with_the_graph_when_it_is_told_so_or_has_waited_long_enough(pod: Pod) -> None:
    with pod.start(ahead=60) as process:
        record, _ = told(process)
        pod.put("")
        end = ended(pod, process)
    assert (end.code, end.record, record_text_in(end.out.splitlines(), Signer("nonce"))) == (0, record, None)
    end = pod.run(ahead=1)
    assert (end.code, end.record) == (0, record)


def test_it_waits_for_nothing_where_the_code_cannot_be_read(pod: Pod) -> None:
    (pod.folder / "code" / "job.py").write_text("1 / 0")
    end = pod.run(ahead=60)
    assert (end.code, end.record.reason) == (1, "CodeError")
    assert RECORD_MARK not in end.out


def test_a_signal_ends_it_at_once_while_it_waits(pod: Pod) -> None:
    with pod.start(ahead=60) as process:
        told(process)
        process.send_signal(signal.SIGTERM)
        end = ended(pod, process)
    assert (end.code, end.text) == (128 + signal.SIGTERM, "")


@pytest.mark.parametrize("keep_log", [False, True])
def test_a_signal_ends_an_op_and_what_it_has_opened_is_put_away(pod: Pod, keep_log: bool) -> None:
    more = {"storage": f"file://{pod.folder}/store", "prefix": "p", "keep_log": True} if keep_log else {}
    with pod.start("stay", job="told_to_end", **more) as process:
        assert process.stdout is not None
        while "staying" not in process.stdout.readline():
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        end = ended(pod, process)
    assert (end.code, end.text) == (128 + signal.SIGTERM, ""), "no record: why it ended is in the pod's status"
    assert end.out.split("\n")[:2] == ["put away", "resource closed"]
    assert "stopped while its step was running" in end.out
    assert RECORD_MARK not in end.out


def test_a_long_graph_stands_before_the_record_that_tells_of_it(pod: Pod) -> None:
    with pod.start(ahead=60, job="long") as process:
        record, lines = told(process)
        assert len(unpack(from_log(record, lines)).ops) == 1_001
        pod.put("")
        assert ended(pod, process).code == 0


@pytest.mark.parametrize("op", ["speak", ""])
def test_the_log_of_the_step_it_goes_on_with_is_kept(pod: Pod, op: str) -> None:
    storage = {"storage": f"file://{pod.folder}/store", "prefix": "ns/j/u", "job": "kept"}
    with pod.start(ahead=60, keep_log=True, **storage) as process:
        told(process)
        pod.put(op, "n2", **{**storage, "prefix": "ns/j/u/speak/1"})
        end = ended(pod, process)
    assert end.code == 0
    kept = pod.folder / "store" / "ns/j/u/speak/1/log.txt"
    assert kept.exists() == bool(op)
    if op:
        assert kept.read_text().splitlines() == ["no line end" + "to stdout", "to stderr", "of a child"]
        assert not list(pod.folder.glob("store/**/log.txt"))[1:]
    assert RECORD_MARK not in (kept.read_text() if op else "")


@pytest.mark.parametrize("executor", [{"in_process": {}}, {"multiprocess": {"start_method": {"forkserver": {}}}},
                                      {"multiprocess": {"start_method": {"spawn": {}}}}])  # fmt: skip
def test_all_steps(pod: Pod, executor: dict[str, Any]) -> None:
    ended = pod.run(group={"execution": {"config": executor}, "selection": ["split", "fail", "*add_two"]})
    assert (ended.code, ended.record.outcome, ended.record.reason) == (1, "Failed", "StepsFailed"), ended.out
    assert unpack_states(ended.record.summary) == ["Succeeded", "Succeeded", "Succeeded", "Failed"]
    last = {report.step: report for report in reports_in(ended.out.splitlines(), Signer("nonce"))}
    assert last["add_two"].outputs == {"result": "3"}
    assert last["split"].outputs == {"a": "3"}
    assert last["fail"].message.startswith("ZeroDivisionError: division by zero (job.py line")
    assert "in fail" in ended.out
    assert pod.run(group={"execution": {"config": executor}, "selection": ["nobody"]}).record.reason == "UnknownOp"


def test_reports_do_not_need_the_stream_that_ops_have(pod: Pod) -> None:
    execution = {"config": {"in_process": {}}}
    inputs = {"ops": {"leave": {"inputs": {"how": "close"}}}}
    ended = pod.run(job="leaves", group={"execution": execution, "runConfig": inputs})
    assert [r.state for r in reports_in(ended.out.splitlines(), Signer("nonce"))] == ["Running", "Succeeded"]
    assert ended.record.outcome == "Succeeded"


def test_a_module(pod: Pod) -> None:
    assert pod.run("src.return_one", file="", module="job").record.outputs == {"result": 1}


@pytest.mark.parametrize(
    ("how", "code", "message"),
    [("thread", 0, ""), ("close", 0, ""), ("exit", 1, "SystemExit: 0"), ("surrogate", 1, "ValueError: ???")],
)
def test_ops_that_misbehave(pod: Pod, how: str, code: int, message: str) -> None:
    ended = pod.run("leave", inputs={"how": how}, env={"LC_ALL": "C"})
    assert ended.code == code
    assert ended.record.message.startswith(message)
    assert ended.record.outputs == ({} if code else {"result": how})
    assert len(ended.text.encode()) <= 4_096


def test_code_that_cannot_run(pod: Pod) -> None:
    for source, reason, message in (
        (
            "x = 1\n1 / 0",
            "CodeError",
            "the code cannot be imported: ZeroDivisionError: division by zero (job.py line 2)",
        ),
        ("import sys\nsys.exit(0)", "CodeError", "the code cannot be imported: SystemExit: 0 (job.py line 2)"),
        ("x = ", "CodeError", "the code does not compile: SyntaxError: invalid syntax (job.py line 1)"),
        ("from podgraph import job\n@job\ndef main(): pass", "NoOps", None),
        ("", "UnknownJob", "the code has no @job named 'main'; there are none"),
        (CODE.replace("add_two(one)", "add_two(one, x=1)"), "UnknownInput", None),
    ):
        (pod.folder / "code" / "job.py").write_text(source)
        ended = pod.run()
        assert (ended.code, ended.record.outcome, ended.record.reason) == (1, "Failed", reason)
        assert ended.record.message == (message or ended.record.message)
        assert "(job.py line " in ended.record.message or reason == "UnknownJob"
        assert f"{reason}: {ended.record.message}" in ended.out


def test_it_needs_only_the_standard_library(python: str, archive: Path) -> None:
    script = """
import json, sys
sys.path.insert(0, sys.argv[1])
import podgraph, podgraph.selection
from podgraph.runtime import __main__, context, load
from podgraph.protocol import step as protocol
from podgraph.runtime.pod import resolve, step
ours = {name.partition(".")[0]: getattr(module, "__file__", None) or "" for name, module in sys.modules.items()}
known = getattr(sys, "stdlib_module_names", None)
print(json.dumps([sorted(set(ours) - set(known)) if known else ["__main__", "podgraph"], podgraph.__file__]))
"""
    done = subprocess.run([python, "-S", "-I", "-c", script, archive], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    foreign, place = json.loads(done.stdout)
    assert set(foreign) <= {"__main__", "podgraph"}
    assert place.startswith(str(archive))


def test_the_archive_starts_by_itself(python: str, archive: Path) -> None:
    done = subprocess.run([python, archive], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "FileNotFoundError" in done.stdout
    assert "/podgraph/in/assignment" in done.stdout


def test_values_cross_between_processes_by_pickle_and_storage(pod: Pod) -> None:
    storage = {"storage": f"file://{pod.folder}/store", "prefix": "ns/j/u/op/1"}
    for name, inline in (("few", True), ("many", False)):
        made = pod.run(f"values.{name}", job="kept", **storage).record
        assert (made.outcome, made.outputs) == ("Succeeded", {})
        reference = {**made.stored["result"], **({} if inline else {"key": "ns/j/u/op/1/result"})}
        assert ("data" in reference) == inline
        found = pod.run("use", job="kept", stored={"x": reference}, **storage).record
        assert found.outputs == {"result": 3 if inline else 4_000}, found


@pytest.mark.parametrize(
    ("op", "code", "kept"),
    [
        ("speak", 0, "to stdout\nto stderr\nof a child\n"),
        ("crash", 139, "last words\n"),
        ("leave_behind", 0, "gone soon\n"),
    ],
)
def test_a_log_is_kept_and_passed_on(pod: Pod, op: str, code: int, kept: str) -> None:
    storage = {"storage": f"file://{pod.folder}/store", "prefix": "ns/j/u/op/1", "keep_log": True}
    begun = time.monotonic()
    ended = pod.run(op, job="kept", **storage)
    assert time.monotonic() - begun < 20  # not until what was left behind ends
    assert ended.code == code
    log = (pod.folder / "store" / "ns/j/u/op/1/log.txt").read_text()
    for line in kept.splitlines():
        assert line in log
    passed_on, mark, _ = ended.out.partition(RECORD_MARK)
    assert passed_on == log
    assert bool(mark) == (op != "crash")


KEYS = Keys(b"master")
POD_KEY = KEYS.of("u1").pod


@contextlib.contextmanager
def linked(text: str) -> Iterator[tuple[str, list[str]]]:
    """An operator that tells a pod this once it comes: where it is reached, and what the pod says."""
    said: list[str] = []
    links, loop, over = LinkServer(), asyncio.new_event_loop(), asyncio.Event()
    links.connect(KEYS, lambda uid, pod: True, lambda _uid, _pod, lines: said.extend(lines))
    ready = threading.Event()

    async def serve() -> None:
        async with links.serving("127.0.0.1:0"):
            links.tell("u1", "p", text)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    assert links.invitation is not None
    try:
        yield links.invitation.credential_for("u1", "p"), said
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


def test_what_a_pod_is_told_by_its_link_needs_no_file(pod: Pod) -> None:
    kept = {"file": "job.py", "job": "kept", "storage": f"file://{pod.folder}/store", "keep_log": True}
    with linked(Assignment("speak", "own", "run-1", prefix="of/speak", **kept).to_text()) as (where, said):
        end = pod.run(env={KEY_VARIABLE: POD_KEY.decode()}, ahead=60, link=where, **kept)
    assert (end.code, end.record.outcome, end.record.nonce) == (0, "Succeeded", "own")
    assert [line.split("::")[1].split()[0] for line in said] == ["podgraph-record"] * 2, "the graph, and the end"
    assert record_text_in(said, Signer("own", POD_KEY)) == end.text
    [log] = (pod.folder / "store").rglob("log.txt")
    assert log.relative_to(pod.folder / "store").as_posix() == "of/speak/log.txt"
    assert log.read_text() == "no line endto stdout\nto stderr\nof a child\n"


def test_the_key_is_in_no_environment_that_the_user_s_code_sees(pod: Pod) -> None:
    (pod.folder / "code" / "job.py").write_text(SHOWS)
    kept = {"storage": f"file://{pod.folder}/store", "prefix": "of/show", "keep_log": True}
    for fields in ({}, kept):
        end = pod.run("show", env={KEY_VARIABLE: POD_KEY.decode(), "OTHER": "is seen"}, **fields)
        assert end.record.outcome == "Succeeded"
        assert "is seen" in end.out
        assert POD_KEY.decode() not in end.out
        assert KEY_VARIABLE not in end.out
        assert record_text_in(end.out.splitlines(), Signer("nonce", POD_KEY)) == end.text
        assert record_text_in(end.out.splitlines(), Signer("nonce")) is None


SHOWS = """
import os, subprocess
from podgraph import job, op
print(dict(os.environ))

@op
def show():
    print(dict(os.environ), flush=True)
    subprocess.run(["env"])

@job
def main():
    show()
"""


def test_a_log_that_cannot_be_kept_fails_no_step(pod: Pod) -> None:
    (pod.folder / "file").write_text("")
    ended = pod.run("speak", job="kept", storage=f"file://{pod.folder}/file", prefix="x", keep_log=True)
    assert (ended.code, ended.record.outcome) == (0, "Succeeded")
    assert "podgraph: the step's log is not stored: storage file://" in ended.out


def test_a_signal_reaches_the_step_and_its_log_is_kept(pod: Pod) -> None:
    process = pod.start("wait", storage=f"file://{pod.folder}/store", prefix="p", job="kept", keep_log=True)
    assert process.stdout is not None
    while "waiting" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=20)
    assert "got SIGTERM" in (pod.folder / "store" / "p" / "log.txt").read_text()
