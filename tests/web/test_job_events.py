"""The Kubernetes Events of a run by its page's API: anybody with rights in the namespace may write Events."""

from __future__ import annotations

import time
from typing import Any

import aiohttp
import pytest

from podgraph.cluster.events import event_manifest
from podgraph.planning.actions import Event
from podgraph.planning.manifests.objects import JobRef
from web.serving import Served

Obj = dict[str, Any]


def post(served: Served, job: Obj, event: Event, **changes: Any) -> None:
    meta = job["metadata"]
    made = event_manifest(JobRef(meta["name"], "default", meta["uid"]), event, time.time())
    served.fake.create({**made, **changes})


async def events(http: aiohttp.ClientSession) -> list[Obj]:
    async with http.get("/api/runs/default/a/pods") as answer:
        found: list[Obj] = (await answer.json())["events"]
        return found


async def test_an_event_tells_its_step_as_data(served: Served, http: aiohttp.ClientSession) -> None:
    job = served.job("a")
    post(served, job, Event("Warning", "StepFailed", "op 'one' failed: E: x", "one"))
    post(served, job, Event("Normal", "Accepted", "op 'one' is only a word here"))
    found = {event["reason"]: event["op"] for event in await events(http)}
    assert found == {"StepFailed": "one", "Accepted": ""}


@pytest.mark.parametrize("op", ["nosuch", "one\n", "x" * 100_000, "<b>"])
async def test_an_event_that_names_no_step_of_the_run_is_about_none(
    served: Served, http: aiohttp.ClientSession, op: str
) -> None:
    post(served, served.job("a"), Event("Warning", "Made", "by somebody", op))
    assert [(event["message"], event["op"]) for event in await events(http)] == [("by somebody", "")]


async def test_events_on_others_are_not_shown_and_long_ones_are_cut(
    served: Served, http: aiohttp.ClientSession
) -> None:
    job, other = served.job("a"), served.job("b")
    post(served, other, Event("Warning", "StepFailed", "of another run", "one"))
    about = {"kind": "Job", "name": "a", "namespace": "default", "uid": other["metadata"]["uid"]}
    post(served, job, Event("Warning", "StepFailed", "says that it is of a", "one"), involvedObject=about)
    post(served, job, Event("Warning", "Long", "long", "one"), message="y" * 100_000)
    [event] = await events(http)
    assert event["message"] == "y" * 1_020 + " ..."
