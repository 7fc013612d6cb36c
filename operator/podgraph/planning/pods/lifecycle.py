"""The life of one pod: asked for, scheduled, running, reported, exited, gone.

Every pod of a Job goes the same way, whether it runs one step, some steps or all of them, or reads the code. The rules
for a pod that does not start, runs too long, is deleted or vanishes with its node are here and nowhere else; what
follows for the steps is decided by the owner of the pod.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from podgraph.planning.actions import Actions
from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.scheduling_gates import Gates
from podgraph.planning.pods.state import Phase, PodState
from podgraph.planning.pods.timeouts import deadline_of_pod, lost_at, node_lost
from podgraph.planning.pods.types import Pod

__all__ = ["Look", "PodLifecycle", "Stage"]


class Stage(Enum):
    """What one look at a pod shows."""

    UNSEEN = "Unseen"
    """The pod was asked for and has not been seen, or whether it is gone is being confirmed."""
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"
    """The pod was told to end and has not ended."""
    OVERTIME = "Overtime"
    """The pod runs longer than it may: the owner has to end it."""
    ENDED = "Ended"
    LOST = "Lost"
    """The pod went without an end of its own: it was deleted, or its node is silent."""
    GIVEN_UP = "GivenUp"
    """The pod did not start in time, or cannot start."""


@dataclass(frozen=True)
class Look:
    """The answer of :meth:`PodLifecycle.look`.

    `seen` is the state of the pod, None while there is none; `outcome` says how the attempt ends when the stage is
    OVERTIME, LOST or GIVEN_UP; `due` is the time of the next look that needs no news.
    """

    stage: Stage
    seen: PodState | None = None
    outcome: Outcome | None = None
    due: float | None = None


class PodLifecycle:
    """Follows one pod by its name; `uid` is known once the pod exists.

    `held` says that a scheduling gate held the pod when it was last seen, before a restart. `noun` names the pod in
    messages.
    """

    __slots__ = ("_confirmed", "_gates", "_noun", "_pending_seconds", "_stuck_since", "name", "uid")

    def __init__(
        self, name: str, pending_seconds: float, uid: str = "", held: bool = False, noun: str = "its pod"
    ) -> None:
        self.name, self.uid = name, uid
        self._pending_seconds, self._noun = pending_seconds, noun
        self._gates = Gates(held)
        self._stuck_since: float | None = None
        self._confirmed = False

    def confirm_gone(self) -> None:
        """Take in that the API server has no pod of this name."""
        self._confirmed = True

    def look(
        self, pod: Pod | None, seen: PodState | None, pass_: Pass, *, timeout: float | None = None,
        stopping: bool = False,
    ) -> Look:  # fmt: skip
        """Say how far the pod is; the pass then deletes the pod, or asks the API server for it, where that is needed.

        `seen` is the state of `pod`, both None where no pod is known. `timeout` is how many seconds the pod may run;
        `stopping` says that it was told to end.
        """
        if pod is None or seen is None:
            return self._missing(stopping, pass_.actions)
        if self.uid and self.uid != pod.metadata.uid:
            return self._lost(
                "PodDeleted", f"{self._noun} was deleted and another pod was created under its name", seen
            )
        self.uid = pod.metadata.uid
        if seen.phase is Phase.GONE:
            return self._lost(seen.reason, f"{self._noun} was deleted before it ended", seen)
        if seen.phase is Phase.ENDED:
            return Look(Stage.ENDED, seen)
        if stopping:
            return self._await_exit(pod, seen, pass_)
        return self._on_its_way(pod, seen, timeout, pass_)

    def _missing(self, stopping: bool, actions: Actions) -> Look:
        if not (self.uid or stopping):
            return Look(Stage.UNSEEN)
        if self._confirmed:
            return self._lost("PodDeleted", f"{self._noun} was deleted before it ended", None)
        actions.confirm.append(self.name)
        return Look(Stage.UNSEEN)

    def _await_exit(self, pod: Pod, seen: PodState, pass_: Pass) -> Look:
        until = lost_at(pod)
        if until is None:  # the request was lost with the operator that was to send it
            pass_.actions.deletes.append(self.name)
        elif pass_.now >= until:
            return Look(Stage.LOST, seen, node_lost(self._noun))
        return Look(Stage.STOPPING, seen, due=until)

    def _on_its_way(self, pod: Pod, seen: PodState, timeout: float | None, pass_: Pass) -> Look:
        if seen.phase is not Phase.STUCK:
            self._stuck_since = None
        elif self._stuck_since is None:
            self._stuck_since = pass_.now
        since = pass_.now if self._stuck_since is None else self._stuck_since
        ungated_at = self._gates.observe(seen, pass_.now)
        # A pod that finds no node needs the room that prestarted pods take.
        pass_.actions.unschedulable = pass_.actions.unschedulable or (
            seen.phase is Phase.STARTING and seen.reason == "Unschedulable"
        )
        deadline = deadline_of_pod(pod, seen, since, self._pending_seconds, ungated_at, timeout, self._noun)
        if deadline is None or pass_.now < deadline.time:
            stage = Stage.RUNNING if seen.phase is Phase.RUNNING else Stage.STARTING
            return Look(stage, seen, due=None if deadline is None else deadline.time)
        if deadline.wait:
            return Look(Stage.OVERTIME, seen, deadline.outcome)
        if deadline.delete:
            pass_.actions.deletes.append(self.name)
            pass_.actions.flush_status = True
        return Look(Stage.GIVEN_UP if seen.phase is not Phase.RUNNING else Stage.LOST, seen, deadline.outcome)

    def _lost(self, reason: str, message: str, seen: PodState | None) -> Look:
        return Look(Stage.LOST, seen, Outcome({}, reason, message, fault=Fault.INFRASTRUCTURE))
