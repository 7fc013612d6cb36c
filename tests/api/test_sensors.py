"""JobSensors against the fake API server: one Job for each thing seen, whatever breaks."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from api.driving import Clock
from api.making import OPS, T0, MakerDriver, making
from podgraph.cluster.client import Client
from podgraph.reconcile.automation import sensors, watched_sources
from podgraph.reconcile.automation.sensors import Sensors
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.scheduling.http_policy import HttpPolicy, read_policy

VALUE = {"spec": {"ops": OPS, "runConfig": {"seen": "{{ source.name }}={{ source.value }}"}}}
JOB = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job"}
WATCHED = {"apiVersion": "v1", "resource": "configmaps", "name": "cm", "field": {"path": "data.version"}}


def sensing(policy: HttpPolicy | None = None) -> Any:
    def make(client: Client, evaluators: EvaluatorPool, clock: Clock) -> Sensors:
        return Sensors(client, client, policy or HttpPolicy(), evaluators, clock)

    return making("JobSensor", make)


@pytest.fixture
async def drive() -> AsyncIterator[MakerDriver]:
    async with sensing() as driver:
        yield driver


def finished(drive: MakerDriver, name: str, succeeded: bool = True, at: float = 10, **labels: str) -> None:
    drive.fake.create({**JOB, "metadata": {"name": name, "labels": labels}, "spec": {"ops": OPS}})
    drive.finish(name, succeeded, T0 + at)


def seen(drive: MakerDriver) -> list[str]:
    """What the sensor's Jobs were made for."""
    made = [job for job in drive.fake.objects("jobs") if "ownerReferences" in job["metadata"]]
    return sorted(job["spec"]["runConfig"]["seen"] for job in made)


async def begun(drive: MakerDriver) -> None:
    await drive.until(lambda: (drive.status().get("cursor") or {}).get("begun"), "it looks")


def config_map(drive: MakerDriver, version: str | None, name: str = "cm") -> None:
    data = {} if version is None else {"version": version}
    if drive.fake.find("configmaps", "default", name) is None:
        drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data})
    else:
        drive.fake.patch("configmaps", "default", name, {"data": data})


# --- Jobs


async def test_a_job_that_finishes(drive: MakerDriver) -> None:
    finished(drive, "before", at=-10, x="1")
    drive.apply(source={"job": {"selector": {"matchLabels": {"x": "1"}}}}, template=VALUE)
    await begun(drive)
    finished(drive, "failed", succeeded=False, x="1")
    finished(drive, "other", x="2")
    finished(drive, "good", x="1")
    await drive.until(lambda: seen(drive) == ["good=Succeeded"], "its Job")
    await drive.until(lambda: drive.status().get("ticks"), "a tick")
    tick = drive.status()["ticks"][0]
    assert (tick["outcome"], tick["message"], tick["job"]) == (
        "Created", "good: Succeeded", drive.status()["lastJob"]
    )  # fmt: skip
    assert drive.status()["source"] == "Job x=1 Succeeded"
    await drive.ready("Ready")


async def test_jobs_of_before_are_seen_once_after_a_restart(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"name": "a", "outcome": "Finished"}}, template=VALUE)
    await begun(drive)
    finished(drive, "a", succeeded=False)
    await drive.until(lambda: drive.status().get("lastJob"), "its Job")
    await drive.stop()
    drive.fake.delete("jobs", "default", drive.status()["lastJob"])  # and its name is free again
    await drive.start()
    drive.fake.delete("jobs", "default", "a")
    finished(drive, "a", at=20)
    await drive.until(lambda: seen(drive) == ["a=Succeeded"], "the Job of the new one")
    assert len(drive.created()) == 2


async def test_killed_between_the_job_and_the_status(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"name": "a"}}, template=VALUE)
    await begun(drive)
    drive.fake.fault("PATCH", "/jobsensors/s/status$", status=500, times=None)
    finished(drive, "a")
    await drive.until(lambda: drive.created(), "its Job")
    await drive.stop()
    drive.fake.faults.clear()
    assert "lastJob" not in drive.status()
    await drive.start()
    await drive.until(lambda: drive.status().get("lastJob"), "the status")
    assert len(drive.created()) == 1


async def test_suspended_it_makes_nothing_and_sees_it_later(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"name": "a"}}, template=VALUE)
    await begun(drive)
    drive.change(suspend=True)
    await drive.ready("Suspended")
    finished(drive, "a")
    drive.move(10)
    drive.change(suspend=False)
    await drive.until(lambda: seen(drive) == ["a=Succeeded"], "its Job")


async def test_history_and_what_is_gone_is_not_made_again(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"selector": {"matchLabels": {"x": "1"}}}}, template=VALUE, successfulJobsHistoryLimit=0)
    await begun(drive)
    finished(drive, "a", x="1")
    await drive.until(lambda: drive.created(), "its Job")
    drive.finish(drive.created()[0])
    await drive.until(lambda: not seen(drive), "its Job's end")
    await drive.stop()
    await drive.start()
    finished(drive, "b", at=30, x="1")
    await drive.until(lambda: len(drive.created()) == 2, "the next Job")
    assert drive.created()[0] != drive.created()[1]


async def test_no_more_often_than_the_interval(drive: MakerDriver) -> None:
    drive.apply(source={"job": {"selector": {"matchLabels": {"x": "1"}}}}, template=VALUE, minimumIntervalSeconds=60)
    await begun(drive)
    finished(drive, "a", x="1")
    await drive.until(lambda: "a" in [job.name for job in drive.makers._finished._jobs["default"].values()], "a seen")
    drive.move(59)
    assert seen(drive) == []
    drive.move(1)
    await drive.until(lambda: seen(drive) == ["a=Succeeded"], "its Job")


# --- objects


async def test_each_new_value_of_a_field(drive: MakerDriver) -> None:
    config_map(drive, "1")
    drive.apply(source={"kubernetes": WATCHED}, template=VALUE)
    await begun(drive)
    config_map(drive, "2")
    await drive.until(lambda: seen(drive) == ["cm=2"], "its Job")
    drive.fake.patch("configmaps", "default", "cm", {"data": {"other": "x"}})
    config_map(drive, "3")
    await drive.until(lambda: seen(drive) == ["cm=2", "cm=3"], "its Jobs")
    assert len(drive.created()) == 2
    config_map(drive, "9", "another")
    await drive.stop()
    config_map(drive, "4")
    await drive.start()
    await drive.until(lambda: seen(drive) == ["cm=2", "cm=3", "cm=4"], "the Job of what came meanwhile")


async def test_an_object_that_comes_and_a_broken_watch(drive: MakerDriver) -> None:
    drive.apply(source={"kubernetes": WATCHED}, template=VALUE)
    await begun(drive)
    drive.fake.cut_watches("configmaps")
    config_map(drive, "1")
    await drive.until(lambda: seen(drive) == ["cm=1"], "its Job")
    drive.fake.fail_watches("configmaps", 410)
    config_map(drive, "2")
    await drive.until(lambda: seen(drive) == ["cm=1", "cm=2"], "its Jobs")


async def test_a_condition_of_labelled_objects(drive: MakerDriver) -> None:
    source = {"apiVersion": "v1", "resource": "pods", "selector": {"matchLabels": {"app": "x"}}}
    drive.apply(source={"kubernetes": {**source, "condition": {"type": "Done"}}}, template=VALUE)
    await begun(drive)
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": {"containers": [{"name": "c", "image": "i"}]}}
    for name, app in (("a", "x"), ("b", "y")):
        drive.fake.create({**pod, "metadata": {"name": name, "labels": {"app": app}}})
        for status, time in (("False", "00:00:01"), ("True", "00:00:02")):
            done = {"type": "Done", "status": status, "lastTransitionTime": f"2026-11-24T{time}Z"}
            drive.fake.patch("pods", "default", name, {"status": {"conditions": [done]}}, status=True)
    await drive.until(lambda: seen(drive) == ["a=True"], "its Job")


async def test_what_may_not_be_watched(drive: MakerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.cluster.object_watch.ObjectWatch.refused_seconds", 0.05)
    drive.fake.fault("GET", "/configmaps$", status=403, reason="Forbidden", message="no", times=None)
    drive.apply(source={"kubernetes": WATCHED}, template=VALUE)
    message = (await drive.ready("Forbidden"))["message"]
    assert message == (
        "the operator may not watch configmaps; the chart's value sensors.watch can allow it: "
        '{"apiGroups": [""], "resources": ["configmaps"]}'
    )
    drive.fake.faults.clear()
    await drive.ready("Ready")
    config_map(drive, "1")
    await drive.until(lambda: seen(drive) == ["cm=1"], "its Job")


async def test_a_resource_that_there_is_not(drive: MakerDriver) -> None:
    drive.apply(source={"kubernetes": {**WATCHED, "resource": "confmaps"}}, template=VALUE)
    assert await drive.until(
        lambda: [c for c in drive.status().get("conditions") or () if "no resource 'confmaps' in v1" in c["message"]]
    )


async def test_more_objects_or_watches_than_are_allowed(drive: MakerDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watched_sources, "MOST_OBJECTS", 2)
    monkeypatch.setattr(sensors, "MOST_WATCHES", 1)
    for name in ("a", "b", "c"):
        drive.fake.create(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"x": "1"}},
                "data": {"v": "1"},
            }
        )
    many = {"apiVersion": "v1", "resource": "configmaps", "selector": {"matchLabels": {"x": "1"}}}
    drive.apply(source={"kubernetes": {**many, "field": {"path": "data.v"}}}, template=VALUE)
    await drive.ready("TooManyObjects")
    drive.apply("second", source={"kubernetes": WATCHED}, template=VALUE)
    await drive.ready("TooManyWatches", "second")
    monkeypatch.setattr(sensors, "MOST_WATCHES", 2)
    monkeypatch.setattr(sensors, "MOST_IN_NAMESPACE", 1)
    assert drive.makers._no_room("default") == "1 sensors of this namespace watch objects already, which is the most"
    assert drive.makers._no_room("another") == ""


@pytest.mark.parametrize(
    ("source", "reason", "part"),
    [
        ({"kubernetes": {**WATCHED, "field": {"path": "a..b"}}}, "InvalidPath", "'a..b' is not a valid path"),
        ({"http": {"url": "https://example.com"}}, "NotAllowed", "sensors.http.allow is empty"),
    ],
)
async def test_what_is_wrong_stands_in_the_status(
    drive: MakerDriver, source: dict[str, Any], reason: str, part: str
) -> None:
    drive.apply(source=source)
    assert part in (await drive.ready(reason))["message"]


async def test_another_source_begins_anew(drive: MakerDriver) -> None:
    finished(drive, "b")
    drive.apply(source={"job": {"name": "a"}}, template=VALUE)
    await begun(drive)
    drive.clock.now += 60
    drive.change(source={"job": {"name": "b"}})
    await drive.until(lambda: drive.status()["source"] == "Job b Succeeded", "the other source")
    await begun(drive)
    assert seen(drive) == []


# --- web pages


async def test_a_web_page(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, str]] = []
    answer: dict[str, Any] = {"text": '{"status": "busy"}', "status": 200}

    async def page(request: web.Request) -> web.Response:
        asked.append(dict(request.headers))
        return web.Response(**answer)

    app = web.Application()
    app.router.add_get("/", page)
    async with TestServer(app) as server:
        url = f"http://127.0.0.1:{server.port}/"
        policy = read_policy(json.dumps({"allow": [url], "allowNetworks": ["127.0.0.1/32"]}))
        async with sensing(policy) as drive:
            monkeypatch.setattr("podgraph.reconcile.automation.watched_sources._MAX_BACKOFF", 0.0)
            read = watched_sources.WatchedUrl.__init__

            def quickly(self: Any, *args: Any) -> None:
                read(self, *args[:4], 0.05, *args[5:])

            monkeypatch.setattr(watched_sources.WatchedUrl, "__init__", quickly)
            ref = {"name": "token", "key": "t"}
            http = {"url": url, "path": "status", "equals": "ready"}
            http["headers"] = [{"name": "X-Token", "secretKeyRef": ref}]
            drive.apply(source={"http": http}, template=VALUE)
            message = (await drive.ready("SecretNotFound"))["message"]
            assert message == "there is no Secret 'token' with the key 't'"
            secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "token"}}
            drive.fake.create({**secret, "data": {"t": "czNjcmV0"}})
            await begun(drive)
            assert asked[0]["X-Token"] == "s3cret"
            answer["text"] = '{"status": "ready"}'
            await drive.until(lambda: seen(drive) == ["127.0.0.1=ready"], "its Job")
            answer["status"] = 500
            assert "responded with status 500" in (await drive.ready("HttpStatus"))["message"]
            answer.update(status=200, text="no JSON")
            await drive.ready("InvalidAnswer")
            answer["text"] = '{"status": "busy"}'
            await drive.ready("Ready")
            answer["text"] = '{"status": "ready"}'
            await drive.until(lambda: len(seen(drive)) == 2, "its second Job")
            await drive.until(lambda: drive.status()["cursor"]["count"] == 2, "the count")
            assert "s3cret" not in json.dumps([drive.status(), *drive.fake.objects("jobs")])
