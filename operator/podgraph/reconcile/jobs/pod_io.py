"""Works with existing pods: assigns steps to them, reads what they report, and deletes them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.pod_reflector import PodReflector
from podgraph.planning.actions import Actions, Assign
from podgraph.planning.job.run import Run
from podgraph.planning.model.names import ASSIGNMENT
from podgraph.planning.pods.types import Pod, doubt
from podgraph.reconcile.jobs.link_server import LinkServer
from podgraph.reconcile.jobs.state import AnyRun, JobState, ObjectState
from podgraph.reconcile.log_follower import LogFollower
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["PodIO"]

_DELETES_AT_ONCE = 20
_FEW_DELETES = 2  # up to so many are deleted one by one; deleting all that succeeded is a single request
_TAIL = 20  # lines; a step's record is the last that its pod prints


class PodIO:
    """Looks after the pods of all objects. `changed(uid, pod_name)` is called for a pod that changed."""

    def __init__(
        self,
        client: Client,
        pods: PodReflector,
        queue: KeyedQueue,
        changed: Callable[[str, str], None],
        links: LinkServer,
    ) -> None:
        self._client, self._pods, self._queue, self._changed = client, pods, queue, changed
        self._logs, self._links = LogFollower(client), links

    async def close(self) -> None:
        """Stop following logs."""
        await self._logs.close()

    def forget(self, uid: str) -> None:
        """Forget the pods of an object."""
        self._logs.leave(uid)
        self._links.forget(uid)
        self._pods.forget(uid)

    async def look_after(self, job: JobState, run: Run, actions: Actions) -> None:
        """Assign steps to waiting pods, follow and read logs, confirm that missing pods are gone. Raises ApiError."""
        await self._assign(job, run)
        self._look_into_logs(run, actions)
        for pod in dict.fromkeys(filter(None, (actions.read_reports, *actions.read_logs))):
            await self._logs.read(run.ref.uid, run.ref.namespace, pod, partial(run.take_lines, pod))
            run.take_lines(pod, (), whole=True)
            self._logs.leave(run.ref.uid, pod)
            self._queue.add(run.ref.uid)
        for name in list(job.to_confirm):
            await self._confirm(run, name)
            job.to_confirm.discard(name)

    def _look_into_logs(self, run: Run, actions: Actions) -> None:
        for pod in actions.leave:
            self._logs.leave(run.ref.uid, pod)
            self._links.leave(run.ref.uid, pod)
        for pod in actions.follow:
            self._follow(run, pod, _TAIL, partial(self._log_lost, run, pod))
        for pod in filter(None, (actions.follow_log, *actions.follow_logs)):
            self._follow(run, pod)

    def _follow(self, run: Run, pod: str, tail: int = 0, lost: Callable[[], None] | None = None) -> None:
        """Listen to a pod: on its link, or else on its log."""
        uid, take = run.ref.uid, partial(self._lines_came, run, pod)
        follow = partial(self._logs.follow, uid, run.ref.namespace, pod, take, tail, lost)
        self._links.hear(uid, pod, follow, partial(self._logs.leave, uid, pod))

    def _lines_came(self, run: Run, pod: str, lines: list[str]) -> None:
        if run.take_lines(pod, lines):
            self._queue.add(run.ref.uid)

    def _log_lost(self, run: Run, pod: str) -> None:
        run.log_unavailable(pod)
        self._queue.add(run.ref.uid)

    async def _assign(self, job: JobState, run: Run) -> None:
        """Give waiting pods their steps."""

        async def assign(item: Assign) -> None:
            try:
                namespace = run.ref.namespace
                pod = await self._client.assign_pod(namespace, item.pod, item.uid, item.annotations, item.labels)
            except ApiError as error:
                if not error.permanent:
                    raise
                job.to_confirm.add(item.pod)  # it seems to be gone; the step goes on once that is confirmed
            else:
                self._pods.put(run.ref.uid, pod)
                if ASSIGNMENT in item.annotations:
                    self._links.tell(run.ref.uid, item.pod, item.annotations[ASSIGNMENT])
            job.to_assign.pop(item.pod, None)

        for failure in await asyncio.gather(*map(assign, list(job.to_assign.values())), return_exceptions=True):
            if failure is not None:
                raise failure

    async def _confirm(self, run: Run, name: str) -> None:
        """Ask the API server for a pod that is missing from our view before it counts as lost."""
        pod = await self._find(run, name)
        if pod is None or run.uid_of(name) not in ("", pod.metadata.uid):
            run.confirm_gone(name)
            self._changed(run.ref.uid, name)
        else:
            self._pods.put(run.ref.uid, pod)

    async def _find(self, run: AnyRun, name: str) -> Pod | None:
        """Return the cluster's pod of this name if it belongs to the run's object."""
        pod = await self._client.get_pod(run.ref.namespace, name)
        if pod is None:
            return None
        known = self._pods.of(run.ref.uid).get(name)
        if known is not None:
            return pod if known.metadata.uid == pod.metadata.uid else None
        return None if doubt(pod.metadata, run.ref.owner) else pod

    async def delete(self, job: ObjectState, run: AnyRun) -> None:
        """Delete the pods in `to_delete`. Raises ApiError."""

        async def delete(name: str) -> None:
            # The answer to its create may have been lost, so a pod of unknown uid may exist.
            pod = self._pods.of(run.ref.uid).get(name) or await self._find(run, name)
            if pod is not None:
                await self._client.delete_pod(run.ref.namespace, name, pod.metadata.uid)
            if name not in job.to_create:
                self._pods.not_made(run.ref.uid, name)
            job.to_delete.discard(name)

        if len(job.to_delete) > _FEW_DELETES and run.finished:
            await self._delete_succeeded(job, run)
        while job.to_delete:
            some = list(job.to_delete)[:_DELETES_AT_ONCE]
            for failure in await asyncio.gather(*map(delete, some), return_exceptions=True):
                if failure is not None:
                    raise failure

    async def _delete_succeeded(self, job: ObjectState, run: AnyRun) -> None:
        """Delete all pods that succeeded in one request, if all of them are to be deleted.

        The request selects by labels, so it is not sent when pods of others carry them.
        """
        if self._pods.has_strangers(run.ref.uid):
            return
        pods = self._pods.of(run.ref.uid)
        succeeded = {name for name, pod in pods.items() if pod.status.phase == "Succeeded" and not pod.gone}
        if all(name in job.to_delete or pods[name].metadata.deletion_timestamp for name in succeeded):
            await self._client.delete_succeeded_pods(run.ref.namespace, run.ref.uid)
            job.to_delete -= succeeded
