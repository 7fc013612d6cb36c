"""Drives a controller against the fake cluster: the watch of Jobs that kopf does in earnest, and pods that play ops."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import time
import types
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import aiohttp

from podgraph.cluster.client import Client
from podgraph.cluster.runtime_archive import build_archive
from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.names import ASSIGNMENT, MANAGED_BY_LABEL, OP_ANNOTATION
from podgraph.protocol.signing import KEY_VARIABLE, pod_key, take_key
from podgraph.protocol.step import Assignment, Record
from podgraph.reconcile.jobs.controller import Controller
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.runtime.load import CodeRef, find_job
from podgraph.runtime.pod.all_steps import run_group
from podgraph.runtime.pod.pod_group import run_shared
from podgraph.runtime.pod.resolve import resolve
from podgraph.runtime.pod.step import run_step
from podgraph.runtime.pod.storage import open_storage

from .fake import FakeCluster

Obj = dict[str, Any]
BUNDLE = build_archive()
IMAGE = "python:3.13-slim"
_OURS = "/apis/podgraph.dev/v1alpha1"


class Clock:
    """Seconds since the epoch that a test can move on."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Driver:
    """A fake cluster with a controller that can be stopped and started anew."""

    def __init__(
        self, fake: FakeCluster, clock: Callable[[], float] | None = None, storage: Storage | None = None,
        links: LinkServer | None = None,
    ) -> None:  # fmt: skip
        self.fake = fake
        self.links = links
        self.keys = Keys(b"the key that all operators of the cluster share")
        self.storage = storage
        self.clock = clock
        self.controller: Controller | None = None
        self.burst_in_progress: Callable[[], bool] = lambda: False
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None

    async def start(self) -> None:
        """Start a controller that knows nothing yet."""
        self._session = aiohttp.ClientSession(base_url=self.fake.url)
        more = {"clock": self.clock} if self.clock else {}
        self.controller = Controller(
            Client(self._session),
            BUNDLE,
            IMAGE,
            storage=self.storage,
            links=self.links,
            keys=self.keys,
            burst_in_progress=lambda: self.burst_in_progress(),
            **more,
        )
        synced = self.controller.pods.synced
        self._tasks = [
            asyncio.create_task(self.controller.run()),
            asyncio.create_task(watch(self._session, "jobs", self.controller.jobs.job_changed, synced)),
            asyncio.create_task(
                watch(self._session, "jobdefinitions", self.controller.definitions.definition_changed, synced)
            ),
        ]

    async def stop(self) -> None:
        """End the controller in the middle of whatever it does."""
        await end(self._tasks, self._session)

    def apply(self, name: str = "j", **spec: Any) -> Obj:
        """Create a Job; its pods stay to be looked at when it is over, unless it says otherwise."""
        spec["execution"] = {"podRetention": "Always", "prestart": 0, **spec.get("execution", {})}
        return self.fake.create(
            {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec}
        )

    def status(self, name: str = "j") -> Obj:
        """The Job's status, empty when it has none."""
        found = self.fake.find("jobs", "default", name)
        return (found or {}).get("status") or {}

    async def finished(self, name: str = "j", timeout: float = 30.0) -> Obj:
        """Wait for the Job's end and return its status."""

        def over() -> bool:
            return condition(self.status(name), "Finished").get("status") == "True"

        await self.fake.until(over, timeout, f"the end of job {name}: {self.status(name)}")
        return self.status(name)

    async def step(self, op: str, state: str, name: str = "j") -> Obj:
        """Wait until a step is in a state and return its record."""

        def there() -> bool:
            return self.steps(name).get(op, {}).get("state") == state

        await self.fake.until(there, what=f"step {op} {state}")
        return self.steps(name)[op]

    def steps(self, name: str = "j") -> Obj:
        """The records of the Job's steps."""
        return self.status(name).get("steps") or {}

    def records(self, uid: str) -> Mapping[str, Any]:
        """What the controller knows of a Job's steps, before it has written it."""
        run = self.controller and self.controller.jobs.states[uid].run
        return run.steps.records if run is not None and run.steps is not None else {}

    def pod(self, op: str) -> Obj | None:
        """The pod of an op ("" for the resolve pod) of any Job, or None."""
        found = (p for p in self.fake.objects("pods") if op_of(p) == op)
        return next(found, None)

    async def pod_of(self, op: str) -> Obj:
        """Wait for the pod of an op."""
        return await self.fake.until(lambda: self.pod(op), what=f"a pod of {op!r}")

    async def seen(self, uid: str, pod_name: str) -> None:
        """Wait until the controller's own view holds a pod."""
        controller = self.controller
        assert controller is not None
        await self.fake.until(lambda: controller.pods.of(uid).get(pod_name), what=f"{pod_name} seen")

    async def quiet(self) -> None:
        """Wait until the controller knows every Job and has had nothing to do for a while.

        The while is counted in rounds of the event loop, so it is as long as a slow machine needs.
        """
        assert self.controller is not None
        queues = [self.controller.jobs.queue, self.controller.definitions.queue]
        rounds, asked, end = 0, -1, time.monotonic() + 20
        while rounds < 10:
            jobs = [job for job in self.fake.objects("jobs") if "completionTime" not in (job.get("status") or {})]
            unknown = {job["metadata"]["uid"] for job in jobs} - set(self.controller.jobs.states)
            busy = (
                any(queue._ready or queue._working for queue in queues) or unknown or asked != len(self.fake.requests)
            )
            rounds = 0 if busy else rounds + 1
            asked = len(self.fake.requests)
            assert time.monotonic() < end, "the controller does not come to rest"
            await asyncio.sleep(0.01)

    def finish(self, op: str, message: str = "", exit_code: int = 0) -> None:
        """End the pod of an op."""
        pod = self.pod(op)
        assert pod is not None
        self.fake.finish_pod("default", pod["metadata"]["name"], exit_code, message)

    def creates(self) -> list[str]:
        """The names of the pods that were created, in order, answers lost or not."""
        made = [r for r in self._posts() if r.status == 201 or r.dropped]
        return [r.body["metadata"]["name"] for r in made]

    def created_ops(self) -> list[str]:
        """The ops whose pods were created, in order; "" is the resolve pod."""
        made = [r for r in self._posts() if r.status == 201]
        return [op_of(r.body) for r in made]

    def tried_pods(self) -> list[Obj]:
        """The pods that the API server was asked about, in order, without any being made."""
        return [r.body for r in self.fake.calls("POST", "/pods$") if r.query.get("dryRun") == "All"]

    def _posts(self) -> list[Any]:
        return [r for r in self.fake.calls("POST", "/pods$") if "dryRun" not in r.query]

    def status_writes(self) -> int:
        """How often the status was written."""
        return len(self.fake.calls("PATCH", "/status$"))


@contextlib.asynccontextmanager
async def driving(
    clock: Clock | None = None, storage: Storage | None = None, links: LinkServer | None = None
) -> AsyncIterator[Driver]:
    """Run a fake cluster with a controller; both go by `clock`."""
    async with FakeCluster(clock=(lambda: clock.now) if clock else time.time) as fake:
        driver = Driver(fake, clock, storage, links)
        await driver.start()
        try:
            yield driver
        finally:
            await driver.stop()


async def watch(
    session: aiohttp.ClientSession, plural: str, tell: Callable[[str | None, Any], None],
    begin: asyncio.Event | None = None,
) -> None:  # fmt: skip
    """List and watch one of our resources as kopf does, starting again after every break; not before `begin` is set."""
    path = f"{_OURS}/{plural}"
    if begin is not None:
        await begin.wait()
    while True:
        try:
            async with session.get(path) as answer:
                answer.raise_for_status()
                listed = await answer.json()
            for item in listed["items"]:
                tell(None, item)
            params = {"watch": "1", "resourceVersion": listed["metadata"]["resourceVersion"]}
            more = {"timeout": aiohttp.ClientTimeout(total=None), "read_bufsize": 4 * 1024 * 1024}
            async with session.get(path, params=params, **more) as answer:
                while line := await answer.content.readuntil(b"\n"):
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        break
                    tell(event["type"], event["object"])
        except (aiohttp.ClientError, asyncio.IncompleteReadError, ValueError):
            await asyncio.sleep(0)


async def end(tasks: list[asyncio.Task[None]], session: aiohttp.ClientSession | None) -> None:
    """End tasks in the middle of whatever they do, and their session; raises what one of them failed with."""
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
    if session is not None:
        await session.close()
    for error in ended:
        if isinstance(error, BaseException) and not isinstance(error, asyncio.CancelledError):
            raise error


def condition(status: Mapping[str, Any], kind: str) -> Obj:
    """The condition of a kind, or an empty one."""
    return next((c for c in status.get("conditions", ()) if c["type"] == kind), {})


def op_of(pod: Mapping[str, Any]) -> str:
    """The op a pod is for; "" for a resolve pod."""
    assert MANAGED_BY_LABEL in pod["metadata"]["labels"]
    return str(pod["metadata"]["annotations"].get(OP_ANNOTATION, ""))


def env_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a pod's container as the container would see it."""
    env = pod["spec"]["containers"][0]["env"]
    return {item["name"]: item["value"].replace("$$", "$") for item in env if "value" in item}


def secret_env(fake: FakeCluster, pod: Mapping[str, Any], container: int = 0) -> dict[str, str]:
    """What of a container's environment comes from Secrets. Raises KeyError where the kubelet would not start it."""
    found = {}
    for item in pod["spec"]["containers"][container]["env"]:
        if "valueFrom" in item:
            source = item["valueFrom"]["secretKeyRef"]
            secret = fake.find("secrets", pod["metadata"]["namespace"], source["name"]) or {"data": {}}
            if source["key"] in secret["data"] or not source.get("optional"):
                found[item["name"]] = base64.b64decode(secret["data"][source["key"]]).decode()
    return found


def key_of(fake: FakeCluster, pod: Mapping[str, Any]) -> bytes:
    """The key that a Python pod signs with; an empty one where it has none."""
    return secret_env(fake, pod).get(KEY_VARIABLE, "").encode()


def inputs_of(pod: Mapping[str, Any]) -> dict[str, str]:
    """The inputs of a container op, by lower-case name."""
    prefix = "INPUT_"
    return {key.removeprefix(prefix).lower(): v for key, v in env_of(pod).items() if key.startswith(prefix)}


def assignment_of(pod: Mapping[str, Any]) -> Assignment:
    """What a Python pod was told to do."""
    return Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT])


def adding(pod: Mapping[str, Any]) -> tuple[int, str]:
    """Play a container op: its result is one more than the sum of its inputs (numbers, or lists of them)."""
    total = 1
    for text in inputs_of(pod).values():
        value = json.loads(text)
        total += sum(int(v) for v in value) if isinstance(value, list) else int(value)
    return 0, f"result={total}"


class PythonPods:
    """Plays the pods of a Python job given as source, as the step runtime would, without processes."""

    def __init__(self, fake: FakeCluster, source: str) -> None:
        self.fake = fake
        self.source = source
        self._jobs: dict[str, JobDefinition] = {}

    def __call__(self, pod: Mapping[str, Any]) -> tuple[int, str]:
        """Be the process in the pod."""
        work = assignment_of(pod)
        os.environ[KEY_VARIABLE] = key_of(self.fake, pod).decode()
        take_key()
        record, lines = self._work(work)
        text = "".join(f"{line}\n" for line in ["the user's own words", *lines])
        self.fake.set_log("default", pod["metadata"]["name"], text)
        return (0 if record.outcome == "Succeeded" else 1), record.to_line(pod_key())

    def _work(self, work: Assignment) -> tuple[Record, list[str]]:
        try:
            if work.clean:
                open_storage(work.storage).delete(work.prefix)
                return Record(work.nonce, "Succeeded"), []
            job = self.job(work)
            if work.group:
                lines: list[str] = []
                return run_group(job, CodeRef(), work, lines.append), lines
            if work.shared:
                lines = []
                return run_shared(job, work, lines.append), lines
            if work.op:
                return run_step(job, work), []
            return resolve(job, work, pod_key())
        except DefinitionError as error:
            return Record(work.nonce, "Failed", reason=error.reason, message=error.message), []

    def job(self, work: Assignment) -> JobDefinition:
        """Import the code, once for all pods, and find the job in it."""
        if work.job in self._jobs:
            return self._jobs[work.job]
        module = types.ModuleType("job")
        try:
            exec(compile(self.source, "job.py", "exec"), vars(module))
        except SyntaxError as error:
            raise DefinitionError("CodeError", f"the code does not compile: {error}") from None
        self._jobs[work.job] = find_job(module, work.job)
        return self._jobs[work.job]
