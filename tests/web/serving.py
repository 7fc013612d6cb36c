"""The page's server before the fake API server: in the test's own loop, or in a thread beside a browser."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import aiohttp
import kopf
import uvicorn

from api.fake import RESOURCES, FakeCluster, Resource
from podgraph.cluster.impersonation import UserClients
from podgraph.cluster.ui_client import UiClient
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.planning.model.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OP_ANNOTATION
from podgraph.protocol.graph_codec import pack
from podgraph.server.app import STATIC, create_app, served_with
from podgraph.server.state import State
from podgraph.server.users import Auth, Own

Obj = dict[str, Any]
T = TypeVar("T")

NUMBER = '{"type": "object", "properties": {"n": {"type": "integer"}, "to": {"enum": ["a", "b"]}}, "required": ["n"]}'
GRAPH = Graph.of(
    "j",
    [Op("one", config=NUMBER, description="The first."), Op("two", (Input("x", (OutputRef("one"),)),)), Op("three")],
)


class PageServer:
    """The page's server at a free port, to which it comes back after it was ended."""

    def __init__(self, state: State, static: Path) -> None:
        self.port = 0
        self._state, self._static = state, static
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen."""
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", self.port))
        self.port = listener.getsockname()[1]
        self._server = uvicorn.Server(
            served_with(create_app(self._state, static=self._static), timeout_graceful_shutdown=1)
        )
        self._server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
        self._task = asyncio.create_task(self._server.serve([listener]))

    async def stop(self) -> None:
        """End it, and the streams that are open."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        async with asyncio.timeout(10):
            await self._task
        self._server = self._task = None


@dataclass
class Served:
    """A server that runs, and the cluster behind it."""

    fake: FakeCluster
    url: str
    state: State
    server: PageServer

    def job(
        self, name: str, state: str = "Succeeded", graph: Graph | None = GRAPH, namespace: str = "default", **spec: Any
    ) -> Obj:
        """Make a Job as the operator leaves it."""
        spec = {key: value for key, value in {"code": {"source": "pass", "image": "i"}, **spec}.items() if value}
        labels = spec.pop("labels", {})
        made = self.fake.create(
            {
                "apiVersion": "podgraph.dev/v1alpha1", "kind": "Job",
                "metadata": {"name": name, "namespace": namespace, "labels": labels}, "spec": spec,
            }
        )  # fmt: skip
        done = state not in ("Running", "Pending")
        time = made["metadata"]["creationTimestamp"]
        conditions = [
            {"type": kind, "status": status, "reason": state, "message": f"it is {state}", "lastTransitionTime": time}
            for kind, status in (("Succeeded", str(state == "Succeeded")), ("Finished", str(done)))
        ]
        status = {
            "conditions": conditions, "startTime": time, "progress": "1/1",
            "steps": {"one": {"state": state, "attempt": 1, "startTime": time, "outputs": {"result": "1"}}},
            **({"graph": pack(graph)} if graph else {}), **({"completionTime": time} if done else {}),
        }  # fmt: skip
        return self.fake.patch("jobs", namespace, name, {"status": status}, status=True)

    def definition(self, name: str, ready: str = "True", namespace: str = "default", **spec: Any) -> Obj:
        """Make a JobDefinition as the operator leaves it."""
        self.fake.create(
            {
                "apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition",
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"code": {"source": "pass"}, **spec},
            }
        )  # fmt: skip
        condition = {
            "type": "Ready", "status": ready, "reason": "R", "message": "because", "observedGeneration": 1,
            "lastTransitionTime": self.fake.registry.now(),
        }  # fmt: skip
        status = {"conditions": [condition], "opCount": 3, **({"graph": pack(GRAPH)} if ready == "True" else {})}
        return self.fake.patch("jobdefinitions", namespace, name, {"status": status}, status=True)

    def schedule(self, name: str, spec: Obj, text: str, namespace: str = "default", **status: Any) -> Obj:
        """Make a JobSchedule as the operator leaves it."""
        return self._maker("JobSchedule", namespace, name, spec, {"schedule": text, **status})

    def sensor(self, name: str, source: Obj, template: Obj, text: str, **status: Any) -> Obj:
        """Make a JobSensor as the operator leaves it."""
        return self._maker(
            "JobSensor",
            "default",
            name,
            {"source": source, "jobTemplate": {"spec": template}},
            {"source": text, **status},
        )

    def _maker(self, kind: str, namespace: str, name: str, spec: Obj, status: Obj) -> Obj:
        plural = f"{kind.lower()}s"
        self.fake.create(
            {
                "apiVersion": "podgraph.dev/v1alpha1", "kind": kind,
                "metadata": {"name": name, "namespace": namespace}, "spec": spec,
            }
        )  # fmt: skip
        reason = "Suspended" if spec.get("suspend") else "Ready"
        condition = {"type": "Ready", "status": "True", "reason": reason, "message": "", "observedGeneration": 1}
        status = {"observedGeneration": 1, "conditions": [condition], **status}
        return self.fake.patch(plural, namespace, name, {"status": status}, status=True)

    def pod(self, job: Obj, op: str, log: str, name: str = "", ended: bool = True, runs: bool = True) -> Obj:
        """Make a pod of a step that has printed something; one that does not run yet has not."""
        made = self.fake.create(
            {
                "apiVersion": "v1", "kind": "Pod",
                "metadata": {
                    "name": name or f"{job['metadata']['name']}-{op}", "namespace": "default",
                    "labels": {MANAGED_BY_LABEL: MANAGED_BY, JOB_UID_LABEL: job["metadata"]["uid"]},
                    "annotations": {OP_ANNOTATION: op},
                },
                "spec": {"containers": [{"name": "step", "image": "i"}], "nodeName": "n"},
            }
        )  # fmt: skip
        if not runs:
            return made
        self.run_pod(made, log)
        if ended:
            self.fake.finish_pod("default", made["metadata"]["name"], 0, "")
        return made

    def run_pod(self, pod: Obj, log: str) -> None:
        """Start a pod that prints something."""
        self.fake.run_pod("default", pod["metadata"]["name"])
        self.fake.logs.append(pod["metadata"]["uid"], log)


@contextlib.asynccontextmanager
async def serving(
    namespace: str = "",
    resources: Sequence[Resource] = RESOURCES,
    auth: Callable[[UserClients], Auth] = lambda _: Own(),
    static: Path = STATIC,
) -> AsyncIterator[Served]:
    """Start both, and end both."""
    async with (
        FakeCluster(resources) as fake,
        aiohttp.ClientSession(base_url=fake.url) as session,
        UserClients(kopf.ConnectionInfo(server=fake.url)) as acting,
    ):
        state = State(UiClient(session), namespace, "step:dev", auth(acting))
        server = PageServer(state, static)
        await server.start()
        try:
            async with asyncio.timeout(10):
                await state.jobs.synced.wait()
                await state.definitions.synced.wait()
            yield Served(fake, f"http://127.0.0.1:{server.port}", state, server)
        finally:
            await server.stop()


def browser_of(served: Served) -> aiohttp.ClientSession:
    """Return a client that keeps cookies, as a browser does."""
    return aiohttp.ClientSession(
        base_url=served.url, headers={"Origin": served.url}, cookie_jar=aiohttp.CookieJar(unsafe=True)
    )


async def sign_in(http: aiohttp.ClientSession, token: str) -> None:
    """Sign in as the page's form does."""
    async with http.post("/api/session", json={"token": token}) as answer:
        assert answer.status == 201, await answer.text()


async def asked(http: aiohttp.ClientSession, path: str, body: Any = None) -> tuple[int, Any]:
    """Ask with GET, or with POST where there is a body; return status and answer."""
    async with http.request("GET" if body is None else "POST", path, json=body) as answer:
        return answer.status, await answer.json()


class Beside:
    """A server in a thread of its own; what touches its cluster is done there."""

    def __init__(self, loop: asyncio.AbstractEventLoop, served: Served) -> None:
        self._loop, self.url = loop, served.url
        self._served = served

    def do(self, what: Callable[[Served], T]) -> T:
        """Do something with the cluster and return what it gives."""

        async def run() -> T:
            return what(self._served)

        return asyncio.run_coroutine_threadsafe(run(), self._loop).result(30)

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Within the block the server is not there."""
        asyncio.run_coroutine_threadsafe(self._served.server.stop(), self._loop).result(30)
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(self._served.server.start(), self._loop).result(30)


@contextlib.contextmanager
def serving_beside(auth: Callable[[UserClients], Auth] = lambda _: Own()) -> Iterator[Beside]:
    """Run :func:`serving` in a thread."""
    ready: list[Beside] = []
    there, over = threading.Event(), threading.Event()

    async def run() -> None:
        async with serving(auth=auth) as served:
            ready.append(Beside(asyncio.get_running_loop(), served))
            there.set()
            await asyncio.to_thread(over.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert there.wait(20), "the server did not start"
    try:
        yield ready[0]
    finally:
        over.set()
        thread.join(20)
