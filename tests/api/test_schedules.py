"""JobSchedules against the fake API server: one Job a tick, whatever breaks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.making import OPS, T0, MakerDriver, making
from podgraph.reconcile.automation.schedules import Schedules

MINUTE = 60.0


@pytest.fixture
async def drive() -> AsyncIterator[MakerDriver]:
    async with making("JobSchedule", Schedules) as driver:
        yield driver


def name_at(minutes: int, name: str = "s") -> str:
    return f"{name}-{int(T0 + 60 * minutes)}"


async def ready(drive: MakerDriver, **spec: Any) -> None:
    drive.apply(**{"schedule": "* * * * *", **spec})
    await drive.ready("Ready")
    await drive.until(lambda: drive.status().get("nextTickTime"), "a next tick")


async def test_a_job_at_each_tick_and_what_the_status_says(drive: MakerDriver) -> None:
    await ready(drive, schedule="*/5 * * * *", timeZone="Europe/Berlin")
    assert drive.names() == []
    assert drive.status()["nextTickTime"] == "2026-11-24T00:05:00Z"
    drive.move(5 * MINUTE)
    assert await drive.made(1) == [name_at(5)]
    await drive.until(lambda: drive.status().get("lastJob") == name_at(5), "the last job")
    status = drive.status()
    assert status["ticks"] == [{"time": "2026-11-24T00:05:00Z", "outcome": "Created", "job": name_at(5)}]
    assert (status["lastTickTime"], status["nextTickTime"]) == ("2026-11-24T00:05:00Z", "2026-11-24T00:10:00Z")
    assert (status["schedule"], status["observedGeneration"]) == ("*/5 * * * * Europe/Berlin", 1)
    job = drive.fake.get("jobs", "default", name_at(5))
    assert job["spec"] == {"ops": OPS}
    assert job["metadata"]["ownerReferences"][0]["kind"] == "JobSchedule"
    drive.move(5 * MINUTE)
    await drive.made(2)
    await drive.until(lambda: len(drive.status()["ticks"]) == 2, "two ticks")


async def test_a_tick_comes_at_its_time_by_itself() -> None:
    class Running:
        """A clock that runs as the loop's does."""

        def __init__(self) -> None:
            self.begun = asyncio.get_running_loop().time()

        def __call__(self) -> float:
            return T0 + 0.9 + asyncio.get_running_loop().time() - self.begun

    async with making("JobSchedule", lambda client, evaluators, _: Schedules(client, evaluators, Running())) as drive:
        drive.apply(everySeconds=1)
        assert (await drive.made(2))[:2] == [f"s-{int(T0) + 1}", f"s-{int(T0) + 2}"]


async def test_killed_between_the_job_and_the_status(drive: MakerDriver) -> None:
    await ready(drive)
    drive.fake.fault("PATCH", "/jobschedules/s/status$", status=500, times=None)
    drive.move(MINUTE)
    await drive.made(1)
    await drive.stop()
    drive.fake.faults.clear()
    assert "lastTickTime" not in drive.status()
    await drive.start()
    await drive.until(lambda: drive.status().get("lastJob") == name_at(1), "the last job")
    assert drive.created() == [name_at(1)]


async def test_an_answer_that_was_lost(drive: MakerDriver) -> None:
    await ready(drive)
    drive.fake.fault("POST", "/jobs$", drop=True, when="after")
    drive.move(MINUTE)
    await drive.until(lambda: drive.status().get("lastJob"), "the last job")
    assert drive.names() == [name_at(1)]
    assert drive.status()["ticks"][0]["outcome"] == "Created"


async def test_killed_before_the_job(drive: MakerDriver) -> None:
    await ready(drive)
    drive.fake.fault("POST", "/jobs$", status=503, times=None)
    drive.move(MINUTE)
    await drive.until(lambda: drive.fake.calls("POST", "/jobs$"), "a try")
    await drive.stop()
    drive.fake.faults.clear()
    await drive.start()
    assert await drive.made(1) == [name_at(1)]


@pytest.mark.parametrize(
    ("policy", "minutes"), [("Latest", [5]), ("All", [3, 4, 5]), ("None", [5])], ids=["Latest", "All", "None"]
)
async def test_ticks_that_were_missed(drive: MakerDriver, policy: str, minutes: list[int]) -> None:
    await ready(drive, catchUp=policy, maxCatchUp=3)
    await drive.stop()
    drive.clock.now += 5 * MINUTE + 1
    await drive.start()
    await drive.until(lambda: drive.status().get("lastJob") == name_at(5), "the last job")
    assert drive.created() == [name_at(m) for m in minutes]
    skipped = drive.status()["ticks"][-1]
    assert (skipped["outcome"], skipped["reason"]) == ("Skipped", "Missed")
    assert skipped["message"].startswith(f"{5 - len(minutes)} ticks up to this one were missed")


async def test_forbid_skips_while_a_job_is_not_finished(drive: MakerDriver) -> None:
    await ready(drive, concurrencyPolicy="Forbid")
    drive.move(MINUTE)
    await drive.made(1)
    drive.move(MINUTE)
    await drive.until(lambda: len(drive.status().get("ticks") or ()) == 2, "two ticks")
    assert drive.status()["ticks"][0] == {
        "time": "2026-11-24T00:02:00Z",
        "outcome": "Skipped",
        "reason": "StillRunning",
        "message": f"Job '{name_at(1)}' is not finished (concurrencyPolicy: Forbid)",
    }
    drive.finish(name_at(1))
    await drive.seen(name_at(1), finished=True)
    drive.move(MINUTE)
    assert await drive.made(2) == [name_at(1), name_at(3)]


async def test_forbid_holds_after_a_restart(drive: MakerDriver) -> None:
    await ready(drive, concurrencyPolicy="Forbid")
    drive.move(MINUTE)
    await drive.made(1)
    await drive.until(lambda: drive.status().get("lastJob"), "the last job")
    await drive.stop()
    drive.clock.now += MINUTE
    await drive.start()
    await drive.until(lambda: len(drive.status()["ticks"]) == 2, "two ticks")
    assert drive.status()["ticks"][0]["reason"] == "StillRunning"
    assert drive.names() == [name_at(1)]


async def test_a_job_that_was_deleted_unseen_forbids_nothing(drive: MakerDriver) -> None:
    await ready(drive, concurrencyPolicy="Forbid")
    drive.move(MINUTE)
    await drive.made(1)
    await drive.seen(name_at(1), finished=False)
    with drive.fake.held_events("jobs"):
        drive.fake.delete("jobs", "default", name_at(1))
        drive.move(MINUTE)
        await drive.until(lambda: name_at(2) in drive.names(), "the next Job")


async def test_forbid_and_catch_up_all_is_one_after_the_other(drive: MakerDriver) -> None:
    await ready(drive, concurrencyPolicy="Forbid", catchUp="All")
    drive.move(3 * MINUTE)
    for minute in (1, 2, 3):
        await drive.until(lambda m=minute: name_at(m) in drive.names(), "the next Job")
        assert drive.created() == [name_at(m) for m in range(1, minute + 1)]
        drive.finish(name_at(minute))
    await drive.until(lambda: drive.status().get("lastJob") == name_at(3), "the last job")


async def test_replace_cancels_what_runs(drive: MakerDriver) -> None:
    await ready(drive, concurrencyPolicy="Replace")
    drive.move(MINUTE)
    await drive.made(1)
    drive.move(MINUTE)
    await drive.made(2)
    assert drive.fake.get("jobs", "default", name_at(1))["spec"]["cancel"] is True
    assert "cancel" not in drive.fake.get("jobs", "default", name_at(2))["spec"]


async def test_suspended_time_is_not_caught_up(drive: MakerDriver) -> None:
    await ready(drive, catchUp="All")
    drive.change(suspend=True)
    assert (await drive.ready("Suspended"))["status"] == "False"
    assert "nextTickTime" not in drive.status()
    drive.move(5 * MINUTE + 30)
    drive.change(suspend=False)
    await drive.ready("Ready")
    await drive.until(lambda: drive.status().get("nextTickTime") == "2026-11-24T00:06:00Z", "the next tick")
    assert drive.names() == []
    drive.move(30)
    assert await drive.made(1) == [name_at(6)]


async def test_another_timing_counts_from_the_change(drive: MakerDriver) -> None:
    await ready(drive, schedule="0 12 * * *", catchUp="All")
    drive.move(5 * MINUTE + 1)
    drive.change(schedule="* * * * *")
    await drive.until(lambda: drive.status().get("nextTickTime") == "2026-11-24T00:06:00Z", "the next tick")
    assert drive.names() == []
    drive.change(jobTemplate={"spec": {"ops": [*OPS, {"name": "b", "image": "i"}]}})
    await drive.ready("Ready")
    drive.move(MINUTE)
    await drive.made(1)
    assert len(drive.fake.get("jobs", "default", name_at(6))["spec"]["ops"]) == 2


async def test_history_limits(drive: MakerDriver) -> None:
    await ready(drive, successfulJobsHistoryLimit=2, failedJobsHistoryLimit=0)
    for minute in range(1, 5):
        drive.move(MINUTE)
        await drive.until(lambda m=minute: name_at(m) in drive.names(), "the Job")
        drive.finish(name_at(minute), succeeded=minute != 2)
        await drive.seen(name_at(minute), finished=True)
    await drive.until(lambda: drive.names() == [name_at(3), name_at(4)], "two Jobs")


async def test_the_clock_set_back_makes_nothing_twice(drive: MakerDriver) -> None:
    await ready(drive)
    drive.move(3 * MINUTE)
    await drive.until(lambda: drive.status().get("lastJob"), "the last job")
    drive.move(-2 * MINUTE)
    drive.move(MINUTE)
    drive.move(MINUTE)
    assert drive.status()["nextTickTime"] == "2026-11-24T00:04:00Z"
    drive.move(MINUTE)
    await drive.until(lambda: drive.status()["lastJob"] == name_at(4), "the next job")
    assert drive.created() == [name_at(3), name_at(4)]


@pytest.mark.parametrize(
    ("spec", "reason", "part"),
    [
        ({"schedule": "* * *"}, "InvalidSchedule", "'* * *' is not a valid cron expression"),
        ({"schedule": "@daily", "timeZone": "Mars/Base"}, "UnknownTimeZone", "unknown time zone 'Mars/Base'"),
        ({"template": {"spec": {"runConfig": {"d": "{{ tick.day }}"}}}}, "UnknownName", "{{ tick.day }}"),
        ({"template": {"spec": {}, "metadata": {"labels": {"a": "b c"}}}}, "InvalidTemplate", "b c"),
    ],
)
async def test_what_is_wrong_stands_in_the_status(
    drive: MakerDriver, spec: dict[str, Any], reason: str, part: str
) -> None:
    drive.apply(**{"schedule": "* * * * *", **spec})
    ready = await drive.ready(reason)
    assert (ready["status"], part in ready["message"]) == ("False", True)
    drive.move(2 * MINUTE)
    drive.change(schedule="* * * * *", timeZone="UTC", jobTemplate=None)
    drive.change(jobTemplate={"spec": {"ops": OPS}})
    await drive.ready("Ready")
    assert drive.names() == []


async def test_a_job_that_is_refused_at_its_tick(drive: MakerDriver) -> None:
    await ready(drive)
    drive.fake.fault("POST", "/jobs$", status=403, reason="Forbidden", message="exceeded quota", times=None)
    drive.move(MINUTE)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    record = drive.status()["ticks"][0]
    assert (record["outcome"], record["reason"], record["job"]) == ("Failed", "Forbidden", name_at(1))
    drive.fake.faults.clear()
    drive.move(MINUTE)
    assert await drive.made(1) == [name_at(2)]


async def test_a_name_that_is_taken_by_another_s_job(drive: MakerDriver) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job"}
    drive.fake.create({**kind, "metadata": {"name": name_at(1)}, "spec": {"ops": OPS}})
    await ready(drive)
    drive.move(MINUTE)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    assert drive.status()["ticks"][0]["reason"] == "AlreadyExists"


async def test_a_schedule_that_is_deleted_makes_no_more(drive: MakerDriver) -> None:
    made = drive.apply(schedule="* * * * *")
    await drive.ready("Ready")
    drive.fake.delete("jobschedules", "default", "s")
    await drive.until(lambda: drive.makers._makers.get(made["metadata"]["uid"]) is None, "forgotten")
    drive.apply(schedule="0 0 * * *")
    drive.move(MINUTE)
    await drive.ready("Ready")
    assert (drive.names(), "ticks" in drive.status()) == ([], False)


async def test_a_full_minute(drive: MakerDriver) -> None:
    for i in range(200):
        drive.apply(f"s{i}", schedule="* * * * *")
    for i in range(200):
        await drive.ready("Ready", f"s{i}")
    drive.move(MINUTE)
    await drive.fake.until(lambda: len(drive.names()) == 200, 20.0, "all Jobs")
    await drive.fake.until(lambda: all(drive.status(f"s{i}").get("lastJob") for i in range(200)), 20.0, "all statuses")
    writes = [r for r in drive.fake.calls("PATCH", "/status$") if "lastJob" in r.body["status"]]
    assert len(writes) == 200


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_job_of_another_namespace_that_names_it_as_its_controller_is_not_its_own(
    drive: MakerDriver, restarted: bool
) -> None:
    """The attack that was shown: such a Job, kept by a finalizer, stopped a schedule that forbids to run twice."""
    await ready(drive, failedJobsHistoryLimit=0, successfulJobsHistoryLimit=0)
    counts: list[tuple[str, str]] = []
    drive.makers.jobs.ignored = lambda kind, reason: counts.append((kind, reason))
    schedule = drive.fake.get("jobschedules", "default", "s")["metadata"]
    if restarted:
        await drive.stop()
    owner = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSchedule", "name": "s", "uid": schedule["uid"]}
    for name in ("block", "done"):
        meta = {"name": name, "namespace": "evil", "ownerReferences": [{**owner, "controller": True}]}
        meta |= {"labels": {"podgraph.dev/schedule": "s"}, "finalizers": ["evil.example/stay"]}
        job = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": meta, "spec": {"ops": OPS}}
        drive.fake.create(job)
    ended = [{"type": "Finished", "status": "True"}, {"type": "Succeeded", "status": "True"}]
    drive.fake.patch("jobs", "evil", "done", {"status": {"conditions": ended}}, status=True)
    if restarted:
        await drive.start()
        drive.makers.jobs.ignored = lambda kind, reason: counts.append((kind, reason))
    drive.fake.requests.clear()
    drive.move(MINUTE)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    assert drive.status()["ticks"] == [{"time": "2026-11-24T00:01:00Z", "outcome": "Created", "job": name_at(1)}]
    drive.move(MINUTE)
    await drive.until(lambda: len(drive.status()["ticks"]) == 2, "another tick")
    assert drive.fake.calls(path="/namespaces/evil/") == []
    assert set(counts) == {("Job", "OtherNamespace")}


@pytest.mark.parametrize("told", ["soon", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", ""])
@pytest.mark.parametrize("namespace", ["default", "evil"])
async def test_a_time_of_a_tick_that_others_wrote_stops_nothing(drive: MakerDriver, namespace: str, told: str) -> None:
    """One such Job in any namespace ended the operator at each start, as it was read in the list of all."""
    await ready(drive)
    schedule = drive.fake.get("jobschedules", "default", "s")["metadata"]
    await drive.stop()
    owner = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSchedule", "name": "s", "uid": schedule["uid"]}
    meta = {
        "name": "wrong",
        "namespace": namespace,
        "labels": {"podgraph.dev/schedule": "s"},
        "annotations": {"podgraph.dev/tick-time": told},
        "ownerReferences": [{**owner, "controller": True}],
        "finalizers": ["evil.example/stay"],
    }
    job = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": meta, "spec": {"ops": OPS}}
    drive.fake.create(job)
    await drive.start()
    drive.move(MINUTE)
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    job["metadata"]["name"] = "later"
    drive.fake.create(job)
    drive.move(MINUTE)
    await drive.until(lambda: len(drive.status()["ticks"]) == 2, "another tick")
    assert {tick["outcome"] for tick in drive.status()["ticks"]} == {"Created"}
