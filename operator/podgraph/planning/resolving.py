"""The resolve pod: it reads the Job's Python code in the user's image and tells its graph."""

from __future__ import annotations

from collections.abc import Mapping

from podgraph.definition.errors import DefinitionError
from podgraph.planning import manifests
from podgraph.planning.actions import Actions
from podgraph.planning.conditions import Conditions
from podgraph.planning.deadlines import unstarted_at
from podgraph.planning.making import PodMaker
from podgraph.planning.observe import Phase, Seen, grace_of, observe
from podgraph.planning.outcome import read_record
from podgraph.planning.pods import Pod
from podgraph.runtime.protocol import Record

__all__ = ["Resolver"]


class Resolver:
    """Follows one Job's resolve pod. `pending_seconds` is how long it may stay without running."""

    def __init__(self, maker: PodMaker, conditions: Conditions, pending_seconds: float) -> None:
        self.copied = False
        self._maker = maker
        self._conditions = conditions
        self._pending_seconds = pending_seconds
        self._stuck: float | None = None  # since when its pod cannot start

    def look(self, pods: Mapping[str, Pod], suspended: bool, now: float, actions: Actions) -> str:
        """Return the packed graph, "" while the pod is not done.

        Raises DefinitionError when there will be none. While the Job is suspended no pod is made.
        """
        pod = pods.get(self._maker.resolve_name)
        if pod is None:
            if suspended:
                return ""
            if self._maker.code_map and not self.copied:
                actions.copy_code = True
                return ""
            actions.creates.append(self._maker.resolve_pod())
            self._conditions.resolving("", now, actions)
            return ""
        seen = observe(pod)
        if seen.phase is Phase.GONE:
            raise DefinitionError("PodDeleted", "the resolve pod was deleted before it had told the graph")
        if seen.phase is not Phase.ENDED:
            self._wait(pod, seen, now, actions)
            return ""
        record = self._record(seen)
        if record is None:
            raise DefinitionError("ResolveFailed", _no_record(seen))
        if record.outcome == "Failed":
            raise DefinitionError(record.reason or "CodeError", record.message)
        if not record.graph:
            actions.read_log = self._maker.resolve_name
        return record.graph

    def record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the resolve pod's record, for reading its log."""
        pod = pods.get(self._maker.resolve_name)
        return self._record(observe(pod)) if pod is not None else None

    def _record(self, seen: Seen) -> Record | None:
        return read_record(seen, self._maker.nonce_of("", 1))

    def _wait(self, pod: Pod, seen: Seen, now: float, actions: Actions) -> None:
        """Let the pod start and run; give it up, and delete it, when it cannot."""
        if seen.phase is Phase.STUCK:
            self._stuck = now if self._stuck is None else self._stuck
            until = self._stuck + grace_of(seen)
            if now >= until:
                actions.deletes.append(pod.metadata.name)
                reason = "ImagePullFailed" if "Image" in seen.reason else seen.reason
                raise DefinitionError(reason, f"the resolve pod cannot start: {seen.reason}: {seen.message}")
            actions.look_again(until)
        else:
            self._stuck = None
        late = unstarted_at(pod, seen, self._pending_seconds)
        if late is not None:
            if now >= late:
                actions.deletes.append(pod.metadata.name)
                why = f": {seen.reason}: {seen.message}" if seen.reason else ""
                raise DefinitionError(
                    "PendingTimeout", f"the resolve pod was not running within {self._pending_seconds:g} seconds{why}"
                )
            actions.look_again(late)
        self._conditions.resolving(f"{seen.reason}: {seen.message}" if seen.reason else "", now, actions)


def _no_record(seen: Seen) -> str:
    if seen.reason == "DeadlineExceeded":
        return f"reading the code took longer than {manifests.RESOLVE_SECONDS} seconds"
    tail = f": {seen.text.strip()[-600:]}" if seen.text.strip() else ""
    return f"the resolve pod told no graph; {seen.message or 'it exited with code 0'}{tail}"
