"""Pods as people want them, against the fake API server: tried before the first, refused, held by gates."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, PythonPods, adding, assignment_of, condition, driving, op_of
from api.fake import AutoKubelet
from api.steering import Moving, change, op, said, wake
from podgraph.planning.model.names import run_pod

Obj = dict[str, Any]
SOURCE = """
from podgraph import job, op

@op(pod_template={"spec": {"nodeSelector": {"disk": "ssd"}}})
def one(context):
    return dict(context.tags)

@op
def two(x):
    return x

@job(tags={"team": "data", "run": "0"})
def j():
    two(one())
"""


def wish(**spec: Any) -> Obj:
    return {"spec": spec}


def step(**fields: Any) -> Obj:
    return wish(containers=[{"name": "step", **fields}])


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


async def refused(drive: Driver) -> str:
    """Return why the Job is refused; no pod of it was ever made."""
    accepted = condition(await drive.finished(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidPodTemplate")
    assert drive.creates() == []
    return str(accepted["message"])


async def test_one_pod_is_tried_for_all_of_which_the_same_is_said(drive: Driver) -> None:
    ops = [
        op("a"),
        op("b", "a", podTemplate=wish(nodeSelector={"zone": "x"})),
        op("c", podTemplate=wish(nodeSelector={"zone": "x"})),
    ]
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=ops, podTemplate=wish(nodeSelector={"disk": "ssd"}))
        await drive.finished()
    assert sorted(op_of(pod) for pod in drive.tried_pods()) == ["a", "b"]  # asked at once, in any order
    selectors = {op_of(pod): pod["spec"]["nodeSelector"] for pod in drive.fake.objects("pods")}
    assert selectors == {"a": {"disk": "ssd"}, "b": {"disk": "ssd", "zone": "x"}, "c": {"disk": "ssd", "zone": "x"}}
    assert len(drive.creates()) == 3


async def test_a_job_that_says_nothing_of_its_pods_asks_nothing(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")])
        await drive.finished()
    assert drive.tried_pods() == []


async def test_a_template_of_a_job_is_tried_before_the_resolve_pod_and_reaches_every_pod(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        drive.apply(code={"source": SOURCE}, podTemplate=wish(serviceAccountName="mine"), tags={"run": "1"})
        await drive.finished()
    assert [op_of(pod) for pod in drive.tried_pods()] == ["", "one"]
    assert drive.created_ops() == ["", "one", "two"]
    assert {pod["spec"]["serviceAccountName"] for pod in drive.fake.objects("pods")} == {"mine"}
    assert drive.steps()["two"]["outputs"] == {"result": '{"team":"data","run":"1"}'}


async def test_what_is_not_selected_is_not_tried(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a"), op("b", podTemplate=wish(nonsense=1))], opSelection=["a"])
        await drive.finished()
    assert drive.tried_pods() == []


UNKNOWN = 'Pod in version "v1" cannot be handled as a Pod: strict decoding error: unknown field "spec.nodeSelectr"'


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (
            {"ops": [op("a")], "podTemplate": wish(nodeSelectr={})},
            f"the API server refuses op 'a' with spec.podTemplate: {UNKNOWN}",
        ),
        (
            {"ops": [op("a"), op("b", podTemplate=wish(nodeSelectr={}))]},
            f"the API server refuses op 'b' with its own podTemplate: {UNKNOWN}",
        ),
        (
            {"code": {"source": SOURCE}, "podTemplate": wish(nodeSelectr={})},
            f"the API server refuses the pods of the job with spec.podTemplate: {UNKNOWN}",
        ),
        (
            {"ops": [op("a")], "podTemplate": wish(restartPolicy="Always")},
            "spec.podTemplate: spec.restartPolicy cannot be set: an attempt is one pod that never restarts; a "
            "retry policy starts others",
        ),
        (
            {"code": {"source": SOURCE}, "podTemplate": step(command=["x"])},
            "spec.podTemplate: spec.containers[0].command cannot be set: podgraph sets what the container of a "
            "Python or script op runs",
        ),
        (
            {"ops": [op("a", podTemplate={"metadata": {"name": "x"}})]},
            "podTemplate of op 'a': metadata contains 'name'; only labels and annotations are allowed",
        ),
    ],
)
async def test_refusals(drive: Driver, spec: Obj, message: str) -> None:
    drive.apply(**spec)
    assert await refused(drive) == message


async def test_an_admission_policy_refuses_before_the_first_step(drive: Driver) -> None:
    drive.fake.server.refuse_pod = lambda pod: "" if "limits" in str(pod) else "pods need limits"
    pod = {"resources": {"requests": {"memory": "1Gi"}}}
    drive.apply(ops=[op("a")], runConfig={"ops": {"a": {"pod": pod}}})
    message = await refused(drive)
    assert message.startswith("the API server refuses op 'a' with runConfig.ops.a.pod: pods ")
    assert message.endswith("is forbidden: pods need limits")


@pytest.mark.parametrize(
    "why", ["exceeded quota: few, requested: pods=1", "admission webhook x does not support dry run"]
)
async def test_what_is_no_fault_of_the_template_refuses_nothing(drive: Driver, why: str) -> None:
    drive.fake.fault("POST", "/pods$", status=403, message=why)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")], podTemplate=wish(nodeSelector={"a": "b"}))
        await drive.finished()
    assert drive.steps()["a"]["state"] == "Succeeded"


async def test_it_is_asked_again_while_the_api_server_is_away_and_over_restarts(drive: Driver) -> None:
    fault = drive.fake.fault("POST", "/pods$", hold=True)
    drive.apply(ops=[op("a")], podTemplate=wish(nodeSelector={"a": "b"}))
    await drive.fake.until(lambda: fault.waiting, what="a question")
    await drive.stop()
    fault.release()
    await drive.start()
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()
    assert len(drive.creates()) == 1
    await drive.stop()
    before = len(drive.tried_pods())
    await drive.start()
    await drive.fake.until(lambda: drive.controller and drive.controller.pods.synced.is_set(), what="a start")
    assert len(drive.tried_pods()) == before


async def test_resources_by_run_config(drive: Driver) -> None:
    pod = {"resources": {"requests": {"cpu": "250m", "memory": 1000000}}}
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        drive.apply(code={"source": SOURCE}, runConfig={"ops": {"two": {"pod": pod}}})
        await drive.finished()
    made = {op_of(p): p["spec"]["containers"][0].get("resources") for p in drive.fake.objects("pods")}
    assert made == {"": {}, "one": {}, "two": pod["resources"]}


async def test_one_pod_for_all_takes_the_jobs_template_and_tags_but_no_resources_of_ops(drive: Driver) -> None:
    spec: Obj = {"code": {"source": SOURCE}, "execution": {"mode": "InProcess"}}
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        job = drive.apply(**spec, podTemplate=wish(nodeSelector={"a": "b"}), tags={"run": "1"})
        await drive.finished()
        made = drive.fake.get("pods", "default", run_pod("j", job["metadata"]["uid"]))
        assert made["spec"]["nodeSelector"] == {"a": "b"}
        assert assignment_of(made).group["tags"] == {"run": "1"}
        assert drive.steps()["two"]["outputs"] == {"result": '{"team":"data","run":"1"}'}
        drive.apply("k", **spec, runConfig={"ops": {"two": {"pod": {"resources": {"limits": {"cpu": 1}}}}}})
        accepted = condition(await drive.finished("k"), "Accepted")
    assert accepted["message"].startswith("runConfig.ops.two.pod is for ops with pods of their own")


async def test_a_sidecar_that_does_not_end_does_not_keep_a_pod(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b")], podTemplate=wish(containers=[{"name": "proxy", "image": "p:1"}]))
    for name in ("a", "b"):
        made = await drive.pod_of(name)
        running = drive.fake.run_pod("default", made["metadata"]["name"])
        [own, other] = running["status"]["containerStatuses"]
        done = {"terminated": {"exitCode": 0, "message": "result=1", "startedAt": None, "finishedAt": None}}
        status = {"containerStatuses": [{**own, "state": done}, other]}
        drive.fake.patch("pods", "default", made["metadata"]["name"], {"status": status}, status=True)
        await drive.fake.until(lambda made=made: drive.fake.find("pods", "default", made["metadata"]["name"]) is None)
        assert (await drive.step(name, "Succeeded"))["outputs"] == {"result": '"1"'}


# --- gates


async def test_a_gate_holds_the_clock_and_queue_labels_reach_the_pods() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        job = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job"}
        meta = {"name": "j", "labels": {"kueue.x-k8s.io/queue-name": "q", "team": "x"}}
        spec = {
            "ops": [op("a")],
            "podTemplate": wish(schedulingGates=[{"name": "kueue.x-k8s.io/admission"}]),
            "execution": {"pendingTimeoutSeconds": 60, "infrastructureRetries": 0},
        }
        drive.fake.create({**job, "metadata": meta, "spec": spec})
        pod = await drive.pod_of("a")
        assert pod["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "q"
        assert "team" not in pod["metadata"]["labels"]

        def told() -> bool:
            return bool(drive.steps().get("a", {}).get("reason") == "SchedulingGated")

        clock.now += 2
        await wake(drive)
        await drive.fake.until(told, what="the gate in the status")
        assert drive.steps()["a"]["message"] == "Scheduling is blocked due to non-empty scheduling gates"
        clock.now += 10_000
        await wake(drive)
        await drive.stop()  # and the next operator knows it by what the status says
        await drive.start()
        await drive.seen(drive.fake.get("jobs", "default", "j")["metadata"]["uid"], pod["metadata"]["name"])
        drive.fake.unschedulable_pod("default", pod["metadata"]["name"])
        clock.now += 2
        await wake(drive)
        await drive.fake.until(lambda: drive.steps()["a"].get("reason") == "Unschedulable", what="let go")
        clock.now += 61
        await wake(drive)
        record = await drive.step("a", "Failed")
        assert record["reason"] == "PendingTimeout"


async def test_the_one_pod_waits_at_a_gate_and_the_job_says_so(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE), select=lambda p: not assignment_of(p).group):
        gates = [{"name": "example.com/gate"}]
        drive.apply(
            code={"source": SOURCE}, execution={"mode": "Multiprocess"}, podTemplate=wish(schedulingGates=gates)
        )
        wanted = "its pod has not started (SchedulingGated: Scheduling is blocked due to non-empty scheduling gates)"
        await drive.fake.until(
            lambda: condition(drive.status(), "Succeeded").get("message") == wanted, what="the words"
        )
        change(drive, cancel=True)
        await said(drive, "Canceled")


async def test_a_large_graph_is_read_from_the_steps_container_and_the_pod_beside_it_goes(drive: Driver) -> None:
    source = SOURCE + "    for i in range(1000):\n        two.alias(f'n{i}')(one.alias(f'm{i}')())\n"
    drive.apply(
        code={"source": source}, opSelection=["one"], podTemplate=wish(containers=[{"name": "proxy", "image": "p:1"}])
    )
    name = (await drive.pod_of(""))["metadata"]["name"]
    running = drive.fake.run_pod("default", name)
    code, message = PythonPods(drive.fake, source)(running)
    [own, other] = running["status"]["containerStatuses"]
    done = {"terminated": {"exitCode": code, "message": message, "startedAt": None, "finishedAt": None}}
    drive.fake.patch(
        "pods", "default", name, {"status": {"containerStatuses": [{**own, "state": done}, other]}}, status=True
    )
    await drive.pod_of("one")
    [read] = drive.fake.calls("GET", "/log$")
    assert (read.query["container"], read.status) == ("step", 200)
    await drive.fake.until(lambda: drive.fake.find("pods", "default", name) is None, what="the resolve pod's end")
    assert drive.created_ops() == ["", "one"]
