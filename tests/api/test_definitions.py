"""JobDefinitions against the fake API server: resolved once, run by Jobs from a copy of their own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from api.driving import Driver, PythonPods, adding, assignment_of, condition, driving, op_of
from api.fake import AutoKubelet
from api.steering import Moving
from podgraph.planning.job import definition_run, definition_snapshot
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.names import JOB_LABEL, clean_pod
from podgraph.protocol.graph_codec import unpack
from podgraph.reconcile.jobs.definition_cache import SURE_SECONDS

Obj = dict[str, Any]

CODE = """
from podgraph import Field, job, op

@op(config_schema={"word": str, "times": Field(int, default_value=1)})
def say(context):
    return context.op_config["word"] * context.op_config["times"]

@op
def twice(text: str):
    return text + text

@job
def talk():
    twice(say())
"""
WORD = {"ops": {"say": {"config": {"word": "ü"}}}}
CHAIN = [
    {"name": "a", "image": "busybox", "inputs": [{"name": "x", "value": 1}], "outputs": [{"name": "result"}]},
    {"name": "b", "image": "busybox", "inputs": [{"name": "a", "from": {"op": "a"}}], "outputs": [{"name": "result"}]},
]


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definition_snapshot, "MISSING_SECONDS", 0.4)
    monkeypatch.setattr(definition_snapshot, "BROKEN_SECONDS", 0.2)
    monkeypatch.setattr(definition_run, "RETRY_SECONDS", 0.1)


class Pods:
    """Plays the pods of Python code, each with the code in the ConfigMap that it mounts."""

    def __init__(self, drive: Driver) -> None:
        self.drive = drive
        self.plays: dict[str, PythonPods] = {}

    def __call__(self, pod: Obj) -> tuple[int, str]:
        names = [s["configMap"]["name"] for s in pod["spec"]["volumes"][0]["projected"]["sources"] if "configMap" in s]
        source = self.drive.fake.get("configmaps", "default", names[-1])["data"]["job.py"]
        return self.plays.setdefault(source, PythonPods(self.drive.fake, source))(pod)


def define(drive: Driver, name: str = "d", **spec: Any) -> Obj:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition"}
    return drive.fake.create({**kind, "metadata": {"name": name}, "spec": spec})


def status_of(drive: Driver, name: str = "d") -> Obj:
    return (drive.fake.find("jobdefinitions", "default", name) or {}).get("status") or {}


async def settled(drive: Driver, name: str = "d", generation: int = 1) -> Obj:
    def ready() -> Obj:
        found = condition(status_of(drive, name), "Ready")
        known = found.get("status") in ("True", "False") and found["observedGeneration"] == generation
        return found if known else {}

    return await drive.fake.until(ready, what=f"definition {name} resolved: {status_of(drive, name)}")


def launch(drive: Driver, name: str = "j", definition: str = "d", **spec: Any) -> Obj:
    return drive.apply(name, definitionRef={"name": definition}, **spec)


def refusal(status: Obj) -> tuple[str, str]:
    accepted = condition(status, "Accepted")
    assert (accepted["status"], condition(status, "Succeeded")["reason"]) == ("False", "Refused")
    return accepted["reason"], accepted["message"]


def pods_of(drive: Driver, job: str) -> list[str]:
    """The ops of a Job's pods, in order of their creation."""
    made = [r.body for r in drive.fake.calls("POST", "/pods$") if r.status == 201]
    return [op_of(pod) for pod in made if pod["metadata"]["labels"].get(JOB_LABEL) == job]


def change(drive: Driver, name: str = "d", **spec: Any) -> None:
    drive.fake.patch("jobdefinitions", "default", name, {"spec": spec})


# --- the definition itself


async def test_a_definition_of_ops_is_ready_at_once(drive: Driver) -> None:
    define(drive, ops=CHAIN, opSelection=["*b"])
    assert (await settled(drive))["message"] == "2 ops"
    status = status_of(drive)
    assert (status["opCount"], status["observedGeneration"], len(status["digest"])) == (2, 1, 64)
    assert list(unpack(status["graph"]).ops) == ["a", "b"]
    assert json.loads(status["configSchema"])["title"] == "Run config of d"
    assert drive.creates() == []


async def test_code_is_read_by_one_pod_that_goes(drive: Driver) -> None:
    made = define(drive, code={"source": CODE}, runConfig={"ops": {"say": {"config": {"times": 2}}}})
    async with AutoKubelet(drive.fake, Pods(drive)):
        ready = await settled(drive)
    assert (ready["status"], ready["message"]) == ("True", "2 ops")
    schema = json.loads(status_of(drive)["configSchema"])
    assert schema["properties"]["ops"]["properties"]["say"]["required"] == ["config"]
    (pod,) = [r.body for r in drive.fake.calls("POST", "/pods$")]
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "JobDefinition"
    assert pod["metadata"]["labels"]["podgraph.dev/definition"] == "d"
    assert JOB_LABEL not in pod["metadata"]["labels"]
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the resolve pod is deleted")
    await drive.fake.until(lambda: drive.fake.objects("events"), what="an event")
    (event,) = drive.fake.objects("events")
    assert (event["reason"], event["involvedObject"]["kind"], event["involvedObject"]["uid"]) == (
        "Resolved", "JobDefinition", made["metadata"]["uid"],
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spec", "reason", "said"),
    [
        ({"code": {"source": "def f(:"}}, "CodeError", "does not compile"),
        ({"code": {"source": CODE, "job": "tlak"}}, "UnknownJob", "did you mean 'talk'?"),
        ({"code": {"source": CODE}, "opSelection": ["twicee"]}, "UnknownOp", "did you mean 'twice'?"),
        (
            {"code": {"source": CODE}, "runConfig": {"ops": {"say": {"config": {"times": "x"}}}}},
            "InvalidRunConfig",
            "ops.say.config.times must be",
        ),
        ({"code": {"configMapRef": {"name": "m", "key": "k"}}}, "ConfigMapNotFound", "the definition's namespace"),
        ({"code": {"source": CODE}, "storage": {"claimRef": {"name": "c"}}}, "ClaimNotFound", "definition's namespace"),
        ({"code": {"source": CODE}, "storage": {"url": "file:///x"}}, "InvalidStorage", "without claimRef"),
        ({"ops": [{**CHAIN[0], "name": "é!"}]}, "InvalidName", "'é!'"),
    ],
)
async def test_an_error_is_told_in_the_status_and_refuses_jobs(
    drive: Driver, spec: Obj, reason: str, said: str
) -> None:
    define(drive, **spec)
    async with AutoKubelet(drive.fake, Pods(drive)):
        ready = await settled(drive)
        assert (ready["status"], ready["reason"]) == ("False", reason)
        assert said in ready["message"]
        launch(drive)
        found = refusal(await drive.finished())
    assert found[0] == "DefinitionNotReady"
    assert found[1] == f"JobDefinition 'd' cannot be run: {ready['message']}"
    assert pods_of(drive, "j") == []


async def test_a_schema_that_is_too_large_is_left_out(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definition_run, "MAX_SCHEMA", 100)
    define(drive, ops=CHAIN)
    ready = await settled(drive)
    assert ready["status"] == "True"
    assert "status.configSchema is left out, as it would be" in ready["message"]
    assert "configSchema" not in status_of(drive)


async def test_a_definition_that_would_not_fit_is_not_ready(drive: Driver) -> None:
    define(drive, ops=[{**CHAIN[0], "name": f"n{i}", "script": "x" * 60_200} for i in range(23)])
    ready = await settled(drive)
    assert (ready["reason"], "at most 1,400,000 bytes fit" in ready["message"]) == ("TooLarge", True)


async def test_a_config_map_that_comes_later_is_found(drive: Driver) -> None:
    define(drive, code={"configMapRef": {"name": "m", "key": "k"}}, runConfig=WORD)
    assert (await settled(drive))["reason"] == "ConfigMapNotFound"
    writes = drive.status_writes()
    async with AutoKubelet(drive.fake, Pods(drive)):
        drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"k": CODE}})
        await drive.fake.until(lambda: condition(status_of(drive), "Ready")["status"] == "True", what="ready")
        drive.fake.patch("configmaps", "default", "m", {"data": {"k": "broken("}})
        launch(drive)
        status = await drive.finished()
    assert json.loads(status["steps"]["twice"]["outputs"]["result"]) == "üü"
    assert writes == 1


async def test_a_changed_definition_is_resolved_again(drive: Driver) -> None:
    define(drive, code={"source": CODE})
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
        first = status_of(drive)
        change(drive, code={"source": "nonsense("})
        assert (await settled(drive, generation=2))["reason"] == "CodeError"
        assert not {"graph", "configSchema", "digest", "opCount"} & status_of(drive).keys()
        change(drive, code={"source": CODE + "\n# more"})
        assert (await settled(drive, generation=3))["status"] == "True"
    assert status_of(drive)["digest"] != first["digest"]
    assert len(set(drive.creates())) == len(drive.creates()) == 3
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pods of all generations are deleted")
    copies = [m for m in drive.fake.objects("configmaps") if "job.py" in (m.get("data") or {})]
    assert [m["data"]["job.py"] for m in copies] == [CODE + "\n# more"]


async def test_a_change_while_the_code_is_read_ends_that_reading(drive: Driver) -> None:
    define(drive, code={"source": CODE})
    first = await drive.pod_of("")
    change(drive, code={"source": CODE, "image": "other"})
    await drive.fake.until(lambda: len(drive.creates()) == 2, what="another resolve pod")
    await drive.fake.until(
        lambda: drive.fake.find("pods", "default", first["metadata"]["name"]) is None, what="the first is deleted"
    )
    async with AutoKubelet(drive.fake, Pods(drive)):
        assert (await settled(drive, generation=2))["status"] == "True"


@pytest.mark.parametrize("ended", [False, True])
async def test_a_restart_resolves_no_definition_twice(drive: Driver, ended: bool) -> None:
    define(drive, code={"source": CODE})
    pod = await drive.pod_of("")
    await drive.stop()
    if ended:
        code, message = Pods(drive)(pod)
        drive.fake.finish_pod("default", pod["metadata"]["name"], code, message)
    await drive.start()
    async with AutoKubelet(drive.fake, Pods(drive)):
        assert (await settled(drive))["status"] == "True"
    digest = status_of(drive)["digest"]
    await drive.stop()
    await drive.start()
    launch(drive, runConfig=WORD)
    async with AutoKubelet(drive.fake, Pods(drive)):
        await drive.finished()
    assert (len(set(drive.creates())), drive.status()["definition"]["digest"]) == (3, digest)


async def test_a_resolve_pod_that_the_cluster_ends_is_made_again() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        uid = define(drive, code={"source": CODE})["metadata"]["uid"]
        pod = await drive.pod_of("")
        drive.fake.evict_pod("default", pod["metadata"]["name"], "Evicted", "low on memory")
        await drive.fake.until(lambda: drive.fake.objects("events"), what="an event")
        message = condition(status_of(drive), "Ready")["message"]
        assert message == (
            "its code is being read for its graph (again, as the resolve pod reported no graph; low on memory)"
        )
        clock.now += 10
        assert drive.controller is not None
        drive.controller.definitions.queue.add(uid)
        async with AutoKubelet(drive.fake, Pods(drive)):
            assert (await settled(drive))["status"] == "True"
        assert len(drive.creates()) == 2


async def test_a_definition_does_not_count_as_an_unfinished_job(drive: Driver) -> None:
    define(drive, code={"source": CODE})
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
        assert drive.controller is not None
        assert "podgraph_unfinished_jobs 0.0" in drive.controller.metrics.text().decode().splitlines()


# --- its Jobs


async def test_jobs_of_a_definition_make_no_resolve_pod(drive: Driver) -> None:
    made = define(drive, code={"source": CODE, "image": "mine:1"}, runConfig=WORD, execution={"podRetention": "Never"})
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
        launch(drive, "one")
        launch(drive, "two", runConfig={"ops": {"say": {"config": {"times": 2}}}})
        launch(drive, "three", opSelection=["say"])
        found = {name: await drive.finished(name) for name in ("one", "two", "three")}
    results = {n: json.loads(s["steps"].get("twice", s["steps"]["say"])["outputs"]["result"]) for n, s in found.items()}
    assert results == {"one": "üü", "two": "üüüü", "three": "ü"}
    assert [pods_of(drive, name) for name in found] == [["say", "twice"], ["say", "twice"], ["say"]]
    assert found["one"]["definition"] == {
        "name": "d",
        "uid": made["metadata"]["uid"],
        "generation": 1,
        "digest": status_of(drive)["digest"],
        "podRetention": "Always",
    }
    assert found["one"]["graph"] == status_of(drive)["graph"]
    steps = [p for p in drive.fake.objects("pods") if op_of(p)]
    assert {p["spec"]["containers"][0]["image"] for p in steps} == {"mine:1"}
    assert drive.fake.calls("GET", "jobdefinitions/") == []


async def test_a_job_of_container_ops(drive: Driver) -> None:
    define(drive, ops=CHAIN)
    async with AutoKubelet(drive.fake, adding):
        launch(drive)
        status = await drive.finished()
    assert json.loads(status["steps"]["b"]["outputs"]["result"]) == "3"
    assert (drive.created_ops(), "graph" in status) == (["a", "b"], False)


async def test_a_job_waits_for_a_definition_that_is_being_resolved(drive: Driver) -> None:
    define(drive, code={"source": CODE}, runConfig=WORD)
    await drive.pod_of("")
    launch(drive)
    await drive.fake.until(lambda: condition(drive.status(), "Accepted"), what="a status")
    accepted = condition(drive.status(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("Unknown", "AwaitingDefinition")
    assert accepted["message"] == "the code of JobDefinition 'd' is being read for its graph"
    async with AutoKubelet(drive.fake, Pods(drive)):
        assert condition(await drive.finished(), "Succeeded")["status"] == "True"


async def test_a_job_is_refused_whose_definition_is_deleted_while_it_waits(drive: Driver) -> None:
    define(drive, code={"source": CODE})
    await drive.pod_of("")
    launch(drive)
    await drive.fake.until(lambda: condition(drive.status(), "Accepted"), what="a status")
    drive.fake.delete("jobdefinitions", "default", "d")
    assert refusal(await drive.finished())[0] == "DefinitionNotFound"
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the resolve pod goes with its owner")


async def test_a_job_that_comes_before_its_definition_waits(drive: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(definition_snapshot, "MISSING_SECONDS", 30.0)
    launch(drive)
    await drive.fake.until(lambda: condition(drive.status(), "Accepted"), what="a status")
    assert condition(drive.status(), "Accepted")["message"] == "JobDefinition 'd' does not exist yet"
    define(drive, ops=CHAIN)
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()


async def test_a_definition_that_does_not_exist_refuses_the_job(drive: Driver) -> None:
    define(drive, "daily-load", ops=CHAIN)
    await settled(drive, "daily-load")
    launch(drive, definition="daily-laod")
    reason, message = refusal(await drive.finished())
    assert (reason, message) == (
        "DefinitionNotFound",
        "there is no JobDefinition 'daily-laod' in the job's namespace; did you mean 'daily-load'?",
    )
    assert drive.creates() == []


async def test_a_definition_is_looked_for_in_the_cluster_before_the_job_is_refused(drive: Driver) -> None:
    """The watch of definitions may come later than that of Jobs, however long it takes."""
    await drive.fake.until(lambda: drive.fake.watch_count("jobdefinitions"), what="a watch")
    with drive.fake.held_events("jobdefinitions"):
        define(drive, ops=CHAIN)
        launch(drive)
        await drive.fake.until(lambda: len(drive.fake.calls("GET", "jobdefinitions/d$")) > 1, what="two looks")
        assert condition(drive.status(), "Accepted")["status"] == "Unknown"
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()


async def test_a_definition_whose_deletion_was_not_told_is_missed_after_a_while() -> None:
    clock = Moving()
    async with driving(clock) as drive:
        define(drive, ops=CHAIN)
        await settled(drive)
        drive.fake.lose_events("jobdefinitions", lambda: drive.fake.delete("jobdefinitions", "default", "d"))
        clock.now += SURE_SECONDS
        launch(drive)
        assert refusal(await drive.finished())[0] == "DefinitionNotFound"


async def test_one_that_was_mended_just_before_does_not_refuse_the_job(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(definition_snapshot, "BROKEN_SECONDS", 30.0)
    define(drive, ops=CHAIN, opSelection=["c"])
    await settled(drive)
    launch(drive)
    await drive.fake.until(lambda: condition(drive.status(), "Accepted"), what="a status")
    change(drive, opSelection=["a"])
    async with AutoKubelet(drive.fake, adding):
        assert (await drive.finished())["progress"] == "1/1"


async def test_what_the_two_together_make_wrong_refuses_the_job(drive: Driver) -> None:
    define(drive, ops=CHAIN)
    launch(drive, storage={"claimRef": {"name": "c"}})
    assert "spec.storage is for Python ops" in refusal(await drive.finished())[1]
    launch(drive, "k", opSelection=["bb"])
    assert refusal(await drive.finished("k"))[0] == "UnknownOp"
    launch(drive, "l", runConfig={"ops": {"x": {}}})
    assert "ops.x is unknown" in refusal(await drive.finished("l"))[1]
    assert drive.creates() == []


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("how", ["deleted", "changed", "recreated"])
async def test_a_running_job_goes_on_with_what_it_began(drive: Driver, how: str, restart: bool) -> None:
    define(drive, code={"source": CODE}, runConfig=WORD, execution={"maxConcurrent": 1}, ttlSecondsAfterFinished=999)
    play = Pods(drive)
    async with AutoKubelet(drive.fake, play, select=lambda pod: not op_of(pod)):
        await settled(drive)
    launch(drive)
    pod = await drive.pod_of("say")
    await drive.fake.until(lambda: drive.status().get("definition"), what="the definition in the status")
    if restart:
        await drive.stop()
    other = {"code": {"source": CODE.replace("text + text", "'other'")}, "runConfig": {"ops": {"say": {}}}}
    if how == "changed":
        change(drive, **other)
    else:
        drive.fake.delete("jobdefinitions", "default", "d")
        if how == "recreated":
            define(drive, **other)
    if restart:
        await drive.start()
    async with AutoKubelet(drive.fake, play):
        status = await drive.finished()
    assert json.loads(status["steps"]["twice"]["outputs"]["result"]) == "üü"
    assert assignment_of(pod).config == {"word": "ü"}
    assert status["definition"]["generation"] == 1
    assert status["definition"]["ttlSecondsAfterFinished"] == 999
    assert pods_of(drive, "j") == ["say", "twice"]


async def test_a_crash_before_the_status_tells_of_the_copy(drive: Driver) -> None:
    """The copy that the operator before made counts, though the definition was changed or is gone."""
    define(drive, ops=CHAIN)
    await settled(drive)
    drive.fake.fault("PATCH", "/jobs/j/status$", status=500)
    launch(drive)
    await drive.pod_of("a")
    await drive.stop()
    drive.fake.faults.clear()
    drive.fake.delete("jobdefinitions", "default", "d")
    await drive.start()
    async with AutoKubelet(drive.fake, adding):
        status = await drive.finished()
    assert (status["definition"]["name"], status["progress"]) == ("d", "2/2")


async def test_a_copy_that_was_deleted_ends_the_job_at_a_restart_with_a_sentence(drive: Driver) -> None:
    define(drive, ops=CHAIN)
    launch(drive)
    await drive.pod_of("a")
    await drive.fake.until(lambda: drive.status().get("definition"), what="the definition in the status")
    await drive.stop()
    for found in drive.fake.objects("configmaps"):
        drive.fake.delete("configmaps", "default", found["metadata"]["name"])
    await drive.start()
    reason, message = refusal(await drive.finished())
    assert (reason, "own copy of JobDefinition 'd'" in message) == ("CopyDeleted", True)


async def test_the_job_s_copy_is_refused_in_a_sentence_when_it_is_too_large(drive: Driver) -> None:
    noise = ["".join(map(chr, Random(i).choices(range(0x4E00, 0x9FFF), k=330_000))) for i in range(2)]
    define(
        drive,
        ops=[{"name": "a", "image": "busybox", "inputs": [{"name": "x"}, {"name": "y"}]}],
        runConfig={"ops": {"a": {"inputs": {"x": noise[0]}}}},
    )
    assert (await settled(drive))["status"] == "True"
    launch(drive, runConfig={"ops": {"a": {"inputs": {"y": noise[1]}}}})
    reason, message = refusal(await drive.finished())
    assert (reason, message[:58]) == ("Invalid", "the API server refuses the job's copy of its definition: C")


async def test_a_job_can_be_canceled_and_has_its_deadline_while_it_waits(drive: Driver) -> None:
    define(drive, code={"source": CODE}, runConfig=WORD)
    await drive.pod_of("")
    launch(drive)
    launch(drive, "late", activeDeadlineSeconds=1)
    await drive.fake.until(lambda: condition(drive.status(), "Accepted"), what="a status")
    drive.fake.patch("jobs", "default", "j", {"spec": {"cancel": True}})
    assert condition(await drive.finished(), "Succeeded")["reason"] == "Canceled"
    assert condition(await drive.finished("late"), "Succeeded")["reason"] == "DeadlineExceeded"


async def test_what_the_definition_says_of_the_end_holds_after_a_restart(drive: Driver) -> None:
    define(drive, ops=CHAIN, execution={"podRetention": "Never"}, ttlSecondsAfterFinished=0)
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job"}
    drive.fake.create({**kind, "metadata": {"name": "j"}, "spec": {"definitionRef": {"name": "d"}}})
    drive.fake.fault("DELETE", "/jobs/j$", status=500)
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="its pods are deleted")
    await drive.stop()
    drive.fake.faults.clear()
    await drive.start()
    await drive.fake.until(lambda: drive.fake.find("jobs", "default", "j") is None, what="the job is deleted")


async def test_a_hundred_jobs_fetch_nothing_of_their_definition(drive: Driver) -> None:
    define(drive, code={"source": CODE}, runConfig=WORD)
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
        for i in range(100):
            launch(drive, f"j{i}", opSelection=["say"])
        for i in range(100):
            await drive.finished(f"j{i}", timeout=30)
    assert len(drive.creates()) == 101
    assert drive.fake.calls("GET", "jobdefinitions/") == []
    assert drive.fake.calls("GET", "configmaps/(?!podgraph-runtime)") == []


# --- storage


async def test_storage_is_tried_once_for_the_definition_and_by_a_job_that_has_another(drive: Driver) -> None:
    for name in ("one", "two"):
        drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": {}})
    define(drive, code={"source": CODE}, runConfig=WORD, storage={"claimRef": {"name": "one"}})
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
        launch(drive, "same")
        launch(drive, "kept", storage={"claimRef": {"name": "one"}, "retain": "Keep"})
        launch(drive, "other", storage={"claimRef": {"name": "two"}})
        launch(drive, "missing", storage={"claimRef": {"name": "three"}})
        found = {name: await drive.finished(name) for name in ("same", "kept", "other", "missing")}
    assert {name: pods_of(drive, name) for name in found} == {
        "same": ["say", "twice"],
        "kept": ["say", "twice"],
        "other": ["", "say", "twice"],
        "missing": [],
    }
    assert status_of(drive)["storage"] == {"url": "file:///podgraph-storage", "claim": "one"}
    assert refusal(found["missing"])[0] == "ClaimNotFound"
    finalizers = {n: drive.fake.get("jobs", "default", n)["metadata"].get("finalizers") for n in found}
    assert finalizers == {
        "same": ["podgraph.dev/storage"], "kept": None, "other": ["podgraph.dev/storage"], "missing": None
    }  # fmt: skip
    assert "finalizers" not in drive.fake.get("jobdefinitions", "default", "d")["metadata"]
    assert found["same"]["storage"]["image"] == "python:3.13-slim"


async def test_a_job_deleted_before_its_status_was_written_leaves_nothing_stored(drive: Driver, tmp_path: Path) -> None:
    drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "c"}, "spec": {}})
    place = {"url": f"file://{tmp_path}", "claimRef": {"name": "c"}}
    define(drive, code={"source": CODE}, runConfig=WORD, storage=place)
    async with AutoKubelet(drive.fake, Pods(drive)):
        await settled(drive)
    drive.fake.fault("PATCH", "/jobs/j/status$", status=500)
    job = launch(drive)
    step = await drive.pod_of("say")
    assert "storage" not in drive.status()
    stored = tmp_path / "default" / "j" / job["metadata"]["uid"] / "say"
    stored.mkdir(parents=True)
    (stored / "result").write_text("left by the step")
    drive.fake.delete("jobs", "default", "j")
    cleaning = await drive.fake.until(
        lambda: drive.fake.find("pods", "default", clean_pod("j", job["metadata"]["uid"])), what="the pod that cleans"
    )
    assert drive.fake.find("pods", "default", step["metadata"]["name"]) is None
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        await drive.fake.until(lambda: drive.fake.find("jobs", "default", "j") is None, what="the job is gone")
    assert assignment_of(cleaning).storage == place["url"]
    assert not stored.exists()


async def test_the_operator_s_own_storage_is_tried_once_too() -> None:
    async with driving(storage=Storage("file:///x", claim="c", size="1Gi")) as drive:
        define(drive, code={"source": CODE}, runConfig=WORD)
        async with AutoKubelet(drive.fake, Pods(drive)):
            launch(drive)
            status = await drive.finished()
        assert (status["storage"]["url"], pods_of(drive, "j")) == ("file:///x", ["say", "twice"])
