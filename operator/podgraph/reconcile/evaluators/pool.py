"""Keeps the pods that evaluate: made when somebody is to ask, asked by their annotation, heard by their log.

There is one for all who need the same. A pod that dies or does not answer is made anew, after pauses that grow; what
was asked of it is asked again. One that nobody needs for a while is let go.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import Callable
from functools import partial

from podgraph.api import Object
from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.pod_reflector import PodReflector
from podgraph.cluster.runtime_archive import RuntimeArchive
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.keys import Keys, key_secret
from podgraph.planning.model import names
from podgraph.planning.model.owner import Owner
from podgraph.planning.pods.last_lines import last_lines
from podgraph.planning.pods.outcome import read_record
from podgraph.planning.pods.refusals import reason_to_wait
from podgraph.planning.pods.room import ROOM_BACKOFF
from podgraph.planning.pods.state import Phase, PodState, is_alive, observe
from podgraph.planning.pods.types import Pod
from podgraph.protocol.signing import Signer
from podgraph.reconcile.evaluators.client import MOST_PODS, WARM_SECONDS, EvaluatorClient, EvaluatorPod, no_room
from podgraph.reconcile.log_follower import LogFollower
from podgraph.reconcile.master_key import random_keys
from podgraph.reconcile.workqueue import KeyedQueue, work
from podgraph.scheduling.evaluators import EVALUATOR_LABEL, EvaluatorSpec, PodOf, definition_pod, requests_that_fit

__all__ = ["EvaluatorPool"]

_LOG = logging.getLogger(__name__)
WORKERS = 8
_ANSWER_GRACE = 30.0
_BACKOFF = ExponentialBackoff(2.0, 300.0)
_SETTLING_SECONDS = 10.0  # by then all definitions there are have been told of
_STRAY_SECONDS = 90.0  # by then it is known who needs which
_TAIL = 1_000
_TIMED_SECONDS = 60.0


class EvaluatorPool:
    """All pods that evaluate. `clock` gives seconds since the epoch; `watcher` may hold many connections."""

    def __init__(
        self, client: Client, watcher: Client, bundle: RuntimeArchive, default_image: str,
        clock: Callable[[], float] = time.time, settling: float = _SETTLING_SECONDS, keys: Keys | None = None,
    ) -> None:  # fmt: skip
        def owner_of(key: str) -> Owner | None:
            return self._known[key].spec.ref.owner if key in self._known else None

        def namespace_of(key: str) -> str:
            return self._known[key].spec.ref.namespace if key in self._known else ""

        self.queue = KeyedQueue(namespace_of=namespace_of, most=WORKERS * 3 // 4)
        self.pods = PodReflector(watcher.session, self._pod_changed, EVALUATOR_LABEL, owner_of, watcher.namespaces)
        self.default_image, self.runtime = default_image, names.runtime_config_map(bundle.digest)
        self._client, self._archive, self._clock = client, bundle.archive, clock
        self._keys = keys or random_keys()
        self._logs = LogFollower(watcher, MOST_PODS)
        self._known: dict[str, EvaluatorPod] = {}
        self._definitions: dict[tuple[str, str], tuple[str, PodOf]] = {}
        self._seats: dict[tuple[str, str], list[EvaluatorClient]] = {}
        self._settling: float | None = settling
        self._session, self._numbers = secrets.token_hex(4), itertools.count()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.pods.run())
                group.create_task(self._settle())
                await self.pods.synced.wait()
                for _ in range(WORKERS):
                    group.create_task(work(self.queue, self._reconcile, "evaluator"))
        finally:
            await self._logs.close()

    async def _settle(self) -> None:
        """Take a definition that is not known after a while to be none."""
        await asyncio.sleep(self._settling or 0.0)
        self._settling = None
        for key in list(self._seats):
            self._look_again(key)

    def definition_changed(self, kind: str | None, definition: Object) -> None:
        """Take in an event of a JobDefinition."""
        meta = definition["metadata"]
        key = (meta["namespace"], meta["name"])
        if kind == "DELETED" or meta.get("deletionTimestamp"):
            if self._definitions.get(key, ("",))[0] == meta["uid"]:
                del self._definitions[key]
        else:
            self._definitions[key] = (meta["uid"], definition_pod(definition, self.default_image, self.runtime))
        self._look_again(key)

    def _look_again(self, key: tuple[str, str]) -> None:
        """Have those who ask at a definition take in that it may be another one now."""
        for seat in list(self._seats.get(key, ())):
            before = seat.error
            seat.reconcile()
            if seat.error != before:
                seat.woken()

    def at_definition(self, namespace: str, name: str, wake: Callable[[], None]) -> EvaluatorClient:
        """Return a seat at the pod of a JobDefinition, whichever that is while it is changed."""

        def find() -> PodOf:
            found = self._definitions.get((namespace, name))
            if found is None:
                if self._settling is not None:
                    return PodOf()
                return PodOf(None, "DefinitionNotFound", f"there is no JobDefinition {name!r} in its namespace")
            return found[1]

        seat = EvaluatorClient(self, find, wake)
        self._seats.setdefault((namespace, name), []).append(seat)
        return seat

    def at(self, spec: EvaluatorSpec, wake: Callable[[], None]) -> EvaluatorClient:
        """Return a seat at a pod of its own."""
        return EvaluatorClient(self, lambda: PodOf(spec), wake)

    def give_up(self, seat: EvaluatorClient) -> None:
        """Take in that a seat is not needed any more."""
        seat.close()
        for key, seats in list(self._seats.items()):
            if seat in seats:
                seats.remove(seat)
                if not seats:
                    del self._seats[key]

    # --- what seats say

    def join(self, spec: EvaluatorSpec, seat: EvaluatorClient) -> EvaluatorPod:
        """Take in one who asks."""
        found = self._known.setdefault(spec.key, EvaluatorPod(spec, self._keys.of(spec.ref.uid).pod))
        found.seats.append(seat)
        self.queue.add(spec.key)
        return found

    def leave(self, pod: EvaluatorPod, seat: EvaluatorClient) -> None:
        """Take in that one asks no more."""
        pod.seats.remove(seat)
        if not pod.seats:
            del self._known[pod.key]
            self._logs.leave(pod.key)
        self.queue.add(pod.key)

    def ask(self, pod: EvaluatorPod, seat: EvaluatorClient, request: Object) -> str:
        """Ask a pod for something; return the id of the request."""
        name = f"{self._session}-{next(self._numbers)}"
        pod.requests[name], pod.askers[name] = request, seat
        self.queue.add(pod.key)
        return name

    def unask(self, pod: EvaluatorPod, name: str) -> None:
        """Take back what was asked."""
        for kept in (pod.requests, pod.askers, pod.asked_at):
            kept.pop(name, None)
        self.queue.add(pod.key)

    def requeue(self, pod: EvaluatorPod) -> None:
        """Have a pod looked at."""
        self.queue.add(pod.key)

    # --- the pods

    def _pod_changed(self, key: str, name: str) -> None:
        self.queue.add(key) if key in self._known else self.queue.add_after(key, _STRAY_SECONDS)

    async def _reconcile(self, key: str) -> None:
        pod, now = self._known.get(key), self._clock()
        if pod is not None:
            self.pods.adopt(key, pod.spec.ref.owner)
            self._take_ends(pod, now)
        needed = pod is not None and pod.is_needed(now)
        alive = [found for found in self.pods.of(key).values() if is_alive(found)]
        let_go = pod.released_uids if pod is not None else set()
        current = next((found for found in alive if needed and found.metadata.uid not in let_go), None)
        # Those of nobody who is known are an earlier operator's: their controller is one of our kinds.
        for found in [*self.pods.of(key).values(), *self.pods.unclaimed(key)]:
            if found.gone:
                self.pods.forget_gone(key, found.metadata.name)
            elif found is not current and not found.metadata.deletion_timestamp:
                self._logs.leave(key, found.metadata.name)
                let_go.add(found.metadata.uid)
                await self._client.delete_pod(found.metadata.namespace, found.metadata.name, found.metadata.uid)
        if pod is None:
            if not self.pods.of(key):
                self.pods.release(key)
            return
        if not needed:
            pod.name = ""
            self.queue.add_after(key, min(_TIMED_SECONDS, pod.needed_at - WARM_SECONDS - now))
        elif current is None:
            await self._make(pod, now)
        else:
            await self._drive(pod, current, now)

    def _take_ends(self, pod: EvaluatorPod, now: float) -> None:
        """Take in that the pod has ended, if it has."""
        found = self.pods.of(pod.key).get(pod.name)
        if not pod.name or (found is not None and is_alive(found)):
            return
        reason, message = "PodDeleted", "its pod was deleted"
        if found is not None:
            reason, message = _end(observe(found), pod.signer)
        self._failed(pod, now, reason, message)

    def _failed(
        self, pod: EvaluatorPod, now: float, reason: str, message: str, backoff: ExponentialBackoff = _BACKOFF
    ) -> None:
        self._logs.leave(pod.key, pod.name)
        pod.due = now + backoff.seconds(pod.failures)
        pod.failures += 1
        pod.name = ""
        pod.tell((reason, f"the pod that evaluates it: {message}"))

    async def _make(self, pod: EvaluatorPod, now: float) -> None:
        if now < pod.due:
            self.queue.add_after(pod.key, pod.due - now)
            return
        namespace, there = pod.spec.ref.namespace, self.pods.of(pod.key)
        if full := no_room(self._known.values(), namespace):
            pod.tell(("TooManyPods", full))
            self.queue.add_after(pod.key, _TIMED_SECONDS)
            return
        pod.attempt += 1
        while (name := pod.spec.pod_name(pod.attempt)) in there:
            pod.attempt += 1
        requests = requests_that_fit(pod.requests)
        self.pods.making(pod.key, name)
        try:
            runtime = manifests.runtime_config_map(namespace, self.runtime, self._archive)
            secret = key_secret(pod.spec.ref, self._keys.of(pod.spec.ref.uid), python=True)
            await asyncio.gather(self._client.create("configmaps", runtime), self._client.create_secret(secret))
            made = await self._client.create_pod(pod.spec.pod(name, requests, secret["metadata"]["name"]))
        except (ApiError, DefinitionError) as error:
            if isinstance(error, ApiError) and not error.permanent:
                pod.attempt -= 1  # it may be there, and the next try is to find it under its name
                raise
            self.pods.not_made(pod.key, name)
            wait = isinstance(error, ApiError) and reason_to_wait(error.status, error.reason, error.message)
            self._failed(pod, now, wait or error.reason, error.message, ROOM_BACKOFF if wait else _BACKOFF)
            self.queue.add_after(pod.key, pod.due - now)
            return
        pod.adopt(name, set(requests))
        self.pods.put(pod.key, made)
        self.queue.add(pod.key)

    async def _drive(self, pod: EvaluatorPod, current: Pod, now: float) -> None:
        """Ask the pod what is to be asked, and hear it."""
        meta = current.metadata
        if meta.name != pod.name:  # an operator before this one has made it
            pod.adopt(meta.name, None)
        requests = requests_that_fit(pod.requests)
        if pod.told is None or not set(requests) <= pod.told:  # what is answered may stand there until then
            told = pod.spec.annotations(meta.name, requests)
            self.pods.put(pod.key, await self._client.assign_pod(meta.namespace, meta.name, meta.uid, told, {}))
            pod.told = set(requests)
        seen = observe(current)
        if seen.phase is not Phase.RUNNING:
            pod.tell((seen.reason, f"the pod that evaluates it: {seen.message}") if seen.reason else None)
            return
        self._logs.follow(pod.key, meta.namespace, meta.name, partial(self._heard, pod, meta.name), _TAIL)
        waits = []
        for name, request in requests.items():
            since = pod.asked_at.setdefault(name, now)
            waits.append(since + float(request["timeout"]) + _ANSWER_GRACE)
        if waits and min(waits) <= now:
            self._failed(pod, now, "NoAnswer", "it does not answer")
            await self._client.delete_pod(meta.namespace, meta.name, meta.uid)
            return
        if not pod.failures:
            pod.tell(None)
        self.queue.add_after(pod.key, min([_TIMED_SECONDS, *(moment - now for moment in waits)]))

    def _heard(self, pod: EvaluatorPod, name: str, lines: list[str]) -> None:
        if name != pod.name:
            return
        for answer in pod.reader.take(lines):
            seat = pod.askers.get(answer.id)
            if seat is None:
                continue
            self.unask(pod, answer.id)
            pod.failures = 0
            pod.tell(None)
            seat.answered(answer)


def _end(seen: PodState, signer: Signer) -> tuple[str, str]:
    """Return why a pod has ended that should not."""
    record = read_record(seen, signer)
    if record is not None and record.reason:
        return record.reason, record.message
    return seen.reason or "PodEnded", f"{seen.message or 'it ended with exit code 0'}{last_lines(seen.text)}"
