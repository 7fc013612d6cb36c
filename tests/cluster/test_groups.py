"""Jobs in which some ops share a pod, on a real cluster."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of, states_of
from cluster.volumes import node_claim
from podgraph.planning.model.names import POD_LABEL
from unit.cli.running import podgraph

SECONDS = 150
EXAMPLES = CHECKOUT / "tests" / "examples" / "groups"

SLOW = """
import os, time
from podgraph import Out, RetryPolicy, job, op

@op
def source():
    return [1, 2]

@op(pod="prep")
def load(rows):
    print("no end of line", end="")
    return lambda: (os.getpid(), rows)

@op(pod="prep", out={"first": Out(), "odd": Out()}, retry_policy=RetryPolicy(max_retries=1))
def part(context, loaded):
    if not context.retry_number:
        raise ValueError("not yet")
    pid, rows = loaded()
    assert pid == os.getpid()
    return rows[0], {rows[1]}

@op(pod="prep")
def slow(context, loaded, after):
    time.sleep(SLEEP)
    return context.retry_number, loaded()[1]

@op
def first(x):
    return x

@op
def odd(x):
    return len(x)

@op
def last(first, odd, slow):
    return [first, odd, slow[0]]

@job
def j():
    loaded = load(source())
    one, two = part(loaded)
    last(first(one), odd(two), slow(loaded, one))
"""
STEPS = ("source", "load", "part", "slow", "first", "odd", "last")
MEMBERS = ("load", "part", "slow")

DIES = """
import os
from podgraph import job, op

@op(pod="p")
def fine():
    return {1}

@op(pod="p")
def leaves(x):
    os._exit(7)

@op(pod="p")
def never(x):
    pass

@op(pod="p")
def apart(x):
    return len(x)

@job
def j():
    found = fine()
    never(leaves(found))
    apart(found)
"""

LARGE = """
from podgraph import job, op

@op(pod="p")
def load():
    return bytes(5_000_000)

@op(pod="p")
def both(x):
    print("words of both")
    return x * 2

@op
def size(x):
    return len(x)

@job
def j():
    size(both(load()))
"""


@pytest.fixture(autouse=True)
def running_operator(operator: Any) -> None:
    """All of these tests need the operator."""


def code(step_image: str, source: str) -> dict[str, Any]:
    return {"image": step_image, "source": source}


def step(kube: Kube, name: str, op: str) -> dict[str, Any]:
    return dict((kube.get("pgj", name).get("status") or {}).get("steps", {}).get(op) or {})


def wait_for_state(kube: Kube, name: str, op: str, state: str) -> None:
    kube.wait_for(f"{op} {state}", lambda: step(kube, name, op).get("state") == state, SECONDS)


def shared_pods(kube: Kube) -> list[dict[str, Any]]:
    return [dict(pod) for pod in kube.find("pods") if POD_LABEL in pod["metadata"]["labels"]]


@pytest.fixture(scope="module")
def applied(operator: Any, shared: Kube, step_image: str) -> Kube:
    """The Jobs that run their course undisturbed, all at once."""
    circle = LARGE.replace("size(both(load()))", "both.alias('again')(size(both(load())))")
    keep = {"podRetention": "Always"}
    prep = (EXAMPLES / "prep.py").read_text()
    shared.apply((EXAMPLES / "nested.yaml").read_text().replace("podgraph/step:dev", step_image))
    shared.create(
        [
            job_manifest("prep", code=code(step_image, prep), execution=keep),
            job_manifest("dies", code=code(step_image, DIES)),
            job_manifest("large", code=code(step_image, LARGE)),
            job_manifest("circle", code=code(step_image, circle)),
        ]
    )
    return shared


def test_the_example(applied: Kube) -> None:
    job = applied.wait_finished("prep", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", applied.describe("prep")
    assert outputs_of(job, "report") == {"result": "12 in 2 regions"}
    steps = job["status"]["steps"]
    assert len({steps[name]["podUID"] for name in ("load", "clean", "part")}) == 1
    assert len({record["podUID"] for record in steps.values()}) == 4
    where = ("--namespace", applied.namespace, "--kubeconfig", applied.kubeconfig)
    status, out, err = podgraph("job", "logs", "prep", "--step", "clean", *where)
    assert (status, out) == (0, "rows with an amount below 0 are left out\n"), err


def test_ops_of_nested_graphs_share_a_pod(applied: Kube) -> None:
    job = applied.wait_finished("nested", SECONDS)
    assert outputs_of(job, "small.count") == {"result": 3}
    assert outputs_of(job, "large.count") == {"result": 300}
    shared = [n for n in job["status"]["steps"] if not n.endswith("read")]
    assert len({job["status"]["steps"][name]["podUID"] for name in shared}) == 1


def test_each_step_is_shown_as_it_happens_and_survives_the_operator(
    namespace: Kube, operator: Any, step_image: str
) -> None:
    spec = {"code": code(step_image, SLOW.replace("SLEEP", "12")), "execution": {"podRetention": "Always"}}
    namespace.create(job_manifest("slow", **spec))
    wait_for_state(namespace, "slow", "odd", "Succeeded")  # while the pod that gave its input goes on
    assert step(namespace, "slow", "slow")["state"] == "Running"
    assert step(namespace, "slow", "part")["attempt"] == 2
    operator.kill()
    operator.start()
    job = namespace.wait_finished("slow", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", namespace.describe("slow")
    assert outputs_of(job, "last") == {"result": [1, 1, 0]}
    assert job["status"]["pods"]["prep"]["state"] == "Ended"
    assert len(shared_pods(namespace)) == 1


def test_a_pod_that_is_lost_is_followed_by_another_for_the_rest(namespace: Kube, step_image: str) -> None:
    namespace.create(job_manifest("lost", code=code(step_image, SLOW.replace("SLEEP", "6"))))
    wait_for_state(namespace, "lost", "odd", "Succeeded")
    wait_for_state(namespace, "lost", "slow", "Running")
    (pod,) = shared_pods(namespace)
    namespace.run("delete", "pod", pod["metadata"]["name"], "--wait=false")
    job = namespace.wait_finished("lost", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", namespace.describe("lost")
    assert outputs_of(job, "last") == {"result": [1, 1, 1]}
    steps = job["status"]["steps"]
    attempts = {name: (steps[name]["attempt"], steps[name].get("infrastructureFailures", 0)) for name in MEMBERS}
    assert attempts == {"load": (2, 1), "part": (2, 0), "slow": (2, 1)}
    assert steps["part"]["podUID"] == pod["metadata"]["uid"]
    assert steps["slow"]["podUID"] != pod["metadata"]["uid"]


def test_a_crash_fails_the_step_that_ran_and_the_rest_goes_on(applied: Kube) -> None:
    job = applied.wait_finished("dies", SECONDS)
    assert states_of(job) == {"fine": "Succeeded", "leaves": "Failed", "never": "UpstreamFailed", "apart": "Succeeded"}
    assert "exit code 7" in job["status"]["steps"]["leaves"]["message"]
    assert outputs_of(job, "apart") == {"result": 1}


def test_cancel_ends_the_pod(namespace: Kube, step_image: str) -> None:
    namespace.create(job_manifest("canceled", code=code(step_image, SLOW.replace("SLEEP", "600"))))
    wait_for_state(namespace, "canceled", "slow", "Running")
    namespace.run("patch", "pgj", "canceled", "--type=merge", "-p", '{"spec": {"cancel": true}}')
    job = namespace.wait_finished("canceled", SECONDS)
    assert reasons_of(job)["Succeeded"] == "False/Canceled"
    states = states_of(job)
    assert (states["load"], states["slow"], states["last"]) == ("Succeeded", "Canceled", "Canceled")


def test_what_another_pod_needs_must_fit_or_be_stored(applied: Kube) -> None:
    job = applied.wait_finished("large", SECONDS)
    assert states_of(job) == {"load": "Succeeded", "both": "Failed", "size": "UpstreamFailed"}
    assert job["status"]["steps"]["both"]["reason"] == "OutputTooLarge"
    assert "output 'result' of op 'both'" in job["status"]["steps"]["both"]["message"]


def test_what_leaves_a_shared_pod_is_stored_and_its_log_kept(namespace: Kube, step_image: str) -> None:
    with node_claim(namespace, "values") as folder:
        storage = {"claimRef": {"name": "values"}, "logs": True}
        namespace.create(job_manifest("stored", code=code(step_image, LARGE), storage=storage))
        job = namespace.wait_finished("stored", SECONDS)
        assert outputs_of(job, "size") == {"result": 10_000_000}, namespace.describe("stored")
        assert "outputs" not in job["status"]["steps"]["load"], "it never left the pod"
        below = f"{namespace.namespace}/stored/{job['metadata']['uid']}"
        expected = [f"{below}/{key}" for key in ("@p/1/log.txt", "@p/1/ops/both/1/result", "size/1/log.txt")]
        namespace.wait_for("all that is stored, the last step's log too", lambda: folder.files() == expected)
        assert "words of both" in folder.text(f"{below}/@p/1/log.txt")
        namespace.delete("pgj", "stored")
        namespace.wait_for("the deletion of what it stored", lambda: not folder.files(), SECONDS)


def test_a_pod_that_waits_for_itself_is_refused(applied: Kube) -> None:
    job = applied.wait_finished("circle", SECONDS)
    assert reasons_of(job)["Accepted"] == "False/PodCycle"
    assert "both -> size -> again" in next(
        c["message"] for c in job["status"]["conditions"] if c["type"] == "Accepted"
    )  # fmt: skip
