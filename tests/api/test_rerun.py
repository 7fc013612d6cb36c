"""Jobs that run another one's steps again, against the fake API server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.driving import Driver, PythonPods, adding, assignment_of, condition, driving, inputs_of, op_of
from api.fake import AutoKubelet

Obj = dict[str, Any]

CODE = """
from podgraph import job, op

@op
def one():
    return 1

@op
def data():
    return b"x" * 100_000

@op
def flaky(a, b):
    if FAILS:
        raise ValueError("no luck")
    return a + len(b)

@op
def last(x):
    return x + 1

@job
def j():
    last(flaky(one(), data()))
"""
BROKEN, MENDED = CODE.replace("FAILS", "True"), CODE.replace("FAILS", "False")
PLAIN = MENDED.replace('b"x" * 100_000', '"xx"')
CHAIN = [
    {"name": "a", "image": "i", "outputs": [{"name": "result"}]},
    {"name": "b", "image": "i", "inputs": [{"name": "x", "from": {"op": "a"}}], "outputs": [{"name": "result"}]},
    {"name": "c", "image": "i", "inputs": [{"name": "x", "from": {"op": "b"}}], "outputs": [{"name": "result"}]},
]


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def failing_b(pod: Obj) -> tuple[int, str]:
    return (1, "") if op_of(pod) == "b" else adding(pod)


async def broken_chain(drive: Driver, **spec: Any) -> Obj:
    """Run a -> b -> c of which b fails, and return the Job."""
    async with AutoKubelet(drive.fake, failing_b):
        job = drive.apply("parent", ops=CHAIN, **spec)
        await drive.finished("parent")
    return job


async def rerun(drive: Driver, of: Obj, name: str = "again", play: Any = adding, **spec: Any) -> tuple[Obj, list[str]]:
    """Run a rerun to its end; return its status and the ops that got pods."""
    before = len(drive.created_ops())
    async with AutoKubelet(drive.fake, play):
        drive.apply(name, **{"ops": CHAIN, **spec}, rerunOf=of)
        status = await drive.finished(name)
    return status, [op for op in drive.created_ops()[before:] if op]


async def refused(drive: Driver, of: Obj, **spec: Any) -> str:
    """Run a rerun that is refused before it has a pod; return why."""
    status, ran = await rerun(drive, of, **spec)
    assert (ran, condition(status, "Accepted")["status"]) == ([], "False"), status
    return f"{condition(status, 'Accepted')['reason']}: {condition(status, 'Accepted')['message']}"


async def test_from_failure_runs_what_failed_and_what_follows_it(drive: Driver) -> None:
    parent = await broken_chain(drive)
    status, ran = await rerun(drive, {"name": "parent", "uid": parent["metadata"]["uid"]})
    assert ran == ["b", "c"]
    assert status["steps"]["a"] == {"state": "Succeeded", "outputs": {"result": '"1"'}, "takenFrom": "parent"}
    assert {name: step.get("attempt") for name, step in status["steps"].items()} == {"a": None, "b": 1, "c": 1}
    assert (status["counts"]["succeeded"], status["counts"]["taken"], status["progress"]) == (3, 1, "3/3")
    assert status["steps"]["c"]["outputs"] == {"result": '"3"'}
    assert condition(status, "Accepted")["message"] == "2 of 3 ops will run; 1 taken from Job 'parent'"
    assert condition(status, "Succeeded")["message"] == "all 3 steps are done, 1 of them as another job did them"


async def test_all_runs_everything_again(drive: Driver) -> None:
    await broken_chain(drive)
    status, ran = await rerun(drive, {"name": "parent", "steps": "All"})
    assert ran == ["a", "b", "c"]
    assert "taken" not in status["counts"]


async def test_a_selection_takes_what_is_not_selected_from_the_parent(drive: Driver) -> None:
    await broken_chain(drive)
    status, ran = await rerun(drive, {"name": "parent", "steps": "All"}, opSelection=["b"])
    assert (ran, sorted(status["steps"])) == (["b"], ["a", "b"])
    assert status["steps"]["a"]["takenFrom"] == "parent"


async def test_a_rerun_can_be_rerun_and_a_taken_step_names_the_job_that_ran_it(drive: Driver) -> None:
    await broken_chain(drive)
    await rerun(drive, {"name": "parent"}, "second", lambda pod: (1, "") if op_of(pod) == "c" else adding(pod))
    status, ran = await rerun(drive, {"name": "second"}, "third")
    assert ran == ["c"]
    assert {n: s.get("takenFrom") for n, s in status["steps"].items()} == {"a": "parent", "b": "second", "c": None}
    # Of a selection the unselected op's outputs go on from rerun to rerun.
    await rerun(drive, {"name": "parent", "steps": "All"}, "some", failing_b, opSelection=["b"])
    status, ran = await rerun(drive, {"name": "some"}, "more", opSelection=["b"])
    assert (ran, status["steps"]["a"]["takenFrom"]) == (["b"], "parent")


async def test_a_restart_in_the_middle_needs_the_parent_no_more(drive: Driver) -> None:
    await broken_chain(drive)
    drive.apply("again", ops=CHAIN, rerunOf={"name": "parent"})
    await drive.step("b", "Starting", "again")
    await drive.stop()
    drive.fake.delete("jobs", "default", "parent")
    await drive.start()
    before = drive.created_ops()
    async with AutoKubelet(drive.fake, adding):
        status = await drive.finished("again")
    assert condition(status, "Succeeded")["status"] == "True"
    assert status["counts"]["taken"] == 1
    assert drive.created_ops()[len(before) :] == ["c"]


async def test_a_skipped_step_is_decided_anew(drive: Driver) -> None:
    optional = [{**CHAIN[0], "outputs": [{"name": "result", "optional": True}]}, CHAIN[1], {**CHAIN[0], "name": "bad"}]
    play: Any = lambda pod: (1, "") if op_of(pod) == "bad" else (0, "")  # noqa: E731
    async with AutoKubelet(drive.fake, play):
        drive.apply("parent", ops=optional)
        await drive.finished("parent")
    status, ran = await rerun(drive, {"name": "parent"}, ops=optional)
    assert (ran, status["steps"]["b"]["state"]) == (["bad"], "Skipped")


async def test_changed_code_may_add_ops_and_what_follows_them_runs_again(drive: Driver) -> None:
    await broken_chain(drive)
    changed = [{**CHAIN[0], "name": "first"}, {**CHAIN[0], "after": ["first"]}, CHAIN[1], CHAIN[2]]
    assert (await rerun(drive, {"name": "parent"}, ops=changed))[1] == ["first", "a", "b", "c"]
    other = [{**CHAIN[0], "outputs": [{"name": "value"}]}, {**CHAIN[1], "inputs": []}]
    said = await refused(drive, {"name": "parent"}, name="other", ops=other)
    assert said.startswith("OutputsDiffer: op 'a' gave output 'result' in Job 'parent', but its outputs are now value")


async def test_bad_parents_are_refused_in_a_sentence(drive: Driver) -> None:
    assert (await refused(drive, {"name": "nobody"})) == (
        "ParentNotFound: there is no Job 'nobody' in the job's namespace, which spec.rerunOf names"
    )
    assert "names the job itself" in await refused(drive, {"name": "itself"}, name="itself")
    drive.apply("running", ops=CHAIN, suspend=True)
    assert "ParentNotFinished: Job 'running' is not finished" in await refused(drive, {"name": "running"}, name="early")


async def test_a_parent_of_another_uid_and_one_that_was_refused(drive: Driver) -> None:
    await broken_chain(drive)
    assert "uid is " in await refused(drive, {"name": "parent", "uid": "other"})
    drive.apply("wrong", ops=CHAIN, opSelection=["nothing"])
    await drive.finished("wrong")
    said = await refused(drive, {"name": "wrong", "steps": "All"}, name="r2")
    assert said.startswith("ParentHasNoSteps: Job 'wrong' ended before it had any step")
    assert "names no op" in said


async def test_nothing_failed(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply("parent", ops=CHAIN)
        await drive.finished("parent")
    assert "NothingFailed: nothing is to be run again" in await refused(drive, {"name": "parent"})
    assert (await rerun(drive, {"name": "parent", "steps": "All"}, "all"))[1] == ["a", "b", "c"]


async def test_what_the_parent_has_not_is_asked_for_as_in_any_selection(drive: Driver) -> None:
    await broken_chain(drive)
    said = await refused(drive, {"name": "parent", "steps": "All"}, opSelection=["c"])
    assert "ops.c.inputs.x is missing: op 'b', which produces it, is not selected" in said
    config = {"ops": {"c": {"inputs": {"x": 5}}, "b": {"inputs": {"x": 1}}}}
    status, ran = await rerun(drive, {"name": "parent", "steps": "All"}, "given", opSelection=["c"], runConfig=config)
    assert (ran, status["steps"]["c"]["outputs"]) == (["c"], {"result": '"6"'})
    said = await refused(
        drive, {"name": "parent", "steps": "All"}, name="twice", opSelection=["b"],
        runConfig={"ops": {"b": {"inputs": {"x": 1}}}},
    )  # fmt: skip
    assert "ops.b.inputs.x gets its value from op 'a'; remove it" in said


def on_claim(folder: Path, **more: Any) -> Obj:
    return {"url": f"file://{folder}", "claimRef": {"name": "mine"}, **more}


async def broken_python(drive: Driver, code: str = BROKEN, **spec: Any) -> Obj:
    claim = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": {}}
    drive.fake.create(claim)
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, code)):
        job = drive.apply("parent", code={"source": code}, **spec)
        await drive.finished("parent")
    return job


async def python_rerun(drive: Driver, name: str = "again", of: Obj | None = None, **spec: Any) -> Obj:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, spec["code"]["source"])):
        drive.apply(name, rerunOf=of or {"name": "parent"}, **spec)
        return await drive.finished(name)


async def test_stored_values_are_read_where_the_parent_stored_them(drive: Driver, tmp_path: Path) -> None:
    parent = await broken_python(drive, storage=on_claim(tmp_path))
    status = await python_rerun(drive, code={"source": MENDED}, storage=on_claim(tmp_path))
    assert status["steps"]["last"]["outputs"] == {"result": "100002"}
    assert f"/{parent['metadata']['uid']}/" in status["steps"]["data"]["stored"]["result"]["key"]
    # The rerun has stored nothing itself: deleting it deletes nothing of the parent's.
    drive.fake.delete("jobs", "default", "again")
    await drive.fake.until(lambda: drive.fake.find("jobs", "default", "again") is None, what="the rerun's end")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1


async def test_another_storage_is_refused(drive: Driver, tmp_path: Path) -> None:
    await broken_python(drive, storage=on_claim(tmp_path))
    status = await python_rerun(drive, code={"source": MENDED}, storage=on_claim(tmp_path / "other"))
    said = condition(status, "Accepted")["message"]
    assert (
        f"is stored at file://{tmp_path} on the claim 'mine', but this job's storage is file://{tmp_path}/other" in said
    )
    status = await python_rerun(drive, "none", code={"source": MENDED})
    assert "but this job has no storage; give it the same spec.storage" in condition(status, "Accepted")["message"]


async def test_a_value_that_went_with_the_job_that_stored_it(drive: Driver, tmp_path: Path) -> None:
    await broken_python(drive, storage=on_claim(tmp_path))
    await python_rerun(drive, "second", code={"source": BROKEN}, storage=on_claim(tmp_path))
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, BROKEN)):
        drive.fake.delete("jobs", "default", "parent")
        await drive.fake.until(lambda: drive.fake.find("jobs", "default", "parent") is None, what="the parent's end")
    status = await python_rerun(drive, "third", {"name": "second"}, code={"source": MENDED}, storage=on_claim(tmp_path))
    said = condition(status, "Accepted")
    assert (said["reason"], "was stored by Job 'parent' and deleted with it" in said["message"]) == (
        "ValueDeleted",
        True,
    )


async def test_a_value_that_is_lost_fails_its_step_by_name(drive: Driver, tmp_path: Path) -> None:
    await broken_python(drive, storage=on_claim(tmp_path))
    next(path for path in tmp_path.rglob("*") if path.is_file()).unlink()
    status = await python_rerun(drive, code={"source": MENDED}, storage=on_claim(tmp_path))
    step = status["steps"]["flaky"]
    assert (step["state"], step["reason"]) == ("Failed", "InputNotReadable")
    assert "input 'b' of op 'flaky': default/parent/" in step["message"]


async def test_one_pod_takes_what_stands_in_the_status(drive: Driver) -> None:
    await broken_python(drive, PLAIN.replace("False", "True"), execution={"mode": "InProcess"})
    status = await python_rerun(drive, code={"source": PLAIN}, execution={"mode": "InProcess"})
    assert status["steps"]["last"]["outputs"] == {"result": "4"}
    assert {n for n, s in status["steps"].items() if s.get("takenFrom")} == {"data", "one"}
    pod = next(p for p in drive.fake.objects("pods") if assignment_of(p).group.get("taken"))
    assert assignment_of(pod).group["selection"] == ["flaky", "last"]
    assert assignment_of(pod).group["taken"] == {"one": {"result": 1}, "data": {"result": "xx"}}


async def test_one_pod_keeps_no_large_value(drive: Driver) -> None:
    await broken_python(drive, execution={"mode": "InProcess"})
    status = await python_rerun(drive, code={"source": MENDED}, execution={"mode": "InProcess"})
    assert condition(status, "Accepted")["message"] == (
        "op 'flaky' needs output 'result' of op 'data', which is not in the status of Job 'parent'; one pod ran all "
        "its steps, and it keeps only small JSON values there; select 'data' too to run it again"
    )


async def test_one_pod_reads_no_references(drive: Driver, tmp_path: Path) -> None:
    await broken_python(drive, storage=on_claim(tmp_path))
    spec = {"code": {"source": MENDED}, "storage": on_claim(tmp_path), "execution": {"mode": "InProcess"}}
    status = await python_rerun(drive, **spec)
    assert "is no JSON value in its status" in condition(status, "Accepted")["message"]


async def test_inputs_reach_the_steps(drive: Driver) -> None:
    await broken_chain(drive)
    await rerun(drive, {"name": "parent"})
    pods = [p for p in drive.fake.objects("pods") if p["metadata"]["labels"]["podgraph.dev/job"] == "again"]
    assert {op_of(pod): inputs_of(pod) for pod in pods} == {"b": {"x": "1"}, "c": {"x": "2"}}
