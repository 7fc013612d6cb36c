"""Which of a finished Job's pods are deleted at its end (`spec.execution.podRetention`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from podgraph.planning.pods.state import is_alive, lingers
from podgraph.planning.pods.types import Pod

__all__ = ["pods_to_delete"]


def pods_to_delete(retention: str, pods: Mapping[str, Pod], done: Collection[str]) -> list[str]:
    """Return the names of the pods of a finished Job that are deleted.

    A pod that has not ended is always deleted: nothing waits for it, and a crash may have prevented its deletion. So is
    a pod that only runs a container beside that of the step. Of the others, `Always` keeps all, `Never` none, and
    `OnFailure` those whose uid is not in `done` (pods that succeeded).
    """

    def is_kept(pod: Pod) -> bool:
        return retention == "Always" or (retention == "OnFailure" and pod.metadata.uid not in done)

    there = {name: pod for name, pod in pods.items() if not (pod.gone or pod.metadata.deletion_timestamp)}
    return [name for name, pod in there.items() if is_alive(pod) or lingers(pod) or not is_kept(pod)]
