from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from podgraph.cluster.client import ApiError
from podgraph.reconcile.workqueue import KeyedQueue, work


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(clock: Clock) -> KeyedQueue:
    return KeyedQueue(clock)


async def taken(queue: KeyedQueue) -> list[str]:
    """Take and finish all that is ready now."""
    keys = []
    while True:
        queue._move_due()
        if not len(queue):
            return keys
        key = await queue.get()
        queue.done(key)
        keys.append(key)


async def test_first_come_first_served_and_each_key_once(queue: KeyedQueue) -> None:
    for key in ("b", "a", "b", "c", "a"):
        queue.add(key)
    assert await taken(queue) == ["b", "a", "c"]


async def test_a_key_added_while_it_is_worked_on_comes_again_once_afterwards(queue: KeyedQueue) -> None:
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0  # no second worker gets it meanwhile
    queue.done("a")
    assert await taken(queue) == ["a"]


async def test_a_key_has_one_worker_at_a_time() -> None:
    queue = KeyedQueue()
    working: set[str] = set()
    passes = 0
    enough = asyncio.Event()

    async def work() -> None:
        nonlocal passes
        while True:
            key = await queue.get()
            assert key not in working
            working.add(key)
            await asyncio.sleep(0)
            queue.add(key)
            await asyncio.sleep(0)
            working.discard(key)
            passes += 1
            queue.done(key)
            if passes > 100:
                enough.set()

    tasks = [asyncio.create_task(work()) for _ in range(5)]
    queue.add("a")
    queue.add("b")
    await asyncio.wait_for(enough.wait(), 5)
    for task in tasks:
        task.cancel()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(error, asyncio.CancelledError) for error in ended)


async def test_a_waiting_worker_wakes_for_a_new_key(queue: KeyedQueue) -> None:
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await asyncio.wait_for(waiting, 5) == "a"


@pytest.mark.parametrize("turns", range(4))
async def test_a_worker_that_is_cancelled_as_it_wakes_ends(clock: Clock, turns: int) -> None:
    """asyncio.wait_for of Python 3.11 would swallow the cancellation, and the operator would not stop."""
    queue = KeyedQueue(clock)
    queue.add_after("later", 1_000)
    waiting = asyncio.create_task(queue.get())
    for _ in range(3):
        await asyncio.sleep(0)
    queue.done("other")  # wakes it without a key
    for _ in range(turns):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)


async def test_a_worker_that_is_cancelled_as_it_is_woken_leaves_the_key_to_another(queue: KeyedQueue) -> None:
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    queue.add("a")  # wakes the first
    first.cancel()
    assert await asyncio.wait_for(second, 5) == "a"


async def test_a_key_wakes_one_worker(queue: KeyedQueue) -> None:
    workers = [asyncio.create_task(queue.get()) for _ in range(5)]
    await asyncio.sleep(0)
    queue.add("a")
    assert len(queue._sleepers) == 4
    queue.add("b")
    assert len(queue._sleepers) == 3
    await asyncio.wait(workers, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    await asyncio.sleep(0)
    assert sorted(worker.result() for worker in workers if worker.done()) == ["a", "b"]
    for worker in workers:
        worker.cancel()


async def test_an_earlier_wish_moves_the_timer() -> None:
    queue = KeyedQueue()
    queue.add_after("late", 60)
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after("soon", 0.01)
    queue.add_after("soon after", 0.02)
    assert await asyncio.wait_for(waiting, 5) == "soon"
    assert await asyncio.wait_for(queue.get(), 5) == "soon after"


async def test_a_later_key_comes_when_it_is_due(queue: KeyedQueue, clock: Clock) -> None:
    queue.add_after("a", 10)
    clock.now += 9.9
    assert await taken(queue) == []
    clock.now += 0.2
    assert await taken(queue) == ["a"]
    assert await taken(queue) == []


@pytest.mark.parametrize("waits", [(5, 20), (20, 5)])
async def test_of_several_wishes_the_earliest_counts(
    queue: KeyedQueue, clock: Clock, waits: tuple[float, float]
) -> None:
    for seconds in waits:
        queue.add_after("a", seconds)
    clock.now += 6
    assert await taken(queue) == ["a"]
    clock.now += 20
    assert await taken(queue) == []


async def test_a_time_that_has_passed_is_now(queue: KeyedQueue) -> None:
    queue.add_after("a", -5)
    assert await taken(queue) == ["a"]


async def test_a_worker_waits_no_longer_than_the_next_due_key() -> None:
    queue = KeyedQueue()
    queue.add_after("a", 0.01)
    assert await asyncio.wait_for(queue.get(), 5) == "a"


def pause(queue: KeyedQueue, clock: Clock) -> float:
    return queue._due.pop("a") - clock.now


async def test_the_pause_after_failures_doubles_up_to_a_minute(queue: KeyedQueue, clock: Clock) -> None:
    for most in (0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60, 60, 60, 60, 60, 60):
        queue.add_failed("a")
        assert most / 2 <= pause(queue, clock) <= most
    queue.succeeded("a")
    queue.add_failed("a")
    assert pause(queue, clock) <= 0.4
    queue.succeeded("never failed")


async def test_namespaces_take_turns(clock: Clock) -> None:
    queue = KeyedQueue(clock, lambda key: key[0])
    for key in ("a1", "a2", "a3", "b1", "b2"):
        queue.add(key)
    assert await taken(queue) == ["a1", "b1", "a2", "b2", "a3"]


async def test_one_namespace_never_has_all_workers(clock: Clock) -> None:
    queue = KeyedQueue(clock, lambda key: key[0], most=2)
    for at in range(10):
        queue.add(f"a{at}")
    assert [await queue.get(), await queue.get()] == ["a0", "a1"]
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.add("b0")
    assert await asyncio.wait_for(waiting, 1) == "b0"
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.done("a1")
    assert await asyncio.wait_for(waiting, 1) == "a2"


@pytest.mark.parametrize("error", [ApiError(500, "InternalError", "no"), RuntimeError("no")])
async def test_work_tries_a_failed_key_again_and_times_each_try(error: Exception) -> None:
    queue, tries, timed, over = KeyedQueue(), list[str](), list[str](), asyncio.Event()

    @contextlib.contextmanager
    def timer() -> Iterator[None]:
        try:
            yield
        finally:
            timed.append(tries[-1])

    async def reconcile(key: str) -> None:
        tries.append(key)
        if key == "a" and tries.count("a") == 1:
            raise error
        if tries.count("a") == 2:
            over.set()

    task = asyncio.create_task(work(queue, reconcile, "key", timer))
    for key in ("a", "b"):
        queue.add(key)
    try:
        await asyncio.wait_for(over.wait(), 10)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert (tries, timed) == (["a", "b", "a"], ["a", "b", "a"])
