"""What the API server fills in when a pod is created."""

from __future__ import annotations

from typing import Any

Obj = dict[str, Any]

_DEFAULTS: Obj = {
    "restartPolicy": "Always",
    "terminationGracePeriodSeconds": 30,
    "dnsPolicy": "ClusterFirst",
    "securityContext": {},
    "schedulerName": "default-scheduler",
    "priority": 0,
    "enableServiceLinks": True,
    "preemptionPolicy": "PreemptLowerPriority",
}
_CONTAINER: Obj = {
    "resources": {},
    "terminationMessagePath": "/dev/termination-log",
    "terminationMessagePolicy": "File",
}
_TOLERATIONS = [
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    for key in ("not-ready", "unreachable")
]


def with_defaults(pod: Obj) -> Obj:
    """The pod with a defaulted spec and the status of a pod nobody has looked at yet."""
    spec = {**_DEFAULTS, **(pod.get("spec") or {})}
    spec["tolerations"] = [*(spec.get("tolerations") or []), *_TOLERATIONS]
    for field in ("containers", "initContainers"):
        if spec.get(field):
            spec[field] = [_container(container) for container in spec[field]]
    status: Obj = {"phase": "Pending", "qosClass": qos_class(spec)}
    if spec.get("schedulingGates"):
        why = {"reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates"}
        why["lastTransitionTime"] = pod["metadata"]["creationTimestamp"]
        status["conditions"] = [{"type": "PodScheduled", "status": "False", **why}]
    return {**pod, "spec": spec, "status": status}


def _container(container: Obj) -> Obj:
    image = container.get("image", "")
    tag = image.rpartition("/")[2].partition(":")[2]
    pull = "Always" if tag in ("", "latest") and "@" not in image else "IfNotPresent"
    return {**_CONTAINER, "imagePullPolicy": pull, **container}


def qos_class(spec: Obj) -> str:
    """Guaranteed, Burstable or BestEffort, from the containers' resources."""
    resources = [c.get("resources") or {} for c in (*spec.get("containers", ()), *spec.get("initContainers", ()))]
    if not any(r.get("requests") or r.get("limits") for r in resources):
        return "BestEffort"
    for r in resources:
        limits = r.get("limits") or {}
        requests = {**limits, **(r.get("requests") or {})}
        if any(not limits.get(name) or limits[name] != requests[name] for name in ("cpu", "memory")):
            return "Burstable"
    return "Guaranteed"
