"""Acting as scheduler and kubelet: pod statuses, shaped as a real kubelet of Kubernetes 1.35 writes them."""

from __future__ import annotations

import hashlib
from typing import Any

from .errors import ApiError
from .logs import Logs
from .registry import Registry
from .resources import Resource
from .store import Entry, Obj

NODE, NODE_IP, POD_IP = "node-1", "10.0.0.1", "10.244.0.7"
_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


class PodActions:
    """What a test does to pods in place of a node. Every method applies at once and returns the new pod.

    All containers of a pod share the state given; the exit code and message are the first container's, the
    others end with 0. A signal is told as its exit code (128 + n), as containerd does.
    """

    registry: Registry
    logs: Logs
    pods: Resource

    def schedule_pod(self, namespace: str, name: str, node: str = NODE) -> Obj:
        """Bind the pod to a node."""
        entry = self._pod(namespace, name)
        if entry.obj["spec"].get("nodeName"):
            return entry.obj
        conditions = [self._condition(entry.obj, "PodScheduled", True)]
        obj = {**entry.obj, "spec": {**entry.obj["spec"], "nodeName": node}}
        obj["status"] = {**obj["status"], "conditions": conditions}
        return self.registry.store.put(self.pods, obj).obj

    def unschedulable_pod(self, namespace: str, name: str, message: str = "0/1 nodes are available") -> Obj:
        """As the scheduler marks a pod that fits nowhere."""
        pod = self._pod(namespace, name).obj
        condition = self._condition(pod, "PodScheduled", False, "Unschedulable", message)
        return self._set_status(pod, {**pod["status"], "conditions": [condition]})

    def wait_pod(self, namespace: str, name: str, reason: str = "ContainerCreating", message: str = "") -> Obj:
        """Pending on its node, the containers waiting: `ErrImagePull`, `CreateContainerConfigError`, ..."""
        pod = self.schedule_pod(namespace, name)
        waiting = {"reason": reason, **({"message": message} if message else {})}
        names = ", ".join(c["name"] for c in pod["spec"]["containers"])
        why = ("ContainersNotReady", f"containers with unready status: [{names}]")
        creating = reason == "ContainerCreating"
        conditions = [
            self._condition(pod, "PodReadyToStartContainers", not creating),
            self._condition(pod, "Initialized", True),
            self._condition(pod, "Ready", False, *why),
            self._condition(pod, "ContainersReady", False, *why),
            self._condition(pod, "PodScheduled", True),
        ]
        containers = [
            {**self._container(pod, c, {"waiting": waiting}), "imageID": "", "started": False}
            for c in pod["spec"]["containers"]
        ]
        return self._set_status(pod, self._status(pod, "Pending", conditions, containers))

    def run_pod(self, namespace: str, name: str) -> Obj:
        """Running: every container started now."""
        pod = self.schedule_pod(namespace, name)
        conditions = [self._condition(pod, kind, True) for kind in _CONDITIONS]
        containers = []
        for container in pod["spec"]["containers"]:
            state = {"running": {"startedAt": self.registry.now()}}
            row = self._container(pod, container, state)
            row.update(ready=True, started=True, containerID=self._container_id(pod, container))
            containers.append(row)
        status = self._status(pod, "Running", conditions, containers)
        return self._set_status(pod, {**status, "podIP": POD_IP, "podIPs": [{"ip": POD_IP}]})

    def finish_pod(
        self,
        namespace: str,
        name: str,
        exit_code: int = 0,
        message: str = "",
        reason: str | None = None,
        signal: int | None = None,
    ) -> Obj:
        """Succeeded or Failed, by the exit code; runs the pod first if it is not running.

        `message` is the termination message, at most 4096 bytes as the kubelet cuts it; `reason` the
        container's (`Completed`, `Error`; give `OOMKilled` or `StartError` when they are meant).
        """
        pod = self._pod(namespace, name).obj
        if pod["status"].get("phase") != "Running":
            pod = self.run_pod(namespace, name)
        if signal is not None:
            exit_code = exit_code or 128 + signal
        message = message.encode()[:4096].decode(errors="ignore")
        failed = exit_code != 0
        containers: list[Obj] = []
        for before, container in zip(pod["status"]["containerStatuses"], pod["spec"]["containers"], strict=True):
            first = not containers
            code = exit_code if first else 0
            done: Obj = {"exitCode": code, "reason": "Error" if code else "Completed"}
            if first and reason:
                done["reason"] = reason
            if first and message:
                done["message"] = message
            done["startedAt"] = before["state"].get("running", {}).get("startedAt")
            done["finishedAt"] = self.registry.now()
            done["containerID"] = self._container_id(pod, container)
            row = self._container(pod, container, {"terminated": done})
            row.update(started=False, containerID=done["containerID"])
            containers.append(row)
        why = "PodFailed" if failed else "PodCompleted"
        conditions = [
            self._condition(pod, "PodReadyToStartContainers", False),
            self._condition(pod, "Initialized", True, "" if failed else why),
            self._condition(pod, "Ready", False, why),
            self._condition(pod, "ContainersReady", False, why),
            self._condition(pod, "PodScheduled", True),
        ]
        status = self._status(pod, "Failed" if failed else "Succeeded", conditions, containers)
        return self._set_status(pod, {**status, "podIP": POD_IP, "podIPs": [{"ip": POD_IP}]})

    def end_container(self, namespace: str, name: str, container: str, exit_code: int = 0, message: str = "") -> Obj:
        """One container of a running pod has ended; with the last of them the pod has."""
        pod = self._pod(namespace, name).obj
        containers = []
        for row in pod["status"]["containerStatuses"]:
            if row["name"] == container:
                done: Obj = {"exitCode": exit_code, "reason": "Error" if exit_code else "Completed"}
                done |= {"message": message} if message else {}
                done |= {"startedAt": row["state"]["running"]["startedAt"], "finishedAt": self.registry.now()}
                row = {**row, "state": {"terminated": done}, "started": False}
            containers.append(row)
        ends = [row["state"]["terminated"]["exitCode"] for row in containers if "terminated" in row["state"]]
        phase = "Running" if len(ends) < len(containers) else "Failed" if any(ends) else "Succeeded"
        return self._set_status(pod, {**pod["status"], "phase": phase, "containerStatuses": containers})

    def evict_pod(
        self, namespace: str, name: str, reason: str = "Evicted", message: str = "The node was low on resource: memory."
    ) -> Obj:
        """Failed as a whole, for a pod-level reason: `Evicted`, `DeadlineExceeded`, `NodeLost`, `Preempting`."""
        pod = self.schedule_pod(namespace, name)
        status = {**pod["status"], "phase": "Failed", "reason": reason, "message": message}
        status.setdefault("startTime", self.registry.now())
        if reason != "DeadlineExceeded":
            why = ("TerminationByKubelet", message)
            others = [c for c in status.get("conditions", ()) if c["type"] != "DisruptionTarget"]
            status["conditions"] = [self._condition(pod, "DisruptionTarget", True, *why), *others]
        return self._set_status(pod, status)

    def delete_pod(self, namespace: str, name: str) -> None:
        """Gone, whatever it was doing: a forced deletion, or the kubelet confirming an ordinary one."""
        self.registry.delete(self.pods, (namespace, name), {"gracePeriodSeconds": 0})

    def end_terminating_pod(self, namespace: str, name: str, uid: str) -> None:
        """What a kubelet does with a pod being deleted: end its containers, then confirm the deletion."""
        entry = self.registry.store.get(self.pods, (namespace, name))
        if entry is None or entry.obj["metadata"]["uid"] != uid:
            return
        if entry.obj["status"].get("phase") == "Running":
            self.finish_pod(namespace, name, 143)
        self.delete_pod(namespace, name)

    def set_log(self, namespace: str, name: str, text: str) -> None:
        """Replace the log of the pod."""
        uid = self._pod(namespace, name).obj["metadata"]["uid"]
        self.logs.of(uid).lines.clear()
        self.logs.append(uid, text)

    def append_log(self, namespace: str, name: str, text: str) -> None:
        """Write to the log of the pod; those who follow it get it at once."""
        self.logs.append(self._pod(namespace, name).obj["metadata"]["uid"], text)

    def cut_logs(self, namespace: str, name: str) -> None:
        """Break the connections of those who follow the log of the pod."""
        self.logs.cut(self._pod(namespace, name).obj["metadata"]["uid"])

    # ---- shapes ----

    def _pod(self, namespace: str, name: str) -> Entry:
        return self.registry.read(self.pods, (namespace, name))

    def _set_status(self, pod: Obj, status: Obj) -> Obj:
        meta = pod["metadata"]
        if pod["status"].get("phase") in ("Succeeded", "Failed") and status["phase"] != pod["status"]["phase"]:
            raise ApiError(422, f"pod {meta['name']} has ended: {pod['status']['phase']} -> {status['phase']}")
        return self.registry.store.put(self.pods, {**pod, "status": status}).obj

    def _status(self, pod: Obj, phase: str, conditions: list[Obj], containers: list[Obj]) -> Obj:
        before = pod["status"]
        return {
            "observedGeneration": pod["metadata"]["generation"],
            "phase": phase,
            "conditions": conditions,
            "hostIP": NODE_IP,
            "hostIPs": [{"ip": NODE_IP}],
            "startTime": before.get("startTime") or self.registry.now(),
            "containerStatuses": containers,
            "qosClass": before["qosClass"],
        }

    def _condition(self, pod: Obj, kind: str, status: bool, reason: str = "", message: str = "") -> Obj:
        value = "True" if status else "False"
        before = next((c for c in pod["status"].get("conditions", ()) if c["type"] == kind), None)
        since = before["lastTransitionTime"] if before and before["status"] == value else self.registry.now()
        row: dict[str, Any] = {"type": kind, "observedGeneration": pod["metadata"]["generation"]}
        row.update(status=value, lastProbeTime=None, lastTransitionTime=since)
        row.update({key: text for key, text in (("reason", reason), ("message", message)) if text})
        return row

    @staticmethod
    def _container_id(pod: Obj, container: Obj) -> str:
        digest = hashlib.sha256(f"{pod['metadata']['uid']}/{container['name']}".encode())
        return f"containerd://{digest.hexdigest()}"

    @staticmethod
    def _container(pod: Obj, container: Obj, state: Obj) -> Obj:
        image = container["image"]
        return {
            "name": container["name"],
            "state": state,
            "lastState": {},
            "ready": False,
            "restartCount": 0,
            "image": image,
            "imageID": f"sha256:{hashlib.sha256(image.encode()).hexdigest()}",
        }
