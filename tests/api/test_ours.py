"""Who is not a Job's pod, whatever it looks like, against the fake API server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import BUNDLE, Driver, PythonPods, adding, condition, driving
from api.fake import AutoKubelet
from api.steering import change, op
from api.strangers import EVIL, FORGERIES, Mirror, claimed, forged, ignored
from podgraph.planning.model.names import code_config_map, runtime_config_map, step_pod

Obj = dict[str, Any]
SOURCE = """
from podgraph import job, op

@op
def a():
    return 1

@op(pod="both")
def b(x):
    return x + 1

@op(pod="both")
def c(x):
    return x + 1

@op
def d(x):
    return x + 1

@job
def j():
    d(c(b(a())))
"""
PLAIN = SOURCE.replace('(pod="both")', "")
CHAIN = [op("a"), op("b", "a"), op("c", "b"), op("d", "c")]
TOUCHES_EVIL = f"/namespaces/{EVIL}/"

JOBS: dict[str, Obj] = {
    "container ops": {"ops": CHAIN},
    "resolve pod": {"code": {"source": PLAIN}},
    "pods started ahead": {"code": {"source": PLAIN}, "execution": {"prestart": 2}},
    "shared pod": {"code": {"source": SOURCE}},
    "one pod": {"code": {"source": PLAIN}, "execution": {"mode": "InProcess"}},
    "definition": {"definitionRef": {"name": "def"}},
}


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def of_default(pod: Obj) -> bool:
    return str(pod["metadata"]["namespace"]) == "default"


def results(status: Obj) -> dict[str, int]:
    """Return what the steps gave; a container's output is a text."""
    found = {name: json.loads(step["outputs"]["result"]) for name, step in status["steps"].items()}
    return {name: int(found[name]) for name in sorted(found)}


def counted(drive: Driver) -> dict[tuple[str, str], int]:
    assert drive.controller is not None
    return ignored(drive.controller.metrics)


async def running(drive: Driver, name: str) -> Obj:
    pod = await drive.pod_of(name)
    drive.fake.run_pod("default", pod["metadata"]["name"])
    await drive.step(name, "Running")
    return pod


@pytest.mark.parametrize("how", ["", "bare"])
@pytest.mark.parametrize("kind", JOBS)
async def test_pods_of_another_namespace_change_nothing(drive: Driver, kind: str, how: str) -> None:
    mirror = Mirror(drive.fake, how)
    played = PythonPods(drive.fake, SOURCE if kind == "shared pod" else PLAIN)
    spec = JOBS[kind]
    async with AutoKubelet(drive.fake, adding if "ops" in spec else played, select=of_default):
        if kind == "definition":
            meta = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": "def"}}
            drive.fake.create({**meta, "spec": {"code": {"source": PLAIN}}})
        drive.apply(**spec)
        status = await drive.finished()
    assert condition(status, "Succeeded")["status"] == "True"
    assert results(status) == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert all(step["attempt"] == 1 for step in status["steps"].values())
    assert len(drive.creates()) == len(set(drive.creates()))
    assert drive.fake.calls(path=TOUCHES_EVIL) == []
    assert mirror.made
    assert {kind for kind, _ in counted(drive)} == {"Pod"}


async def test_a_pod_that_is_there_before_the_steps_own_is_no_step(drive: Driver) -> None:
    """The attack that was shown: the uid is known, so the name of the next step's pod is."""
    drive.fake.collector.paused = True
    job = drive.apply(ops=CHAIN[:3])
    first = await running(drive, "a")
    uid = job["metadata"]["uid"]
    name = step_pod("j", uid, "b", 1)
    drive.fake.create(forged({**first, "metadata": {**first["metadata"], "name": name}}, EVIL))
    drive.fake.finish_pod(EVIL, name, 0, "result=666")
    drive.fake.create(claimed(uid, "not-asked-for"))
    drive.fake.finish_pod("default", "not-asked-for", 0, "result=666")
    async with AutoKubelet(
        drive.fake, adding, select=lambda pod: of_default(pod) and pod["metadata"]["name"] != "not-asked-for"
    ):
        drive.fake.finish_pod("default", first["metadata"]["name"], 0, "result=1")
        status = await drive.finished()
    assert results(status) == {"a": 1, "b": 2, "c": 3}
    assert drive.created_ops() == ["a", "b", "c"]
    assert counted(drive) == {("Pod", "OtherNamespace"): 1, ("Pod", "NoController"): 1}
    assert drive.fake.find("pods", "default", "not-asked-for")


@pytest.mark.parametrize("how", FORGERIES)
async def test_a_name_that_was_taken_before_is_no_pod_of_ours(drive: Driver, how: str) -> None:
    drive.fake.collector.paused = True
    job = drive.apply(ops=CHAIN[:2])
    first = await running(drive, "a")
    name = step_pod("j", job["metadata"]["uid"], "b", 1)
    drive.fake.create(forged({**first, "metadata": {**first["metadata"], "name": name}}, "default", how))
    drive.fake.finish_pod("default", name, 0, "result=666")
    drive.finish("a", "result=1")
    status = await drive.finished()
    step = status["steps"]["b"]
    assert (step["state"], step["reason"]) == ("Failed", "AlreadyExists")
    reason = "NoController" if how in ("bare",) else "OtherController"
    assert f"this operator did not create it ({reason}); delete it" in step["message"]
    assert "666" not in str(status)
    assert drive.fake.find("pods", "default", name)
    assert counted(drive)["Pod", reason] > 0


@pytest.mark.parametrize("how", ["", "bare"])
async def test_a_pod_made_under_our_pods_name_after_its_deletion_is_neither_used_nor_deleted(
    drive: Driver, how: str
) -> None:
    drive.fake.collector.paused = True
    drive.apply(ops=CHAIN[:1])
    pod = await running(drive, "a")
    name = pod["metadata"]["name"]
    drive.fake.delete_pod("default", name)
    stranger = drive.fake.create(forged(pod, "default", how))
    drive.fake.finish_pod("default", name, 0, "result=666")
    async with AutoKubelet(drive.fake, adding, select=lambda p: p["metadata"]["name"] != name):
        status = await drive.finished()
    assert (status["steps"]["a"]["attempt"], results(status)) == (2, {"a": 1})
    assert drive.fake.get("pods", "default", name)["metadata"]["uid"] == stranger["metadata"]["uid"]
    assert drive.fake.calls("DELETE", "/pods/") == []
    assert counted(drive) == {("Pod", "NoController" if how else "NotMade"): 1}


async def test_while_a_step_runs_nobody_else_ends_it(drive: Driver) -> None:
    drive.fake.collector.paused = True
    drive.apply(ops=CHAIN[:1])
    pod = await running(drive, "a")
    drive.fake.create(forged(pod, EVIL))
    drive.fake.finish_pod(EVIL, pod["metadata"]["name"], 1)
    drive.fake.delete_pod(EVIL, pod["metadata"]["name"])
    drive.finish("a", "result=7")
    status = await drive.finished()
    assert (status["steps"]["a"]["attempt"], results(status)) == (1, {"a": 7})
    assert drive.fake.calls("DELETE") == []


@pytest.mark.parametrize("namespace", [EVIL, "default"])
async def test_after_a_restart_the_running_pod_is_found_beside_strangers(drive: Driver, namespace: str) -> None:
    drive.fake.collector.paused = True
    drive.apply(ops=CHAIN[:2])
    pod = await running(drive, "a")
    await drive.stop()
    name = pod["metadata"]["name"]
    if namespace == "default":  # ours is gone, and there is another under its name
        drive.fake.delete_pod("default", name)
    drive.fake.create(forged(pod, namespace))
    drive.fake.finish_pod(namespace, name, 0, "result=666")
    await drive.start()
    async with AutoKubelet(drive.fake, adding, select=lambda p: of_default(p) and p["metadata"]["name"] != name):
        if namespace == EVIL:
            drive.fake.finish_pod("default", name, 0, "result=1")
        status = await drive.finished()
    assert results(status) == {"a": 1, "b": 2}
    assert status["steps"]["a"]["attempt"] == (1 if namespace == EVIL else 2)
    assert [r.path for r in drive.fake.calls("DELETE")] == []


async def test_of_pods_deleted_together_strangers_are_left(drive: Driver) -> None:
    job = drive.apply(ops=CHAIN, execution={"podRetention": "Never"})
    await running(drive, "a")
    drive.fake.create(claimed(job["metadata"]["uid"], "stranger"))
    drive.fake.finish_pod("default", "stranger", 0)
    async with AutoKubelet(drive.fake, adding, select=lambda pod: pod["metadata"]["name"] != "stranger"):
        drive.finish("a", "result=1")
        await drive.finished()
        await drive.fake.until(lambda: len(drive.fake.objects("pods")) == 1, what="one pod left")
    assert drive.fake.find("pods", "default", "stranger")
    deletes = drive.fake.calls("DELETE")
    assert len(deletes) == 4
    assert all(request.body["preconditions"]["uid"] for request in deletes)


async def test_a_canceled_job_deletes_only_what_it_made(drive: Driver) -> None:
    """Its resolve pod went while the operator was away, and a pod of somebody else has the name."""
    drive.fake.collector.paused = True
    drive.apply(code={"source": PLAIN})
    pod = await drive.pod_of("")
    name = pod["metadata"]["name"]
    await drive.stop()
    drive.fake.delete_pod("default", name)
    drive.fake.create(forged(pod, "default", "of another uid"))
    await drive.start()
    change(drive, cancel=True)
    await drive.finished()
    assert drive.fake.find("pods", "default", name)
    assert drive.fake.calls("DELETE") == []


@pytest.mark.parametrize("what", ["bare", "other content", "not immutable"])
async def test_a_copy_of_the_code_that_another_made_is_not_used(drive: Driver, what: str) -> None:
    fault = drive.fake.fault("POST", "/configmaps$", hold=True)
    job = drive.apply(code={"source": PLAIN})
    await drive.fake.until(lambda: fault.waiting, what="a create")
    meta = job["metadata"]
    name = code_config_map("j", meta["uid"])
    [wanted] = [r.body for r in drive.fake.calls("POST", "/configmaps$") if r.body["metadata"]["name"] == name]
    found = {**wanted, "metadata": dict(wanted["metadata"])}
    if what == "bare":
        del found["metadata"]["ownerReferences"]
    elif what == "other content":
        found["data"] = {"job.py": "print('mine')"}
    else:
        found["immutable"] = False
    drive.fake.create(found)
    fault.release()
    accepted = condition(await drive.finished(), "Accepted")
    reasons = {"bare": "NoController", "other content": "OtherContent", "not immutable": "NotImmutable"}
    assert (accepted["status"], accepted["reason"]) == ("False", "AlreadyExists")
    assert f"({reasons[what]}); delete it" in accepted["message"]
    assert drive.creates() == []
    assert counted(drive) == {("ConfigMap", reasons[what]): 1}


async def test_a_runtime_that_another_made_is_not_used(drive: Driver) -> None:
    name = runtime_config_map(BUNDLE.digest)
    meta = {"name": name, "labels": {"app.kubernetes.io/managed-by": "podgraph"}}
    data = {"runtime.pyz": "aGVsbG8="}
    drive.fake.create(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "immutable": True, "binaryData": data}
    )
    drive.apply(code={"source": PLAIN})
    accepted = condition(await drive.finished(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "AlreadyExists")
    assert "(OtherContent); delete it" in accepted["message"]
    assert drive.creates() == []
    assert counted(drive) == {("ConfigMap", "OtherContent"): 1}
