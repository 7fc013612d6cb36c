"""What the page asks its server beside the runs themselves: filters, the limit of steps at once, config to tidy."""

from __future__ import annotations

from pathlib import Path

import aiohttp
import yaml

import podgraph
from podgraph.server.document import document
from web.serving import Served, asked

SOURCE = {"namespace": "default", "source": {"run": "a"}}


async def test_runs_are_listed_by_definition_maker_tags_and_time(served: Served, http: aiohttp.ClientSession) -> None:
    times = {"old": 1_700_000_000.0, "new": 1_800_000_000.0}
    labels = {"old": {"team": "a", "day": "1"}, "new": {"team": "a", "podgraph.dev/schedule": "nightly"}}
    for name, time in times.items():
        served.fake.registry.clock = lambda time=time: time
        served.job(name, definitionRef={"name": f"of-{name}"}, labels=labels[name])
    served.definition("of-new")
    await served.fake.until(lambda: len(served.state.jobs.items) == 2 and len(served.state.definitions.items) == 1)
    for query, names in (
        ("definition=of-old", ["old"]), ("maker=schedules/nightly", ["new"]), ("namespace=other", []),
        ("tag=team=a", ["new", "old"]), ("tag=team=a&tag=day", ["old"]), ("tag=team", ["new", "old"]),
        ("alive=2023-11-14T22:13:20Z", ["new", "old"]), ("alive=2023-11-14T22:13:21Z", ["new"]),
        ("tag=team=b", []), ("since=2025-01-01T00:00:00Z", ["new"]), ("until=2025-01-01T00:00:00Z", ["old"]),
    ):  # fmt: skip
        status, told = await asked(http, f"/api/runs?{query}")
        assert (status, [run["name"] for run in told["runs"]]) == (200, names), query
    (definition,) = (await asked(http, "/api/definitions"))[1]["definitions"]
    assert (definition["lastRun"]["name"], definition["lastRun"]["maker"]) == ("new", "schedules/nightly")


async def test_the_limit_of_steps_at_once_is_kept_set_and_taken_away(
    served: Served, http: aiohttp.ClientSession
) -> None:
    served.job("a", execution={"maxConcurrent": 2})
    assert (await asked(http, "/api/source", SOURCE))[1]["maxConcurrent"] == 2
    config = "ops: {one: {config: {n: 1}}}"
    for more, limit in (({}, 2), ({"maxConcurrent": 7}, 7), ({"maxConcurrent": 0}, None)):
        _, made = await asked(http, "/api/runs", {**SOURCE, "config": config, **more})
        job = served.fake.get("jobs", "default", made["name"])
        assert (job["spec"].get("execution") or {}).get("maxConcurrent") == limit
    assert (await asked(http, "/api/runs", {**SOURCE, "config": config, "maxConcurrent": 5001}))[0] == 422


async def test_config_that_has_no_place_is_taken_out(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    config = "ops: {one: {config: {n: 1}, m: [2]}, two: {inputs: {x: 3}}}\nelse: 1"
    _, told = await asked(http, "/api/check", {**SOURCE, "config": config})
    assert [problem["extra"] for problem in told["config"]] == [True] * 4, told["config"]
    _, told = await asked(http, "/api/check", {**SOURCE, "config": config, "example": "Known"})
    assert yaml.safe_load(told["example"]) == {"ops": {"one": {"config": {"n": 1}}}}
    _, told = await asked(http, "/api/check", {**SOURCE, "config": "ops: {one: {config: {}}}", "example": "Known"})
    assert [problem["extra"] for problem in told["config"]] == [False]


def test_the_types_of_the_page_are_made_from_this_server() -> None:
    written = Path(podgraph.__file__).parents[1] / "web" / "openapi.json"
    assert written.read_text() == document(), "the API changed: make types writes its document anew"
