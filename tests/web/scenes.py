"""A cluster as a busy team has it, before the fake API server: for pictures of the page and for tests of all of it."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.definition.retry import RetryPolicy
from podgraph.planning.names import GROUP
from podgraph.runtime.resolve import pack
from podgraph.scheduling.making import SCHEDULE_LABEL, second
from web.serving import Obj, Served

__all__ = ["SALES", "busy_team"]

API = f"{GROUP}/v1alpha1"
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


@contextlib.contextmanager
def _at(served: Served, seconds: float) -> Iterator[float]:
    """What is made in the block is made at that time."""
    registry = served.fake.registry
    before, registry.clock = registry.clock, lambda: seconds
    try:
        yield seconds
    finally:
        registry.clock = before


def busy_team(served: Served) -> None:
    """Fill the cluster: definitions, schedules, sensors, and runs of all states; `daily-sales-live` is running."""
    now = float(int(time.time()))
    with _at(served, now - 40 * 86_400):
        _definitions(served)
        _makers(served, now)
    for number in range(60):
        _past(served, now, number)
    _failed(served, now - 900)
    _live(served, now - 95)


def _definitions(served: Served) -> None:
    for name, graph in (("daily-sales", SALES), ("train-forecast", SALES), ("arithmetic", None)):
        spec = {"code": {"source": CODE, "image": "shop/pipelines:2026.11"}, "runConfig": _run_config("2026-11-24")}
        served.definition(name, **(spec if graph else {}))
        status = {"graph": pack(graph), "opCount": len(graph.ops)} if graph else {"opCount": 3}
        served.fake.patch("jobdefinitions", "default", name, {"status": status}, status=True)
    served.definition("import-legacy", "False")


def _run_config(day: str) -> Obj:
    return {
        "ops": {"load_orders": {"config": {"day": day, "region": "eu"}}},
        "resources": {"warehouse": {"config": {"url": "postgres://warehouse/sales"}}},
    }


def _makers(served: Served, now: float) -> None:
    template = {"spec": {"definitionRef": {"name": "daily-sales"}, "runConfig": _run_config("{{ tick.date }}")}}
    hour = now // 3600 * 3600
    ticks = [
        {"time": second(hour - 3600 * at), "outcome": "Created", "job": f"hourly-sales-{int(hour - 3600 * at)}"}
        for at in range(12)
    ]
    ticks[3] = {"time": ticks[3]["time"], "outcome": "Skipped", "reason": "Forbid", "message": "the Job of the tick "
                "before is not finished (concurrencyPolicy: Forbid)"}  # fmt: skip
    ticks[7] = {"time": ticks[7]["time"], "outcome": "Failed", "reason": "InvalidTemplate",
                "message": "spec.jobTemplate.spec.runConfig.ops names {{ tick.day }}; there are: tick.date, "
                "tick.previousDate, tick.time"}  # fmt: skip
    served.schedule("hourly-sales", {"schedule": "0 * * * *", "timeZone": "Europe/Berlin",
                    "concurrencyPolicy": "Forbid", "jobTemplate": template}, "0 * * * * Europe/Berlin",
                    nextTickTime=second(hour + 3600), lastTickTime=second(hour), lastJob=ticks[0]["job"],
                    ticks=ticks)  # fmt: skip
    served.schedule("train-weekly", {"schedule": "0 3 * * 1", "suspend": True, "jobTemplate": {
        "spec": {"definitionRef": {"name": "train-forecast"}}}}, "0 3 * * 1")  # fmt: skip
    served.sensor("after-sales", {"job": {"selector": {"matchLabels": {"team": "data"}}}},
                  {"definitionRef": {"name": "train-forecast"}}, "Job team=data Succeeded",
                  lastTickTime=second(now - 7_000), lastJob="after-sales-81b2",
                  ticks=[{"time": second(now - 7_000), "outcome": "Created", "job": "after-sales-81b2"}])  # fmt: skip
    served.sensor("new-prices", {"kubernetes": {"apiVersion": "v1", "resource": "configmaps", "name": "prices",
                  "field": {"path": "data.version"}}}, {"definitionRef": {"name": "daily-sales"}},
                  "configmaps prices data.version")  # fmt: skip


def _past(served: Served, now: float, number: int) -> None:
    states = ("Succeeded", "Succeeded", "Succeeded", "Failed", "Succeeded", "Canceled", "Succeeded", "Refused")
    state = states[number % 8]
    begun = now - 3600 * (number + 2) - 37 * (number % 5)
    hour = int((now // 3600 - number - 2) * 3600)  # its own also in the first minutes of one
    name = f"hourly-sales-{hour}" if number % 3 else f"train-forecast-{number:02x}9f3c"
    definition = "daily-sales" if number % 3 else "train-forecast"
    labels: dict[str, str] = {
        "team": "data",
        **({SCHEDULE_LABEL: "hourly-sales"} if number % 3 else {"priority": "low"}),
    }
    with _at(served, begun):
        served.job(name, state, SALES, definitionRef={"name": definition}, code=None, labels={"team": "data", **labels})
    steps, done = {}, {"Succeeded": 12, "Failed": 8, "Canceled": 5, "Refused": 0}[state]
    for at, op in enumerate(_ORDER[:done]):
        failed = at == done - 1 and state != "Succeeded"
        steps[op] = _record(state if failed else "Succeeded", begun + 9 * at, begun + 9 * at + 8)
    status = {"steps": {"one": None, **steps}, "progress": f"{done - (state != 'Succeeded' and done > 0)}/12",
              "completionTime": second(begun + 9 * done + 3)}  # fmt: skip
    served.fake.patch("jobs", "default", name, {"status": status}, status=True)


def _record(state: str, begun: float, ended: float | None = None, attempt: int = 1, **more: Any) -> Obj:
    ends = {} if ended is None else {"completionTime": second(ended)}
    return {"state": state, "attempt": attempt, "startTime": second(begun), **ends, **more}


def _pod(served: Served, job: Obj, op: str, log: str, begun: float, ended: float | None, code: int = 0) -> None:
    name = f"{job['metadata']['name']}-{op.replace('_', '-').replace('.', '-')}-{int(begun)}"
    with _at(served, begun - 2):
        made = served.pod(job, op, log, name, ended=False, runs=False)
    with _at(served, begun):
        served.run_pod(made, log)
    if ended is not None:
        with _at(served, ended):
            served.fake.finish_pod("default", made["metadata"]["name"], code, "")


def _failed(served: Served, begun: float) -> None:
    with _at(served, begun):
        job = served.job("daily-sales-7c1e", "Failed", SALES, definitionRef={"name": "daily-sales"}, code=None,
                         labels={"team": "data", "day": "2026-11-23"}, runConfig=_run_config("2026-11-23"))  # fmt: skip
    steps = {}
    for at, op in enumerate(_ORDER[:8]):
        steps[op] = _record("Succeeded", begun + 6 * at, begun + 6 * at + 11, outputs={"result": str(1_240 + at)})
    why = "MemoryError: cannot allocate 4.2 GiB for the feature matrix"
    steps["train_model"] = _record("Failed", begun + 150, begun + 171, 3, reason="MemoryError", message=why)
    for op in _ORDER[9:]:
        steps[op] = {"state": "UpstreamFailed", "reason": "UpstreamFailed", "message": "step 'train_model' failed"}
    for at in range(3):
        _pod(served, job, "train_model", f"attempt {at + 1}\nreading features\nTraceback (most recent call last):\n"
             f"{why}\n", begun + 62 + 44 * at, begun + 84 + 44 * at, 1)  # fmt: skip
    conditions = [
        {"type": kind, "status": status, "reason": "Failed", "message": f"step 'train_model' failed: {why}",
         "lastTransitionTime": second(begun + 172)} for kind, status in (("Succeeded", "False"), ("Finished", "True"))
    ]  # fmt: skip
    status = {"steps": {"one": None, **steps}, "progress": "8/12", "conditions": conditions,
              "completionTime": second(begun + 172)}  # fmt: skip
    served.fake.patch("jobs", "default", "daily-sales-7c1e", {"status": status}, status=True)


def _live(served: Served, begun: float) -> None:
    name = "daily-sales-live"
    with _at(served, begun):
        job = served.job(name, "Running", SALES, definitionRef={"name": "daily-sales"}, code=None,
                         labels={"team": "data", "day": "2026-11-24"}, runConfig=_run_config("2026-11-24"))  # fmt: skip
        for at, (reason, text) in enumerate((("Resolved", "12 of 12 ops will run"), ("Started", "the first pods run"))):
            served.fake.create({
                "apiVersion": "v1", "kind": "Event", "metadata": {"name": f"{name}.{at}", "namespace": "default"},
                "involvedObject": {"kind": "Job", "uid": job["metadata"]["uid"], "name": name}, "type": "Normal",
                "reason": reason, "message": text, "lastTimestamp": second(begun + at),
            })  # fmt: skip
    spans = {"load_orders": (1, 34), "load_stock": (1, 22), "load_prices": (1, 9), "clean_orders": (35, 52),
             "clean_stock": (23, 41), "join_prices": (53, 71), "features.by_region": (72, 86)}  # fmt: skip
    steps = {op: {"state": "Pending"} for op in _ORDER}
    for op, (start, end) in spans.items():
        steps[op] = _record("Succeeded", begun + start, begun + end, outputs={"result": f'{{"rows": {start * 131}}}'})
        if op != "load_orders":
            _pod(served, job, op, f"{op}: {start * 131} rows\n", begun + start, begun + end)
    steps["load_orders"] |= {"attempt": 2, "startTime": second(begun + 15)}
    _pod(served, job, "load_orders", "connection refused\n", begun + 1, begun + 5, 1)
    _pod(served, job, "load_orders", "loading orders of 2026-11-24\n4,120 orders\n", begun + 15, begun + 34)
    steps["features.by_sku"] = _record("Running", begun + 72)
    log = "".join(f"chunk {n + 1} of 64: {n * 37 % 900} skus\n" for n in range(40))
    _pod(served, job, "features.by_sku", log, begun + 72, None)
    status = {"steps": {"one": None, **steps}, "progress": "7/12"}
    served.fake.patch("jobs", "default", name, {"status": status}, status=True)
