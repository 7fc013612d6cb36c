"""The page's API: lists, single runs, logs, the Launchpad, and actions on runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse

from podgraph import __version__
from podgraph.api import is_finished
from podgraph.cluster.client import ApiError
from podgraph.cluster.resource_reflector import Key
from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.rerun_manifest import graph_of_job, rerun_manifest
from podgraph.selection import split_clauses
from podgraph.server import launchpad, yaml_text
from podgraph.server.graphs import graph_view
from podgraph.server.job_events import event_views
from podgraph.server.logs import attempts_of
from podgraph.server.models import Check, Launch, Made, Name, Namespace, Problems, Rerun, SourceRef, Uid
from podgraph.server.streams import ALIVE, BEAT_SECONDS, TOGETHER_SECONDS, event, stream
from podgraph.server.summaries import JobItem, definition_summary, order_of, run_summary
from podgraph.server.users import SignedOut, ends, visitor_of
from podgraph.server.views import (
    Checked,
    Definitions,
    DefinitionView,
    Graph,
    Info,
    Opened,
    Pods,
    Run,
    Step,
)

__all__ = ["api"]

Object = dict[str, Any]

api = APIRouter(prefix="/api", responses={422: {"model": Problems}, 404: {"model": Problems}})


@api.get("/info")
async def info(request: Request) -> Info:
    """Return the version, the namespaces with runs, and whether the cluster has JobDefinitions."""
    visitor = visitor_of(request)
    state = visitor.state
    seen = {namespace for namespace, _ in [*await visitor.seen(state.jobs), *await visitor.seen(state.definitions)]}
    return {
        "version": __version__,
        "namespace": state.namespace,
        "namespaces": sorted(seen | {state.namespace or "default"}),
        "definitions": state.definitions.served,
        "jobs": state.jobs.served,
        "synced": state.jobs.synced.is_set(),
        "trouble": state.jobs.error,
        "stepImage": state.image,
    }


@api.get("/runs/{namespace}/{name}")
async def run(request: Request, namespace: Namespace, name: Name) -> Run:
    """Return a run: the Job without its graph, its steps, and its run config as YAML."""
    return _run_view(await visitor_of(request).client.get_resource("jobs", namespace, name))


@api.get("/runs/{namespace}/{name}/graph")
async def run_graph(request: Request, namespace: Namespace, name: Name) -> Graph:
    """Return a run's graph. 404 while it is unknown."""
    graph = graph_of_job(await visitor_of(request).client.get_resource("jobs", namespace, name))
    if graph is None:
        raise ApiError(404, "NoGraph", f"the graph of Job {name!r} is not known yet")
    return graph_view(graph)


@api.get("/runs/{namespace}/{name}/events", response_class=StreamingResponse)
async def run_events(request: Request, namespace: Namespace, name: Name) -> StreamingResponse:
    """Stream a run as server-sent events: `run` (all but its steps), `steps` (the changed ones), `gone`."""
    visitor, key = visitor_of(request), (namespace, name)
    visitor.state.hub.check_room()

    async def tell() -> AsyncIterator[bytes]:
        told: dict[str, Step] = {}
        with visitor.state.hub.listening(key) as listener:
            while True:
                try:
                    view = _run_view(await visitor.client.get_resource("jobs", namespace, name))
                except SignedOut:
                    return
                except ApiError as error:
                    if ends(request, error):
                        return
                    yield event("gone" if error.status == 404 else "trouble", {"message": error.message})
                    if error.status == 404:
                        return
                else:
                    steps = view.pop("steps")
                    new = {step: record for step, record in steps.items() if told.get(step) != record}
                    told = steps
                    yield event("run", view)
                    if new:
                        yield event("steps", new)
                while not await listener.changes(BEAT_SECONDS):
                    yield ALIVE
                await asyncio.sleep(TOGETHER_SECONDS * (5 if len(told) > 1000 else 1))

    return stream(tell())


@api.get("/runs/{namespace}/{name}/pods")
async def run_pods(request: Request, namespace: Namespace, name: Name) -> Pods:
    """Return the existing pods of a run, by step, and its Kubernetes Events."""
    client = visitor_of(request).client
    job = await client.get_resource("jobs", namespace, name)
    pods, events = await asyncio.gather(
        client.pods_of(namespace, job["metadata"]["uid"]), client.events_of(namespace, job["metadata"]["uid"])
    )
    return {"pods": attempts_of(pods, job), "events": event_views(events, job)}


@api.post("/runs", status_code=201)
async def launch(request: Request, wanted: Launch) -> Made:
    """Create a Job after the same checks as /check; return its namespace and name."""
    client = visitor_of(request).client
    source = await _source(request, wanted.namespace, wanted.source)
    manifest = await asyncio.to_thread(
        launchpad.job_manifest, source, wanted.namespace, wanted.name, wanted.selection, wanted.config, wanted.mode,
        wanted.tags, wanted.maxConcurrent,
    )  # fmt: skip
    return _made(await client.create_resource("jobs", wanted.namespace, manifest))


@api.post("/runs/{namespace}/{name}/rerun", status_code=201)
async def rerun(request: Request, namespace: Namespace, name: Name, wanted: Rerun) -> Made:
    """Create a Job that reruns steps of a finished one; return its namespace and name."""
    client = visitor_of(request).client
    parent = await client.get_resource("jobs", namespace, name)
    clauses = split_clauses(wanted.selection) if wanted.steps == "Selected" else []
    if wanted.steps == "Selected" and not clauses:
        raise DefinitionError("InvalidSelection", "the selection does not contain a step to rerun")
    stem = (parent["metadata"].get("generateName") or name).rstrip("-")
    manifest = rerun_manifest(parent, wanted.steps == "All", clauses, launchpad.new_name(stem), {})
    return _made(await client.create_resource("jobs", namespace, manifest))


@api.post("/runs/{namespace}/{name}/cancel", status_code=202)
async def cancel(request: Request, namespace: Namespace, name: Name) -> Object:
    """Cancel a run. Running steps are stopped, other steps do not start; the Job stays."""
    client = visitor_of(request).client
    job = await client.get_resource("jobs", namespace, name)
    if is_finished(job):
        raise DefinitionError("Finished", f"Job {name!r} is already finished")
    await client.change_resource("jobs", namespace, name, job["metadata"]["uid"], {"cancel": True})
    return {}


@api.delete("/runs/{namespace}/{name}", status_code=202)
async def delete(request: Request, namespace: Namespace, name: Name, uid: Annotated[Uid, Query()]) -> Object:
    """Delete the Job with this UID and its pods."""
    await visitor_of(request).client.delete_job(namespace, name, uid)
    return {}


@api.post("/source")
async def source(request: Request, wanted: Check) -> Opened:
    """Return what the Launchpad shows first for a source: its graph and its defaults."""
    found = await _source(request, wanted.namespace, wanted.source)
    return {
        "graph": graph_view(found.graph) if found.graph else None,
        "why": found.why,
        "selection": ", ".join(found.selection),
        "config": yaml_text.dump(found.run_config),
        "mode": found.mode,
        "maxConcurrent": found.most,
        "modes": list(launchpad.MODES[:1] if "ops" in found.spec else launchpad.MODES),
        "tags": found.tags,
    }


@api.post("/check")
async def check(request: Request, wanted: Check) -> Checked:
    """Return the selected ops, the JSON Schema of their run config, and all errors."""
    found = await _source(request, wanted.namespace, wanted.source)
    return await asyncio.to_thread(launchpad.check, found, wanted.selection, wanted.config, wanted.example)


@api.get("/definitions")
async def definitions(request: Request) -> Definitions:
    """Return the JobDefinitions, by name."""
    visitor = visitor_of(request)
    await visitor.state.ready()
    last: dict[Key, JobItem] = {}
    for job in (await visitor.seen(visitor.state.jobs)).values():
        if job.spec.definition_ref is not None:
            key = job.metadata.namespace, job.spec.definition_ref.name
            if key not in last or order_of(job) > order_of(last[key]):
                last[key] = job
    seen = await visitor.seen(visitor.state.definitions)
    found = [definition_summary(item, last.get(key)) for key, item in sorted(seen.items())]
    return {"served": visitor.state.definitions.served, "definitions": found}


@api.get("/definitions/{namespace}/{name}")
async def definition(request: Request, namespace: Namespace, name: Name) -> DefinitionView:
    """Return a JobDefinition with its graph, None while it is unknown."""
    found = await visitor_of(request).client.get_resource("jobdefinitions", namespace, name)
    read = launchpad.of_definition(found)
    spec = {key: value for key, value in found["spec"].items() if key not in ("code", "ops")}
    return {
        "namespace": namespace,
        "name": name,
        "created": found["metadata"].get("creationTimestamp"),
        "graph": graph_view(read.graph) if read.graph else None,
        "why": read.why,
        "settings": yaml_text.dump(spec),
        "source": (found["spec"].get("code") or {}).get("source", ""),
        "conditions": (found.get("status") or {}).get("conditions") or [],
    }


async def _source(request: Request, namespace: str, ref: SourceRef) -> launchpad.Source:
    """Look up the source that a request names. Raises ApiError, DefinitionError."""
    visitor = visitor_of(request)
    if [ref.run, ref.definition, ref.source].count(None) != 2:
        raise DefinitionError("InvalidSource", "exactly one of run, definition and source must be set")
    if ref.source is not None:
        return launchpad.of_code(ref.source, ref.image or visitor.state.image, ref.job)
    if ref.definition is not None:
        return launchpad.of_definition(await visitor.client.get_resource("jobdefinitions", namespace, ref.definition))
    assert ref.run is not None
    return launchpad.of_run(await visitor.client.get_resource("jobs", namespace, ref.run))


def _run_view(job: Object) -> Run:
    meta, spec, status = job["metadata"], job["spec"], job.get("status") or {}
    shown = {key: value for key, value in spec.items() if key not in ("runConfig",)}
    return {
        "summary": run_summary(msgspec.convert(job, JobItem)),
        "conditions": status.get("conditions") or [],
        "hasGraph": bool(status.get("graph") or spec.get("ops")),
        "steps": status.get("steps") or {},
        "selection": spec.get("opSelection") or [],
        "mode": (spec.get("execution") or {}).get("mode") or "PodPerStep",
        "config": yaml_text.dump(spec.get("runConfig")),
        "source": (spec.get("code") or {}).get("source", ""),
        "yaml": yaml_text.dump(_short(shown)),
        "storage": status.get("storage"),
        "labels": meta.get("labels") or {},
        "version": meta.get("resourceVersion", ""),
    }


def _short(spec: Object) -> Object:
    code = spec.get("code")
    if code and "source" in code:
        return {**spec, "code": {**code, "source": "(see Code)"}}
    return spec


def _made(job: Object) -> Made:
    return {"namespace": job["metadata"]["namespace"], "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
