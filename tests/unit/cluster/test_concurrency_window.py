from __future__ import annotations

import asyncio
import time

from podgraph.cluster.concurrency_window import ConcurrencyWindow


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Tasks that go through a window and stay until they are told to leave."""

    def __init__(self, window: ConcurrencyWindow) -> None:
        self.window = window
        self.came: list[str] = []
        self.leave = asyncio.Semaphore(0)
        self.tasks: list[asyncio.Task[None]] = []

    def come(self, key: str, count: int = 1) -> None:
        self.tasks += [asyncio.create_task(self._visit(key)) for _ in range(count)]

    async def _visit(self, key: str) -> None:
        async with self.window.turn(key):
            self.came.append(key)
            await self.leave.acquire()

    async def one_leaves(self) -> None:
        self.leave.release()
        await settle()


async def test_no_more_than_its_size_are_under_way() -> None:
    visitors = Visitors(ConcurrencyWindow(first=2))
    visitors.come("a", 5)
    await settle()
    assert len(visitors.came) == 2
    await visitors.one_leaves()
    assert len(visitors.came) == 3


async def test_one_with_many_holds_up_no_other() -> None:
    visitors = Visitors(ConcurrencyWindow(first=1))
    visitors.come("large", 100)
    visitors.come("small", 2)
    await settle()
    for _ in range(5):
        await visitors.one_leaves()
    assert visitors.came[:5] == ["large", "large", "small", "large", "small"]


async def test_one_that_gives_up_leaves_its_place() -> None:
    visitors = Visitors(ConcurrencyWindow(first=1))
    visitors.come("a")
    visitors.come("b")
    visitors.come("c")
    await settle()
    visitors.tasks[1].cancel()
    await visitors.one_leaves()
    assert visitors.came == ["a", "c"]


async def test_one_that_gives_up_as_it_is_let_in_leaves_its_place() -> None:
    visitors = Visitors(ConcurrencyWindow(first=1))
    visitors.come("a")
    visitors.come("b")
    visitors.come("c")
    await settle()
    visitors.leave.release()
    await asyncio.sleep(0)  # the first leaves and lets the second in, which has not run yet
    visitors.tasks[1].cancel()
    await settle()
    assert visitors.came == ["a", "c"]


async def test_it_grows_by_one_a_round_and_is_halved_once_for_all_that_are_turned_away_together() -> None:
    window = ConcurrencyWindow(first=10, most=12)
    for _ in range(10):
        window.went_well()
    assert 10.9 < window.size < 11
    for _ in range(100):
        window.went_well()
    assert window.size == 12
    begun = time.monotonic()
    for _ in range(12):
        window.busy(begun, 0)
    assert window.size == 6
    for _ in range(10):
        window.busy(time.monotonic(), 0)
    assert window.size == 1


async def test_nobody_is_let_in_while_the_server_asks_for_a_pause() -> None:
    window = ConcurrencyWindow(first=4)
    visitors = Visitors(window)
    window.busy(time.monotonic(), 0.05)
    visitors.come("a")
    await settle()
    assert visitors.came == []
    async with asyncio.timeout(5):
        while not visitors.came:
            await asyncio.sleep(0.01)


async def test_namespaces_take_turns_however_many_jobs_one_has() -> None:
    window, came = ConcurrencyWindow(first=1), list[str]()
    leave = asyncio.Event()

    async def visit(key: str, namespace: str) -> None:
        async with window.turn(key, namespace):
            came.append(namespace)
            await leave.wait()

    tasks = [asyncio.create_task(visit(f"j{at}", "large")) for at in range(100)]
    await settle()
    tasks += [asyncio.create_task(visit("mine", "small")) for _ in range(2)]
    await settle()
    leave.set()
    await asyncio.gather(*tasks)
    assert came[:5] == ["large", "large", "small", "large", "small"]
