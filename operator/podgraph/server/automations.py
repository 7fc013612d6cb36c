"""The page's API for automations: JobSchedules and JobSensors, their ticks, and dry runs."""

from __future__ import annotations

import time
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from podgraph.api import Object, ready_of
from podgraph.cluster.client import ApiError
from podgraph.cluster.ui_client import UiClient
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.status import seconds_of
from podgraph.scheduling.job_factory import second
from podgraph.scheduling.manual_ticks import asks_code, job_by_hand, named_by_hand, tick_of
from podgraph.scheduling.schedule import read_schedule
from podgraph.scheduling.sensor import job_of_seen
from podgraph.scheduling.sources import Observation
from podgraph.server import yaml_text
from podgraph.server.dry_run import tried
from podgraph.server.models import Made, Name, Namespace, Problems, Uid
from podgraph.server.users import User, visitor_of

__all__ = ["makers"]

_UPCOMING = 5
_PLURALS = {"schedules": "jobschedules", "sensors": "jobsensors"}

Kind = Annotated[Literal["schedules", "sensors"], Path()]

makers = APIRouter(prefix="/api/makers", responses={422: {"model": Problems}, 404: {"model": Problems}})


class Tick(TypedDict):
    """The result of a tick: `outcome` is Created, Skipped or Failed."""

    time: str
    outcome: str
    job: str
    reason: str
    message: str


class Maker(TypedDict):
    """A JobSchedule or JobSensor in a list. `text` describes its times, or what it watches.

    `asksCode`: a pod evaluates it, because it has a Python function or watches an object store.
    """

    kind: Literal["schedules", "sensors"]
    namespace: str
    name: str
    uid: str
    created: str
    text: str
    asksCode: bool
    suspended: bool
    ready: str
    reason: str
    message: str
    lastTick: str
    nextTick: str
    lastJob: str
    definition: str
    ticks: list[Tick]


class Makers(TypedDict):
    """All objects of a kind; `served` is false if the cluster does not have the kind."""

    served: bool
    makers: list[Maker]


class MakerView(TypedDict):
    """One automation in full: its spec as YAML, and the times of its next ticks."""

    maker: Maker
    settings: str
    upcoming: list[str]


class Tried(TypedDict):
    """The Jobs that a tick would create, as YAML, validated by the cluster. `message` explains why there are none."""

    job: str
    message: str


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Suspend(_Strict):
    """Whether to suspend the automation; `uid` is the UID of the object."""

    uid: Uid
    suspend: bool


class Sample(_Strict):
    """A tick for a dry run: of a schedule its time (when empty, now or the next), of a sensor its change."""

    at: Annotated[str, Field(max_length=64)] = ""
    name: Annotated[str, Field(max_length=253)] = "name"
    value: Annotated[str, Field(max_length=65_536)] = "value"


@makers.get("/{kind}")
async def listed(request: Request, kind: Kind) -> Makers:
    """Return all JobSchedules or JobSensors, by name."""
    found = await _all(visitor_of(request), _PLURALS[kind])
    told = sorted((_maker(kind, item) for item in found or ()), key=lambda item: (item["namespace"], item["name"]))
    return {"served": found is not None, "makers": told}


@makers.get("/{kind}/{namespace}/{name}")
async def one(request: Request, kind: Kind, namespace: Namespace, name: Name) -> MakerView:
    """Return one automation with its last ticks and the times of its next ticks."""
    found = await visitor_of(request).client.get_resource(_PLURALS[kind], namespace, name)
    return {
        "maker": _maker(kind, found),
        "settings": yaml_text.dump(found["spec"]),
        "upcoming": _upcoming(found, time.time()) if kind == "schedules" else [],
    }


@makers.post("/{kind}/{namespace}/{name}/suspend", status_code=202)
async def suspend(request: Request, kind: Kind, namespace: Namespace, name: Name, wanted: Suspend) -> dict[str, str]:
    """Suspend or resume an automation. While suspended, it creates no Jobs."""
    await visitor_of(request).client.change_resource(
        _PLURALS[kind], namespace, name, wanted.uid, {"suspend": wanted.suspend}
    )
    return {}


@makers.post("/{kind}/{namespace}/{name}/try")
async def attempt(request: Request, kind: Kind, namespace: Namespace, name: Name, wanted: Sample) -> Tried:
    """Return the Jobs of a tick after a dry run in the cluster."""
    client = visitor_of(request).client
    found = await client.get_resource(_PLURALS[kind], namespace, name)
    jobs, message = await _jobs(client, kind, found, wanted, upcoming=True)
    for job in jobs:
        await client.try_resource("jobs", namespace, job)
    return {"job": "---\n".join(yaml_text.dump(job) for job in jobs), "message": message}


@makers.post("/schedules/{namespace}/{name}/tick", status_code=201)
async def tick(request: Request, namespace: Namespace, name: Name, wanted: Sample) -> Made:
    """Create the Jobs of a manual tick, in addition to the scheduled ones; return the name of the first."""
    client = visitor_of(request).client
    found = await client.get_resource("jobschedules", namespace, name)
    jobs, message = await _jobs(client, "schedules", found, wanted, upcoming=False)
    if not jobs:
        raise DefinitionError("NoJob", message)
    made = [await client.create_resource("jobs", namespace, job) for job in jobs]
    meta = made[0]["metadata"]
    return {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]}


async def _all(visitor: User, plural: str) -> list[Any] | None:
    """Return all objects of a kind that the user may list; None if the cluster does not have the kind."""
    state = visitor.state
    try:
        return await visitor.client.list_resources(plural, state.namespace)
    except ApiError as error:
        if error.status != 403 or state.namespace:
            raise
    known = {namespace for namespace, _ in [*state.jobs.items, *state.definitions.items]}
    found: list[Any] = []
    for namespace in sorted(await visitor.namespaces(plural, known)):
        found += await visitor.client.list_resources(plural, namespace) or ()
    return found


async def _jobs(
    client: UiClient, kind: str, found: Object, wanted: Sample, upcoming: bool
) -> tuple[list[dict[str, Any]], str]:
    """Return the Jobs of a tick, and a message, for example why there are none."""
    now = time.time()
    if not asks_code(found):
        if kind == "schedules":
            return [job_by_hand(found, wanted.at, upcoming, now)], ""
        return [
            job_of_seen(found, Observation(f"tried/{wanted.name}/{wanted.value}", wanted.name, wanted.value), now)
        ], ""
    tick = second(tick_of(found, wanted.at, upcoming, now)) if kind == "schedules" else ""
    jobs, message = await tried(client, _PLURALS[kind], found, tick)
    if kind == "schedules":
        jobs = named_by_hand(found, jobs)
    return jobs, message or ("" if jobs else "No Job would be created.")


def _upcoming(schedule: Object, now: float) -> list[str]:
    """Return the times of the next ticks; none if the schedule is invalid."""
    try:
        timing = read_schedule(schedule).timing
    except DefinitionError:
        return []
    told = (schedule.get("status") or {}).get("lastTickTime")
    at: float | None = max(now, seconds_of(told)) if told else now
    found: list[str] = []
    while len(found) < _UPCOMING and at is not None and (at := timing.next_after(at)) is not None:
        found.append(second(at))
    return found


def _maker(kind: Literal["schedules", "sensors"], found: Object) -> Maker:
    meta, spec, status = found["metadata"], found["spec"], found.get("status") or {}
    ready = ready_of(found)
    template = (spec.get("jobTemplate") or {}).get("spec") or {}
    return {
        "kind": kind,
        "namespace": meta["namespace"],
        "name": meta["name"],
        "uid": meta["uid"],
        "created": meta.get("creationTimestamp", ""),
        "text": status.get("schedule" if kind == "schedules" else "source", ""),
        "asksCode": asks_code(found),
        "suspended": bool(spec.get("suspend")),
        "ready": ready.status,
        "reason": ready.reason,
        "message": ready.message,
        "lastTick": status.get("lastTickTime", ""),
        "nextTick": "" if spec.get("suspend") else status.get("nextTickTime", ""),
        "lastJob": status.get("lastJob", ""),
        "definition": (template.get("definitionRef") or {}).get("name", ""),
        "ticks": [_tick(tick) for tick in status.get("ticks") or ()],
    }


def _tick(tick: Object) -> Tick:
    return {
        "time": tick["time"],
        "outcome": tick["outcome"],
        "job": tick.get("job", ""),
        "reason": tick.get("reason", ""),
        "message": tick.get("message", ""),
    }
