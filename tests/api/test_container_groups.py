"""Container and script ops that share a pod, against the fake API server: turns, retries, losses, restarts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Driver, condition, driving
from api.steering import Moving, change, said, states, wake
from podgraph.planning.manifests.multi_container import inputs_key
from podgraph.planning.model.names import POD_LABEL, shared_pod, step_container

Obj = dict[str, Any]
END = "exit 0\n"


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def op(name: str, *ups: str, **more: Any) -> Obj:
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    made = {"name": name, "image": "busybox:1", "script": "true", "pod": "p", "inputs": inputs}
    return {**made, "outputs": [{"name": "result", "optional": True}], **more}


def uid_of(drive: Driver) -> str:
    return str(drive.fake.get("jobs", "default", "j")["metadata"]["uid"])


def name_of(drive: Driver, attempt: int = 1) -> str:
    return shared_pod("j", uid_of(drive), "p", attempt)


async def there(drive: Driver, attempt: int = 1) -> Obj:
    """Wait for the shared pod and let it run."""
    await drive.fake.until(lambda: drive.fake.find("pods", "default", name_of(drive, attempt)), what="the shared pod")
    return drive.fake.run_pod("default", name_of(drive, attempt))


async def told(drive: Driver, at: int, attempt: int = 1) -> str:
    """Wait for what the container of the pod's op number `at` is told."""

    def text() -> str | None:
        pod = drive.fake.get("pods", "default", name_of(drive, attempt))
        return pod["metadata"]["annotations"].get(inputs_key(at))

    return str(await drive.fake.until(text, what=f"what op {at} is told"))


def ends(drive: Driver, name: str, code: int = 0, text: str = "", attempt: int = 1) -> None:
    drive.fake.end_container("default", name_of(drive, attempt), step_container(name), code, text)


def says(drive: Driver, name: str, text: str, number: int = 1) -> None:
    """Be the runner that tells the end of a script in the log."""
    word = drive.keys.of(uid_of(drive)).token(name, number)
    drive.fake.append_log("default", name_of(drive), f"::podgraph-output {word}::{text}\n::podgraph-end {word}::1\n")


async def test_each_container_is_told_its_turn_and_values_go_from_op_to_op(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a"), op("c_1", "b", timeoutSeconds=5), op("apart", "a", pod="q")])
    pod = await there(drive)
    assert [c["name"] for c in pod["spec"]["containers"]] == [step_container(name) for name in ("a", "b", "c_1")]
    assert pod["metadata"]["labels"][POD_LABEL] == "p"
    assert "export" not in await told(drive, 0)
    await drive.step("a", "Running")
    assert states(drive)["b"] == "Pending"
    says(drive, "a", "result=it's")
    assert await told(drive, 1) == "# the inputs\nexport INPUT_A='it'\"'\"'s'\n"
    assert (await drive.pod_of("apart"))["metadata"]["name"] != name_of(drive)
    drive.finish("apart", "result=x")
    ends(drive, "a", text="result=it's")
    ends(drive, "b", text="result=2")
    assert await told(drive, 2) == "# the inputs\nexport INPUT_B=2\n_podgraph_limit=5\n"
    ends(drive, "c_1")
    status = await drive.finished()
    assert states(drive) == dict.fromkeys(("a", "b", "c_1", "apart"), "Succeeded")
    assert status["pods"]["p"]["state"] == "Ended"
    assert len({drive.steps()[name]["podUID"] for name in ("a", "b", "c_1")}) == 1
    assert len(drive.creates()) == 2


async def test_a_container_whose_op_does_not_run_is_told_to_end(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a"), op("c", "a", after=["b"])])
    await there(drive)
    await drive.step("a", "Running")
    ends(drive, "a")  # without its output, so what needs it is skipped
    assert await told(drive, 1) == END
    assert await told(drive, 2) == END
    ends(drive, "b")
    ends(drive, "c")
    await drive.finished()
    assert states(drive) == {"a": "Succeeded", "b": "Skipped", "c": "Skipped"}
    assert len(drive.creates()) == 1


async def test_a_retry_is_another_pod_for_the_rest_when_those_beside_it_have_ended(drive: Driver) -> None:
    retry = {"maxRetries": 1}
    drive.apply(ops=[op("a"), op("beside", "a"), op("again", "a", retryPolicy=retry), op("last", "again")])
    await there(drive)
    await drive.step("a", "Running")
    ends(drive, "a", text="result=1")
    await drive.step("again", "Running")
    await drive.step("beside", "Running")
    ends(drive, "again", 3)
    await drive.step("again", "UpForRetry")
    assert states(drive)["beside"] == "Running"
    ends(drive, "beside", text="result=2")
    assert await told(drive, 3) == END, "there is nothing more to do for it here"
    ends(drive, "last")
    pod = await there(drive, 2)
    assert [c["name"] for c in pod["spec"]["containers"]] == ["step-again", "step-last"]
    assert await told(drive, 2, 2) == "# the inputs\nexport INPUT_A=1\n"
    await drive.step("again", "Running")
    ends(drive, "again", text="result=5", attempt=2)
    assert await told(drive, 3, 2) == "# the inputs\nexport INPUT_AGAIN=5\n"
    ends(drive, "last", attempt=2)
    await drive.finished()
    assert states(drive) == dict.fromkeys(("a", "beside", "again", "last"), "Succeeded")
    attempts = {name: record["attempt"] for name, record in drive.steps().items()}
    assert attempts == {"a": 1, "beside": 1, "again": 2, "last": 1}


async def test_a_pod_lost_to_the_cluster_is_followed_by_another() -> None:
    async with driving(Moving()) as drive:
        drive.apply(ops=[op("a"), op("b", "a"), op("c", "b")])
        await there(drive)
        await drive.step("a", "Running")
        ends(drive, "a", text="result=1")
        await drive.step("b", "Running")
        drive.fake.evict_pod("default", name_of(drive))
        await drive.step("b", "UpForRetry")
        assert isinstance(drive.clock, Moving)
        drive.clock.now += 60
        await wake(drive)
        await there(drive, 2)
        await drive.step("b", "Running")
        record = drive.steps()["b"]
        assert (record["attempt"], record["infrastructureFailures"]) == (2, 1)
        ends(drive, "b", text="result=2", attempt=2)
        await drive.step("c", "Running")
        ends(drive, "c", attempt=2)
        await drive.finished()
        assert drive.steps()["c"]["attempt"] == 1


async def test_an_operator_that_comes_anew_tells_the_same_again(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a")])
    await there(drive)
    await drive.step("a", "Running")
    await drive.stop()
    says(drive, "a", "result=7")
    drive.fake.patch("pods", "default", name_of(drive), {"metadata": {"annotations": {inputs_key(0): None}}})
    await drive.start()
    assert await told(drive, 0) == "# the inputs\n"
    assert await told(drive, 1) == "# the inputs\nexport INPUT_A=7\n"
    ends(drive, "a", text="result=7")
    await drive.step("b", "Running")
    ends(drive, "b")
    await drive.finished()
    assert len(drive.creates()) == 1


async def test_nothing_begins_in_it_while_the_job_is_suspended(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a")])
    await there(drive)
    await drive.step("a", "Running")
    change(drive, suspend=True)
    await said(drive, "Suspended")
    ends(drive, "a", text="result=1")
    await drive.step("a", "Succeeded")
    assert states(drive)["b"] == "Pending"
    change(drive, suspend=False)
    await drive.step("b", "Running")
    ends(drive, "b")
    await drive.finished()


async def test_cancel_ends_the_pod_and_its_steps(drive: Driver) -> None:
    drive.apply(ops=[op("a"), op("b", "a")])
    await there(drive)
    await drive.step("a", "Running")
    change(drive, cancel=True)
    await drive.fake.until(
        lambda: drive.fake.get("pods", "default", name_of(drive))["metadata"].get("deletionTimestamp"), what="deletion"
    )
    drive.fake.finish_pod("default", name_of(drive), 143)
    drive.fake.delete_pod("default", name_of(drive))
    await drive.finished()
    assert states(drive) == {"a": "Canceled", "b": "Canceled"}


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ({"script": "", "args": ["x"]}, "InvalidOp", "op 'b' shares pod 'p', where its container waits"),
        ({"args": ["$(INPUT_A)"]}, "InvalidOp", "op 'b' shares pod 'p', so its container is made before"),
        (
            {"podTemplate": {"spec": {"hostNetwork": True}}},
            "InvalidPodTemplate",
            "ops 'a' and 'b' share pod 'p', but their pods differ in spec.hostNetwork",
        ),
    ],
)
async def test_what_cannot_share_a_pod_is_told_before_there_is_any(
    drive: Driver, change: Obj, reason: str, message: str
) -> None:
    template = {"podTemplate": {"spec": {"hostNetwork": False}}}
    drive.apply(ops=[op("a", **template), op("b", "a", **change)])
    status = await drive.finished()
    accepted = condition(status, "Accepted")
    assert (accepted["reason"], accepted["message"].startswith(message)) == (reason, True), accepted
    assert drive.creates() == []


async def test_inputs_that_are_too_large_together_fail_their_op(drive: Driver) -> None:
    drive.apply(ops=[op("a", inputs=[{"name": "x", "value": "y" * 70_000}]), op("b", after=["a"], inputs=[])])
    await there(drive)
    await drive.fake.until(lambda: states(drive).get("a") == "Failed", what="the failure")
    assert "inputs of op 'a'" in drive.steps()["a"]["message"]
    for at, name in enumerate(("a", "b")):
        assert await told(drive, at) == END
        ends(drive, name)
    await drive.finished()
    assert states(drive) == {"a": "Failed", "b": "UpstreamFailed"}
