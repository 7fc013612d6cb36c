"""Which of a finished Job's pods are deleted at its end (`spec.execution.podRetention`)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from podgraph.planning.pods.state import is_alive, lingers
from podgraph.planning.pods.types import Pod

__all__ = ["pods_to_delete"]


def pods_to_delete(retention: str, pods: Mapping[str, Pod], done: Collection[str]) -> list[str]:
    """Return the names of those of a finished Job's `pods` that are to go.

    One that has not ended always goes: nobody waits for it any more, and a crash may have come before it was deleted.
    So does one that only goes on for a container beside the step's.
    Of the others `Always` keeps all, `Never` none, and `OnFailure` those not `done` (the uids of pods that did what
    they were for), with what they printed.
    """

    def is_kept(pod: Pod) -> bool:
        return retention == "Always" or (retention == "OnFailure" and pod.metadata.uid not in done)

    there = {name: pod for name, pod in pods.items() if not (pod.gone or pod.metadata.deletion_timestamp)}
    return [name for name, pod in there.items() if is_alive(pod) or lingers(pod) or not is_kept(pod)]
