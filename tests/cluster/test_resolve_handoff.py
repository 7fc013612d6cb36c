"""The resolve pod becomes the first step's on a real cluster: a Job of Python code pays for its steps alone."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.kube import Kube, job_manifest, outputs_of, reasons_of, states_of

SOURCE = """
import os
from podgraph import RetryPolicy, job, op

print("the code is read")

@op(retry_policy=RetryPolicy(max_retries=1))
def first(context):
    print(f"attempt {context.retry_number}")
    if os.environ.get("FAILS") and not context.retry_number:
        raise ValueError("not yet")
    return 1

@op
def second(x):
    return x + 1

@op
def third(x):
    return x + 1

@job
def alone():
    first()

@job
def chain():
    third(second(first()))
"""
ALWAYS = {"podRetention": "Always"}


def names(pods: dict[str, list[dict[str, Any]]]) -> dict[str, list[str]]:
    """The pods of each op, without what tells them from those of other Jobs."""
    return {op: sorted(pod["metadata"]["name"].rpartition("-")[0] for pod in some) for op, some in pods.items()}


@pytest.mark.usefixtures("operator")
def test_a_job_of_one_op_has_one_pod(namespace: Kube) -> None:
    namespace.create(job_manifest("j", code={"source": SOURCE, "job": "alone"}, execution=ALWAYS))
    job = namespace.wait_finished("j")
    assert outputs_of(job, "first") == {"result": 1}
    pods = namespace.pods_of("j")
    assert names(pods) == {"first": ["j-resolve"]}
    [pod] = pods["first"]
    assert pod["metadata"]["labels"]["podgraph.dev/op"] == "first"
    assert job["status"]["steps"]["first"]["podUID"] == pod["metadata"]["uid"]
    namespace.wait_for(  # the kubelet is behind
        "the pod's end", lambda: namespace.pods_of("j")["first"][0]["status"]["phase"] == "Succeeded"
    )  # fmt: skip
    words = [line for line in namespace.logs(pod["metadata"]["name"]).splitlines() if "::podgraph-" not in line]
    assert words == ["the code is read", "attempt 0"]


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("ahead", [0, 2])
def test_a_chain_has_a_pod_for_each_step(namespace: Kube, ahead: int) -> None:
    namespace.create(
        job_manifest("j", code={"source": SOURCE, "job": "chain"}, execution={**ALWAYS, "prestart": ahead})
    )
    job = namespace.wait_finished("j")
    assert outputs_of(job, "third") == {"result": 3}
    assert names(namespace.pods_of("j")) == {"first": ["j-resolve"], "second": ["j-second"], "third": ["j-third"]}
    assert {step["attempt"] for step in job["status"]["steps"].values()} == {1}


@pytest.mark.usefixtures("operator")
def test_a_retry_has_a_pod_of_its_own(namespace: Kube) -> None:
    template = {"spec": {"containers": [{"name": "step", "env": [{"name": "FAILS", "value": "1"}]}]}}
    code = {"source": SOURCE, "job": "alone"}
    namespace.create(job_manifest("j", code=code, podTemplate=template, execution=ALWAYS))
    job = namespace.wait_finished("j")
    assert (states_of(job), job["status"]["steps"]["first"]["attempt"]) == ({"first": "Succeeded"}, 2)
    assert names(namespace.pods_of("j")) == {"first": ["j-first", "j-resolve"]}


@pytest.mark.usefixtures("operator")
def test_run_config_that_is_wrong_lets_it_end(namespace: Kube) -> None:
    code = {"source": SOURCE, "job": "alone"}
    namespace.create(job_manifest("j", code=code, runConfig={"ops": {"nobody": {}}}, execution=ALWAYS))
    job = namespace.wait_finished("j")
    assert reasons_of(job)["Accepted"] == "False/InvalidRunConfig"
    assert "steps" not in job["status"]

    def ended() -> bool:
        [pod] = namespace.pods_of("j")[""]
        return bool(pod["status"]["phase"] == "Succeeded")

    namespace.wait_for("the pod's end, well before it has waited long enough", ended, 30)


@pytest.mark.usefixtures("operator")
def test_where_the_first_step_wants_another_pod_it_has_one(namespace: Kube) -> None:
    config = {"ops": {"first": {"pod": {"resources": {"requests": {"cpu": "10m"}}}}}}
    code = {"source": SOURCE, "job": "alone"}
    namespace.create(job_manifest("j", code=code, runConfig=config, execution=ALWAYS))
    job = namespace.wait_finished("j")
    assert states_of(job) == {"first": "Succeeded"}
    assert names(namespace.pods_of("j")) == {"": ["j-resolve"], "first": ["j-first"]}
