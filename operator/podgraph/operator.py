"""The operator process: `python3 -m podgraph.operator`.

kopf provides the process: login, the watches of our resources, signals, shutdown. reconcile/ does the work. The
environment variables are:

- `PODGRAPH_STEP_IMAGE`: the default image of Python ops.
- `PODGRAPH_STORAGE`: the default storage of Jobs.
- `PODGRAPH_SENSORS_HTTP`: the servers that http sensors may request.
- `PODGRAPH_LINK`: the "HOST:PORT" at which pods connect to the operator; if empty, it only follows their logs.
- `PODGRAPH_WATCH_NAMESPACES`: the namespaces to watch, separated by commas; if empty, the whole cluster.
- `PODGRAPH_NAMESPACE`: the namespace of the operator; its Secret with the master key is there.
- `PODGRAPH_HEALTH_PORT`: the port of /healthz, /readyz and /metrics (default 8080).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import platform
import sys
from collections.abc import AsyncIterator, Coroutine, Sequence
from typing import Any, cast

import kopf
import uvloop

from podgraph.api import VERSION
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.connection import connect, login
from podgraph.cluster.decoding import use_in_kopf
from podgraph.cluster.namespaced import Tell, watch_namespace
from podgraph.cluster.runtime_archive import build_archive
from podgraph.definition.errors import DefinitionError
from podgraph.health import serving
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.storage import Storage, default_storage
from podgraph.planning.model.kube_names import LABEL
from podgraph.planning.model.names import GROUP
from podgraph.reconcile.automation.schedules import Schedules
from podgraph.reconcile.automation.sensors import Sensors
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.reconcile.jobs.controller import Controller
from podgraph.reconcile.jobs.link_server import LinkServer, read_link
from podgraph.reconcile.master_key import MASTER_SECRET, master_keys, own_namespace, random_keys
from podgraph.scheduling.http_policy import HttpPolicy, read_policy

__all__ = ["main", "operate", "read_namespaces", "telling"]

_LOG = logging.getLogger(__name__)
DEFAULT_STEP_IMAGE = "python:3.13-slim"
_LEVELS = 30_000
"""Recursion limit. The API server accepts objects of up to 10,000 levels, and kopf must be able to read them."""


class _NoDiff(kopf.DiffBaseStorage):
    """Prevents kopf from copying and comparing every object; the operator does not use these differences."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> Any:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        pass


class _NoProgress(kopf.ProgressStorage):
    """Prevents kopf from storing progress in our objects; no handler needs it."""

    def fetch(self, *, key: Any, body: Any) -> Any:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        pass

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        pass

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        pass

    def clear(self, *, essence: Any) -> Any:
        return essence


def lean_settings() -> kopf.OperatorSettings:
    """Return kopf settings for event handlers only: no annotations, no posted events, no peering."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.persistence.diffbase_storage = _NoDiff()
    settings.persistence.progress_storage = _NoProgress()
    settings.persistence.finalizer = f"{GROUP}/finalizer"
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 290
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.queueing.idle_timeout = 1.0
    settings.queueing.exit_timeout = 10
    return settings


async def _keys(client: Client, namespace: str, stop: asyncio.Event) -> Keys:
    """Return the keys of Jobs once the API server returns them; random keys if `stop` is set first."""
    while not stop.is_set():
        try:
            return await master_keys(client, namespace)
        except ApiError as error:
            _LOG.warning("waiting for the Secret %s in namespace %s: %s", MASTER_SECRET, namespace, error)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
    return random_keys()


@contextlib.asynccontextmanager
async def _running(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    task.add_done_callback(lambda _: stop.set())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def operate(
    stop: asyncio.Event, image: str, info: kopf.ConnectionInfo | None = None, port: int | None = None,
    storage: Storage | None = None, policy: HttpPolicy | None = None, link: str = "",
    namespaces: Sequence[str] = (), namespace: str = "",
) -> None:  # fmt: skip
    """Run the operator until `stop` is set.

    `port` serves /healthz, /readyz and /metrics. `policy` is for http sensors. `link` is the "HOST:PORT" at which pods
    reach the operator. With `namespaces` it watches only these, and a Role in each is enough. `namespace` is the
    namespace of the operator.
    """
    sys.setrecursionlimit(max(sys.getrecursionlimit(), _LEVELS))
    found = info or login()
    links = LinkServer()
    serving_links = links.serving(link) if link else contextlib.nullcontext()
    async with connect(found) as session, serving_links, connect(found) as watching:
        client, watcher = Client(session, namespaces=namespaces), Client(watching, namespaces=namespaces)
        keys, archive = await _keys(client, namespace, stop), build_archive()
        evaluators = EvaluatorPool(client, watcher, archive, image, keys=keys)
        schedules = Schedules(client, evaluators)
        sensors = Sensors(client, watcher, policy or HttpPolicy(), evaluators)
        controller = Controller(
            client, archive, image, storage=storage, links=links, keys=keys,
            burst_in_progress=lambda: len(schedules.queue) > 0,
        )  # fmt: skip
        evaluators.pods.ignored = schedules.jobs.ignored = sensors.jobs.ignored = controller.metrics.ignore

        kinds: list[tuple[str, Tell]] = [
            ("jobs", telling(controller.jobs.job_changed, schedules.jobs.job_changed, sensors.job_changed)),
            ("jobdefinitions", telling(controller.definitions.definition_changed, evaluators.definition_changed)),
            ("jobschedules", telling(schedules.changed)), ("jobsensors", telling(sensors.changed)),
        ]  # fmt: skip
        work = [controller.run(), evaluators.run(), schedules.run(), sensors.run()]
        async with contextlib.AsyncExitStack() as running:
            for part in work:
                await running.enter_async_context(_running(part, stop))
            await running.enter_async_context(serving(controller, port))
            _LOG.info("podgraph is running; the default step image is %s", image)
            gc.collect()
            gc.freeze()
            gc.set_threshold(100_000, 20, 50)
            if not await _jobs_served(client, stop):
                return
            if namespaces:
                await _watch_namespaces(controller, watcher, kinds, stop)
            else:
                await _watch_cluster(info, kinds, stop)


def telling(*takers: Tell) -> Tell:
    """Return what tells each of these of an object; the trouble of one stops neither the others nor the watch."""

    def tell(kind: str | None, found: Any) -> None:
        for taker in takers:
            try:
                taker(kind, found)
            except Exception:  # noqa: BLE001  anybody can write objects
                meta = found.get("metadata") or {}
                _LOG.exception("%s %s/%s: unexpected", found.get("kind"), meta.get("namespace"), meta.get("name"))

    return tell


async def _watch_namespaces(
    controller: Controller, watcher: Client, kinds: Sequence[tuple[str, Tell]], stop: asyncio.Event
) -> None:
    """Watch our objects in each namespace, once its pods are listed, until `stop` is set."""

    async def watch(namespace: str) -> None:
        await controller.pods.listed(namespace)
        await watch_namespace(watcher.session, namespace, kinds)

    async with contextlib.AsyncExitStack() as running:
        for namespace in watcher.namespaces:
            await running.enter_async_context(_running(watch(namespace), stop))
        await stop.wait()


async def _watch_cluster(
    info: kopf.ConnectionInfo | None, kinds: Sequence[tuple[str, Tell]], stop: asyncio.Event
) -> None:
    """Watch our objects in all namespaces until `stop` is set."""
    use_in_kopf()
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def log_in(**_: Any) -> kopf.ConnectionInfo:
        return info or login()

    def follow(plural: str, tell: Tell) -> None:
        @kopf.on.event(GROUP, VERSION, plural, registry=registry)
        async def seen(event: Any, **_: Any) -> None:
            tell(event["type"], event["object"])

    for plural, tell in kinds:
        follow(plural, tell)
    await kopf.operator(
        registry=registry,
        settings=lean_settings(),
        clusterwide=True,
        standalone=True,
        stop_flag=stop,
        identity=cast(Any, platform.node()),  # the default needs a user name, and a bare uid has none
    )


async def _jobs_served(client: Client, stop: asyncio.Event) -> bool:
    """Wait until the cluster serves our resources. Returns False if `stop` is set first.

    kopf discovers resources only once, and would miss a CRD that is created a moment later, as in `helm install`.
    """
    logged = ""
    while True:
        try:
            if await client.serves_jobs():
                return True
            trouble = f"the cluster does not serve all of jobs, jobdefinitions, jobschedules and jobsensors of {GROUP}"
        except ApiError as error:
            trouble = str(error)
        if trouble != logged:
            _LOG.warning("waiting: %s", trouble)
            logged = trouble
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
            return False


def read_namespaces(text: str) -> list[str]:
    """Return the namespaces in `PODGRAPH_WATCH_NAMESPACES`; an empty list is the whole cluster.

    Raises DefinitionError (`InvalidNamespace`).

    >>> read_namespaces("team-b, team-a,")
    ['team-a', 'team-b']
    """
    found = sorted({part.strip() for part in text.split(",")} - {""})
    for name in found:
        if not LABEL.matches(name):
            raise DefinitionError(
                "InvalidNamespace",
                f"PODGRAPH_WATCH_NAMESPACES: {name!r} is not a valid name; correct the chart value watchNamespaces",
            )
    return found


def main() -> None:
    """Run the operator until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
    image = os.environ.get("PODGRAPH_STEP_IMAGE") or DEFAULT_STEP_IMAGE
    port = int(os.environ.get("PODGRAPH_HEALTH_PORT", "8080"))
    try:
        storage = default_storage(os.environ.get("PODGRAPH_STORAGE", ""))
        policy = read_policy(os.environ.get("PODGRAPH_SENSORS_HTTP", ""))
        link = read_link(os.environ.get("PODGRAPH_LINK", ""))
        namespaces = read_namespaces(os.environ.get("PODGRAPH_WATCH_NAMESPACES", ""))
        work = operate(asyncio.Event(), image, None, port, storage, policy, link, namespaces, own_namespace())
        uvloop.run(work)
    except DefinitionError as error:
        raise SystemExit(f"error: {error}") from None
    except kopf.LoginError as error:
        raise SystemExit(f"error: {error}") from None


if __name__ == "__main__":
    main()
