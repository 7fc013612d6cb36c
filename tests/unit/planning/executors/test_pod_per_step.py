"""The attempts at a Job's steps, followed through one `Run` and through restarts of it."""

from __future__ import annotations

import time
import tracemalloc
from typing import Any

import pytest

from builders import NOW, created, ended, image_op, look, make_run, pod_with, states
from podgraph.planning.job.run import Run
from podgraph.planning.model import names
from podgraph.planning.pods.types import ContainerState, Meta, Pod, PodStatus, Running
from podgraph.protocol.times import utc

Obj = dict[str, Any]
ENDED = 1_795_424_400.0  # when the pods of test_run end


def name(step: str, attempt: int = 1) -> str:
    return names.step_pod("j", "u1", step, attempt)


def failed(step: str, attempt: int = 1, uid: str = "p1") -> Pod:
    return ended(name(step, attempt), "", 1, uid)


def running(step: str, at: float = NOW, deleted: float | None = None, uid: str = "p1") -> Pod:
    state = ContainerState(running=Running(utc(at)))
    made = pod_with(name(step), state, uid)
    meta = Meta(name(step), "default", uid, deletion_timestamp=None if deleted is None else utc(deleted))
    return Pod(meta, PodStatus(container_statuses=made.status.container_statuses))


def policy(retries: int = 1, **more: Any) -> Obj:
    return {"maxRetries": retries, **more}


def record(run: Run, step: str) -> Any:
    assert run.steps is not None
    return run.steps.records[step]


def after(run: Run, status: Obj, *ops: Obj, **spec: Any) -> Run:
    """Return the run that an operator makes anew from what was written."""
    return make_run(*ops, status={**status, **run.patch(NOW)}, **spec)


def test_a_retry_is_due_so_long_after_the_attempt_s_end() -> None:
    run = make_run(image_op("a", retryPolicy=policy(delaySeconds=30)))
    look(run)
    actions = look(run, failed("a"), now=ENDED + 1)
    assert states(run) == {"a": "UpForRetry"}
    assert [(e.reason, e.op) for e in actions.events] == [("StepRetried", "a")]
    assert actions.requeue_time == ENDED + 30
    assert record(run, "a").retry_time == utc(ENDED + 30)
    assert created(run.advance({}, [], ENDED + 29)) == []
    assert created(run.advance({}, [], ENDED + 30)) == ["a"]
    assert (record(run, "a").attempt, record(run, "a").state, record(run, "a").reason) == (2, "Starting", "")


@pytest.mark.parametrize("written", [False, True])
def test_a_restart_finds_the_same_time_whether_or_not_it_was_written(written: bool) -> None:
    spec = image_op("a", retryPolicy=policy(delaySeconds=30, jitter="Full"))
    first = make_run(spec)
    status = {**look(first).status}
    first.created(name("a"), "p1")
    status = {**status, **first.patch(NOW)}
    look(first, failed("a"), now=ENDED + 1)
    time = record(first, "a").retry_time
    second = after(first, status, spec) if written else make_run(spec, status=status)
    look(second, failed("a"), now=ENDED)
    assert record(second, "a").retry_time == time
    assert states(second) == {"a": "UpForRetry"}


def test_a_step_found_before_what_it_waits_for_begins_when_that_has_ended() -> None:
    """The operator died before it wrote anything: both failed once, and the first has succeeded since."""
    ops = (image_op("a", retryPolicy=policy()), image_op("b", "a", retryPolicy=policy()))
    known = [failed("b", uid="p3"), ended(name("a", 2), uid="p2"), failed("a")]
    run = make_run(*ops)
    actions = look(run, *known)
    assert created(actions) == ["b"]
    assert actions.creates[0]["metadata"]["name"] == name("b", 2)
    assert {s: (record(run, s).state, record(run, s).attempt) for s in "ab"} == {
        "a": ("Succeeded", 2),
        "b": ("Starting", 2),
    }


def test_an_attempt_that_was_asked_for_and_never_seen_is_asked_for_again() -> None:
    spec = image_op("a", retryPolicy=policy())
    first = make_run(spec)
    status = {**look(first).status}
    look(first, failed("a"))
    assert (record(first, "a").state, record(first, "a").attempt) == ("Starting", 2)
    second = after(first, status, spec)
    actions = look(second, failed("a"))
    assert [p["metadata"]["name"] for p in actions.creates] == [name("a", 2)]


def test_a_status_from_before_there_were_attempts_is_read() -> None:
    status = {"startTime": utc(NOW), "steps": {"a": {"state": "Running", "podUID": "p1"}}}
    run = make_run(image_op("a"), status=status)
    look(run, ended(name("a")))
    assert (record(run, "a").state, record(run, "a").attempt) == ("Succeeded", 1)


def test_a_pod_that_comes_too_late_is_deleted() -> None:
    run = make_run(image_op("a"), image_op("b"), execution={"infrastructureRetries": 0})
    look(run)
    run.not_created(name("a"), "Forbidden", "quota", NOW)
    assert states(run) == {"a": "Failed", "b": "Starting"}
    assert look(run, running("a")).deletes == [name("a")]
    assert look(run, running("a", deleted=NOW)).deletes == []


def test_a_timeout_is_written_before_the_pod_is_deleted_and_counts_when_it_has_gone() -> None:
    run = make_run(image_op("a", timeoutSeconds=60))
    look(run)
    assert look(run, running("a")).requeue_time == NOW + 60
    actions = run.advance({name("a"): running("a")}, [], NOW + 60)
    assert (actions.deletes, actions.flush_status) == ([name("a")], True)
    assert (record(run, "a").state, record(run, "a").reason) == ("Stopping", "Timeout")
    # Even an exit code 0 comes too late now.
    look(run, ended(name("a")), now=NOW + 61)
    assert (record(run, "a").state, record(run, "a").reason) == ("Failed", "Timeout")


def test_a_pod_whose_end_is_never_told_is_waited_for_only_so_long() -> None:
    run = make_run(image_op("a", timeoutSeconds=60))
    look(run)
    known = {name("a"): running("a")}
    run.advance(known, known, NOW + 60)
    dying = {name("a"): running("a", deleted=NOW + 90)}
    assert run.advance(dying, dying, NOW + 61).requeue_time == NOW + 120
    run.advance(dying, [], NOW + 120)
    assert (record(run, "a").state, record(run, "a").reason) == ("Failed", "Timeout")


def test_a_deadline_ends_the_job_and_asks_to_be_looked_at() -> None:
    run = make_run(image_op("a"), image_op("b", "a"), activeDeadlineSeconds=100)
    assert look(run).requeue_time == NOW + 100
    known = {name("a"): running("a")}
    assert run.advance(known, known, NOW + 99).requeue_time == NOW + 100
    actions = run.advance(known, [], NOW + 100)
    assert states(run) == {"a": "Stopping", "b": "Canceled"}
    assert actions.requeue_time is None
    look(run, ended(name("a"), "", 143), now=NOW + 101)
    assert run.finished
    assert (record(run, "a").state, record(run, "a").reason) == ("Failed", "DeadlineExceeded")


def test_a_retry_with_a_long_delay_does_not_hide_the_deadline() -> None:
    run = make_run(image_op("a", retryPolicy=policy(delaySeconds=1000)), activeDeadlineSeconds=100)
    look(run, now=ENDED)
    assert look(run, failed("a"), now=ENDED).requeue_time == ENDED + 100


def test_suspend_keeps_what_is_due_waiting_without_looking_again_and_again() -> None:
    run = make_run(image_op("a", retryPolicy=policy()), image_op("b"))
    look(run)
    steer(run, suspend=True)
    assert created(look(run, failed("a"), running("b"))) == []
    actions = run.advance({}, [], NOW + 500)
    assert (created(actions), actions.requeue_time) == ([], None)
    steer(run, suspend=False)
    assert created(run.advance({}, [], NOW + 501)) == ["a"]


def steer(run: Run, **spec: Any) -> None:
    run.spec_changed({"metadata": {"generation": 2}, "spec": spec})


def test_a_cancel_deletes_what_may_be_there_and_looks_for_it() -> None:
    run = make_run(image_op("a"), image_op("b", "a"))
    look(run)
    steer(run, cancel=True)
    actions = run.advance({}, [], NOW)
    assert (actions.deletes, actions.confirm) == ([name("a")], [name("a")])
    assert states(run) == {"a": "Stopping", "b": "Canceled"}
    assert actions.status["observedGeneration"] == 2
    run.confirm_gone(name("a"))
    run.advance({}, [name("a")], NOW)
    assert run.finished
    assert states(run) == {"a": "Canceled", "b": "Canceled"}


def test_a_cancel_after_a_restart_ends_pods_that_nothing_was_written_of() -> None:
    first = make_run(image_op("a"), image_op("b", "a"))
    status = {**look(first).status}
    run = make_run(image_op("a"), image_op("b", "a"), status=status, cancel=True)
    actions = look(run, running("a"))
    assert actions.deletes == [name("a")]
    assert states(run) == {"a": "Stopping", "b": "Canceled"}


def test_success_comes_before_a_cancel_that_is_seen_with_it() -> None:
    run = make_run(image_op("a"))
    look(run)
    steer(run, cancel=True)
    actions = look(run, ended(name("a")))
    assert states(run) == {"a": "Succeeded"}
    assert next(c for c in actions.status["conditions"] if c["type"] == "Succeeded")["status"] == "True"


@pytest.mark.parametrize("nonce", ["x", "the right one"])
def test_a_script_op_that_prints_marked_lines_without_end_costs_a_bounded_amount(nonce: str) -> None:
    run = make_run(image_op("a", script="yes"))
    look(run)
    look(run, running("a"))
    nonce = names.nonce("u1", "a", 1) if nonce == "the right one" else nonce
    lines = [f"2026-11-29T21:00:00Z ::podgraph-output {nonce}::{'y' * 1_000}"] * 1_000

    def feed(rounds: int) -> float:
        start = time.process_time()
        for _ in range(rounds):
            assert not run.take_lines(name("a"), lines)
        return time.process_time() - start

    few = feed(10)
    tracemalloc.start()
    many = feed(100)  # 100 MiB
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 100_000
    assert many < 10 * few * 10 + 2  # to read all again with each chunk took 100 times as long
