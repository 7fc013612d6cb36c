from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from podgraph.cluster.client import ApiError
from podgraph.planning.manifests.objects import JobRef
from podgraph.reconcile.jobs.state import ObjectState
from podgraph.reconcile.jobs.status_writer import StatusWriter

REF = JobRef("j", "default", "u1")
Obj = dict[str, Any]


class World:
    """The API server and the queue as the writer sees them, at the time `now`."""

    def __init__(self) -> None:
        self.now = 100.0
        self.current: str | None = "2"
        self.failures: list[ApiError] = []
        self.written: list[tuple[str, Obj]] = []
        self.later: list[tuple[str, float]] = []
        self.gone: list[str] = []
        environment: Any = SimpleNamespace(client=self, clock=lambda: self.now)
        queue: Any = SimpleNamespace(add_after=lambda key, seconds: self.later.append((key, seconds)))
        self.writer = StatusWriter(environment, queue, self.gone.append)

    async def patch_status(self, namespace: str, name: str, version: str, status: Obj, kind: str) -> str:
        if self.failures:
            raise self.failures.pop(0)
        self.written.append((version, status))
        return "9"

    async def job_version(self, namespace: str, name: str, uid: str, kind: str) -> str | None:
        return self.current


class Steps:
    """Step records that have changed since the last write."""

    def __init__(self, *patches: Obj) -> None:
        self.patches = list(patches)

    @property
    def has_changes(self) -> bool:
        return bool(self.patches)

    def patch(self, now: float) -> Obj:
        return self.patches.pop(0) if self.patches else {}


def error(status: int) -> ApiError:
    return ApiError(status, "Reason", "no")


@pytest.fixture
def world() -> World:
    return World()


async def test_nothing_is_written_without_a_change(world: World) -> None:
    state = ObjectState({}, version="1")
    await world.writer.write(state, REF)
    await world.writer.write(state, REF, Steps())
    assert (world.written, world.later) == ([], [])


async def test_the_second_write_waits_unless_it_is_urgent(world: World) -> None:
    state, steps = ObjectState({}, version="1"), Steps({"steps": {"a": 1}}, {"steps": {"a": 2}})
    await world.writer.write(state, REF, steps)
    world.now += 0.25
    await world.writer.write(state, REF, steps)
    assert (world.written, world.later) == ([("1", {"steps": {"a": 1}})], [("u1", 0.75)])
    state.flush_status = True
    await world.writer.write(state, REF, steps)
    assert world.written[1:] == [("9", {"steps": {"a": 2}})]
    assert not state.flush_status


async def test_a_write_that_failed_is_part_of_the_next_one(world: World) -> None:
    state, steps = (
        ObjectState({}, version="1", flush_status=True),
        Steps({"steps": {"a": 1, "b": 1}}, {"steps": {"b": 2}}),
    )
    world.failures = [error(500)]
    with pytest.raises(ApiError):
        await world.writer.write(state, REF, steps)
    assert state.flush_status
    await world.writer.write(state, REF, steps)
    assert world.written == [("1", {"steps": {"a": 1, "b": 2}})]


@pytest.mark.parametrize("status", [404, 409])
async def test_a_conflict_is_tried_again_with_the_current_version(world: World, status: int) -> None:
    state = ObjectState({}, version="1", status={"x": 1})
    world.failures = [error(status)]
    await world.writer.write(state, REF)
    assert world.written == [("2", {"x": 1})]
    assert (state.version, world.gone) == ("9", [])


async def test_an_object_that_is_gone_is_reported(world: World) -> None:
    state = ObjectState({}, version="1", status={"x": 1})
    world.failures, world.current = [error(404)], None
    await world.writer.write(state, REF)
    assert (world.written, world.gone) == ([], ["u1"])
