"""Retries, time limits, suspend, cancel, limits and retention on a real cluster, where pods take time to end."""

from __future__ import annotations

import itertools
import json
import textwrap
import time
from typing import Any

import pytest

from cluster.kube import Kube, job_manifest, outputs_of, reasons_of, states_of

BUSYBOX = "busybox:1"
SECONDS = 150
ENDS_AT_TERM = "trap 'exit 143' TERM; sleep 600 & wait"

PYTHON = """
import os, time
from podgraph import Failure, RetryPolicy, RetryRequested, job, op

@op(retry_policy=RetryPolicy(max_retries=2))
def by_policy(context):
    if context.retry_number < 2:
        raise ValueError(f"attempt {context.retry_number}")
    return context.retry_number

@op(retry_policy=RetryPolicy(max_retries=1))
def killed(context):
    if context.retry_number < 1:
        os._exit(7)
    return "lived"

@op
def asks(context):
    if context.retry_number < 1:
        raise RetryRequested(max_retries=1, seconds_to_wait=2)
    return context.retry_number

@op(retry_policy=RetryPolicy(max_retries=5))
def refuses():
    raise Failure("no use", allow_retries=False)

@op(timeout=3)
def slow():
    time.sleep(600)

@job
def my_job():
    by_policy()
    killed()
    asks()
    refuses()
    slow()
"""


def script(name: str, text: str = "true", **more: Any) -> dict[str, Any]:
    outputs = [{"name": o} for o in more.pop("outputs", [])]
    return {"name": name, "image": BUSYBOX, "script": textwrap.dedent(text), "outputs": outputs, **more}


def waits(name: str, **more: Any) -> dict[str, Any]:
    """An op that runs until it is told to end, and then ends at once."""
    return script(name, ENDS_AT_TERM, **more)


@pytest.fixture(autouse=True)
def running_operator(operator: Any) -> None:
    """All of these tests need the operator."""


def steer(kube: Kube, name: str, **spec: Any) -> None:
    kube.run("patch", "pgj", name, "--type=merge", "-p", json.dumps({"spec": spec}))


def step(kube: Kube, name: str, op: str) -> dict[str, Any]:
    return dict((kube.get("pgj", name).get("status") or {}).get("steps", {}).get(op) or {})


def wait_for_state(kube: Kube, name: str, op: str, state: str) -> dict[str, Any]:
    kube.wait_for(f"{op} {state}", lambda: step(kube, name, op).get("state") == state, SECONDS)
    return step(kube, name, op)


def pod_of(kube: Kube, name: str, op: str) -> dict[str, Any]:
    """Return the newest pod of an op."""
    found = kube.wait_for(f"a pod of {op}", lambda: kube.pods_of(name).get(op), 60)
    return dict(max(found, key=lambda pod: pod["metadata"]["creationTimestamp"]))


def no_pods(kube: Kube, name: str) -> None:
    kube.wait_for("no pods", lambda: not kube.pods_of(name), 60)


@pytest.fixture(scope="module")
def applied(operator: Any, shared: Kube, step_image: str) -> Kube:
    """The Jobs that run their course without being steered, all at once."""
    tags = [{"db": "x", "podgraph/priority": str(i)} for i in range(3)]
    limits = {"tagConcurrencyLimits": [{"key": "db", "limit": 1}], "podRetention": "Never"}
    shared.create(
        [
            job_manifest("python", code={"image": step_image, "source": PYTHON}),
            job_manifest("signal", ops=[script("a", "exit 137")]),
            job_manifest("op-late", ops=[waits("a", timeoutSeconds=3), script("b", after=["a"])]),
            job_manifest("job-late", ops=[waits("a"), script("b", after=["a"])], activeDeadlineSeconds=10),
            job_manifest(
                "limited", ops=[script(f"n{i}", "sleep 2", tags=tag) for i, tag in enumerate(tags)], execution=limits
            ),
        ]
    )
    return shared


def test_a_retry_survives_the_operator(namespace: Kube, operator: Any) -> None:
    policy = {"maxRetries": 1, "delaySeconds": 8}
    namespace.create(job_manifest("later", ops=[script("a", "exit 3", retryPolicy=policy)]))
    record = wait_for_state(namespace, "later", "a", "UpForRetry")
    assert "exit code 3" in record["message"]
    assert record["retryTime"] > record["completionTime"]
    operator.kill()
    operator.start()
    job = namespace.wait_finished("later", SECONDS)
    assert job["status"]["steps"]["a"]["attempt"] == 2
    assert len(namespace.pods_of("later")["a"]) == 2


def test_an_exit_code_names_its_signal(applied: Kube) -> None:
    record = applied.wait_finished("signal", SECONDS)["status"]["steps"]["a"]
    assert record["state"] == "Failed"
    assert "container 'step' ended with exit code 137, SIGKILL" in record["message"]


def test_a_pod_that_is_deleted_is_made_good(namespace: Kube) -> None:
    namespace.create(job_manifest("deleted", ops=[waits("a")], execution={"infrastructureRetries": 1}))
    wait_for_state(namespace, "deleted", "a", "Running")
    namespace.delete("pod", pod_of(namespace, "deleted", "a")["metadata"]["name"])
    record = wait_for_state(namespace, "deleted", "a", "UpForRetry")
    assert (record["reason"], record["infrastructureFailures"]) == ("PodDeleted", 1)
    namespace.wait_for("attempt 2", lambda: step(namespace, "deleted", "a").get("attempt") == 2, 60)
    steer(namespace, "deleted", cancel=True)
    namespace.wait_finished("deleted", SECONDS)


def test_a_pod_that_a_quota_can_never_have_fails_at_once(namespace: Kube) -> None:
    quota = {"hard": {"pods": "0"}}
    namespace.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": quota})
    namespace.wait_for("the quota", lambda: namespace.get("resourcequota", "none").get("status"), 30)
    namespace.create(job_manifest("refused", ops=[script("a")]))
    record = namespace.wait_finished("refused", SECONDS)["status"]["steps"]["a"]
    assert record["reason"] == "Forbidden"
    assert "exceeded quota" in record["message"]


@pytest.mark.parametrize("prestart", [0, 1])
def test_a_chain_runs_where_there_is_room_for_one_pod(namespace: Kube, prestart: int) -> None:
    quota = {"hard": {"pods": "1"}}
    namespace.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}, "spec": quota})
    namespace.wait_for("the quota", lambda: namespace.get("resourcequota", "one").get("status"), 30)
    source = (
        "from podgraph import job, op\n"
        "@op\ndef a(): return 1\n"
        "@op\ndef b(x): return x + 1\n"
        "@op\ndef c(x): return x + 1\n"
        "@job\ndef j(): c(b(a()))\n"
    )
    namespace.create(job_manifest("chain", code={"source": source}, execution={"prestart": prestart}))
    steps = namespace.wait_finished("chain", SECONDS)["status"]["steps"]
    assert {name: (s["state"], s["attempt"]) for name, s in steps.items()} == dict.fromkeys("abc", ("Succeeded", 1))


def test_a_step_waits_for_room_in_the_quota_and_tells_why(namespace: Kube) -> None:
    quota = {"hard": {"pods": "1"}}
    namespace.create({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "one"}, "spec": quota})
    namespace.wait_for("the quota", lambda: namespace.get("resourcequota", "one").get("status"), 30)
    namespace.create(job_manifest("first", ops=[waits("a")]))
    wait_for_state(namespace, "first", "a", "Running")
    namespace.create(job_manifest("second", ops=[script("a")]))
    namespace.wait_for("a reason", lambda: step(namespace, "second", "a").get("reason") == "QuotaExceeded", 30)
    record = step(namespace, "second", "a")
    assert (record["state"], record.get("attempt")) == ("Pending", None)
    assert "exceeded quota: one, requested: pods=1, used: pods=1, limited: pods=1" in record["message"]
    steer(namespace, "first", cancel=True)
    record = namespace.wait_finished("second", SECONDS)["status"]["steps"]["a"]
    assert (record["state"], record["attempt"]) == ("Succeeded", 1)


def test_an_op_and_a_job_that_take_too_long_are_ended(applied: Kube) -> None:
    job = applied.wait_finished("op-late", SECONDS)
    assert job["status"]["steps"]["a"]["reason"] == "Timeout"
    assert states_of(job) == {"a": "Failed", "b": "UpstreamFailed"}
    job = applied.wait_finished("job-late", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/DeadlineExceeded"
    assert states_of(job) == {"a": "Failed", "b": "Canceled"}
    no_pods(applied, "job-late")


def test_a_finished_job_goes_with_its_pods(namespace: Kube) -> None:
    execution = {"podRetention": "Always"}
    namespace.create(job_manifest("brief", ops=[script("a")], ttlSecondsAfterFinished=3, execution=execution))
    namespace.wait_finished("brief", SECONDS)
    namespace.wait_for("the job's deletion", lambda: not namespace.find("pgj"), 60)
    no_pods(namespace, "brief")


def test_suspend_and_go_on(namespace: Kube) -> None:
    namespace.create(job_manifest("held", ops=[script("a"), waits("b"), script("c", after=["a"])], suspend=True))
    namespace.wait_for(
        "Suspended", lambda: namespace.run("get", "pgj", "held", "--no-headers").split()[1:2] == ["Suspended"], 30
    )
    time.sleep(1)
    assert namespace.pods_of("held") == {}
    steer(namespace, "held", suspend=False)
    wait_for_state(namespace, "held", "b", "Running")
    wait_for_state(namespace, "held", "c", "Succeeded")
    steer(namespace, "held", cancel=True)
    job = namespace.wait_finished("held", SECONDS)
    assert states_of(job) == {"a": "Succeeded", "b": "Canceled", "c": "Succeeded"}


def test_a_cancel_while_pods_are_made_leaves_none_behind(namespace: Kube) -> None:
    ops = [waits(f"n{i}") for i in range(20)]
    namespace.create(job_manifest("canceled", ops=[*ops, script("last", after=["n0"])]))
    namespace.wait_for("some pods", lambda: len(namespace.pods_of("canceled")) >= 3, 60, 0.05)
    steer(namespace, "canceled", cancel=True)
    job = namespace.wait_finished("canceled", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/Canceled"
    assert set(states_of(job).values()) == {"Canceled"}
    no_pods(namespace, "canceled")


def test_no_more_run_at_once_than_may(applied: Kube) -> None:
    steps = applied.wait_finished("limited", SECONDS)["status"]["steps"]
    order = sorted(steps, key=lambda op: steps[op]["startTime"])
    assert order == ["n2", "n1", "n0"]
    for before, behind in itertools.pairwise(order):
        assert steps[before]["completionTime"] <= steps[behind]["startTime"]
    no_pods(applied, "limited")


def test_python_ops_are_tried_again_as_they_say(applied: Kube) -> None:
    job = applied.wait_finished("python", SECONDS)
    steps = job["status"]["steps"]
    assert {op: (record["state"], record["attempt"]) for op, record in steps.items()} == {
        "by_policy": ("Succeeded", 3),
        "killed": ("Succeeded", 2),
        "asks": ("Succeeded", 2),
        "refuses": ("Failed", 1),
        "slow": ("Failed", 1),
    }
    assert outputs_of(job, "by_policy") == {"result": 2}
    assert outputs_of(job, "killed") == {"result": "lived"}
    assert steps["slow"]["reason"] == "Timeout"
    assert reasons_of(job)["Succeeded"] == "False/Failed"
    # What failed stays to be looked at; what succeeded has gone with the job's end, and so has, when its grace is
    # over, what took too long: this test comes last.
    applied.wait_for(
        "the pods that failed", lambda: {op: len(p) for op, p in applied.pods_of("python").items()} == {
            "by_policy": 2, "killed": 1, "asks": 1, "refuses": 1,
        }, 60,
    )  # fmt: skip
