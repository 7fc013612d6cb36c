"""A cluster as a busy team has it, before the fake API server: for pictures of the page and for tests of all of it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any

from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.definition.retry import RetryPolicy
from podgraph.scheduling.schedule import TickRecord, job_of_tick, read_schedule, still_running
from web.operated import Operated, Try, at
from web.serving import GRAPH, Obj, Served

__all__ = ["SALES", "busy_team"]

CODE = '''from dataclasses import dataclass

from podgraph import RetryPolicy, job, op


@dataclass
class Load:
    """Which day is loaded, and from where."""

    day: str
    region: str = "eu"
    limit: int = 1000


@op(retry_policy=RetryPolicy(max_retries=3, delay=10))
def load_orders(config: Load):
    """Reads the orders of one day from the shop."""
    print("loading orders of", config.day)
    return [{"sku": "A-1", "sum": 12.5}]
'''


def _config(properties: Mapping[str, Any], *required: str) -> str:
    schema = {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}
    return json.dumps(schema)


def _of(*names: str) -> tuple[Input, ...]:
    return tuple(Input(name.split(".")[-1], (OutputRef(name),), type="list") for name in names)


_LOAD = _config(
    {
        "day": {"type": "string", "description": "The day that is loaded, as 2026-11-24."},
        "region": {"enum": ["eu", "us", "apac"], "default": "eu"},
        "limit": {"type": "integer", "minimum": 1, "default": 1000, "description": "Most rows that are read."},
    },
    "day",
)
_TRAIN = _config(
    {"model": {"enum": ["linear", "forest", "boosted"], "default": "forest"}, "folds": {"type": "integer"}}
)
SALES = Graph.of(
    "daily_sales",
    [
        Op("load_orders", config=_LOAD, description="Reads the orders of one day from the shop.",
           retry=RetryPolicy(max_retries=3, delay=10), resources=("warehouse",), tags={"team": "data"}),
        Op("load_stock", description="Reads what lies in the warehouses.", resources=("warehouse",)),
        Op("load_prices", description="Reads the price lists."),
        Op("clean_orders", _of("load_orders"), description="Drops orders that were canceled."),
        Op("clean_stock", _of("load_stock")),
        Op("join_prices", _of("clean_orders", "load_prices"), description="Puts a price to each order."),
        Op("features.by_sku", _of("join_prices", "clean_stock")),
        Op("features.by_region", _of("join_prices")),
        Op("train_model", _of("features.by_sku", "features.by_region"), config=_TRAIN, timeout=3600,
           retry=RetryPolicy(max_retries=2), description="Fits the forecast."),
        Op("forecast", _of("train_model", "features.by_sku")),
        Op("report", _of("forecast", "join_prices"), resources=("mail",), description="Mails the day's numbers."),
        Op("publish", _of("forecast"), after=("report",), resources=("warehouse",)),
    ],
    resources={"warehouse": _config({"url": {"type": "string"}}), "mail": ""},
    tags={"team": "data"},
)  # fmt: skip
_ORDER = SALES.order


def busy_team(served: Served) -> None:
    """Fill the cluster: definitions, schedules, sensors, and runs of all states; `daily-sales-live` is running."""
    now = float(int(time.time()))
    team = Operated(served, now)
    with at(served, now - 40 * 86_400):
        _definitions(team)
        hourly = _automation(team)
    for number in range(60):
        _past(team, hourly, number)
    _failed(team, now - 900)
    _live(team, now - 110)


def _definitions(team: Operated) -> None:
    code = {"source": CODE, "image": "shop/pipelines:2026.11"}
    # With `prestart: 0` no pod is there before its step: what the pictures show is the same each time.
    spec = {"code": code, "runConfig": _run_config("2026-11-24"), "execution": {"prestart": 0}}
    team.definition("daily-sales", SALES, **spec)
    team.definition("train-forecast", SALES, **spec)
    team.definition("arithmetic", GRAPH, code=code, runConfig={"ops": {"one": {"config": {"n": 1}}}})
    team.definition("import-legacy", GRAPH, code=code, runConfig={"ops": {"on": {"config": {"n": 1}}}})


def _run_config(day: str, region: str = "eu") -> Obj:
    return {
        "ops": {"load_orders": {"config": {"day": day, "region": region}}},
        "resources": {"warehouse": {"config": {"url": "postgres://warehouse/sales"}}},
    }


def _automation(team: Operated) -> Obj:
    """Make the schedules and sensors with their ticks; return the schedule `hourly-sales`."""
    spec = {"definitionRef": {"name": "daily-sales"}, "runConfig": _run_config("{{ tick.date }}")}
    template = {"metadata": {"labels": {"team": "data"}}, "spec": spec}
    hourly, kept = team.schedule(
        "hourly-sales",
        {"schedule": "0 * * * *", "timeZone": "Europe/Berlin", "concurrencyPolicy": "Forbid", "jobTemplate": template},
    )
    wrong = {**spec, "runConfig": {"ops": {"load_orders": {"config": {"day": "{{ tick.day }}"}}}}}
    before = {**hourly, "spec": {**hourly["spec"], "jobTemplate": {"spec": wrong}}}
    for hour in range(9, -1, -1):
        tick = team.now // 3600 * 3600 - 3600 * hour
        if hour == 7:
            team.ticks(kept, team.failed_tick(before, tick))
        elif hour == 3:
            team.ticks(kept, still_running(tick, _name_of(hourly, tick - 3600)))
        else:
            team.ticks(kept, TickRecord(tick, "Created", _name_of(hourly, tick)))
    weekly = {"definitionRef": {"name": "train-forecast"}}
    team.schedule("train-weekly", {"schedule": "0 3 * * 1", "suspend": True, "jobTemplate": {"spec": weekly}})
    after = team.sensor("after-sales", {"job": {"selector": {"matchLabels": {"team": "data"}}}}, weekly)
    team.ticks(after, TickRecord(team.now - 7_000, "Created", "after-sales-81b2"))
    prices = {"apiVersion": "v1", "resource": "configmaps", "name": "prices", "field": {"path": "data.version"}}
    team.sensor("new-prices", {"kubernetes": prices}, {"definitionRef": {"name": "daily-sales"}})
    return hourly


def _name_of(schedule: Obj, tick: float) -> str:
    name: str = job_of_tick(schedule, read_schedule(schedule).zone, tick)["metadata"]["name"]
    return name


def _past(team: Operated, hourly: Obj, number: int) -> None:
    states = ("Succeeded", "Succeeded", "Succeeded", "Failed", "Succeeded", "Canceled", "Succeeded", "Refused")
    state = states[number % 8]
    begun = team.now - 3600 * (number + 2) - 37 * (number % 5)
    if number % 3:
        tick = (team.now // 3600 - number - 2) * 3600  # its own also in the first minutes of one
        manifest = job_of_tick(hourly, read_schedule(hourly).zone, tick)
    else:
        manifest = _manifest(f"train-forecast-{number:02x}9f3c", "train-forecast", priority="low")
    if state == "Refused":
        manifest["spec"]["runConfig"] = _run_config("2026-11-24", "mars")

    def script(op: str, attempt: int) -> Try:
        if state == "Failed" and op == "features.by_region":
            return Try(8, error=("KeyError", "'region'"))
        return Try(8, value=1_000 + number)

    run = team.job(manifest, begun, script)
    if state == "Canceled":
        run.cancel(begun + 25)
    run.until(team.now)


def _manifest(name: str, definition: str, config: Obj | None = None, **labels: str) -> Obj:
    spec = {"definitionRef": {"name": definition}, **({"runConfig": config} if config else {})}
    return {"metadata": {"name": name, "namespace": "default", "labels": {"team": "data", **labels}}, "spec": spec}


def _failed(team: Operated, begun: float) -> None:
    why = "cannot allocate 4.2 GiB for the feature matrix"

    def script(op: str, attempt: int) -> Try:
        if op != "train_model":
            return Try(9, value=1_240 + len(op))
        text = f"attempt {attempt}\nreading features\nTraceback (most recent call last):\nMemoryError: {why}\n"
        return Try(22, text, error=("MemoryError", why))

    manifest = _manifest("daily-sales-7c1e", "daily-sales", _run_config("2026-11-23"), day="2026-11-23")
    team.job(manifest, begun, script, has_pods=True).until(team.now)


def _live(team: Operated, begun: float) -> None:
    seconds = {"load_orders": 15, "load_stock": 21, "load_prices": 8, "clean_orders": 17, "clean_stock": 18,
               "join_prices": 18, "features.by_region": 14}  # fmt: skip

    def script(op: str, attempt: int) -> Try:
        if op == "features.by_sku":
            return Try(3_600, "".join(f"chunk {n + 1} of 64: {n * 37 % 900} skus\n" for n in range(40)))
        if op == "load_orders" and attempt == 1:
            return Try(4, "connection refused\n", error=("ConnectionRefusedError", "connection refused"))
        if op == "load_orders":
            return Try(15, "loading orders of 2026-11-24\n4,120 orders\n", {"rows": 4_120})
        rows = seconds[op] * 131
        return Try(seconds[op], f"{op}: {rows} rows\n", {"rows": rows})

    manifest = _manifest("daily-sales-live", "daily-sales", _run_config("2026-11-24"), day="2026-11-24")
    team.job(manifest, begun, script, has_pods=True).until(team.now)
