"""Claims for tests: a volume that is a folder of the node, for clusters that make none themselves."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cluster.kube import Kube

__all__ = ["Folder", "node_claim"]

BUSYBOX = "busybox:1"


@dataclass(frozen=True)
class Folder:
    """A folder of the node as a pod has it at /folder, which stays for as long as the folder is used."""

    kube: Kube
    pod: str

    def run(self, script: str) -> str:
        """Run a script there as root and return what it prints."""
        return self.kube.run("exec", self.pod, "--", "/bin/sh", "-ec", script)

    def files(self) -> list[str]:
        """Return the files below it, by their path in it."""
        found = self.run("cd /folder && find . -type f").splitlines()
        return sorted(line.removeprefix("./") for line in found)

    def text(self, name: str) -> str:
        """Return the text of a file below it."""
        return self.run(f"cat '/folder/{name}'")


@contextlib.contextmanager
def node_claim(kube: Kube, claim: str) -> Iterator[Folder]:
    """Make a volume and its claim, on a folder that everybody may write to."""
    name = f"{kube.namespace}-{claim}"
    path = f"/var/tmp/{name}"
    spec = {"capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"]}
    of_claim = {"claimRef": {"namespace": kube.namespace, "name": claim}, "persistentVolumeReclaimPolicy": "Retain"}
    volume = {
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {**spec, **of_claim, "hostPath": {"path": path}},
    }
    asked = {"accessModes": ["ReadWriteOnce"], "storageClassName": "", "volumeName": name}
    with _folder(kube, path) as folder:
        folder.run("chmod 0777 /folder")
        kube.create({"apiVersion": "v1", **volume})
        try:
            kube.create(
                {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": claim},
                    "spec": {**asked, "resources": {"requests": {"storage": "1Gi"}}},
                }
            )  # fmt: skip
            yield folder
        finally:
            kube.delete("pv", name)
            folder.run("rm -rf /folder/*")


@contextlib.contextmanager
def _folder(kube: Kube, path: str) -> Iterator[Folder]:
    """Keep a pod with a folder of the node, in namespace default, where that is allowed."""
    folder = Folder(kube.within("default"), f"pg-node-{time.monotonic_ns()}")
    container = {"name": "c", "image": BUSYBOX, "command": ["sleep", "3600"]}
    pod: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": folder.pod},
        "spec": {
            "restartPolicy": "Never",
            "containers": [{**container, "volumeMounts": [{"name": "folder", "mountPath": "/folder"}]}],
            "volumes": [{"name": "folder", "hostPath": {"path": path, "type": "DirectoryOrCreate"}}],
        },
    }
    folder.kube.create(pod)
    try:
        folder.kube.run("wait", "pod", folder.pod, "--for=condition=Ready", "--timeout=60s", seconds=75)
        yield folder
    finally:
        folder.kube.run("delete", "pod", folder.pod, "--wait=false", "--grace-period=0", "--force")
