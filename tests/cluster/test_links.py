"""Direct links between real pods and the operator, and what becomes of Jobs when there is none."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from cluster import s3
from cluster.kube import Kube, job_manifest, outputs_of

CODE = """
import time
from podgraph import job, op

@op
def first():
    time.sleep(4)
    return 1

@op
def second(x):
    time.sleep({seconds})
    return x + 1

@op
def third(x):
    return x + 1

@job
def j():
    third(second(first()))
"""
GROUP = {"mode": "InProcess"}
pytestmark = pytest.mark.skipif(not s3.can_serve(), reason="only pods of the node of `make up` reach this machine")


def counted(operator: Any, name: str) -> float:
    with urllib.request.urlopen(f"{operator.url}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_pods_are_linked_while_they_live(namespace: Kube, operator: Any) -> None:
    namespace.create(job_manifest("steps", code={"source": CODE.format(seconds=1)}))
    namespace.wait_for(
        "two links: one that runs, one that waits", lambda: counted(operator, "podgraph_linked_pods") == 2
    )
    assert outputs_of(namespace.wait_finished("steps"), "third") == {"result": 3}
    namespace.create(job_manifest("group", code={"source": CODE.format(seconds=4)}, execution=GROUP))
    namespace.wait_for("the group's link", lambda: counted(operator, "podgraph_linked_pods") == 1)
    assert outputs_of(namespace.wait_finished("group"), "third") == {"result": 3}
    namespace.wait_for("no links", lambda: counted(operator, "podgraph_linked_pods") == 0)


@pytest.fixture(params=["", "203.0.113.1:7443"], ids=["none", "where nobody is"])
def unlinked(operator: Any, request: pytest.FixtureRequest) -> Iterator[None]:
    """An operator that pods do not reach."""

    def restart() -> None:
        operator.stop()
        operator.start()

    operator.settings["PODGRAPH_LINK"] = request.param
    restart()
    yield
    del operator.settings["PODGRAPH_LINK"]
    restart()


@pytest.mark.usefixtures("unlinked")
def test_without_a_link_values_pass_all_the_same(namespace: Kube, operator: Any) -> None:
    namespace.create(job_manifest("steps", code={"source": CODE.format(seconds=0)}))
    namespace.create(job_manifest("group", code={"source": CODE.format(seconds=0)}, execution=GROUP))
    for name in ("steps", "group"):
        assert outputs_of(namespace.wait_finished(name), "third") == {"result": 3}
    assert counted(operator, "podgraph_linked_pods") == 0


def test_an_operator_killed_and_started_anew_goes_on_without_the_old_links(namespace: Kube, operator: Any) -> None:
    namespace.create(job_manifest("j", code={"source": CODE.format(seconds=2)}))
    namespace.wait_for("two links", lambda: counted(operator, "podgraph_linked_pods") == 2)
    operator.kill()
    operator.start()
    job = namespace.wait_finished("j")
    assert outputs_of(job, "third") == {"result": 3}
    assert [step["attempt"] for step in job["status"]["steps"].values()] == [1, 1, 1]
