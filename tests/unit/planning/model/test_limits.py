"""How large a Job may be, held against what is written of it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace

from builders import NO_RETRIES, NOW, image_op, make_run, merged, pod_with
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Op
from podgraph.planning.job.run import Run
from podgraph.planning.model.limits import MAX_OBJECT, MAX_OPS, check_ops, output_budget
from podgraph.planning.pods.types import Condition, ContainerState, Pod, PodStatus, Running, Terminated
from podgraph.protocol.times import utc

Obj = dict[str, Any]
WORDS = "a sentence that goes on and on; " * 60
STORED = 1_572_864
"""What etcd takes."""


def stored(run: Run, status: Obj) -> int:
    job = {"metadata": run._object["metadata"], "spec": run.job_spec, "status": status}
    return len(json.dumps(job, separators=(",", ":")))


def all_at(run: Run, ends: bool, now: float) -> dict[str, Pod]:
    """The pods of all steps: they run, or have failed with many words."""
    state = ContainerState(running=Running(utc(now)))
    if ends:
        state = ContainerState(terminated=Terminated(1, 0, "Error", WORDS, utc(now)[:19] + "Z", utc(now)[:19] + "Z"))
    assert run.steps is not None
    names = [run._maker.name_of(step, 1) for step in run.steps.records]
    return {name: pod_with(name, state, uid=f"{at:036}") for at, name in enumerate(names)}


def test_a_job_of_the_most_ops_fits_whatever_becomes_of_them() -> None:
    run = make_run(*(image_op(f"transform_{at}") for at in range(MAX_OPS)), execution=NO_RETRIES)
    status: Obj = dict(run.advance({}, (), NOW).status)
    status = merged(status, run.patch(NOW))
    no_room = [Condition("PodScheduled", "False", "Unschedulable", WORDS)]
    held = {name: replace(pod, status=PodStatus(conditions=no_room)) for name, pod in all_at(run, False, NOW).items()}
    run.advance(held, held, NOW)
    status = merged(status, run.patch(NOW))
    assert (status["counts"]["starting"], status["steps"]["transform_7"]["reason"]) == (MAX_OPS, "Unschedulable")
    assert stored(run, status) < MAX_OBJECT
    running = all_at(run, False, NOW)
    run.advance(running, running, NOW)
    status = merged(status, run.patch(NOW))
    assert stored(run, status) < MAX_OBJECT
    failed = all_at(run, True, NOW + 1)
    names = list(failed)
    for at in range(0, len(names), 100):  # bit by bit, as messages are the shorter the more have failed
        some = names[at : at + 100]
        run.advance({**running, **{name: failed[name] for name in some}}, some, NOW + 1)
        status = merged(status, run.patch(NOW + 1))
    assert run.finished
    assert status["counts"]["failed"] == MAX_OPS
    assert stored(run, status) < STORED


def test_room_is_counted_by_what_records_take() -> None:
    job = {"metadata": {}, "spec": {}}
    assert output_budget(job, 0, [f"s{at}" for at in range(MAX_OPS)]) > 500_000
    with pytest.raises(DefinitionError, match="the job would be 1,999,894 bytes with its status"):
        output_budget(job, 0, ["x" * 250 + str(at) for at in range(10**4, 10**4 + 4_938)])


def test_more_ops_than_may_be_are_refused() -> None:
    run = make_run(*(image_op(f"s{at}") for at in range(MAX_OPS + 1)))
    run.advance({}, (), NOW)
    assert run.finished
    with pytest.raises(DefinitionError, match="5001 ops; at most 5000"):
        check_ops(Graph.of("j", [Op(f"s{at}") for at in range(MAX_OPS + 1)]))
