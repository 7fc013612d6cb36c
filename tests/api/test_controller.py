"""The controller against the fake API server: whole jobs, refusals, failures, crashes and faults."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.driving import Clock, Driver, PythonPods, adding, condition, driving, env_of, inputs_of, op_of
from api.fake import AutoKubelet

Obj = dict[str, Any]
MICRO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
NO_IMAGE = 'failed to pull image "nope:1": manifest unknown: not found'


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def op(name: str, *ups: str, outputs: tuple[str, ...] = ("result",), **more: Any) -> Obj:
    """A container op that takes the result of each of `ups` as an input of its name."""
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    inputs += more.pop("inputs", [])
    return {"name": name, "image": "busybox:1", "inputs": inputs, "outputs": [{"name": o} for o in outputs], **more}


NO_RETRIES = {"infrastructureRetries": 0}
CHAIN = [op("a"), op("b", "a"), op("c", "b")]
DIAMOND = [op("a"), op("b", "a"), op("c", "a"), op("d", "b", "c")]


def outputs(drive: Driver, name: str = "j") -> dict[str, Any]:
    return {k: json.loads(v["outputs"]["result"]) for k, v in drive.steps(name).items() if "outputs" in v}


def events(drive: Driver) -> list[tuple[str, str]]:
    return [(e["type"], e["reason"]) for e in drive.fake.objects("events")]


# --- whole jobs of container ops


async def test_a_chain_passes_values_by_environment_and_tells_its_status(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=CHAIN)
        status = await drive.finished()
    assert outputs(drive) == {"a": "1", "b": "2", "c": "3"}
    assert drive.created_ops() == ["a", "b", "c"]
    assert env_of(drive.pod("c") or {})["INPUT_B"] == "2"
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("Accepted", "True", "Accepted"),
        ("Succeeded", "True", "Succeeded"),
        ("Finished", "True", "Succeeded"),
    ]
    assert condition(status, "Accepted")["message"] == "3 ops will run"
    assert condition(status, "Succeeded")["message"] == "all 3 steps are done"
    assert status["progress"] == "3/3"
    assert status["counts"] == {
        "total": 3, "pending": 0, "waiting": 0, "starting": 0, "running": 0, "stopping": 0, "upForRetry": 0,
        "succeeded": 3, "failed": 0, "skipped": 0, "upstreamFailed": 0, "canceled": 0,
    }  # fmt: skip
    assert status["observedGeneration"] == 1
    assert MICRO.fullmatch(status["startTime"])
    assert MICRO.fullmatch(status["completionTime"])
    assert re.fullmatch(r"\d\.\ds", status["duration"])
    for record in status["steps"].values():
        assert record.keys() == {"state", "attempt", "podUID", "startTime", "completionTime", "outputs"}
        assert record["state"] == "Succeeded"
        assert MICRO.fullmatch(record["startTime"])
        assert MICRO.fullmatch(record["completionTime"])
    assert status["steps"]["a"]["podUID"] == (drive.pod("a") or {})["metadata"]["uid"]


async def test_a_diamond_waits_for_both_branches(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=DIAMOND)
        await drive.finished()
    assert outputs(drive) == {"a": "1", "b": "2", "c": "2", "d": "5"}
    assert drive.created_ops()[0] == "a"
    assert sorted(drive.created_ops()[1:3]) == ["b", "c"]
    assert drive.created_ops()[3] == "d"


async def test_a_fan_out_and_in_keeps_the_order_of_the_list(drive: Driver) -> None:
    leaves = [op(f"n{i}", inputs=[{"name": "x", "value": i}]) for i in range(20)]
    sources = [{"op": f"n{i}"} for i in reversed(range(20))]
    total = op("total", inputs=[{"name": "all", "fromList": sources}])
    async with AutoKubelet(drive.fake, adding) as kubelet:
        drive.apply(ops=[total, *leaves])
        await drive.finished()
        assert kubelet.most_running > 1
    assert json.loads(inputs_of(drive.pod("total") or {})["all"]) == [str(i + 1) for i in reversed(range(20))]
    assert sorted(drive.created_ops()) == sorted(["total", *(f"n{i}" for i in range(20))])


async def test_status_writes_are_few(drive: Driver) -> None:
    """Urgent ones at the start and the end, and about one a second in between, whatever happens."""
    ops = [op("n0"), *(op(f"n{i}", f"n{i - 1}") for i in range(1, 60))]
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=ops)
        status = await drive.finished()
    seconds = float(status["duration"].removesuffix("s"))
    assert drive.status_writes() <= 3 + seconds
    assert len(drive.creates()) == len(set(drive.creates())) == 60


async def test_selection_and_run_config(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=CHAIN, opSelection=["b+"], runConfig={"ops": {"b": {"inputs": {"a": 40}}}})
        status = await drive.finished()
    assert outputs(drive) == {"b": "41", "c": "42"}
    assert condition(status, "Accepted")["message"] == "2 of 3 ops will run"


async def test_events_tell_the_end_once(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        job = drive.apply(ops=CHAIN)
        await drive.finished()
        await drive.fake.until(lambda: ("Normal", "Succeeded") in events(drive), what="an event")
    assert events(drive).count(("Normal", "Succeeded")) == 1
    assert {e["involvedObject"]["uid"] for e in drive.fake.objects("events")} == {job["metadata"]["uid"]}


async def test_a_thousand_and_one_ops(drive: Driver) -> None:
    ops = [op("first"), *(op(f"n{i}", "first") for i in range(1_000))]
    async with AutoKubelet(drive.fake, lambda pod: (0, "result=1")):
        drive.apply(ops=ops)
        status = await drive.finished(timeout=40)
    assert condition(status, "Succeeded")["status"] == "True"
    assert status["progress"] == "1001/1001"
    assert len(drive.creates()) == len(set(drive.creates())) == 1_001


# --- refusals


FROM_ROWS = {"name": "i", "from": {"op": "a", "output": "rows"}}
BOTH = {"name": "i", "value": 1, "from": {"op": "a"}}
REFUSED: dict[str, tuple[str, str, Obj]] = {
    "unknown op selected": ("UnknownOp", "'bb'", {"ops": CHAIN, "opSelection": ["bb"]}),
    "clause that does not parse": ("InvalidSelection", "3+b", {"ops": CHAIN, "opSelection": ["3+b"]}),
    "one bad clause of two": ("InvalidSelection", "a b", {"ops": CHAIN, "opSelection": ["c", "a b"]}),
    "duplicate op": ("DuplicateOp", "'a'", {"ops": [op("a"), op("a")]}),
    "cycle": ("Cycle", "a -> b", {"ops": [op("a", "b"), op("b", "a")]}),
    "op after itself": ("Cycle", "a -> a", {"ops": [op("a", after=["a"])]}),
    "input from no op": ("UnknownOp", "'x'", {"ops": [op("a", "x")]}),
    "input from no output": (
        "UnknownOutput", "'rows'", {"ops": [op("a"), op("b", inputs=[FROM_ROWS])]}
    ),
    "after no op": ("UnknownOp", "'x'", {"ops": [op("a", after=["x"])]}),
    "missing input": ("InvalidRunConfig", "ops.a.inputs.i is missing", {"ops": [op("a", inputs=[{"name": "i"}])]}),
    "unselected source": ("InvalidRunConfig", "ops.b.inputs.a is missing", {"ops": CHAIN, "opSelection": ["b"]}),
    "too many ops": ("TooManyOps", "5001", {"ops": [op(f"n{i}") for i in range(5_001)]}),
    "op name": ("InvalidName", "'2x'", {"ops": [op("2x")]}),
    "input name": ("InvalidName", "'a-b'", {"ops": [op("a", inputs=[{"name": "a-b", "value": 1}])]}),
    "output name": ("InvalidName", "'a-b'", {"ops": [op("a", outputs=("a-b",))]}),
    "inputs alike": (
        "InvalidName", "INPUT_X", {"ops": [op("a", inputs=[{"name": "x", "value": 1}, {"name": "X", "value": 1}])]}
    ),
    "value and from": (
        "InvalidInput", "value and from", {"ops": [op("a"), op("b", inputs=[BOTH])]}
    ),
    "script and command": ("InvalidOp", "script and command", {"ops": [op("a", script="true", command=["true"])]}),
    "config for no op": (
        "InvalidRunConfig", "ops.x is unknown", {"ops": CHAIN, "runConfig": {"ops": {"x": {"inputs": {"i": 1}}}}}
    ),
    "config for no input": (
        "InvalidRunConfig", "ops.a.inputs is unknown", {"ops": CHAIN, "runConfig": {"ops": {"a": {"inputs": {"i": 1}}}}}
    ),
    "config of a connected input": (
        "InvalidRunConfig", "op 'a'", {"ops": CHAIN, "runConfig": {"ops": {"b": {"inputs": {"a": 1}}}}}
    ),
    "config key": (
        "InvalidRunConfig", "ops.a.config is unknown", {"ops": CHAIN, "runConfig": {"ops": {"a": {"config": {}}}}}
    ),
    "no ops and no code": ("InvalidSpec", "spec.code", {}),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
async def test_a_job_that_cannot_run_is_refused_before_any_pod(drive: Driver, case: str) -> None:
    reason, part, spec = REFUSED[case]
    drive.apply(**spec)
    status = await drive.finished()
    accepted = condition(status, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", reason)
    assert part in accepted["message"]
    succeeded = condition(status, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "Refused")
    assert accepted["message"] in succeeded["message"]
    assert "steps" not in status
    await drive.fake.until(lambda: events(drive), what="an event")
    assert events(drive) == [("Warning", "Refused")]
    assert drive.fake.calls("POST", "/pods$") == []
    assert drive.status_writes() == 1


# --- Python ops


ARITHMETIC = """
from podgraph import job, op

@op
def return_one():
    return 1

@op
def add_two(i: int):
    return i + 2

@op
def multi_three(i: int):
    return i * 3

@job
def my_job():
    multi_three(add_two(return_one()))
"""
WIDE = """
from podgraph import job, op

@op
def n(i: int = 0):
    return i

@job
def wide():
    first = n.alias("first")()
    for i in range(1000):
        n.alias(f"n{i}")(first)
"""


async def test_a_python_job_resolves_its_graph_and_runs_it(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
        job = drive.apply(code={"source": ARITHMETIC, "image": "mine:1"})
        status = await drive.finished()
    assert outputs(drive) == {"return_one": 1, "add_two": 3, "multi_three": 9}
    assert drive.created_ops() == ["", "return_one", "add_two", "multi_three"]
    assert len(status["graph"]) > 100
    assert condition(status, "Succeeded")["status"] == "True"
    code = next(m for m in drive.fake.objects("configmaps") if "job.py" in m.get("data", {}))
    assert code["data"]["job.py"] == ARITHMETIC
    assert code["immutable"]
    assert code["metadata"]["ownerReferences"][0]["uid"] == job["metadata"]["uid"]
    runtime = next(m for m in drive.fake.objects("configmaps") if "binaryData" in m)
    assert runtime["metadata"]["name"].startswith("podgraph-runtime-")
    made = [r.body["metadata"]["name"] for r in drive.fake.calls("POST", "/(pods|configmaps)$") if r.status == 201]
    assert made.index(code["metadata"]["name"]) < made.index(drive.creates()[0])
    for pod in drive.fake.objects("pods"):
        maps = [s["configMap"]["name"] for s in pod["spec"]["volumes"][0]["projected"]["sources"] if "configMap" in s]
        assert maps == [runtime["metadata"]["name"], code["metadata"]["name"]]
        assert pod["spec"]["containers"][0]["image"] == "mine:1"


async def test_the_status_says_that_the_code_is_being_read(drive: Driver) -> None:
    drive.apply(code={"source": ARITHMETIC})
    await drive.pod_of("")
    await drive.fake.until(lambda: condition(drive.status(), "Succeeded"), what="a first status")
    found = [(c["type"], c["status"], c["reason"]) for c in drive.status()["conditions"]]
    assert found == [
        ("Accepted", "Unknown", "Resolving"),
        ("Succeeded", "Unknown", "Resolving"),
        ("Finished", "False", "Resolving"),
    ]


async def test_a_large_graph_comes_through_the_log(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, WIDE)):
        drive.apply(code={"source": WIDE})
        status = await drive.finished(timeout=40)
    assert status["progress"] == "1001/1001"
    assert len(drive.fake.calls("GET", "/j-resolve-[a-z0-9]+/log$")) == 1


async def test_a_graph_that_the_log_does_not_hold_whole_is_refused(drive: Driver) -> None:
    play = PythonPods(drive.fake, WIDE)

    def lose_log(pod: Obj) -> tuple[int, str]:
        code, message = play(pod)
        drive.fake.set_log("default", pod["metadata"]["name"], "rotated away\n")
        return code, message

    async with AutoKubelet(drive.fake, lose_log):
        drive.apply(code={"source": WIDE})
        status = await drive.finished()
    assert condition(status, "Accepted")["reason"] == "InvalidGraph"
    assert drive.created_ops() == [""]


async def test_code_that_does_not_compile_is_refused(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, "def f(:")):
        drive.apply(code={"source": "def f(:"})
        status = await drive.finished()
    assert condition(status, "Accepted")["reason"] == "CodeError"
    assert "does not compile" in condition(status, "Accepted")["message"]
    assert drive.created_ops() == [""]


async def test_a_selection_that_the_resolved_graph_does_not_know_is_refused(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
        drive.apply(code={"source": ARITHMETIC}, opSelection=["ad_two"])
        status = await drive.finished()
    assert "did you mean 'add_two'" in condition(status, "Accepted")["message"]
    assert drive.created_ops() == [""]


@pytest.mark.parametrize(("exit_code", "message"), [(1, "Traceback: boom"), (0, ""), (137, "")])
async def test_a_resolve_pod_without_a_record_refuses_the_job(drive: Driver, exit_code: int, message: str) -> None:
    async with AutoKubelet(drive.fake, lambda pod: (exit_code, message)):
        drive.apply(code={"source": ARITHMETIC})
        status = await drive.finished()
    accepted = condition(status, "Accepted")
    assert accepted["reason"] == "ResolveFailed"
    assert f"code {exit_code}" in accepted["message"]
    assert message in accepted["message"]
    assert drive.created_ops() == [""]


async def test_an_image_that_does_not_exist_refuses_the_job_before_any_step(drive: Driver) -> None:
    drive.apply(code={"source": ARITHMETIC, "image": "nope:1"})
    pod = await drive.pod_of("")
    drive.fake.wait_pod("default", pod["metadata"]["name"], "ErrImagePull", NO_IMAGE)
    status = await drive.finished()
    accepted = condition(status, "Accepted")
    assert accepted["reason"] == "ImagePullFailed"
    assert "ErrImagePull" in accepted["message"]
    assert NO_IMAGE in accepted["message"]
    assert condition(status, "Succeeded")["reason"] == "Refused"
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the resolve pod's deletion")
    assert drive.created_ops() == [""]


async def test_a_resolve_pod_that_somebody_deletes_refuses_the_job(drive: Driver) -> None:
    job = drive.apply(code={"source": ARITHMETIC}, execution=NO_RETRIES)
    pod = await drive.pod_of("")
    await drive.seen(job["metadata"]["uid"], pod["metadata"]["name"])
    drive.fake.delete_pod("default", pod["metadata"]["name"])
    assert condition(await drive.finished(), "Accepted")["reason"] == "PodDeleted"


@pytest.mark.parametrize("exists", [False, True])
async def test_a_missing_config_map_or_key_refuses_the_job(drive: Driver, exists: bool) -> None:
    if exists:
        drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": {"other": "x"}})
    drive.apply(code={"configMapRef": {"name": "m", "key": "job.py"}})
    accepted = condition(await drive.finished(), "Accepted")
    assert accepted["reason"] == "ConfigMapNotFound"
    assert "'m' with the key 'job.py'" in accepted["message"]
    assert drive.creates() == []


async def test_code_in_a_config_map_is_copied(drive: Driver) -> None:
    data = {"main.py": ARITHMETIC}
    drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "data": data})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
        drive.apply(code={"configMapRef": {"name": "m", "key": "main.py"}})
        await drive.finished()
    assert outputs(drive)["multi_three"] == 9
    copies = [m for m in drive.fake.objects("configmaps") if "job.py" in m.get("data", {})]
    assert [m["data"]["job.py"] for m in copies] == [ARITHMETIC]


async def test_code_of_a_module_needs_no_config_map_of_its_own(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
        drive.apply(code={"module": "my.jobs", "image": "mine:1"})
        await drive.finished()
    assert [m for m in drive.fake.objects("configmaps") if m.get("data")] == []
    assert outputs(drive)["multi_three"] == 9


async def test_the_runtime_is_made_again_when_somebody_deleted_it(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
        drive.apply("one", code={"module": "m"})
        await drive.finished("one")
        [runtime] = drive.fake.objects("configmaps")
        drive.fake.delete("configmaps", "default", runtime["metadata"]["name"])
        drive.apply("two", code={"module": "m"})
        await drive.finished("two")
    assert [m["metadata"]["name"] for m in drive.fake.objects("configmaps")] == [runtime["metadata"]["name"]]


@pytest.mark.parametrize("which", ["code", "runtime"])
async def test_a_config_map_that_the_server_refuses_refuses_the_job(drive: Driver, which: str) -> None:
    drive.fake.fault("POST", "/configmaps$", status=403, message="exceeded quota", skip=which == "runtime", times=1)
    drive.apply(code={"source": ARITHMETIC})
    accepted = condition(await drive.finished(), "Accepted")
    assert accepted["reason"] == "Forbidden"
    assert "exceeded quota" in accepted["message"]
    assert drive.creates() == []


# --- failures


async def test_a_failed_step_stops_what_needs_it_and_nothing_else(drive: Driver) -> None:
    def behave(pod: Obj) -> tuple[int, str]:
        return (3, "first\nno such table") if op_of(pod) == "b" else adding(pod)

    async with AutoKubelet(drive.fake, behave):
        drive.apply(ops=[*CHAIN, op("x"), op("y", "x")])
        status = await drive.finished()
    states = {name: record["state"] for name, record in status["steps"].items()}
    assert states == {"a": "Succeeded", "b": "Failed", "c": "UpstreamFailed", "x": "Succeeded", "y": "Succeeded"}
    assert status["steps"]["b"]["reason"] == "ContainerFailed"
    succeeded = condition(status, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", "Failed")
    assert succeeded["message"].startswith(
        "op 'b' failed: ContainerFailed: its container 'step' ended with exit code 3"
    )
    assert succeeded["message"].endswith("; 1 not run")
    assert condition(status, "Accepted")["status"] == "True"
    assert status["steps"]["c"]["message"] == "not run: b failed"
    assert status["progress"] == "3/5"
    assert sorted(drive.created_ops()) == ["a", "b", "x", "y"]
    expected = {("Warning", "StepFailed"), ("Warning", "Failed")}
    await drive.fake.until(lambda: expected <= set(events(drive)), what="both events")


async def test_an_image_that_does_not_exist_fails_its_step_at_once(drive: Driver) -> None:
    drive.apply(ops=[op("a")])
    pod = await drive.pod_of("a")
    drive.fake.wait_pod("default", pod["metadata"]["name"], "ErrImagePull", NO_IMAGE)
    status = await drive.finished()
    assert status["steps"]["a"]["reason"] == "ErrImagePull"
    assert status["steps"]["a"]["message"] == NO_IMAGE
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pod's deletion")


async def test_a_registry_that_does_not_answer_is_waited_for() -> None:
    clock = Clock()
    async with driving(clock) as drive:
        limits = {"pendingTimeoutSeconds": 100, "infrastructureRetries": 0}
        job = drive.apply(ops=[op("a"), op("b")], execution=limits)
        await drive.pod_of("b")
        uid, name = job["metadata"]["uid"], (await drive.pod_of("a"))["metadata"]["name"]
        drive.finish("b", "result=1")
        drive.fake.wait_pod("default", name, "ErrImagePull", "dial tcp: i/o timeout")
        await drive.fake.until(
            lambda: "a" in drive.records(uid) and drive.records(uid)["a"].reason, what="the kubelet's reason"
        )
        clock.now += 20  # more than there may be between two writes
        assert drive.controller is not None
        drive.controller.jobs.queue.add(uid)
        record = await drive.step("a", "Starting")
        await drive.fake.until(lambda: drive.steps()["a"].get("reason") == "ErrImagePull", what="the kubelet's reason")
        assert record["podUID"]
        clock.now += 60
        drive.controller.jobs.queue.add(uid)
        await drive.quiet()
        assert drive.steps()["a"]["state"] == "Starting"
        clock.now += 31
        drive.controller.jobs.queue.add(uid)  # as the queue does by itself after so long
        status = await drive.finished()
        assert (status["steps"]["a"]["state"], status["steps"]["a"]["reason"]) == ("Failed", "PendingTimeout")
        assert status["steps"]["a"]["message"].endswith("within 100 seconds: ErrImagePull: dial tcp: i/o timeout")
        await drive.fake.until(lambda: drive.pod("a") is None, what="the pod's deletion")
        assert condition(status, "Succeeded")["reason"] == "Failed"


async def test_an_optional_output_left_out_skips_what_needs_it(drive: Driver) -> None:
    ops = [
        {**op("a"), "outputs": [{"name": "yes", "optional": True}, {"name": "no", "optional": True}]},
        op("b", inputs=[{"name": "i", "from": {"op": "a", "output": "yes"}}]),
        op("c", inputs=[{"name": "i", "from": {"op": "a", "output": "no"}}]),
        op("d", "c"),
    ]
    async with AutoKubelet(drive.fake, lambda pod: (0, "yes=1" if op_of(pod) == "a" else "result=1")):
        drive.apply(ops=ops)
        status = await drive.finished()
    states = {name: record["state"] for name, record in status["steps"].items()}
    assert states == {"a": "Succeeded", "b": "Succeeded", "c": "Skipped", "d": "Skipped"}
    assert condition(status, "Succeeded")["status"] == "True"
    assert status["progress"] == "4/4"


@pytest.mark.parametrize(
    ("message", "reason", "part"),
    [
        ("result=" + "x" * 5_000, "OutputTooLarge", "3,072 bytes"),
        ("result=" + "x" * 3_500, "OutputTooLarge", "3,502 bytes"),
        ("other=1", "WrongOutputs", "'other'"),
        ("", "WrongOutputs", "did not write its output 'result'"),
        ("hello", "WrongOutputs", "name=value"),
        ('{"result": NaN}', "WrongOutputs", "NaN"),
        ('{"result": 1', "WrongOutputs", "is not valid JSON"),
    ],
)
async def test_outputs_that_cannot_be_taken_fail_the_step(drive: Driver, message: str, reason: str, part: str) -> None:
    async with AutoKubelet(drive.fake, lambda pod: (0, message)):
        drive.apply(ops=[op("a")])
        status = await drive.finished()
    assert status["steps"]["a"]["reason"] == reason
    assert part in status["steps"]["a"]["message"]


@pytest.mark.parametrize(
    ("ended", "reason", "part"),
    [
        ((0, ""), "NoResult", "left no result"),
        ((1, "ImportError: x"), "ContainerFailed", "ImportError: x"),
        ((0, '{"nonce": "guessed", "outcome": "Succeeded"}'), "NoResult", "left no result"),
        ((137, ""), "ContainerFailed", "SIGKILL"),
    ],
)
async def test_a_python_step_without_its_own_record_fails(
    drive: Driver, ended: tuple[int, str], reason: str, part: str
) -> None:
    play = PythonPods(drive.fake, ARITHMETIC)
    async with AutoKubelet(drive.fake, lambda pod: ended if op_of(pod) == "add_two" else play(pod)):
        drive.apply(code={"source": ARITHMETIC})
        status = await drive.finished()
    assert status["steps"]["add_two"]["reason"] == reason
    assert part in status["steps"]["add_two"]["message"]
    assert status["steps"]["multi_three"]["state"] == "UpstreamFailed"


async def test_an_op_that_raises_fails_with_its_own_words(drive: Driver) -> None:
    source = ARITHMETIC.replace("return i + 2", "raise ValueError('no two')")
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, source)):
        drive.apply(code={"source": source})
        status = await drive.finished()
    assert status["steps"]["add_two"]["reason"] == "OpFailed"
    assert "ValueError: no two" in status["steps"]["add_two"]["message"]


@pytest.mark.parametrize("reason", ["Evicted", "DeadlineExceeded"])
async def test_a_pod_that_fails_as_a_whole_fails_its_step(drive: Driver, reason: str) -> None:
    drive.apply(ops=[op("a")], execution=NO_RETRIES)
    drive.fake.evict_pod("default", (await drive.pod_of("a"))["metadata"]["name"], reason, "low on memory")
    status = await drive.finished()
    assert status["steps"]["a"]["reason"] == reason
    assert "low on memory" in status["steps"]["a"]["message"]


async def test_inputs_that_are_too_large_fail_the_step(drive: Driver) -> None:
    big = op("b", inputs=[{"name": "big", "value": "x" * 140_000}])
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a"), big])
        status = await drive.finished()
    assert status["steps"]["b"]["reason"] == "InputTooLarge"
    assert "140,002 bytes" in status["steps"]["b"]["message"]


async def test_a_pod_refused_for_good_fails_its_step(drive: Driver) -> None:
    text = 'pods "j-b" is forbidden: maximum cpu usage per Container is 1, but limit is 2'
    drive.fake.fault("POST", "/pods$", status=403, message=text, skip=1)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=CHAIN)
        status = await drive.finished()
    assert status["steps"]["b"]["state"] == "Failed"
    assert status["steps"]["b"]["reason"] == "Forbidden"
    assert text in status["steps"]["b"]["message"]
    assert status["steps"]["c"]["state"] == "UpstreamFailed"


async def test_a_name_that_somebody_took_fails_the_step(drive: Driver) -> None:
    from podgraph.planning.model.names import step_pod

    with drive.fake.held_events("jobs"):
        job = drive.apply(ops=[op("a")])
        name = step_pod("j", job["metadata"]["uid"], "a", 1)
        spec = {"containers": [{"name": "x", "image": "x"}]}
        drive.fake.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec})
    status = await drive.finished()
    assert status["steps"]["a"]["reason"] == "AlreadyExists"


# --- crash and restart


class Ticking(Clock):
    """Two seconds pass with each look, so that no status write waits for an earlier one: more places to crash."""

    def __call__(self) -> float:
        self.now += 2
        return self.now


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(16))
async def test_a_job_survives_a_crash_at_any_write(at: int, when: str) -> None:
    """The operator dies on its way to a write, or after the write and before its answer, and comes back."""
    async with driving(Ticking()) as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", hold=True, when=when, skip=at)
        made: list[str] = []
        drive.fake.store.listeners.append(
            lambda change: (
                made.append(op_of(change.new.obj))
                if change.type == "ADDED" and change.resource is drive.fake.pods
                else None
            )
        )
        async with AutoKubelet(drive.fake, adding):
            drive.apply(ops=DIAMOND)
            await drive.fake.until(lambda: fault.waiting or finished(drive), what="the write to crash at")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            status = await drive.finished()
        assert outputs(drive) == {"a": "1", "b": "2", "c": "2", "d": "5"}
        assert condition(status, "Succeeded")["status"] == "True"
        assert status["progress"] == "4/4"
        assert sorted(made) == ["a", "b", "c", "d"]
        assert {name: (drive.pod(name) or {})["metadata"]["uid"] for name in "abcd"} == {
            name: record["podUID"] for name, record in status["steps"].items()
        }


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("at", range(12))
async def test_a_python_job_survives_a_crash_at_any_write(at: int, when: str) -> None:
    async with driving(Ticking()) as drive:
        fault = drive.fake.fault("POST|PATCH|DELETE", hold=True, when=when, skip=at)
        async with AutoKubelet(drive.fake, PythonPods(drive.fake, ARITHMETIC)):
            drive.apply(code={"source": ARITHMETIC})
            await drive.fake.until(lambda: fault.waiting or finished(drive), what="the write to crash at")
            await drive.stop()
            fault.release()
            await drive.fake.until(lambda: not fault.waiting, what="the end of the held request")
            await drive.start()
            await drive.finished()
        assert outputs(drive) == {"return_one": 1, "add_two": 3, "multi_three": 9}
        assert len(drive.fake.objects("pods")) == 4


def finished(drive: Driver) -> bool:
    return condition(drive.status(), "Finished").get("status") == "True"


async def test_a_restart_finds_what_ended_while_nobody_looked(drive: Driver) -> None:
    drive.apply(ops=CHAIN)
    await drive.pod_of("a")
    await drive.step("a", "Starting")
    await drive.stop()
    drive.finish("a", "result=5")
    await drive.start()
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()
    assert outputs(drive) == {"a": "5", "b": "6", "c": "7"}
    assert drive.created_ops() == ["a", "b", "c"]


async def test_a_pod_that_vanished_while_nobody_looked_fails_its_step_after_a_look(drive: Driver) -> None:
    drive.apply(ops=CHAIN, execution=NO_RETRIES)
    name = (await drive.pod_of("a"))["metadata"]["name"]
    await drive.step("a", "Starting")
    await drive.stop()
    drive.fake.delete_pod("default", name)
    drive.fake.requests.clear()
    # The look itself fails at first: it must be done again, not forgotten.
    drive.fake.fault("GET", f"/pods/{name}$", status=403)
    await drive.start()
    status = await drive.finished()
    assert status["steps"]["a"]["reason"] == "PodDeleted"
    assert len(drive.fake.calls("GET", f"/pods/{name}$")) >= 2
    assert drive.creates() == []


async def test_a_restart_after_the_end_writes_nothing_and_deletes_what_never_started(drive: Driver) -> None:
    drive.apply(ops=[op("a")])
    pod = await drive.pod_of("a")
    drive.fake.fault("DELETE", "/pods/", hold=True)
    drive.fake.wait_pod("default", pod["metadata"]["name"], "ErrImagePull", NO_IMAGE)
    before = await drive.finished()
    await drive.stop()
    drive.fake.faults.clear()
    drive.fake.requests.clear()
    await drive.start()
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pod's deletion")
    assert drive.status() == before
    assert drive.status_writes() == 0


# --- faults of the server and of the network


async def test_a_watch_that_breaks_costs_nothing(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=CHAIN)
        await drive.pod_of("a")
        drive.fake.cut_watches(mid_event=True)
        await drive.finished()
    assert outputs(drive)["c"] == "3"
    assert drive.created_ops() == ["a", "b", "c"]


async def test_an_end_that_no_watch_told_is_found(drive: Driver) -> None:
    job = drive.apply(ops=CHAIN)
    pod = await drive.pod_of("a")
    await drive.seen(job["metadata"]["uid"], pod["metadata"]["name"])
    drive.fake.lose_events("pods", lambda: drive.finish("a", "result=1"))
    await drive.pod_of("b")


async def test_an_expired_watch_is_started_anew(drive: Driver) -> None:
    job = drive.apply(ops=CHAIN)
    pod = await drive.pod_of("a")
    await drive.seen(job["metadata"]["uid"], pod["metadata"]["name"])
    drive.fake.fail_watches("pods")
    drive.finish("a", "result=1")
    await drive.pod_of("b")


async def test_a_pod_that_came_and_went_unseen_fails_its_step(drive: Driver) -> None:
    with drive.fake.held_events("pods"):
        drive.apply(ops=CHAIN, execution=NO_RETRIES)
        pod = await drive.pod_of("a")
        await drive.step("a", "Starting")
        drive.fake.lose_events("pods", lambda: drive.fake.delete_pod("default", pod["metadata"]["name"]))
        status = await drive.finished()
    assert status["steps"]["a"]["reason"] == "PodDeleted"
    assert drive.created_ops() == ["a"]


async def test_a_pod_that_a_user_deletes_while_it_runs_fails_its_step(drive: Driver) -> None:
    drive.apply(ops=CHAIN, execution=NO_RETRIES)
    name = (await drive.pod_of("a"))["metadata"]["name"]
    drive.fake.run_pod("default", name)
    await drive.step("a", "Running")
    drive.fake.delete("pods", "default", name)
    status = await drive.finished()
    assert status["steps"]["a"]["reason"] == "PodDeleted"
    assert condition(status, "Succeeded")["message"].startswith("op 'a' failed: PodDeleted")
    assert drive.created_ops() == ["a"]


@pytest.mark.parametrize(
    "fault",
    [
        {"status": 500},
        {"status": 503, "times": 2},
        {"status": 504, "when": "after"},
        {"drop": True},
        {"drop": True, "when": "after"},
        {"status": 409, "reason": "Conflict", "message": "Operation cannot be fulfilled on resourcequotas"},
    ],
    ids=str,
)
@pytest.mark.parametrize("skip", [0, 2])
async def test_a_create_that_fails_in_passing_is_done_again(drive: Driver, fault: Obj, skip: int) -> None:
    made = len(drive.creates())
    drive.fake.fault("POST", "/pods$", **fault, skip=skip)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=DIAMOND)
        await drive.finished()
    assert made == 0
    assert outputs(drive)["d"] == "5"
    assert len(drive.fake.objects("pods")) == 4


async def test_retry_after_is_heeded(drive: Driver) -> None:
    drive.fake.fault("POST", "/pods$", status=429, retry_after=1)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[op("a")])
        await drive.finished()
    first, second = drive.fake.calls("POST", "/pods$")
    assert second.time - first.time >= 1


@pytest.mark.parametrize("fault", [{"status": 500}, {"drop": True}, {"drop": True, "when": "after"}], ids=str)
@pytest.mark.parametrize("skip", [0, 1])
async def test_a_status_write_that_fails_is_done_again(drive: Driver, fault: Obj, skip: int) -> None:
    drive.fake.fault("PATCH", "/status$", **fault, skip=skip)
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=DIAMOND)
        status = await drive.finished()
    assert status["progress"] == "4/4"
    assert outputs(drive)["d"] == "5"


async def test_what_happens_while_no_status_can_be_written_is_not_forgotten(
    drive: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pass whose write failed leaves a patch behind; the next pass knows more, and both must be told."""
    monkeypatch.setattr("podgraph.cluster.client._ATTEMPTS", 1)
    fault = drive.fake.fault("PATCH", "/status$", status=500, times=None)
    drive.apply(ops=CHAIN)
    for name in "abc":
        await drive.pod_of(name)
        drive.finish(name, "result=1")
    hits = fault.hits
    await drive.fake.until(lambda: fault.hits > hits + 1, what="two more writes that fail")
    drive.fake.faults.clear()
    status = await drive.finished()
    assert status["progress"] == "3/3"
    assert status["counts"]["succeeded"] == 3
    assert {name: record["state"] for name, record in status["steps"].items()} == dict.fromkeys("abc", "Succeeded")


async def test_a_user_may_label_a_job_while_it_runs(drive: Driver) -> None:
    drive.apply(ops=CHAIN)
    await drive.step("a", "Starting")
    drive.fake.patch("jobs", "default", "j", {"metadata": {"labels": {"team": "x"}}})
    async with AutoKubelet(drive.fake, adding):
        await drive.finished()
    assert drive.fake.get("jobs", "default", "j")["metadata"]["labels"] == {"team": "x"}
    assert [r for r in drive.fake.calls("PATCH", "/status$") if r.status == 409]


async def test_a_job_deleted_while_it_runs_is_forgotten(drive: Driver) -> None:
    job = drive.apply(ops=CHAIN)
    await drive.pod_of("a")
    await drive.step("a", "Starting")
    drive.fake.delete("jobs", "default", "j")
    await drive.fake.until(lambda: not drive.fake.objects("pods"), what="the pods' deletion")
    drive.apply("other", ops=[op("x")])
    await drive.pod_of("x")
    assert drive.controller is not None
    assert not drive.controller.pods.knows(job["metadata"]["uid"])
    assert drive.created_ops() == ["a", "x"]


@pytest.mark.parametrize("again", [False, True])
async def test_a_run_whose_job_is_gone_writes_to_no_other(drive: Driver, again: bool) -> None:
    """The word of the deletion has not come yet when a pod ends; a new Job may have the name already."""
    old = drive.apply(ops=CHAIN)
    first = (await drive.pod_of("a"))["metadata"]["name"]
    await drive.step("a", "Starting")
    drive.fake.collector.paused = True
    with drive.fake.held_events("jobs"):
        drive.fake.delete("jobs", "default", "j")
        if again:
            new = drive.apply(ops=CHAIN)
        drive.fake.finish_pod("default", first, 1)
        await drive.fake.until(
            lambda: [r for r in drive.fake.calls("PATCH", "/status$") if r.status in (404, 409)], what="a refused write"
        )
        controller = drive.controller
        assert controller is not None
        uid = old["metadata"]["uid"]
        await drive.fake.until(lambda: not controller.pods.knows(uid), what="the old run's end")
        assert drive.status() == {}
    drive.fake.collector.paused = False
    if again:
        await drive.fake.until(lambda: len(drive.created_ops()) == 2, what="the new run's pod")
        async with AutoKubelet(drive.fake, adding):
            status = await drive.finished()
        assert condition(status, "Succeeded")["status"] == "True"
        assert new["metadata"]["uid"] != uid
        assert outputs(drive) == {"a": "1", "b": "2", "c": "3"}


async def test_events_of_a_job_that_come_after_its_end_start_nothing(drive: Driver) -> None:
    job = drive.apply(ops=CHAIN)
    async with AutoKubelet(drive.fake, adding):
        before = await drive.finished()
        controller, uid = drive.controller, job["metadata"]["uid"]
        assert controller is not None
        await drive.fake.until(lambda: not controller.pods.knows(uid), what="the run's end")
        drive.fake.requests.clear()
        controller.jobs.job_changed("MODIFIED", job)
        drive.apply("other", ops=[op("x")])
        await drive.finished("other")
    assert drive.status() == before
    assert not drive.fake.calls("PATCH", "/jobs/j/status$")


async def test_a_job_that_is_being_deleted_gets_no_more_pods(drive: Driver) -> None:
    drive.apply(ops=CHAIN)
    await drive.step("a", "Starting")
    drive.fake.patch("jobs", "default", "j", {"metadata": {"finalizers": ["example.com/mine"]}})
    drive.fake.delete("jobs", "default", "j")
    assert drive.controller is not None
    jobs = drive.controller.jobs.states
    await drive.fake.until(lambda: not jobs, what="the run's end")
    drive.finish("a", "result=1")
    drive.apply("other", ops=[op("x")])
    await drive.pod_of("x")
    assert drive.created_ops() == ["a", "x"]
    assert drive.steps()["a"]["state"] == "Starting"


async def test_many_jobs_at_once(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        for number in range(50):
            drive.apply(f"j{number}", ops=DIAMOND)
        for number in range(50):
            await drive.finished(f"j{number}", timeout=20)
    assert len(drive.creates()) == 200


async def test_a_new_job_waits_a_moment_for_others_that_are_being_made() -> None:
    async with driving() as drive:
        assert drive.controller is not None
        asked: list[int] = []
        drive.burst_in_progress = lambda: bool(asked.append(1)) or len(asked) < 3
        drive.apply(ops=[{"name": "a", "image": "i"}])
        await drive.pod_of("a")
        assert len(asked) == 3
        drive.burst_in_progress = lambda: True
        drive.apply("k", ops=[{"name": "b", "image": "i"}])
        await drive.pod_of("b")  # not for ever
