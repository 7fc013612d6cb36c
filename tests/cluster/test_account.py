"""That the operator of these tests has the chart's rights and no others."""

from __future__ import annotations

from cluster.account import RELEASE
from cluster.conftest import OperatorProcess
from cluster.kube import Kube, KubeError


def _as_kubectl_takes_it(resource: str, *more: str) -> tuple[str, ...]:
    """Return a resource as `can-i` wants it: there `pods/exec` is the pod named exec."""
    plural, _, subresource = resource.partition("/")
    return (plural, *([f"--subresource={subresource}"] if subresource else []), *more)


def test_the_operator_is_the_charts_account(kube: Kube, operator: OperatorProcess, namespace: Kube) -> None:
    as_operator = Kube(kube.kubectl, operator.kubeconfig, namespace.namespace)
    name = as_operator.run("auth", "whoami", "-o", "jsonpath={.status.userInfo.username}")
    assert name.startswith("system:serviceaccount:pg-test-")
    assert name.endswith(f":{RELEASE}")

    def may(verb: str, *resource: str) -> bool:
        try:
            return as_operator.run("auth", "can-i", verb, *_as_kubectl_takes_it(*resource)).strip() == "yes"
        except KubeError:  # kubectl ends with 1 for no
            return False

    assert may("create", "pods")
    assert may("list", "jobs.podgraph.dev", "--all-namespaces")
    for verb, resource in (
        ("get", "secrets"), ("create", "pods/exec"), ("patch", "configmaps"), ("update", "pods"), ("get", "nodes"),
        ("create", "rolebindings"), ("impersonate", "users"), ("delete", "persistentvolumeclaims"),
        ("delete", "jobdefinitions.podgraph.dev"), ("patch", "events"), ("create", "serviceaccounts/token"),
    ):  # fmt: skip
        assert not may(verb, resource), (verb, resource)
