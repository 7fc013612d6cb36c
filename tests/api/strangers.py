"""Pods, Jobs and ConfigMaps of somebody who can compute our labels and names."""

from __future__ import annotations

import asyncio
import copy
import re
from collections.abc import Mapping
from typing import Any

from podgraph.planning.model.names import GROUP, MANAGED_BY, MANAGED_BY_LABEL, OP_ANNOTATION
from podgraph.reconcile.metrics import Metrics

from .fake import FakeCluster

Obj = dict[str, Any]
EVIL = "evil"

FORGERIES: dict[str, Mapping[str, Any] | None] = {
    "bare": None,
    "of another kind": {"kind": "JobSchedule"},
    "of another group": {"apiVersion": "batch/v1"},
    "of another uid": {"uid": "00000000-0000-0000-0000-000000000000"},
    "not controlled": {"controller": False},
}
"""What is wrong with a pod that claims to be a Job's, by what it is called."""


def forged(pod: Mapping[str, Any], namespace: str, how: str = "", **meta: Any) -> Obj:
    """Return a copy of a pod, or of a manifest of one, as somebody else would make it; `how` see FORGERIES."""
    old = pod["metadata"]
    made: Obj = {"name": old["name"], "namespace": namespace, "labels": dict(old["labels"]), **meta}
    made["annotations"] = dict(old.get("annotations") or {})
    owners = [dict(owner) for owner in old.get("ownerReferences") or ()]
    change = FORGERIES[how] if how else {}
    if change is not None:
        made["ownerReferences"] = [{**owner, **change} for owner in owners]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": copy.deepcopy(dict(pod["spec"]))}


class Mirror:
    """Makes, of each pod that is made in `default`, one of the same name and labels in `evil`, which ends at once."""

    def __init__(self, fake: FakeCluster, how: str = "") -> None:
        self.fake, self.how = fake, how
        self.made: list[str] = []
        fake.collector.paused = True  # else such pods would go by themselves
        fake.store.listeners.append(self._seen)

    def _seen(self, change: Any) -> None:
        pod = change.new.obj
        ours = pod["metadata"].get("namespace") == "default" and change.type == "ADDED"
        if change.resource is self.fake.pods and ours:
            asyncio.get_running_loop().call_soon(self._copy, pod)

    def _copy(self, pod: Obj) -> None:
        name = pod["metadata"]["name"]
        if self.fake.find("pods", EVIL, name) is None:
            self.fake.create(forged(pod, EVIL, self.how))
            self.fake.finish_pod(EVIL, name, 0, "result=666")
            self.made.append(pod["metadata"]["annotations"].get(OP_ANNOTATION, ""))


def claimed(uid: str, name: str, namespace: str = "default", op: str = "b") -> Obj:
    """Return a pod without an owner that has the labels of a Job's step."""
    labels = {MANAGED_BY_LABEL: MANAGED_BY, f"{GROUP}/job": "j", f"{GROUP}/job-uid": uid, f"{GROUP}/op": op}
    spec = {"containers": [{"name": "step", "image": "i"}], "restartPolicy": "Never"}
    meta = {"name": name, "namespace": namespace, "labels": labels, "annotations": {OP_ANNOTATION: op}}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


def ignored(metrics: Metrics) -> dict[tuple[str, str], int]:
    """Return how many objects were ignored, by kind and reason."""
    line = re.compile(r'podgraph_ignored_objects_total\{kind="(\w+)",reason="(\w+)"\} (\d+)')
    return {(m[1], m[2]): int(m[3]) for m in line.finditer(metrics.text().decode())}
