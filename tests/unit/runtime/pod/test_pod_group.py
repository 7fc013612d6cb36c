"""The steps that share a pod: what they are given from outside, give each other, and tell."""

from __future__ import annotations

import base64
import os
import pickle
import signal
import threading
from pathlib import Path
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.protocol.reports import StepReport, reports_in, unpack_states
from podgraph.protocol.signing import Signer, data_mac, value_mac
from podgraph.protocol.step import Assignment, Record
from podgraph.runtime.load import CodeRef
from podgraph.runtime.pod.pod_group import run_shared

CODE = """
import threading
from podgraph import *

@op
def outside():
    return [1]

@op(pod="p", config_schema={"by": int})
def load(context, rows, extra: int):
    rows.append(extra)
    return threading.Lock(), rows, context.op_config["by"]

@op(pod="p", out={"big": Out(), "small": Out(), "odd": Out(is_required=False)}, retry_policy=RetryPolicy(max_retries=2))
def part(context, loaded, rows):
    if context.retry_number < 2:
        raise ValueError("not yet")
    yield Output("x" * 10_000, "big")
    yield Output([loaded[1], rows], "small")

@op(pod="p")
def skipped(odd):
    return odd

@op(pod="p")
def fails(x):
    return x / 0

@op(pod="p")
def after(x):
    return x

@op
def takes(big, small):
    pass

@job
def j():
    rows = outside()
    loaded = load(rows)
    big, small, odd = part(loaded, rows)
    skipped(odd)
    after(fails(small))
    takes(big, small)
"""
MEMBERS = ["load", "part", "skipped", "fails", "after"]
OPS: dict[str, Any] = {
    "load": {"inputs": {"extra": 7}, "configured": ["extra"], "config": {"by": 2}},
    "part": {"told": ["small"], "attempt": 1, "lost": 1},
    "skipped": {},
    "fails": {},
    "after": {},
}
DONE = {"outside": {"outputs": {"result": {"value": [1]}}}}


def run(
    tmp_path: Path, ops: dict[str, Any] = OPS, done: dict[str, Any] = DONE, source: str = CODE, **more: Any
) -> tuple[Record, dict[str, list[StepReport]]]:
    path = tmp_path / f"job_{abs(hash(source))}.py"
    path.write_text(source)
    shared = {"pod": "p", "members": MEMBERS, "ops": ops, "done": done}
    lines: list[str] = []
    record = run_shared(CodeRef(str(path)).load(), Assignment("", "n", "u1", shared=shared, **more), lines.append)
    assert Record.from_text(record.to_text()) == record
    told: dict[str, list[StepReport]] = {}
    for report in reports_in(lines, Signer("n")):
        told.setdefault(report.step, []).append(report)
    return record, told


def test_values_stay_in_memory_and_what_is_needed_outside_is_told(tmp_path: Path) -> None:
    record, told = run(tmp_path)
    assert {step: [r.state for r in reports] for step, reports in told.items()} == {
        "load": ["Running", "Succeeded"],
        "part": ["Running", "UpForRetry", "Running", "Succeeded"],
        "skipped": ["Skipped"],
        "fails": ["Running", "Failed"],
        "after": ["UpstreamFailed"],
    }
    assert [r.attempt for r in told["part"]] == [2, 2, 3, 3], "the attempt that was lost counts in the number"
    last = told["part"][-1]
    assert last.outputs == {"small": "[[1,7],[1]]"}, "each step has outside values of its own; the large one stays"
    assert told["load"][-1].outputs == {}
    assert "TypeError" in told["fails"][-1].message
    assert (record.outcome, record.reason, record.message) == ("Failed", "StepsFailed", "1 of 5 steps failed")
    assert unpack_states(record.summary) == ["Succeeded", "Succeeded", "Skipped", "Failed", "UpstreamFailed"]


def test_a_retry_policy_counts_the_op_s_own_failures(tmp_path: Path) -> None:
    _, told = run(tmp_path, {**OPS, "part": {"told": ["small"], "attempt": 2}}, source=CODE.replace("< 2", "< 9"))
    assert [r.state for r in told["part"]] == ["Running", "Failed"], "two of three were before"


def test_what_another_pod_needs_must_fit_and_is_named(tmp_path: Path) -> None:
    _, told = run(tmp_path, {**OPS, "part": {"told": ["small", "big"], "attempt": 2, "lost": 2}})
    reports = told["part"]
    assert [r.state for r in reports] == ["Running", "UpForRetry"] * 2 + ["Running", "Failed"], "as its policy says"
    assert reports[-1].reason == "OutputTooLarge"
    assert "output 'big' of op 'part' is 10,002 bytes" in reports[-1].message


def test_with_storage_it_is_told_by_reference_below_the_pod_s_own_key(tmp_path: Path) -> None:
    ops = {**OPS, "part": {"told": ["small", "big"], "attempt": 2}}
    _, told = run(tmp_path, ops, storage=f"file://{tmp_path}/store", prefix="ns/j/u/@p/3")
    last = told["part"][-1]
    assert (last.state, last.attempt) == ("Succeeded", 3)
    assert last.stored["big"].keys() == {"format", "size", "sha256", "mac"}
    assert (tmp_path / "store/ns/j/u/@p/3/ops/part/3/big").stat().st_size == 10_002


def test_inputs_come_by_reference_as_they_do_to_other_steps(tmp_path: Path) -> None:
    data = base64.b64encode(pickle.dumps([1])).decode()
    mac = data_mac(b"", "pickle", pickle.dumps([1]))
    _, told = run(tmp_path, done={"outside": {"outputs": {"result": {"format": "pickle", "data": data, "mac": mac}}}})
    assert told["part"][-1].outputs == {"small": "[[1,7],[1]]"}
    gone = {"format": "json", "size": 3, "sha256": "0" * 64, "key": "ns/gone"}
    gone["mac"] = value_mac(b"", "json", "0" * 64, 3)
    _, told = run(tmp_path, done={"outside": {"outputs": {"result": gone}}}, storage=f"file://{tmp_path}/store")
    assert (told["load"][-1].reason, told["load"][-1].state) == ("InputNotReadable", "Failed")
    assert "input 'rows' of op 'load'" in told["load"][-1].message
    assert told["part"][-1].state == "UpstreamFailed"


def test_what_earlier_pods_have_done_is_not_run_again(tmp_path: Path) -> None:
    done = {"part": {"outputs": {"small": {"value": 4}}}}
    record, told = run(tmp_path, {"fails": {}, "after": {}}, done, source=CODE.replace("x / 0", "x / 2"))
    assert {step: reports[-1].outputs for step, reports in told.items()} == {
        "fails": {"result": "2.0"}, "after": {"result": "2.0"}
    }  # fmt: skip
    assert unpack_states(record.summary) == ["", "", "", "Succeeded", "Succeeded"]
    assert (record.outcome, record.reason) == ("Succeeded", "")


def test_a_skipped_step_outside_skips_what_needs_it(tmp_path: Path) -> None:
    ops = {name: OPS[name] for name in ("load", "part")}
    _, told = run(tmp_path, ops, {"outside": {"skipped": True}})
    assert {step: [r.state for r in reports] for step, reports in told.items()} == {
        "load": ["Skipped"], "part": ["Skipped"]
    }  # fmt: skip


@pytest.mark.parametrize(("config", "by"), [({"by": "two"}, "config of op 'load'"), ({"by": 1}, "input 'extra'")])
def test_config_that_is_not_right_fails_its_step(tmp_path: Path, config: Any, by: str) -> None:
    told_it = {"inputs": {"extra": "seven"}, "configured": ["extra"], "config": config}
    _, told = run(tmp_path, {**OPS, "load": told_it})
    assert (told["load"][-1].state, told["load"][-1].reason) == ("Failed", "InvalidRunConfig")
    assert by in told["load"][-1].message


def test_many_small_outputs_with_long_names_are_left_out_where_nobody_needs_them(tmp_path: Path) -> None:
    outs = ", ".join(f'"{"n" * 50}{at}": Out()' for at in range(80))
    source = f"""
from podgraph import *

@op(pod="p", out={{{outs}}})
def load():
    return tuple(range(80))

@job
def j():
    load()
"""
    _, told = run(tmp_path, {"load": {}}, {}, source)
    assert (told["load"][-1].state, told["load"][-1].outputs) == ("Succeeded", {})


def test_an_op_that_the_code_has_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match="no longer has op 'gone'"):
        run(tmp_path, {"gone": {}})


RESOURCE = """
import time, pathlib
from podgraph import *

@resource(config_schema={"path": str})
def db(context):
    if not context.resource_config["path"]:
        raise OSError("no route")
    yield 1
    pathlib.Path(context.resource_config["path"]).write_text("put away")

@op(pod="p", required_resource_keys={"db"})
def load():
    time.sleep(60)

@op(pod="p")
def part(x):
    pass

@op(pod="p")
def skipped():
    pass

@job(resource_defs={"db": db})
def j():
    part(load())
    skipped()
"""


def test_a_resource_that_cannot_be_made_fails_what_could_not_begin(tmp_path: Path) -> None:
    ops: dict[str, Any] = {name: {} for name in MEMBERS[:3]}
    record, told = run(tmp_path, ops, {}, RESOURCE, resources={"db": {"path": ""}})
    assert {step: reports[-1].state for step, reports in told.items()} == {
        "load": "Failed", "part": "UpstreamFailed", "skipped": "Failed"
    }  # fmt: skip
    assert "resource 'db' cannot be created: OSError: no route" in told["load"][-1].message
    assert record.reason == "StepsFailed"


def test_sigterm_ends_the_steps_and_puts_resources_away(tmp_path: Path) -> None:
    threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGTERM)).start()
    ops: dict[str, Any] = {name: {} for name in MEMBERS[:2]}
    record, told = run(tmp_path, ops, {}, RESOURCE, resources={"db": {"path": str(tmp_path / "said")}})
    assert (record.outcome, record.reason) == ("Failed", "Interrupted")
    assert {step: [r.state for r in reports] for step, reports in told.items()} == {"load": ["Running"]}
    assert (tmp_path / "said").read_text() == "put away"
