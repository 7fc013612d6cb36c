"""Who tries first when a pod has ended: the Jobs and JobDefinitions of its namespace whose pods found no room."""

from __future__ import annotations

from collections.abc import Callable

from podgraph.planning.pods.state import Phase, observe
from podgraph.planning.pods.types import Pod

__all__ = ["RoomQueue"]

_TURNS = 3
"""How many try for the room that one pod leaves: the first may need more of it."""


class RoomQueue:
    """Who waits in which namespace, first come first served; who tries in vain goes to the end.

    `on_full(namespace)` is called when a pod that could run found no room. All others try again by their own timers
    (see :class:`~podgraph.planning.pods.room.Room`), so a missed event delays nobody for long.
    """

    def __init__(self, on_full: Callable[[str], None]) -> None:
        self.full = on_full
        self._waiting: dict[str, dict[str, Callable[[], None]]] = {}
        self._namespace_of: dict[str, str] = {}

    def wait(self, namespace: str, uid: str, wake: Callable[[], None]) -> None:
        """Put an object at the end of its queue."""
        self.leave(uid)
        self._waiting.setdefault(namespace, {})[uid] = wake
        self._namespace_of[uid] = namespace

    def leave(self, uid: str) -> None:
        """Forget an object."""
        namespace = self._namespace_of.pop(uid, None)
        if namespace is not None:
            del self._waiting[namespace][uid]
            if not self._waiting[namespace]:
                del self._waiting[namespace]

    def pod_changed(self, pod: Pod) -> None:
        """Wake who is first in the queue of the namespace, if the pod takes no more room."""
        waiting = self._waiting.get(pod.metadata.namespace)
        if not waiting or not _takes_no_room(pod):
            return
        for uid, wake in list(waiting.items())[:_TURNS]:
            self.leave(uid)
            wake()


def _takes_no_room(pod: Pod) -> bool:
    return pod.gone or pod.status.phase in ("Succeeded", "Failed") or observe(pod).phase in (Phase.ENDED, Phase.GONE)
