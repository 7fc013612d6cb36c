"""The commands ask the cluster for names alone: an empty one would be all there are, and `..` something else."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from podgraph.cli.cluster import Cluster
from podgraph.definition.errors import DefinitionError


def unasked() -> Cluster:
    """A cluster that fails when it is asked for anything."""
    found = Cluster.__new__(Cluster)
    found.namespace, found._jobs, found._pods = "default", SimpleNamespace(), SimpleNamespace()
    return found


CALLS: list[Callable[[Cluster, str], Any]] = [
    Cluster.get,
    Cluster.delete,
    Cluster.pod,
    lambda cluster, name: cluster.delete_pod(name, "uid"),
    lambda cluster, name: cluster.change(name, {}),
    lambda cluster, name: cluster.annotate(name, {}),
    lambda cluster, name: cluster.replace({"metadata": {"name": name}}),
    lambda cluster, name: cluster.apply({"metadata": {"name": name}, "spec": {}}),
    lambda cluster, name: list(cluster.log(name, follow=False)),
]


@pytest.mark.parametrize("name", ["", "..", ".", "A", "a?b", "a\n"])
@pytest.mark.parametrize("call", CALLS)
def test_what_is_no_name_is_not_asked_for(call: Callable[[Cluster, str], Any], name: str) -> None:
    with pytest.raises(DefinitionError, match="is not allowed") as refused:
        call(unasked(), name)
    assert refused.value.reason == "InvalidName"


@pytest.mark.parametrize("namespace", ["..", "a/b", "A", "a.b"])
def test_a_namespace_is_a_name(namespace: str) -> None:
    with pytest.raises(DefinitionError, match="the namespace: "):
        Cluster(namespace)
