"""All steps of a job in one pod: what it reports, and what its record says."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.protocol.reports import StepReport, reports_in, unpack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record
from podgraph.runtime.load import CodeRef
from podgraph.runtime.pod.all_steps import run_group

IN_PROCESS = {"in_process": {}}
MULTIPROCESS = {"multiprocess": {"max_concurrent": 2}}
BOTH = pytest.mark.parametrize("executor", [IN_PROCESS, MULTIPROCESS], ids=["in_process", "multiprocess"])

CODE = """
from podgraph import *

@op
def one():
    print("one says", end="")
    return 1

@op(out={"a": Out(), "b": Out(is_required=False)})
def split(x):
    yield Output(x + 1, "a")

@op
def skipped(x):
    return x

@op(config_schema={"big": int})
def odd(context, x):
    return {1, 2}, "x" * context.op_config["big"]

@op
def takes_odd(odd) -> int:
    assert odd[0] == {1, 2}
    return len(odd[1])

@op(retry_policy=RetryPolicy(max_retries=1))
def again(context):
    if not context.retry_number:
        raise ValueError("not yet")
    return context.retry_number

@op
def fails(x):
    return x / 0

@job
def j():
    a, b = split(one())
    skipped(b)
    takes_odd(odd(a))
    skipped.alias("after")(fails(again()))
"""

RESOURCE = """
from podgraph import *

@resource
def db():
    raise OSError("no route")

@op(required_resource_keys={"db"})
def a():
    pass

@op
def b(a):
    pass

@op
def c():
    pass

@job(resource_defs={"db": db})
def j():
    b(a())
    c()
"""


def run(
    tmp_path: Path, source: str, execution: dict[str, Any], selection: tuple[str, ...] = (), **config: Any
) -> tuple[Record, list[StepReport]]:
    path = tmp_path / f"job_{abs(hash(source))}.py"
    path.write_text(source)
    code = CodeRef(str(path))
    group = {"execution": {"config": execution}, "runConfig": config, "selection": list(selection)}
    lines: list[str] = []
    record = run_group(code.load(), code, Assignment("", "n", "u1", group=group), lines.append)
    assert Record.from_text(record.to_text()) == record
    return record, list(reports_in(lines, Signer("n")))


@BOTH
def test_each_change_of_a_step_is_told(tmp_path: Path, executor: dict[str, Any]) -> None:
    record, reports = run(tmp_path, CODE, executor, ops={"odd": {"config": {"big": 100_000}}})
    told: dict[str, list[str]] = {}
    for report in reports:
        told.setdefault(report.step, []).append(report.state)
    assert told == {
        "one": ["Running", "Succeeded"],
        "split": ["Running", "Succeeded"],
        "skipped": ["Skipped"],
        "odd": ["Running", "Succeeded"],
        "takes_odd": ["Running", "Succeeded"],
        "again": ["Running", "UpForRetry", "Running", "Succeeded"],
        "fails": ["Running", "Failed"],
        "after": ["UpstreamFailed"],
    }
    last = {report.step: report for report in reports}
    assert last["one"].outputs == {"result": "1"}
    assert last["split"].outputs == {"a": "2"}
    assert last["odd"].outputs == {}  # no JSON, and the step behind it has it all the same
    assert last["takes_odd"].outputs == {"result": "100000"}
    assert (last["again"].attempt, last["again"].reason, last["again"].outputs) == (2, "", {"result": "1"})
    assert (last["fails"].reason, last["fails"].message.partition(" (")[0]) == (
        "OpFailed",
        "ZeroDivisionError: division by zero",
    )
    assert last["after"].message == "not run: fails failed"
    retried = next(r for r in reports if r.state == "UpForRetry")
    assert "not yet" in retried.message
    assert retried.retry_time
    assert last["one"].start_time <= last["one"].completion_time <= last["takes_odd"].completion_time
    assert (record.outcome, record.reason, record.message) == ("Failed", "StepsFailed", "1 of 8 steps failed")
    assert sorted(unpack_states(record.summary)) == sorted(reports_[-1] for reports_ in told.values())


@BOTH
def test_a_selection_runs_alone_and_succeeds(tmp_path: Path, executor: dict[str, Any]) -> None:
    record, reports = run(tmp_path, CODE, executor, ("one", "again"))
    assert (record.outcome, record.reason) == ("Succeeded", "")
    assert {r.step for r in reports} == {"one", "again"}
    assert unpack_states(record.summary) == ["Succeeded", "Succeeded"]


@BOTH
def test_a_resource_that_cannot_be_made_fails_what_could_not_begin(tmp_path: Path, executor: dict[str, Any]) -> None:
    record, reports = run(tmp_path, RESOURCE, executor)
    last = {report.step: report for report in reports}
    assert (last["a"].state, last["a"].reason) == ("Failed", "ResourceFailed")
    assert "resource 'db' cannot be created: OSError: no route" in last["a"].message
    assert last["b"].state == "UpstreamFailed"
    assert last["c"].state == ("Failed" if executor is IN_PROCESS else "Succeeded")
    assert record.reason == "StepsFailed"


def test_config_that_is_not_right_is_refused_before_any_step(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"ops\.odd\.config"):
        run(tmp_path, CODE, IN_PROCESS)


LARGE = """
from podgraph import *

held = []
held.append(held)

@op(out={name: Out() for name in ("many", "itself", "deep", "text", "small")})
def a():
    return list(range(10_000_000)), held, [[[[]]]], "x" * 2_999, {"k": [1, None]}

@job
def j():
    a()
"""


def test_what_is_too_large_or_no_json_is_left_out_at_no_cost(tmp_path: Path) -> None:
    started = time.process_time()
    _, reports = run(tmp_path, LARGE, IN_PROCESS)
    assert reports[-1].outputs == {"deep": "[[[[]]]]", "text": f'"{"x" * 2_999}"', "small": '{"k":[1,null]}'}
    assert time.process_time() - started < 10


SLEEPS = """
import time, pathlib
from podgraph import *

@resource(config_schema={"path": str})
def db(context):
    yield 1
    pathlib.Path(context.resource_config["path"]).write_text("put away")

@op(required_resource_keys={"db"})
def a():
    time.sleep(60)

@op
def b(a):
    pass

@job(resource_defs={"db": db})
def j():
    b(a())
"""


@BOTH
def test_sigterm_ends_the_steps_and_puts_resources_away(tmp_path: Path, executor: dict[str, Any]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(1.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    resources = {"db": {"config": {"path": str(tmp_path / "said")}}}
    started = time.monotonic()
    record, reports = run(tmp_path, SLEEPS, executor, resources=resources)
    assert time.monotonic() - started < 20
    assert (record.outcome, record.reason) == ("Failed", "Interrupted")
    assert [(r.step, r.state) for r in reports] == [("a", "Running")]  # the operator knows why it was ended
    assert (tmp_path / "said").read_text() == "put away"
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_thousand_ops_in_one_process(tmp_path: Path) -> None:
    """The number itself is printed (pytest -rP); the machine may be busy, so nothing is asserted of it."""
    lines = ["from podgraph import job, op", "@op", "def f(x):", "    return x + 1", "@job", "def j():", "    x = 0"]
    lines += [f"    x = f.alias('s{at}')(x)" for at in range(1_000)]
    path = tmp_path / "thousand.py"
    path.write_text("\n".join(lines))
    code = CodeRef(str(path))
    job = code.load()
    group = {"execution": {"config": IN_PROCESS}}
    with (tmp_path / "out").open("w+") as out:
        started = time.perf_counter()
        record = run_group(
            job, code, Assignment("", "n", "u1", group=group), lambda line: print(line, file=out, flush=True)
        )
        seconds = time.perf_counter() - started
        out.seek(0)
        reports = list(reports_in(out, Signer("n")))
    print(f"1,000 ops in one process: {seconds:.3f} ms an op")
    assert len(reports) == 2_000
    assert reports[-1].outputs == {"result": "1000"}
    assert unpack_states(record.summary) == ["Succeeded"] * 1_000


@BOTH
def test_taken_outputs_stand_where_those_of_steps_would(tmp_path: Path, executor: dict[str, Any]) -> None:
    file = tmp_path / "job.py"
    file.write_text(CODE)
    code = CodeRef(file=str(file))
    group = {"selection": ["split", "skipped"], "taken": {"one": {"result": 41}}, "execution": {"config": executor}}
    lines: list[str] = []
    record = run_group(code.load(), code, Assignment("", "n", "r", group=group), lines.append)
    ended = {r.step: r for r in reports_in(lines, Signer("n"))}
    assert (record.outcome, ended.keys()) == ("Succeeded", {"split", "skipped"})
    assert ended["split"].outputs == {"a": "42"}
    assert list(unpack_states(record.summary)) == ["Succeeded", "Succeeded", "Skipped"]
