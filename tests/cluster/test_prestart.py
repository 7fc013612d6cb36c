"""Steps started ahead on a real cluster: their pods are there before their inputs, and leave nothing behind."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
import yaml

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, states_of

EXAMPLE = CHECKOUT / "tests" / "examples" / "ahead.yaml"
LABEL = "podgraph.dev/ahead"
FAILS = """
import time
from podgraph import RetryPolicy, job, op

@op(retry_policy=RetryPolicy(max_retries=1, delay=3))
def first(context):
    time.sleep(4)
    if not context.retry_number:
        raise ValueError("not yet")
    return "x"

@op
def second(text):
    print(f"second has {text}")
    return text + "y"

@op
def dies(text):
    time.sleep(2)
    raise ValueError("never")

@op
def third(text):
    return text

@job
def j():
    third(dies(second(first())))
"""


def seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


@pytest.mark.usefixtures("operator")
def test_each_pod_is_there_before_its_inputs_and_the_values_pass(namespace: Kube, tmp_path: Path) -> None:
    manifest = yaml.safe_load(EXAMPLE.read_text())
    manifest["spec"]["execution"]["podRetention"] = "Always"
    namespace.create(manifest)
    job = namespace.wait_finished("ahead")
    steps = job["status"]["steps"]
    assert outputs_of(job, "load") == {"result": 12}
    pods = namespace.pods_of("ahead")
    for step, before in (("transform", "extract"), ("load", "transform")):
        [pod] = pods[step]
        assert pod["metadata"]["labels"][LABEL] == "assigned"
        assert seconds(pod["metadata"]["creationTimestamp"]) < seconds(steps[before]["completionTime"])
        assert steps[before]["completionTime"] < steps[step]["startTime"]
        assert steps[step]["attempt"] == 1
    # The pods' own status comes later than their lines; nothing is cut off for that.
    namespace.wait_for(
        "all pods at their end",
        lambda: {p["status"]["phase"] for some in namespace.pods_of("ahead").values() for p in some} == {"Succeeded"},
    )


@pytest.mark.usefixtures("operator")
def test_retries_and_failures_leave_no_pod_waiting(namespace: Kube) -> None:
    namespace.create(job_manifest("j", code={"source": FAILS}, execution={"podRetention": "Always"}))
    job = namespace.wait_finished("j")
    assert states_of(job) == {
        "first": "Succeeded", "second": "Succeeded", "dies": "Failed", "third": "UpstreamFailed",
    }  # fmt: skip
    assert job["status"]["steps"]["dies"]["reason"] == "OpFailed"
    assert job["status"]["steps"]["first"]["attempt"] == 2
    assert job["status"]["steps"]["second"]["attempt"] == 1

    def none_waits() -> bool:
        pods = [p for some in namespace.pods_of("j").values() for p in some]
        return not any(p["metadata"]["labels"].get(LABEL) == "waiting" for p in pods)

    namespace.wait_for("no waiting pod", none_waits)


SCRIPTS = [
    {
        "name": "one", "image": "busybox:1", "outputs": [{"name": "result"}],
        "script": "sleep 3; echo result=1 > $PODGRAPH_OUTPUT",
    },
    {
        "name": "two", "image": "busybox:1", "inputs": [{"name": "x", "from": {"op": "one"}}], "args": ["an arg"],
        "script": "sleep 3; echo \"result=$INPUT_X $1 it's\" > $PODGRAPH_OUTPUT", "outputs": [{"name": "result"}],
    },
    {
        "name": "three", "image": "busybox:1", "inputs": [{"name": "x", "from": {"op": "two"}}],
        "script": "echo \"result=$INPUT_X\" > $PODGRAPH_OUTPUT", "outputs": [{"name": "result"}],
    },
    {"name": "own", "image": "busybox:1", "command": ["true"], "after": ["two"]},
]  # fmt: skip


@pytest.mark.usefixtures("operator")
def test_shell_scripts_are_started_ahead_and_other_containers_in_the_ordinary_way(namespace: Kube) -> None:
    namespace.create(job_manifest("s", ops=SCRIPTS, execution={"podRetention": "Always"}))
    job = namespace.wait_finished("s")
    assert set(states_of(job).values()) == {"Succeeded"}
    assert outputs_of(job, "three") == {"result": "1 an arg it's"}
    labels = {op: pods[0]["metadata"]["labels"].get(LABEL) for op, pods in namespace.pods_of("s").items()}
    assert labels == {"one": None, "two": "assigned", "three": "assigned", "own": None}
