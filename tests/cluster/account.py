"""The ServiceAccount of the chart: the tests on a cluster run the operator with its rights alone."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from chart.rendering import render
from cluster.kube import Kube, new_namespace

__all__ = ["granted"]

RELEASE = "podgraph-tests"
VALUES = (
    "storage.createClaim.enabled=true", "rbac.aggregate=false",
    'sensors.watch=[{"apiGroups":[""],"resources":["configmaps"]}]',
)  # fmt: skip
_KINDS = ("ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@contextlib.contextmanager
def granted(kube: Kube, folder: Path, *values: str) -> Iterator[str]:
    """Make the account with what the chart grants it; yield the path of a kubeconfig that has its token alone."""
    with new_namespace(kube) as home:
        rendered = render(*VALUES, *values, namespace=home.namespace, release=RELEASE)
        documents = [document for document in rendered if document["kind"] in _KINDS]
        assert "ServiceAccount" in {document["kind"] for document in documents}
        try:
            for document in documents:
                where = document["metadata"].get("namespace", home.namespace)
                Kube(kube.kubectl, kube.kubeconfig, where).apply([document])
            yield str(_kubeconfig(home, folder / "operator-kubeconfig"))
        finally:
            for document in documents:  # the account goes with its namespace
                if document["kind"].startswith("Cluster"):
                    kube.delete(document["kind"], document["metadata"]["name"])


def _kubeconfig(home: Kube, path: Path) -> Path:
    """Write a kubeconfig for the account at the cluster of `home`."""
    config = json.loads(home.run("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
    token = home.run("create", "token", RELEASE, "--duration=8h").strip()
    config["users"] = [{"name": "operator", "user": {"token": token}}]
    cluster = config["clusters"][0]["name"]
    context = {"cluster": cluster, "user": "operator", "namespace": home.namespace}
    config["contexts"] = [{"name": "operator", "context": context}]
    config["current-context"] = "operator"
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path
