"""Sensors and schedules that ask a pod, against the fake API server: nothing is made twice, nothing is lost."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Clock
from api.evaluating import EvaluatingPods
from api.making import OPS, T0, MakerDriver, making
from api.strangers import EVIL, forged
from podgraph.cluster.client import Client
from podgraph.planning.model.names import ASSIGNMENT
from podgraph.protocol.answers import Answer
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment
from podgraph.reconcile.automation.schedules import Schedules
from podgraph.reconcile.automation.sensors import Sensors
from podgraph.reconcile.evaluators import client as seats
from podgraph.reconcile.evaluators import pool
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.scheduling import dedup_store
from podgraph.scheduling.http_policy import HttpPolicy

CODE = """
from podgraph import RunRequest, SkipReason, schedule, sensor

todo, calls = [], []

@sensor
def look(context):
    calls.append((context.cursor, context.last_run_key))
    if todo == ["fail"]:
        raise ValueError("no database")
    if not todo:
        return SkipReason("nothing to do")
    context.update_cursor(str(len(calls)))
    return [RunRequest(key, run_config={"key": key}, op_selection=["*a"], tags={"t": "1"}) for key in todo]

@schedule("@daily")
def nightly(context):
    calls.append(context.scheduled_execution_time.isoformat())
    if todo == ["fail"]:
        raise ValueError("no database")
    if todo == ["skip"]:
        return SkipReason("a holiday")
    if todo:
        return [RunRequest(key) for key in todo]
    return {"at": context.scheduled_execution_time.isoformat()}
"""
STORE = {"objectStore": {"url": "s3://bucket/in", "secretRef": {"name": "s3"}, "pattern": "*.csv"}}
SEEN = {"spec": {"ops": OPS, "runConfig": {"seen": "{{ source.name }} {{ source.value }}"}}}
LOOK = {"python": {"definitionRef": {"name": "orders"}, "function": "look"}}
MINUTE = 60


def sensing() -> Any:
    def make(client: Client, evaluators: EvaluatorPool, clock: Clock) -> Sensors:
        return Sensors(client, client, HttpPolicy(), evaluators, clock)

    return making("JobSensor", make)


@pytest.fixture
async def drive() -> AsyncIterator[MakerDriver]:
    async with sensing() as driver:
        yield driver


def define(drive: MakerDriver, ready: str = "True", message: str = "", **spec: Any) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": "orders"}}
    drive.fake.create({**kind, "spec": {"code": {"module": "orders"}, **spec}})
    resolved(drive, ready, message)


def resolved(drive: MakerDriver, ready: str = "True", message: str = "") -> None:
    generation = drive.fake.get("jobdefinitions", "default", "orders")["metadata"]["generation"]
    condition = {"type": "Ready", "status": ready, "reason": "Resolved", "message": message}
    condition |= {"lastTransitionTime": "2026-11-24T00:00:00Z", "observedGeneration": generation}
    drive.fake.patch("jobdefinitions", "default", "orders", {"status": {"conditions": [condition]}}, status=True)


def configs(drive: MakerDriver) -> list[Any]:
    return sorted((job["spec"].get("runConfig") or {}).get("seen", "") for job in drive.fake.objects("jobs"))


async def begun(drive: MakerDriver) -> None:
    await drive.until(lambda: (drive.status().get("cursor") or {}).get("begun"), "it looks")


async def asked(drive: MakerDriver, pods: EvaluatingPods) -> None:
    """Let the time come at which it asks again, and wait until it did."""
    count = len(pods.requests)
    await drive.until(lambda: not any(s.seat.is_asked for s in drive.makers._sources.values()), "it has dealt with it")
    drive.move(30)
    await drive.until(lambda: len(pods.requests) > count, "it asks")


# --- object stores


async def test_each_new_object_and_each_new_version(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake)
    pods.keys = {"old.csv": "1"}
    drive.apply(source=STORE, template=SEEN)
    await begun(drive)
    [pod] = pods.pods()
    step = pod["spec"]["containers"][0]
    assert step["envFrom"] == [{"secretRef": {"name": "s3"}}]
    assert (step["image"], pod["spec"]["automountServiceAccountToken"]) == ("python:3.13-slim", False)
    assert pods.requests[0] == {"kind": "keys", "pattern": "*.csv", "base": "", "timeout": 120}
    pods.keys["new.csv"] = "1"
    await asked(drive, pods)
    await drive.until(lambda: configs(drive) == ["new.csv s3://bucket/in/new.csv"], "its Job")
    pods.keys["old.csv"] = "2"
    await asked(drive, pods)
    await drive.until(lambda: len(configs(drive)) == 2, "the Job of a new version")
    assert drive.status()["source"] == "s3://bucket/in *.csv"
    ready = await drive.ready("Ready")
    assert ready["message"] == "it looks at s3://bucket/in *.csv"


async def test_a_pod_that_finds_no_room_in_a_quota_is_made_when_there_is_some(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake)
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "1"}}}
    other = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "other", "labels": {"app": "other"}}}
    drive.fake.create(quota)
    drive.fake.create({**other, "spec": {"containers": [{"name": "c", "image": "i"}]}})
    drive.apply(source=STORE, template=SEEN)
    assert "exceeded quota: q, requested: pods=1" in (await drive.ready("QuotaExceeded"))["message"]
    for _ in range(8):  # each as long as the longest pause
        count = len(drive.fake.calls("POST", "/pods$"))
        drive.move(15)
        await drive.until(lambda count=count: len(drive.fake.calls("POST", "/pods$")) > count, "another try")
    drive.fake.delete("pods", "default", "other")
    drive.move(15)
    await begun(drive)
    assert len(pods.pods()) == 1


async def test_what_was_dealt_with_is_known_after_a_restart(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake)
    drive.apply(source=STORE, template=SEEN, successfulJobsHistoryLimit=0)
    await begun(drive)
    pods.keys["a.csv"] = "1"
    await asked(drive, pods)
    await drive.made(1)
    drive.finish(drive.created()[0])
    await drive.until(lambda: not drive.names(), "its Job's end")
    await drive.stop()
    pods.keys["b.csv"] = "1"
    await drive.start()
    await drive.made(1)
    assert len(drive.created()) == 2
    assert len(pods.pods()) == 1  # the operator goes on with the one that there is


async def test_many_objects_are_remembered_in_config_maps(drive: MakerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dedup_store, "MOST_IN_STATUS", 3)
    monkeypatch.setattr(dedup_store, "MOST_IN_BLOCK", 10)
    pods = EvaluatingPods(drive.fake)
    pods.keys = {f"{n}.csv": "1" for n in range(24)}
    drive.apply(source=STORE, template=SEEN)
    await begun(drive)
    cursor = drive.status()["cursor"]
    assert (len(cursor["blocks"]), len(cursor.get("keys") or ())) == (3, 0)
    pods.keys |= {f"new-{n}.csv": "1" for n in range(5)}
    await asked(drive, pods)
    await drive.made(5)
    await drive.until(lambda: len(drive.status()["cursor"]["blocks"]) == 3, "blocks")
    owned = [m for m in drive.fake.objects("configmaps") if "ownerReferences" in m["metadata"]]
    assert sorted(m["metadata"]["name"] for m in owned) == sorted(drive.status()["cursor"]["blocks"])
    await drive.stop()
    pods.keys["last.csv"] = "1"
    await drive.start()
    await drive.made(6)
    assert len(drive.created()) == 6

    await drive.stop()
    drive.fake.delete("configmaps", "default", drive.status()["cursor"]["blocks"][0])
    await drive.start()
    drive.move(30)
    assert "was deleted; delete the sensor and create it again" in (await drive.ready("MemoryLost"))["message"]
    assert len(drive.created()) == 6


async def test_killed_between_the_jobs_and_the_status(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake)
    drive.apply(source=STORE, template=SEEN)
    await begun(drive)
    drive.fake.fault("PATCH", "/jobsensors/s/status$", status=500, times=None)
    pods.keys = {"a.csv": "1", "b.csv": "1"}
    await asked(drive, pods)
    await drive.made(2)
    await drive.stop()
    drive.fake.faults.clear()
    await drive.start()
    await drive.until(lambda: drive.status().get("lastJob"), "the status")
    assert len(drive.created()) == 2


# --- functions


async def test_a_function_is_asked_and_its_requests_are_laid_over(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive, podTemplate={"spec": {"serviceAccountName": "reader"}})
    drive.apply(source=LOOK)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    tick = drive.status()["ticks"][0]
    assert (tick["outcome"], tick["message"]) == ("Skipped", "nothing to do")
    [pod] = pods.pods()
    assert pod["spec"]["serviceAccountName"] == "reader"
    assert "activeDeadlineSeconds" not in pod["spec"]
    pods.module.todo += ["x", "y", "x"]
    await asked(drive, pods)
    await drive.made(2)
    await drive.until(lambda: (drive.status()["cursor"] or {}).get("text") == "2", "the cursor")
    job = next(j for j in drive.fake.objects("jobs") if j["spec"]["runConfig"]["key"] == "x")
    assert job["spec"] == {
        "definitionRef": {"name": "orders"}, "runConfig": {"key": "x"}, "opSelection": ["*a"], "tags": {"t": "1"}
    }  # fmt: skip
    assert job["metadata"]["annotations"]["podgraph.dev/run-key"] == "x"
    assert job["metadata"]["labels"]["podgraph.dev/definition"] == "orders"
    await drive.until(lambda: drive.status()["cursor"].get("runKey") == "y", "the run key")
    await asked(drive, pods)
    await drive.until(lambda: drive.status()["cursor"].get("text") == "3", "the cursor")
    assert pods.module.calls == [(None, None), (None, None), ("2", "y")]
    assert len(drive.created()) == 2  # a run key is never seen twice


async def test_a_run_key_is_known_when_its_job_is_gone(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.module.todo += ["x"]
    define(drive)
    drive.apply(source=LOOK, successfulJobsHistoryLimit=0)
    await drive.made(1)
    drive.finish(drive.created()[0])
    await drive.until(lambda: not drive.names(), "its Job's end")
    await drive.stop()
    await drive.start()
    count = len(pods.requests)
    await drive.until(lambda: len(pods.requests) > count, "it asks")
    await asked(drive, pods)
    assert len(drive.created()) == 1


async def test_killed_before_the_cursor_is_written(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE.replace("RunRequest(key, ", "RunRequest("))
    pods.module.todo += ["x", "y"]
    define(drive)
    drive.fake.fault("PATCH", "/jobsensors/s/status$", status=500, times=None)
    await drive.stop()
    drive.apply(source=LOOK)
    drive.fake.faults.clear()
    await drive.start()
    await drive.until(lambda: drive.status().get("conditions"), "its condition")
    drive.fake.fault("PATCH", "/jobsensors/s/status$", status=500, times=None)
    await drive.made(2)
    await drive.stop()
    drive.fake.faults.clear()
    await drive.start()
    await drive.until(lambda: drive.status().get("lastJob"), "the status")
    assert len(drive.created()) == 2  # without run keys too
    await asked(drive, pods)
    await drive.made(4)


async def test_what_a_function_raises_is_a_sentence(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.module.todo += ["fail"]
    define(drive)
    drive.apply(source=LOOK)
    ready = await drive.ready("FunctionFailed")
    assert ready["message"] == "sensor look raised ValueError: no database (my_job.py line 10 in look)"
    assert drive.status()["ticks"][0]["outcome"] == "Failed"
    drive.move(30)  # it is asked less often now
    pods.module.todo[:] = ["x"]
    drive.move(31)
    await drive.made(1)
    await drive.ready("Ready")


async def test_definitions_that_are_not_there_or_not_ready(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    drive.apply(source=LOOK)
    assert "there is no JobDefinition 'orders'" in (await drive.ready("DefinitionNotFound"))["message"]
    define(drive, ready="False", message="the code has no @job")
    ready = await drive.ready("DefinitionNotReady")
    assert ready["message"] == "JobDefinition 'orders' cannot be run: the code has no @job"
    assert pods.pods() == []
    resolved(drive)
    await drive.ready("Ready")
    first = pods.pods()[0]["metadata"]["name"]
    drive.fake.patch("jobdefinitions", "default", "orders", {"spec": {"code": {"image": "other"}}})
    resolved(drive)
    pods.module.todo += ["x"]
    await asked(drive, pods)
    await drive.made(1)
    await drive.until(lambda: [p["metadata"]["name"] for p in pods.pods()] != [first], "another pod")
    assert [p["spec"]["containers"][0]["image"] for p in pods.pods()] == ["other"]


async def test_a_definition_that_is_not_known_yet_is_not_missing(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    await drive.stop()
    drive.settling = 60.0
    await drive.start()
    drive.apply(source=LOOK)
    await drive.ready("Ready")
    define(drive)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    assert len(pods.pods()) == 1
    reasons = [
        condition["reason"]
        for call in drive.fake.calls("PATCH", "/jobsensors/s/status$")
        for condition in call.body["status"].get("conditions") or ()
    ]
    assert "DefinitionNotFound" not in reasons


async def test_a_definition_without_code_has_no_functions(drive: MakerDriver) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": "orders"}}
    drive.fake.create({**kind, "spec": {"ops": OPS}})
    drive.apply(source=LOOK)
    assert (await drive.ready("NoCode"))[
        "message"
    ] == "JobDefinition 'orders' has no Python code, so it has no functions"


async def test_a_pod_that_dies_is_made_anew_and_asked_again(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.mute = True
    define(drive)
    drive.apply(source=LOOK)
    await drive.until(pods.pods, "a pod")
    await drive.until(lambda: pods.pods()[0]["status"].get("phase") == "Running", "it runs")
    pods.die(137, "the user's last words")
    ready = await drive.ready("ContainerFailed")
    assert "exit code 137, SIGKILL: the user's last words" in ready["message"]
    pods.mute = False
    drive.move(2)
    await drive.until(lambda: (drive.status().get("ticks") or [{}])[0].get("outcome") == "Skipped", "its answer")
    await drive.ready("Ready")
    pods.die(1, record=("CodeError", "the code cannot be imported: ImportError: no pandas"))
    ready = await drive.ready("CodeError")
    assert ready["message"] == "the pod that evaluates it: the code cannot be imported: ImportError: no pandas"


async def test_a_pod_that_does_not_answer_is_made_anew(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.mute = True
    define(drive)
    drive.apply(source=LOOK)
    await drive.until(lambda: [p["status"].get("phase") for p in pods.pods()] == ["Running"], "it runs")
    name = pods.pods()[0]["metadata"]["name"]
    [pod] = drive.evaluators._known.values()
    await drive.until(lambda: pod.asked_at, "it is asked")
    drive.move(91)
    await drive.ready("NoAnswer")
    pods.mute = False
    drive.move(5)
    await drive.ready("Ready")
    assert name not in [p["metadata"]["name"] for p in pods.pods()]


async def test_sensors_of_one_definition_share_a_pod_which_goes_with_the_last(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    for name in "ab":
        drive.apply(name, source=LOOK)
    for name in "ab":
        await drive.ready("Ready", name)
        await drive.until(lambda n=name: drive.status(n).get("ticks"), "a tick")
    assert len(pods.pods()) == 1
    drive.fake.delete("jobsensors", "default", "a")
    drive.change("b", suspend=True)
    await drive.until(lambda: not pods.pods(), "no pod")


async def test_one_that_nobody_needs_for_long_is_let_go(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.apply(source=LOOK, minimumIntervalSeconds=3_600)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    await drive.until(lambda: not pods.pods(), "no pod")
    drive.move(3_545)
    await drive.until(pods.pods, "a pod before it is needed")
    assert len(pods.requests) == 1
    drive.move(55)
    await drive.until(lambda: len(pods.requests) == 2, "it asks")


async def test_pods_that_nobody_knows_are_deleted(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.apply(source=LOOK)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    [pod] = pods.pods()
    await drive.stop()
    drive.fake.delete("jobsensors", "default", "s")
    await drive.start()
    key = pod["metadata"]["labels"]["podgraph.dev/evaluator"]
    await drive.until(lambda: drive.evaluators.pods.unclaimed(key), "it is seen")
    drive.evaluators.queue.add(key)  # as it is by itself, when it is known who needs which
    await drive.until(lambda: not pods.pods(), "no pod")


async def test_a_template_that_touches_what_is_ours_is_refused(drive: MakerDriver) -> None:
    define(drive, podTemplate={"spec": {"containers": [{"name": "step", "command": ["sh"]}]}})
    drive.apply(source=LOOK)
    assert "command cannot be set" in (await drive.ready("InvalidPodTemplate"))["message"]


# --- what it would make


def attempt(drive: MakerDriver, wanted: str) -> None:
    drive.fake.patch(drive.plural, "default", "s", {"metadata": {"annotations": {"podgraph.dev/try": wanted}}})


async def tried(drive: MakerDriver, wanted: str) -> tuple[list[Any], str]:
    """Ask what it would make; return the Jobs, and what is said of them."""
    attempt(drive, wanted)
    await drive.until(lambda: (drive.status().get("tried") or {}).get("id") == wanted, "tried")
    told = drive.status()["tried"]
    return [json.loads(text) for text in told.get("jobs") or ()], told.get("message", "")


async def test_a_try_of_a_function_makes_nothing_and_leaves_the_cursor(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.apply(source=LOOK, suspend=True)
    await drive.ready("Suspended")
    assert await tried(drive, "1") == ([], "nothing to do")
    pods.module.todo += ["x", "x", "y"]
    jobs, message = await tried(drive, "2")
    assert ([job["spec"]["runConfig"] for job in jobs], message) == ([{"key": "x"}, {"key": "y"}], "")
    pods.module.todo[:] = ["fail"]
    assert "raised ValueError: no database" in (await tried(drive, "3"))[1]
    assert (drive.created(), drive.status()["cursor"].get("text")) == ([], None)
    await drive.until(lambda: not pods.pods(), "no pod")
    drive.change(suspend=False)
    pods.module.todo[:] = ["x"]
    await drive.made(1)
    await drive.until(lambda: (drive.status().get("cursor") or {}).get("runKey"), "the cursor")
    assert await tried(drive, "4") == ([], "of 1 run keys there has been a Job already")


async def test_a_try_of_an_object_store(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake)
    pods.keys = {"a.csv": "1"}
    drive.apply(source=STORE, template=SEEN, suspend=True)
    await drive.ready("Suspended")
    assert await tried(drive, "1") == ([], "this is its first look: existing objects create no Job")
    drive.change(suspend=False)
    await begun(drive)
    drive.change(suspend=True)
    await drive.ready("Suspended")
    pods.keys["b.csv"] = "1"
    jobs, _ = await tried(drive, "2")
    assert [job["spec"]["runConfig"]["seen"] for job in jobs] == ["b.csv s3://bucket/in/b.csv"]
    assert drive.created() == []


async def test_a_try_of_what_tells_by_itself(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"name": "a"}}, template=SEEN, suspend=True)
    await drive.ready("Suspended")
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job"}
    drive.fake.create({**kind, "metadata": {"name": "a"}, "spec": {"ops": OPS}})
    drive.finish("a", at=T0 + 10)
    await drive.until(lambda: drive.makers._finished._jobs.get("default"), "it is seen")
    jobs, _ = await tried(drive, "1")
    assert [job["spec"]["runConfig"]["seen"] for job in jobs] == ["a Succeeded"]
    assert drive.created() == []


async def test_a_try_of_what_cannot_look(drive: MakerDriver) -> None:
    drive.apply(source={"http": {"url": "https://example.com"}}, template=SEEN)
    await drive.ready("NotAllowed")
    _, message = await tried(drive, "1")
    assert message == "http sensors are disabled: the chart value sensors.http.allow is empty"


async def test_many_jobs_are_not_all_shown(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.module.todo += [str(n) for n in range(30)]
    define(drive)
    drive.apply(source=LOOK, suspend=True)
    await drive.ready("Suspended")
    jobs, message = await tried(drive, "1")
    assert (len(jobs), message) == (20, "10 more Jobs are not shown")


# --- schedules


@pytest.fixture
async def timed() -> AsyncIterator[MakerDriver]:
    async with making("JobSchedule", Schedules) as driver:
        yield driver


NIGHTLY = {"definitionRef": {"name": "orders"}, "function": "nightly"}


async def ticking(drive: MakerDriver, **spec: Any) -> EvaluatingPods:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.apply(everySeconds=MINUTE, python=NIGHTLY, **spec)
    await drive.ready("Ready")
    await drive.until(lambda: drive.status().get("nextTickTime"), "a next tick")
    return pods


async def test_a_tick_is_what_its_function_says(timed: MakerDriver) -> None:
    await ticking(timed)
    timed.move(MINUTE)
    assert await timed.made(1) == [f"s-{int(T0) + MINUTE}"]
    [job] = timed.fake.objects("jobs")
    assert job["spec"] == {
        "definitionRef": {"name": "orders"}, "runConfig": {"at": "2026-11-24T00:01:00+00:00"}
    }  # fmt: skip
    await timed.until(lambda: timed.status().get("lastJob"), "the status")
    assert timed.status()["ticks"][0]["outcome"] == "Created"


async def test_skipped_failed_and_many(timed: MakerDriver) -> None:
    pods = await ticking(timed)
    for todo, outcome, part in (
        (["skip"], "Skipped", "a holiday"),
        (["fail"], "Failed", "schedule nightly raised ValueError: no database"),
        (["a", "a"], "Failed", "it asks for 2 runs at one tick; each of them must have its own run_key"),
        (["a", "b"], "Created", "and 1 more"),
    ):
        pods.module.todo[:] = todo
        before = len(timed.status().get("ticks") or ())
        timed.move(MINUTE)
        await timed.until(lambda n=before: len(timed.status().get("ticks") or ()) > n, "a tick")
        tick = timed.status()["ticks"][0]
        assert tick["outcome"] == outcome
        assert tick["message"].startswith(part)
    assert len(timed.created()) == 2
    assert all(name.startswith(f"s-{int(T0) + 4 * MINUTE}-") for name in timed.names())


async def test_forbid_asks_nothing_while_a_job_runs(timed: MakerDriver) -> None:
    pods = await ticking(timed, concurrencyPolicy="Forbid")
    timed.move(MINUTE)
    await timed.made(1)
    timed.move(MINUTE)
    await timed.until(lambda: len(timed.status().get("ticks") or ()) == 2, "two ticks")
    assert timed.status()["ticks"][0]["reason"] == "StillRunning"
    assert len(pods.requests) == 1


async def test_killed_while_the_function_is_asked(timed: MakerDriver) -> None:
    pods = await ticking(timed)
    pods.mute = True
    timed.move(MINUTE)
    [pod] = timed.evaluators._known.values()
    await timed.until(lambda: pod.requests, "it is asked")
    await timed.stop()
    await timed.start()
    pods.mute = False
    await timed.until(lambda: timed.evaluators._known, "it is known")
    timed.move(0)
    assert await timed.made(1) == [f"s-{int(T0) + MINUTE}"]
    assert timed.created() == [f"s-{int(T0) + MINUTE}"]


async def test_what_keeps_the_function_is_said(timed: MakerDriver) -> None:
    timed.apply(everySeconds=MINUTE, python=NIGHTLY)
    ready = await timed.ready("DefinitionNotFound")
    assert ready["message"] == "there is no JobDefinition 'orders' in its namespace"


async def test_a_try_of_a_tick(timed: MakerDriver) -> None:
    pods = await ticking(timed, suspend=False)
    jobs, _ = await tried(timed, "1 2026-11-25T00:00:00Z")
    assert jobs[0]["spec"]["runConfig"] == {"at": "2026-11-25T00:00:00+00:00"}
    pods.module.todo[:] = ["skip"]
    assert await tried(timed, "2") == ([], "a holiday")
    assert (await tried(timed, "3 tomorrow"))[0] == []
    timed.fake.delete("jobdefinitions", "default", "orders")
    await timed.ready("DefinitionNotFound")
    assert await tried(timed, "4") == ([], "there is no JobDefinition 'orders' in its namespace")
    assert timed.created() == []


@pytest.mark.parametrize("how", ["", "bare"])
@pytest.mark.parametrize("restarted", [False, True])
async def test_a_pod_of_another_namespace_answers_nothing(drive: MakerDriver, restarted: bool, how: str) -> None:
    """The attack that was shown: such a pod was taken on and asked, and a Job was made of its answer."""
    drive.fake.collector.paused = True
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.apply(source=LOOK)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    [real] = pods.pods()
    if restarted:
        await drive.stop()
        drive.fake.delete_pod("default", real["metadata"]["name"])
    drive.fake.store.listeners.remove(pods._seen)
    drive.fake.create(forged(real, EVIL, how))
    drive.fake.run_pod(EVIL, real["metadata"]["name"])
    drive.fake.store.listeners.append(pods._seen)
    drive.fake.requests.clear()
    if restarted:
        await drive.start()
    pods.module.todo += ["x"]
    drive.move(MINUTE)
    await drive.made(1)
    assert drive.fake.calls(path=f"/namespaces/{EVIL}/") == []
    assert [job["metadata"]["namespace"] for job in drive.fake.objects("jobs")] == ["default"]
    assert drive.fake.find("pods", EVIL, real["metadata"]["name"])


async def test_one_namespace_cannot_use_up_the_room_of_all(drive: MakerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "MOST_IN_NAMESPACE", 1)
    pods = EvaluatingPods(drive.fake)
    drive.apply("one", source=STORE, template=SEEN)
    await drive.until(pods.pods, "a pod")
    drive.apply("two", source=STORE, template=SEEN)
    condition = await drive.ready("TooManyPods", "two")
    assert condition["message"] == "1 pods evaluate in this namespace already, which is the most"
    known = drive.evaluators._known.values()
    assert seats.no_room(known, "another") == ""
    monkeypatch.setattr(seats, "MOST_PODS", 1)
    assert seats.no_room(known, "another") == "1 pods evaluate in the cluster already, which is the most"


async def test_pods_that_evaluate_are_seen_to_by_turns_of_namespaces(drive: MakerDriver) -> None:
    EvaluatingPods(drive.fake)
    drive.apply("one", source=STORE, template=SEEN)
    await drive.until(lambda: drive.evaluators._known, "a pod")
    queue, [key] = drive.evaluators.queue, drive.evaluators._known
    assert queue._namespace_of(key) == "default"
    assert queue._most is not None
    assert queue._most < pool.WORKERS


async def test_a_pod_whose_create_was_not_answered_is_found_again(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    define(drive)
    drive.fake.fault("POST", "/namespaces/default/pods$", status=500, when="after", times=5)  # the client gives up
    drive.apply(source=LOOK)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    assert len(pods.pods()) == 1
    assert len({request.body["metadata"]["name"] for request in drive.fake.calls("POST", "/pods$")}) == 1


# --- who answers


async def test_who_reads_all_but_secrets_cannot_answer(drive: MakerDriver) -> None:
    pods = EvaluatingPods(drive.fake, CODE)
    pods.mute = True
    pods.module.todo += ["true"]
    define(drive)
    drive.apply(source=LOOK)
    await drive.until(lambda: pods.pods() and pods.pods()[0]["status"].get("phase") == "Running", "its pod")
    [pod] = pods.pods()
    [secret] = drive.fake.objects("secrets")
    assert [owner["kind"] for owner in secret["metadata"]["ownerReferences"]] == ["JobDefinition"]
    work = Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT])
    [name] = work.evaluate["requests"]
    forged = Answer(name, requests=[{"run_key": "forged"}])
    for key in (b"", work.nonce.encode(), pod["metadata"]["uid"].encode(), secret["metadata"]["name"].encode()):
        lines = forged.to_lines(Signer(work.nonce, key))
        drive.fake.append_log("default", pod["metadata"]["name"], "".join(f"{line}\n" for line in lines))
    pods.mute = False
    pods.ask_again()
    await drive.made(1)
    assert "forged" not in json.dumps(drive.fake.objects("jobs"))
