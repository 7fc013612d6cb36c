"""One table of pod histories, run over every kind of pod that a Job has: they all live by the same rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from builders import NOW, SETTINGS, PodBuilder, job, op, pod
from podgraph import job as job_of
from podgraph import op as python_op
from podgraph.planning.actions import Actions
from podgraph.planning.job.run import Run
from podgraph.protocol.graph_codec import pack

CODE = {"module": "m"}


@python_op
def alone() -> int:
    return 1


@python_op(pod="p")
def first() -> int:
    return 1


@python_op(pod="p")
def second(i: int) -> int:
    return i


@job_of
def one() -> None:
    alone()


@job_of
def pair() -> None:
    second(first())


def of_code(graph: Any, **spec: Any) -> Run:
    return Run(job({"graph": pack(graph)}, code=CODE, **spec), SETTINGS)


KINDS: dict[str, Callable[[], Run]] = {
    "script": lambda: Run(job(ops=[op("a")]), SETTINGS),
    "Python op": lambda: of_code(one.graph),
    "pod group of containers": lambda: Run(job(ops=[op("a", pod="p"), op("b", "a", pod="p")]), SETTINGS),
    "pod group of Python ops": lambda: of_code(pair.graph),
    "all steps in one pod": lambda: of_code(one.graph, execution={"mode": "InProcess"}),
    "resolve pod": lambda: Run(job(code=CODE), SETTINGS),
}


class Life:
    """A Job whose first pod was created at NOW, and what became of the pod."""

    def __init__(self, kind: str) -> None:
        self.run = KINDS[kind]()
        (made,) = self.run.advance({}, (), NOW).creates
        self.name = made["metadata"]["name"]
        self._containers = [container["name"] for container in made["spec"]["containers"]]
        self.run.created(self.name, self.pod().obj().metadata.uid)

    def pod(self) -> PodBuilder:
        return pod(self.name, self._containers).created(NOW)

    def see(self, after: float, made: PodBuilder | None) -> Actions:
        known = {self.name: made.obj()} if made is not None else {}
        return self.run.advance(known, [self.name], NOW + after)

    def ended(self, actions: Actions) -> bool:
        """Whether the attempt is over: the pod is deleted, or its step failed or is tried again."""
        return self.name in actions.deletes or bool(actions.events)


@pytest.fixture(params=list(KINDS))
def life(request: pytest.FixtureRequest) -> Life:
    return Life(request.param)


def test_a_pod_that_does_not_start_is_given_up_when_its_time_is_over(life: Life) -> None:
    assert not life.ended(life.see(599, life.pod()))
    actions = life.see(601, life.pod())
    assert life.name in actions.deletes
    assert any("was not running within 600 seconds" in event.message for event in actions.events)


def test_the_time_that_a_gate_holds_a_pod_does_not_count(life: Life) -> None:
    assert not life.ended(life.see(1_200, life.pod().gated()))
    assert not life.ended(life.see(1_201, life.pod()))
    assert not life.ended(life.see(1_800, life.pod()))
    assert life.name in life.see(1_802, life.pod()).deletes


def test_a_pod_that_finds_no_node_makes_prestarted_pods_give_way(life: Life) -> None:
    assert not life.see(1, life.pod().gated()).unschedulable
    assert life.see(2, life.pod().unschedulable()).unschedulable


def test_a_container_that_cannot_start_for_now_has_its_grace(life: Life) -> None:
    assert not life.ended(life.see(1, life.pod().stuck()))
    assert not life.ended(life.see(30, life.pod().stuck()))
    assert life.name in life.see(32, life.pod().stuck()).deletes


def test_a_registry_that_does_not_answer_is_waited_for_as_any_pod(life: Life) -> None:
    silent = "dial tcp: lookup registry-1.docker.io: i/o timeout"
    for at in (1, 32, 590):
        assert not life.ended(life.see(at, life.pod().stuck(message=silent)))
    assert life.name in life.see(602, life.pod().stuck("ImagePullBackOff", f"Back-off: {silent}")).deletes


def test_a_container_that_can_never_start_is_given_up_at_once(life: Life) -> None:
    assert life.name in life.see(1, life.pod().stuck("ErrImageNeverPull", "not present")).deletes


def test_a_pod_that_recovers_has_its_whole_grace_again(life: Life) -> None:
    life.see(1, life.pod().stuck())
    life.see(29, life.pod())
    assert not life.ended(life.see(40, life.pod().stuck()))
    assert life.name in life.see(71, life.pod().stuck()).deletes


def test_a_pod_that_was_deleted_is_not_waited_for_when_its_node_is_silent(life: Life) -> None:
    life.see(1, life.pod().running(NOW))
    assert not life.ended(life.see(2, life.pod().running(NOW).deleted(NOW + 32)))
    assert not life.ended(life.see(61, life.pod().running(NOW).deleted(NOW + 32)))
    actions = life.see(63, life.pod().running(NOW).deleted(NOW + 32))
    assert any("its node does not report that it ended" in event.message for event in actions.events)


def test_a_pod_that_is_gone_was_deleted(life: Life) -> None:
    actions = life.see(1, life.pod().running(NOW).gone())
    assert any("was deleted before it ended" in event.message for event in actions.events)


# The resolve pod is made again under its name: to read the code twice does no harm.
@pytest.mark.parametrize("life", [kind for kind in KINDS if kind != "resolve pod"], indirect=True)
def test_a_pod_that_is_not_seen_any_more_is_looked_for_before_it_counts_as_deleted(life: Life) -> None:
    life.see(1, life.pod().running(NOW))
    assert life.see(2, None).confirm == [life.name]
    life.run.confirm_gone(life.name)
    assert any("was deleted before it ended" in event.message for event in life.see(3, None).events)


def test_another_pod_under_its_name_ends_the_attempt(life: Life) -> None:
    life.see(1, life.pod().running(NOW))
    actions = life.see(2, life.pod().running(NOW).uid("another"))
    assert any("another pod was created under its name" in event.message for event in actions.events)
