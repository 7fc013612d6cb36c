"""When an attempt has had its time."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.planning.pods.fault import Fault
from podgraph.planning.pods.scheduling_gates import Gates
from podgraph.planning.pods.state import observe
from podgraph.planning.pods.timeouts import Deadline, deadline_of_pod, lost_at, unstarted_at
from podgraph.planning.pods.types import (
    Condition,
    ContainerState,
    ContainerStatus,
    Meta,
    Pod,
    PodStatus,
    Running,
    Waiting,
)
from podgraph.protocol.times import utc

NOW = 1_800_000_000.0


def time(seconds: float) -> str:
    return utc(NOW + seconds)


def pod(state: ContainerState | None, created: float | None = 0, deleted: float | None = None) -> Pod:
    meta = Meta(
        "p",
        creation_timestamp=None if created is None else time(created),
        deletion_timestamp=None if deleted is None else time(deleted),
    )
    return Pod(meta, PodStatus(container_statuses=[ContainerStatus("step", state)] if state else []))


def running(at: float = 10) -> ContainerState:
    return ContainerState(running=Running(time(at)))


def stuck(message: str = "i/o timeout") -> ContainerState:
    return ContainerState(waiting=Waiting("ErrImagePull", message))


def first(made: Pod, timeout: float | None = None, since: float = 0) -> Deadline | None:
    return deadline_of_pod(made, observe(made), NOW + since, 600, timeout=timeout)


@pytest.mark.parametrize(
    ("made", "timeout", "expected"),
    [
        (pod(None), 5.0, (600, "PendingTimeout")),
        (pod(None, created=None), 5.0, None),
        (pod(running()), None, None),
        (pod(running()), 5.0, (15, "Timeout")),
        (pod(stuck()), 5.0, (600, "PendingTimeout")),
        (pod(stuck("unauthorized")), 5.0, (30, "ErrImagePull")),
        (pod(stuck(), created=None), 5.0, None),
        (pod(stuck("not found")), 5.0, (0, "ErrImagePull")),
        (pod(stuck(), created=-580), 5.0, (20, "PendingTimeout")),
        (pod(running(), deleted=20), None, (50, "NodeLost")),
        (pod(running(), deleted=20), 5.0, (15, "Timeout")),
        (pod(None, deleted=20), None, (50, "NodeLost")),
    ],
)
def test_the_first_deadline(made: Pod, timeout: float | None, expected: Any) -> None:
    found = first(made, timeout)
    assert (found and (found.time - NOW, found.outcome.reason)) == expected


def test_how_an_attempt_ends() -> None:
    ran = first(pod(running()), 5.0)
    assert ran is not None
    assert (ran.wait, ran.outcome.fault) == (True, Fault.APPLICATION)
    lost = first(pod(running(), deleted=0))
    assert lost is not None
    assert (lost.wait, lost.delete, lost.outcome.fault) == (False, False, Fault.INFRASTRUCTURE)
    never = first(pod(None))
    assert never is not None
    assert (never.wait, never.delete, never.outcome.fault) == (False, True, Fault.INFRASTRUCTURE)
    wrong = first(pod(stuck("not found")))
    assert wrong is not None
    assert wrong.outcome.fault is Fault.PERMANENT


def test_the_words_for_a_pod_that_does_not_run() -> None:
    found = first(pod(stuck(), created=-600), since=-10)
    assert found is not None
    assert found.outcome.message == "its pod was not running within 600 seconds: ErrImagePull: i/o timeout"


def gated(created: float = 0) -> Pod:
    held = Condition("PodScheduled", "False", "SchedulingGated", "Scheduling is blocked")
    return Pod(Meta("p", creation_timestamp=time(created)), PodStatus(conditions=[held]))


def test_a_gate_holds_the_clock() -> None:
    assert first(gated(created=-10_000)) is None
    made = pod(None, created=-10_000)
    late = deadline_of_pod(made, observe(made), NOW, 600, ungated_at=NOW - 100)
    assert late is not None
    assert late.time == NOW + 500


def test_a_gate_is_known_by_what_was_seen_and_after_a_restart_by_what_was_told() -> None:
    held, free = observe(gated()), observe(pod(None))
    gates = Gates()
    assert [gates.observe(*seen) for seen in ((free, 1.0), (held, 2.0), (free, 3.0), (free, 4.0))] == [
        0.0,
        0.0,
        3.0,
        3.0,
    ]
    assert Gates(held=True).observe(free, 5.0) == 5.0


def test_single_times() -> None:
    made = pod(running())
    assert unstarted_at(made, observe(made), 60) is None
    assert lost_at(made) is None
