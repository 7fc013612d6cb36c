"""Jobs whose steps all run in one pod, on a real cluster."""

from __future__ import annotations

import time
from typing import Any

import pytest

from cluster.kube import Kube, KubeError, job_manifest, outputs_of, reasons_of, states_of

SECONDS = 150

SLOW = """
import os, time
from podgraph import RetryPolicy, job, op

@op
def one():
    print("no end of line", end="")
    return {1}

@op(retry_policy=RetryPolicy(max_retries=1))
def again(context, x):
    if not context.retry_number:
        raise ValueError("not yet")
    return list(x)

@op
def slow(context, x):
    time.sleep(15)
    return os.getpid()

@op
def last(x, seen):
    return x != seen

@op
def pid():
    return os.getpid()

@job(config={"execution": {"config": {"multiprocess": {}}}})
def j():
    last(slow(again(one())), pid())
"""
STEPS = ("one", "again", "slow", "last", "pid")

DIES = """
import os
from podgraph import job, op

@op
def fine():
    return 1

@op
def leaves(x):
    os._exit(7)

@op
def never(x):
    pass

@job
def j():
    never(leaves(fine()))
"""

HANGS = """
import time
from podgraph import job, op, resource

@resource
def db():
    yield 1
    print("db is put away", flush=True)

@op
def fine():
    return 1

@op(required_resource_keys={"db"})
def hangs(x):
    time.sleep(600)

@op
def never(x):
    pass

@job(resource_defs={"db": db})
def j():
    never(hangs(fine()))
"""

MANY = "from podgraph import job, op\n@op\ndef f(x):\n    return x + 1\n@job\ndef j():\n    x = 0\n" + "\n".join(
    f"    x = f.alias('s{at}')(x)" for at in range(1_000)
)


@pytest.fixture(autouse=True)
def running_operator(operator: Any) -> None:
    """All of these tests need the operator."""


def code(step_image: str, source: str) -> dict[str, Any]:
    return {"image": step_image, "source": source}


def step(kube: Kube, name: str, op: str) -> dict[str, Any]:
    return dict((kube.get("pgj", name).get("status") or {}).get("steps", {}).get(op) or {})


def wait_for_state(kube: Kube, name: str, op: str, state: str) -> None:
    kube.wait_for(f"{op} {state}", lambda: step(kube, name, op).get("state") == state, SECONDS)


def pod_of(kube: Kube, name: str, job: dict[str, Any]) -> dict[str, Any]:
    """Return the one pod that all steps of a Job name."""
    (uid,) = {record["podUID"] for record in job["status"]["steps"].values() if "podUID" in record}
    return next(dict(p) for pods in kube.pods_of(name).values() for p in pods if p["metadata"]["uid"] == uid)


MODES: dict[str, dict[str, Any]] = {
    "in-process": {"mode": "InProcess"},
    "forkserver": {"mode": "Multiprocess", "maxConcurrent": 2},
    "spawn": {"mode": "Multiprocess", "startMethod": "Spawn", "maxConcurrent": 2},
}


@pytest.fixture(scope="module")
def interrupted(shared: Kube, operator: Any, step_image: str) -> Kube:
    """A Job of each mode that was in the middle of its slow step when the operator was killed, once for all."""
    for name, execution in MODES.items():
        kept = {**execution, "podRetention": "Always"}
        shared.create(job_manifest(name, code=code(step_image, SLOW), execution=kept))

    def all_slow() -> bool:
        return all(step(shared, name, "slow").get("state") == "Running" for name in MODES)

    shared.wait_for("all of them in the slow step", all_slow, SECONDS)
    for name in MODES:
        assert step(shared, name, "again")["attempt"] == 2
        assert step(shared, name, "last")["state"] == "Pending"
    operator.kill()
    operator.start()
    return shared


@pytest.mark.parametrize("name", MODES)
def test_each_step_is_shown_as_it_happens_and_survives_the_operator(interrupted: Kube, name: str) -> None:
    job = interrupted.wait_finished(name, SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", interrupted.describe(name)
    assert states_of(job) == dict.fromkeys(STEPS, "Succeeded")
    assert outputs_of(job, "last") == {"result": MODES[name]["mode"] == "Multiprocess"}
    assert "outputs" not in job["status"]["steps"]["one"]  # a set: it passed all the same
    steps = job["status"]["steps"]
    assert steps["slow"]["startTime"] < steps["slow"]["completionTime"] <= steps["last"]["startTime"]
    pods = [pod for found in interrupted.pods_of(name).values() for pod in found]
    assert len(pods) == 2  # one has read the code
    log = interrupted.logs(pod_of(interrupted, name, job)["metadata"]["name"])
    assert "no end of line" in log
    assert "ValueError: not yet" in log


def test_a_pod_that_dies_fails_what_it_ran(namespace: Kube, step_image: str) -> None:
    namespace.create(job_manifest("dies", code=code(step_image, DIES), execution={"mode": "InProcess"}))
    job = namespace.wait_finished("dies", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/Failed"
    assert states_of(job) == {"fine": "Succeeded", "leaves": "Failed", "never": "UpstreamFailed"}
    record = job["status"]["steps"]["leaves"]
    assert record["reason"] == "ContainerFailed"
    assert "exit code 7" in record["message"]
    namespace.wait_for(  # it stays, to be looked at; a kubelet tells the phase of so short a life late
        "its end", lambda: pod_of(namespace, "dies", job)["status"]["phase"] == "Failed", 30
    )


def test_a_worker_that_dies_fails_its_step_alone(namespace: Kube, step_image: str) -> None:
    namespace.create(job_manifest("worker", code=code(step_image, DIES), execution={"mode": "Multiprocess"}))
    job = namespace.wait_finished("worker", SECONDS)
    assert states_of(job) == {"fine": "Succeeded", "leaves": "Failed", "never": "UpstreamFailed"}
    assert job["status"]["steps"]["leaves"]["reason"] == "WorkerDied"


def test_cancel_and_deadline_end_the_pod(namespace: Kube, step_image: str) -> None:
    one_pod = {"code": code(step_image, HANGS), "execution": {"mode": "InProcess"}}
    namespace.create(job_manifest("canceled", **one_pod))
    namespace.create(job_manifest("late", **one_pod, activeDeadlineSeconds=25))
    wait_for_state(namespace, "canceled", "hangs", "Running")
    asked = time.monotonic()
    namespace.run("patch", "pgj", "canceled", "--type=merge", "-p", '{"spec": {"cancel": true}}')
    job = namespace.wait_finished("canceled", SECONDS)
    assert time.monotonic() - asked < 25  # it heeds SIGTERM, and is not killed after its 30 seconds
    assert reasons_of(job)["Succeeded"] == "False/Canceled"
    assert states_of(job) == {"fine": "Succeeded", "hangs": "Canceled", "never": "Canceled"}
    job = namespace.wait_finished("late", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/DeadlineExceeded"
    assert states_of(job) == {"fine": "Succeeded", "hangs": "Failed", "never": "Canceled"}


def test_a_thousand_steps_in_one_pod(namespace: Kube, step_image: str) -> None:
    namespace.create(job_manifest("thousand", code=code(step_image, MANY), execution={"mode": "InProcess"}))
    job = namespace.wait_finished("thousand", SECONDS)
    assert states_of(job) == dict.fromkeys((f"s{at}" for at in range(1_000)), "Succeeded")
    assert outputs_of(job, "s999") == {"result": 1_000}
    steps = job["status"]["steps"]
    print(f"1,000 steps: {steps['s0']['startTime']} to {steps['s999']['completionTime']}")


@pytest.mark.parametrize("spec", [
    {"execution": {"mode": "InProcess"}},
    {"execution": {"mode": "PodPerStep", "startMethod": "Spawn"}},
])  # fmt: skip
def test_the_api_server_refuses_what_has_no_mode(namespace: Kube, spec: dict[str, Any]) -> None:
    ops = [{"name": "a", "image": "busybox:1"}]
    with pytest.raises(KubeError, match=r"Python ops|Multiprocess"):
        namespace.create(job_manifest("refused", ops=ops, **spec))


def test_run_config_for_container_ops_is_refused(namespace: Kube) -> None:
    run_config = {"execution": {"config": {"in_process": {}}}}
    namespace.create(job_manifest("refused", ops=[{"name": "a", "image": "busybox:1"}], runConfig=run_config))
    job = namespace.wait_finished("refused", SECONDS)
    assert reasons_of(job)["Accepted"] == "False/InvalidSpec"
