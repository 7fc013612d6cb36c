"""The state of the server: its client, its views of Jobs and definitions, and the open pages."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from podgraph.cluster.client import ApiError
from podgraph.cluster.resource_reflector import ResourceReflector
from podgraph.cluster.ui_client import UiClient
from podgraph.server.hub import Hub
from podgraph.server.summaries import DefinitionItem, JobItem
from podgraph.server.users import Auth, Own, User

__all__ = ["State"]

_READY_SECONDS = 10


class State:
    """Created once per server. `namespace` is the one to show, "" for all; `image` the default image of Python code.

    `client` has the server's own permissions. Requests use the client of their user instead.
    """

    def __init__(self, client: UiClient, namespace: str, image: str = "", auth: Auth | None = None) -> None:
        session = client.session
        self.namespace, self.image = namespace, image
        self.auth = auth or Own()
        self.own = User(self, client, own=True)
        self.hub = Hub()
        self.jobs = ResourceReflector(session, "jobs", namespace, JobItem, self.hub.tell)
        self.definitions = ResourceReflector(session, "jobdefinitions", namespace, DefinitionItem, lambda _: None)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the views up to date."""
        tasks = [asyncio.create_task(view.run()) for view in (self.jobs, self.definitions)]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def ready(self) -> None:
        """Wait until the Jobs are listed. Raises ApiError when that takes too long."""
        try:
            async with asyncio.timeout(_READY_SECONDS):
                await self.jobs.synced.wait()
        except TimeoutError:
            raise ApiError(503, "NotReady", self.jobs.error or "the cluster does not answer") from None
