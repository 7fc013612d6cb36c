"""The page's API of schedules and sensors before the fake API server."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import yaml

from api.fake import RESOURCES
from podgraph.server.sessions import Sessions
from web.serving import Served, asked, serving

Obj = dict[str, Any]
TEMPLATE = {"spec": {"definitionRef": {"name": "daily"}, "runConfig": {"day": "{{ tick.date }}"}}}
AT = "/api/makers/schedules/default/nightly"


async def test_schedules_are_listed_with_their_ticks_and_what_comes_next(
    served: Served, http: aiohttp.ClientSession
) -> None:
    tick = {"time": "2026-11-24T02:00:00Z", "outcome": "Skipped", "reason": "Forbid", "message": "one still runs"}
    spec = {"schedule": "0 2 * * *", "jobTemplate": TEMPLATE}
    served.schedule("nightly", spec, "0 2 * * *", nextTickTime="2026-11-25T02:00:00Z", ticks=[tick])
    served.schedule("asleep", {"everySeconds": 60, "suspend": True, "jobTemplate": TEMPLATE}, "every 60 s")
    served.schedule("broken", {"schedule": "x", "jobTemplate": TEMPLATE}, "x")
    status, told = await asked(http, "/api/makers/schedules")
    assert (status, told["served"], [m["name"] for m in told["makers"]]) == (200, True, ["asleep", "broken", "nightly"])
    asleep, _, nightly = told["makers"]
    assert (asleep["suspended"], asleep["nextTick"], asleep["reason"]) == (True, "", "Suspended")
    assert (nightly["text"], nightly["nextTick"], nightly["definition"]) == (
        "0 2 * * *", "2026-11-25T02:00:00Z", "daily",
    )  # fmt: skip
    assert nightly["ticks"] == [{**tick, "job": ""}]
    _, one = await asked(http, AT)
    assert (len(one["upcoming"]), {time[10:] for time in one["upcoming"]}) == (5, {"T02:00:00Z"})
    assert yaml.safe_load(one["settings"])["schedule"] == "0 2 * * *"
    assert (await asked(http, "/api/makers/schedules/default/broken"))[1]["upcoming"] == []
    assert (await asked(http, "/api/makers/schedules/default/none"))[0] == 404
    assert (await asked(http, "/api/makers/others"))[0] == 422


async def test_a_schedule_is_suspended_and_resumed(served: Served, http: aiohttp.ClientSession) -> None:
    made = served.schedule("nightly", {"schedule": "0 2 * * *", "jobTemplate": TEMPLATE}, "0 2 * * *")
    uid = made["metadata"]["uid"]
    for value in (True, False):
        assert (await asked(http, f"{AT}/suspend", {"uid": uid, "suspend": value}))[0] == 202
        assert served.fake.get("jobschedules", "default", "nightly")["spec"]["suspend"] is value
    status, told = await asked(http, f"{AT}/suspend", {"uid": "another", "suspend": True})
    assert (status in (409, 422), "uid" in told["message"].lower()) == (True, True)
    assert served.fake.get("jobschedules", "default", "nightly")["spec"]["suspend"] is False


async def test_a_tick_is_tried_without_making_a_job_and_made_by_hand(
    served: Served, http: aiohttp.ClientSession
) -> None:
    spec = {"schedule": "0 2 * * *", "jobTemplate": TEMPLATE}
    served.schedule("nightly", spec, "0 2 * * *", nextTickTime="2026-11-25T02:00:00Z")
    status, told = await asked(http, f"{AT}/try", {})
    job = yaml.safe_load(told["job"])
    assert (status, job["spec"]["runConfig"], job["metadata"]["name"]) == (
        200, {"day": "2026-11-25"}, "nightly-manual-1795572000",
    )  # fmt: skip
    assert yaml.safe_load((await asked(http, f"{AT}/try", {"at": "2020-02-29"}))[1]["job"])["spec"]["runConfig"] == {
        "day": "2020-02-29"
    }
    assert (await asked(http, f"{AT}/try", {"at": "soon"}))[1]["message"].startswith("'soon' is not a valid time")
    assert served.fake.objects("jobs") == []
    status, made = await asked(http, f"{AT}/tick", {"at": "2020-02-29"})
    (job,) = served.fake.objects("jobs")
    assert (status, made["name"], job["metadata"]["labels"]) == (
        201, job["metadata"]["name"], {"podgraph.dev/schedule": "nightly", "podgraph.dev/definition": "daily"},
    )  # fmt: skip
    assert (await asked(http, f"{AT}/tick", {"at": "2020-02-29"}))[0] == 409


async def test_a_sensor_is_tried_with_what_it_might_see(served: Served, http: aiohttp.ClientSession) -> None:
    template = {"definitionRef": {"name": "d"}, "runConfig": {"of": "{{ source.name }}", "is": "{{ source.value }}"}}
    served.sensor("after", {"job": {"name": "first"}}, template, "Job first Succeeded")
    _, told = await asked(http, "/api/makers/sensors")
    assert [(m["text"], m["definition"], m["nextTick"]) for m in told["makers"]] == [("Job first Succeeded", "d", "")]
    path = "/api/makers/sensors/default/after"
    _, tried = await asked(http, f"{path}/try", {"name": "first", "value": "Failed"})
    assert yaml.safe_load(tried["job"])["spec"]["runConfig"] == {"of": "first", "is": "Failed"}
    assert served.fake.objects("jobs") == []
    assert (await asked(http, path))[1]["upcoming"] == []


async def answers(served: Served, kind: str, name: str, jobs: list[Obj], message: str = "") -> str:
    """Be the operator that is asked; return the tick."""

    def asked_now() -> str | None:
        return served.fake.get(kind, "default", name)["metadata"].get("annotations", {}).get("podgraph.dev/try")

    wanted = str(await served.fake.until(asked_now, 5.0, "the question"))
    told = {"id": wanted, "jobs": [json.dumps(job) for job in jobs], "message": message}
    served.fake.patch(kind, "default", name, {"status": {"tried": told}}, status=True)
    return wanted.partition(" ")[2]


async def test_what_code_decides_is_asked_of_the_operator(served: Served, http: aiohttp.ClientSession) -> None:
    python = {"definitionRef": {"name": "d"}}
    served.schedule("nightly", {"schedule": "0 2 * * *", "python": python}, "0 2 * * *")
    ref = {"definitionRef": {"name": "d"}}
    jobs = [
        {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": f"nightly-1-{key}"}, "spec": ref}
        for key in "ab"
    ]
    operator = asyncio.create_task(answers(served, "jobschedules", "nightly", jobs))
    status, told = await asked(http, f"{AT}/tick", {"at": "2026-11-25T02:00:00Z"})
    assert (status, told["name"], await operator) == (201, "nightly-manual-1-a", "2026-11-25T02:00:00Z")
    assert [job["metadata"]["name"] for job in served.fake.objects("jobs")] == [
        "nightly-manual-1-a", "nightly-manual-1-b",
    ]  # fmt: skip
    served.sensor("keys", {"objectStore": {"url": "s3://b/p"}}, ref, "new keys of s3://b/p")
    assert (await asked(http, "/api/makers/sensors"))[1]["makers"][0]["asksCode"] is True
    operator = asyncio.create_task(answers(served, "jobsensors", "keys", [], "nothing is new"))
    assert await asked(http, "/api/makers/sensors/default/keys/try", {}) == (
        200,
        {"job": "", "message": "nothing is new"},
    )
    assert await operator == ""


async def test_a_cluster_without_the_kinds_has_none() -> None:
    fewer = [row for row in RESOURCES if row.plural not in ("jobschedules", "jobsensors")]
    async with serving(resources=fewer) as served, aiohttp.ClientSession(base_url=served.url) as http:
        assert await asked(http, "/api/makers/sensors") == (200, {"served": False, "makers": []})


async def test_a_visitor_sees_and_tries_those_of_their_namespaces_alone() -> None:
    async with serving(auth=Sessions) as served:
        served.fake.people.tokens, served.fake.people.open = {"t-jane": "jane"}, {"jane": {"team-a"}}
        for namespace in ("team-a", "team-b"):
            served.job(f"of-{namespace}", namespace=namespace)
            template = {"spec": {"definitionRef": {"name": "d"}}}
            made = {"everySeconds": 60, "jobTemplate": template}
            served.schedule(f"in-{namespace}", made, "every 60 s", namespace=namespace)
        await served.fake.until(lambda: len(served.state.jobs.items) == 2)
        jar = aiohttp.CookieJar(unsafe=True)
        async with aiohttp.ClientSession(base_url=served.url, headers={"Origin": served.url}, cookie_jar=jar) as http:
            assert (await asked(http, "/api/makers/schedules"))[0] == 401
            assert (await asked(http, "/api/session", {"token": "t-jane"}))[0] == 201
            told = (await asked(http, "/api/makers/schedules"))[1]
            assert [maker["name"] for maker in told["makers"]] == ["in-team-a"]
            for namespace, status in (("team-a", 200), ("team-b", 403)):
                path = f"/api/makers/schedules/{namespace}/in-{namespace}"
                assert (await asked(http, path))[0] == status
                assert (await asked(http, f"{path}/try", {}))[0] == status
