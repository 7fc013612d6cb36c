"""What a Run needs of whatever runs its steps: a pod for each, pods that some share, or one pod for all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from podgraph.planning.actions import Actions
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.room import Room
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.stop import Stop
from podgraph.planning.steps.timers import Timers

__all__ = ["StepExecutor"]


class StepExecutor(Protocol):
    """Runs the steps of one Job. All that it decides follows from the status, the pods and the time.

    In each pass the Run calls `observe`, then one of `start`, `hold` and `stop`. In between come `take_lines` and the
    answers to what `Actions` asked for.
    """

    timers: Timers
    """When it has to be called without news."""
    stopped: Stop | None
    """Why it ends its steps; None while it does not."""
    waiting: str
    """Why the one pod that runs all steps does not run, for the Job's condition; empty for other executors."""
    room: Room
    """Whether there is room for its pods."""
    exits: dict[str, float]
    """Pods that reported a result and have not exited, and the time until which they may."""

    @property
    def steps(self) -> Steps:
        """The steps and their records."""

    @property
    def pod_names(self) -> list[str]:
        """The names of the pods that may be under way."""

    @property
    def done(self) -> bool:
        """Whether no step can change any more."""

    @property
    def waiting_pods(self) -> int:
        """How many prestarted pods wait for their inputs."""

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`pods_patch` would return anything."""

    def pods_patch(self) -> dict[str, Any]:
        """Return what changed in `status.pods` since the last call, empty when nothing did."""

    def observe(self, changed: Iterable[str], pass_: Pass) -> None:
        """Look at the pods that changed, and at the steps whose time has come."""

    def start(self, pass_: Pass) -> None:
        """Begin what is ready, as far as the limits of the Job have room."""

    def hold(self, pass_: Pass) -> None:
        """Begin nothing: the Job is suspended."""

    def stop(self, stop: Stop, pass_: Pass) -> None:
        """End all that is not at its end; calls after the first change nothing."""

    def pause_ahead(self, now: float) -> bool:
        """Prestart no pods for a while; return whether any waits and has to go."""

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> bool:
        """Take in lines of a log and return whether they are news.

        `whole` says that the pod has ended and no others come.
        """

    def created(self, pod_name: str, uid: str) -> None:
        """Take in that a pod exists."""

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Take in that the API server refuses a pod for good."""

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Take in that there is no room for a pod yet; return whether its step could run, not only wait in it."""

    def uid_of(self, pod_name: str) -> str:
        """Return the uid of the pod of this name, empty while it is not known."""

    def confirm_gone(self, pod_name: str) -> None:
        """Take in that a pod which `confirm` named does not exist."""
