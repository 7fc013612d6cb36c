"""The operator that works in two namespaces, with a Role in each and nothing of the whole cluster."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.account import granted
from cluster.conftest import OperatorProcess
from cluster.kube import Kube, job_manifest, new_namespace, outputs_of

CODE = """
from podgraph import job, op

@op
def one():
    return 1

@job
def j():
    one()
"""


@pytest.fixture
def watched(kube: Kube, operator: OperatorProcess, tmp_path: Path) -> Iterator[tuple[Kube, Kube, Kube]]:
    """Two namespaces that it watches and one that it does not."""
    with contextlib.ExitStack() as stack:
        one, two, other = (stack.enter_context(new_namespace(kube)) for _ in range(3))
        names = [one.namespace, two.namespace]
        account = stack.enter_context(granted(kube, tmp_path, f"watchNamespaces={json.dumps(names)}"))
        before = operator.kubeconfig
        operator.stop()
        operator.kubeconfig = account
        operator.settings["PODGRAPH_WATCH_NAMESPACES"] = ",".join(names)
        try:
            operator.start()
            yield one, two, other
        finally:
            operator.stop()
            operator.kubeconfig = before
            del operator.settings["PODGRAPH_WATCH_NAMESPACES"]
            operator.start()


def test_jobs_of_watched_namespaces_run_and_no_others(watched: tuple[Kube, Kube, Kube], step_image: str) -> None:
    one, two, other = watched
    for namespace in (other, one, two):
        namespace.apply(job_manifest("j", code={"source": CODE, "image": step_image}))
    for namespace in (one, two):
        assert outputs_of(namespace.wait_finished("j"), "one") == {"result": 1}
    assert "status" not in other.get("pgj", "j")


def test_a_namespace_that_goes_does_not_stop_the_others(
    operator: OperatorProcess, watched: tuple[Kube, Kube, Kube], step_image: str
) -> None:
    one, two, _ = watched
    two.run("delete", "namespace", two.namespace, "--timeout=90s", seconds=100)
    one.apply(job_manifest("beside", code={"source": CODE, "image": step_image}))
    one.wait_finished("beside")
    operator.kill()
    operator.start()  # and one that is not there does not keep it from being ready
    one.apply(job_manifest("after", code={"source": CODE, "image": step_image}))
    one.wait_finished("after")
