"""No text of a user's leads a request out of its object's namespace, whatever field it stands in."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from api.driving import BUNDLE, IMAGE, condition
from api.fake import FakeCluster, Request
from api.hostile import STATUS, TEXTS, VICTIM, Hostile, found, hostile, wrong
from crd_fields import KINDS, fields
from podgraph.cluster.client import Client
from podgraph.planning.manifests.storage import Storage
from podgraph.reconcile.automation.schedules import Schedules
from podgraph.reconcile.automation.sensors import Sensors
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.reconcile.jobs.controller import Controller
from podgraph.scheduling.http_policy import HttpPolicy

Obj = dict[str, Any]
_QUIET_LOOKS, _MOST_SECONDS = 20, 40.0


class World:
    """All of the operator that reads our objects, before a fake cluster; `errors` are what it raised at once."""

    def __init__(self, fake: FakeCluster, session: aiohttp.ClientSession) -> None:
        client = Client(session)
        self.fake = fake
        self.errors: list[str] = []
        storage = Storage("s3://default/x")
        self.controller = Controller(client, BUNDLE, IMAGE, storage=storage)
        self.evaluators = EvaluatorPool(client, client, BUNDLE, IMAGE, settling=0.0)
        self.schedules = Schedules(client, self.evaluators)
        self.sensors = Sensors(client, client, HttpPolicy(), self.evaluators)
        self._takers: dict[str, list[Any]] = {
            "Job": [self.controller.jobs.job_changed, self.schedules.jobs.job_changed, self.sensors.job_changed],
            "JobDefinition": [self.controller.definitions.definition_changed, self.evaluators.definition_changed],
            "JobSchedule": [self.schedules.changed],
            "JobSensor": [self.sensors.changed],
        }

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self.controller, self.evaluators, self.schedules, self.sensors):
                group.create_task(part.run())

    def take(self, item: Hostile) -> None:
        """Put objects into the cluster, and tell the operator of them, as kopf does: each by itself."""
        for made in item.objects:
            stored = self.fake.create(made)
            meta, plural = stored["metadata"], f"{stored['kind'].lower()}s"
            if "status" in made:
                stored = self.fake.patch(
                    plural, meta["namespace"], meta["name"], {"status": made["status"]}, status=True
                )
            if meta["name"] == "going":
                self.fake.delete(plural, meta["namespace"], "going")
                stored = self.fake.get(plural, meta["namespace"], "going")
            for taker in self._takers[stored["kind"]]:
                try:
                    taker(None, stored)
                except Exception as error:  # noqa: BLE001  as kopf does, which tells of the object again later
                    self.errors.append(f"{item}: {error!r}")

    async def settled(self) -> None:
        """Wait until nothing is to be done and nothing new was asked of the cluster for a while.

        The while is counted in looks, as a busy machine may let none of us work for a second.
        """
        controllers = [self.controller.jobs, self.controller.definitions, self.evaluators, self.schedules, self.sensors]
        queues = [controller.queue for controller in controllers]
        end, quiet, at = asyncio.get_running_loop().time() + _MOST_SECONDS, 0, 0
        asked: set[tuple[str, str]] = set()
        while asyncio.get_running_loop().time() < end and quiet < _QUIET_LOOKS:
            before = len(asked)
            asked.update((request.method, request.path) for request in self.fake.requests[at:])
            at = len(self.fake.requests)
            quiet = 0 if len(asked) > before or any(map(len, queues)) else quiet + 1
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with FakeCluster() as fake:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(base_url=fake.url, connector=connector) as session:
            made = World(fake, session)
            task = asyncio.create_task(made.run())
            await fake.until(lambda: made.controller.pods.synced.is_set(), what="it runs")
            try:
                yield made
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def is_reference(where: str) -> bool:
    """Whether a field names an object or a key of one, from which the operator makes a request or a pod."""
    fixed = ("kubernetes.resource", "kubernetes.apiVersion", "kubernetes.name", "source.job.name")
    return "Ref." in where or where.startswith("Job.spec.rerunOf.") or where.endswith(fixed)


CASES = [(kind, part) for kind in KINDS for part in ("spec", "status", "metadata")]


@pytest.mark.parametrize(("kind", "part"), CASES, ids=[f"{kind}-{part}" for kind, part in CASES])
async def test_no_text_leads_a_request_elsewhere(kind: str, part: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    items = list(hostile(kind, part))
    async with world() as made:
        for item in items:
            made.take(item)
        await made.settled()
        # The CRDs require the type of a condition, which some of these have not.
        assert [error for error in made.errors if not error.endswith("KeyError('type')")] == []
        assert found(made.fake.requests, {item.namespace for item in items}) == []
        paths = [request.path for request in made.fake.requests if "/namespaces/" in request.path]
        asked = {path.split("/namespaces/")[1].split("/")[0] for path in paths}
        assert len(asked) >= (len(items) / 2 if part == "spec" else 1), "the operator looked at them"
        if part != "spec":
            return
        untold = []
        for item in items:
            if not is_reference(item.where) or (not item.text and ".uid" in item.where):
                continue
            name = item.objects[0]["metadata"]["name"]
            status = (made.fake.find(f"{kind.lower()}s", item.namespace, name) or {}).get("status") or {}
            told = condition(status, "Accepted" if kind == "Job" else "Ready")
            if (told.get("status"), told.get("reason", "")[:7]) != ("False", "Invalid"):
                untold.append(f"{item}: {told}")
        assert untold == []


def test_every_field_has_its_objects() -> None:
    for kind in KINDS:
        places = {str(field) for field in fields(kind)}
        made = {item.where for part in ("spec", "status") for item in hostile(kind, part)}
        assert places == made
    assert len(TEXTS) > 10
    assert STATUS["steps"]


@pytest.mark.parametrize(
    ("path", "query"),
    [
        (f"/api/v1/namespaces/{VICTIM}-n-1/configmaps/private", {}),
        ("/api/v1/namespaces/n-1", {}),
        ("/api/v1/namespaces/n-1/configmaps", {}),
        ("/api/v1/namespaces/n-1/configmaps/", {}),
        ("/api/v1/namespaces/n-1/configmaps/zz", {}),
        ("/api/v1/namespaces/n-1/configmaps/x/../y", {}),
        ("/api/v1/namespaces/n-1/nodes/x", {}),
        ("/api/v1/namespaces/n-1/pods/x/exec", {}),
        ("/api/v1/secrets", {}),
        ("/api/v1/namespaces/n-1/configmaps/x", {"pretty": "1"}),
    ],
)
def test_what_is_elsewhere_is_found(path: str, query: dict[str, str]) -> None:
    assert wrong(Request("GET", path, query), {"n-1"})
    assert not wrong(Request("GET", "/api/v1/namespaces/n-1/configmaps/x"), {"n-1"})
