"""The pods of a finished Job: which of them have time to exit, and which are deleted."""

from __future__ import annotations

from collections.abc import Mapping

from podgraph.flow import TERMINAL
from podgraph.planning.executors.pod_per_step import EXIT_SECONDS
from podgraph.planning.model import names
from podgraph.planning.model.status import StepRecord, seconds_of
from podgraph.planning.pods.pod_retention import pods_to_delete
from podgraph.planning.pods.state import is_alive, observe
from podgraph.planning.pods.types import Pods

__all__ = ["exit_deadlines", "unneeded_pods"]

Records = Mapping[str, StepRecord]


def exit_deadlines(records: Records, exits: Mapping[str, float], pods: Pods) -> dict[str, float]:
    """Return the pods that reported a result and still run, each with the time until which it may exit.

    To delete such a pod earlier could lose the upload of its log. `exits` names pods of earlier attempts.
    """
    ended = {r.pod_uid: r.completion_time for r in records.values() if r.state in TERMINAL and r.pod_uid}
    alive = {name: pod for name, pod in pods.items() if is_alive(pod)}
    found = {name: until for name, until in exits.items() if name in alive}
    for name, pod in alive.items():
        completed = ended.get(pod.metadata.uid)
        if completed is not None:
            found[name] = seconds_of(completed) + EXIT_SECONDS
    return found


def unneeded_pods(retention: str, records: Records, pods: Pods, accepted: bool) -> list[str]:
    """Return the pods that `podRetention` does not keep; `accepted` says that the Job could run as written."""
    done = {record.pod_uid for record in records.values() if record.state == "Succeeded"}
    # A pod without an op read the code, or ran all steps: its exit code tells whether all went well.
    others = [pod for pod in pods.values() if names.OP_LABEL not in pod.metadata.labels]
    done -= {pod.metadata.uid for pod in others}
    # The status of a large Job does not name the pods of ended steps (see StepRecord.to_patch).
    unnamed = {names.label_value(n) for n, r in records.items() if r.state == "Succeeded" and not r.pod_uid}
    done |= {
        pod.metadata.uid
        for pod in pods.values()
        if pod.metadata.labels.get(names.OP_LABEL) in unnamed and not observe(pod).reason
    }
    if accepted:
        done |= {pod.metadata.uid for pod in others if not observe(pod).reason}
    return pods_to_delete(retention, pods, done)
