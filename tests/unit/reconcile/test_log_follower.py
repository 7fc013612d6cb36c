"""How much of the operator the logs of one namespace may have."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from podgraph.reconcile.log_follower import LogFollower, Pace


class Endless:
    """A client whose logs never end: each part is ready at once, as that of a pod that prints without end."""

    def __init__(self, silent: bool = False) -> None:
        self.silent = silent
        self.bytes = 0

    async def step_log(
        self,
        namespace: str,
        name: str,
        mark: str,
        follow: bool = False,
        since: str = "",
        tail: int = 0,
        pace: Any = None,
    ) -> AsyncIterator[list[str]]:
        lines = ["2026-11-24T00:00:00Z ::podgraph-x"] * 2_000
        size = sum(map(len, lines))
        if self.silent:
            await asyncio.Event().wait()
        while True:
            self.bytes += size
            yield lines
            await pace(size, size)


async def test_a_pod_that_prints_without_end_is_held_back() -> None:
    client: Any = Endless()
    logs = LogFollower(client)
    logs.follow("u", "ns", "p", lambda lines: None)
    loop = asyncio.get_running_loop()
    end, turns = loop.time() + 1.0, 0
    while loop.time() < end:
        await asyncio.sleep(0.01)
        turns += 1
    await logs.close()
    assert client.bytes < 10 * 1024 * 1024  # a burst, and the rate
    assert turns > 20  # others have theirs


def test_a_namespace_has_a_rate_of_its_own() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.owed("a", 4 * 1024 * 1024) == 0.0
    assert pace.owed("a", 2 * 1024 * 1024) == 1.0
    assert pace.owed("b", 1024) == 0.0
    now[0] = 10.0
    assert pace.owed("a", 1024) == 0.0


def test_it_forgets_namespaces_that_are_quiet() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    for at in range(5_000):
        now[0] += 1.0
        pace.owed(f"n{at}", 1024)
    assert len(pace._debts) <= 1_001


async def test_the_namespace_with_most_logs_gives_way() -> None:
    client: Any = Endless(silent=True)
    logs, lost = LogFollower(client, most=4), list[str]()
    for at in range(4):
        logs.follow("u1", "large", f"p{at}", lambda lines: None, lost=lambda at=at: lost.append(f"p{at}"))
    logs.follow("u2", "small", "q0", lambda lines: None, lost=lambda: lost.append("q0"))
    logs.follow("u2", "small", "q1", lambda lines: None, lost=lambda: lost.append("q1"))
    assert lost == ["p3", "p2"]
    logs.follow("u2", "small", "q2", lambda lines: None, lost=lambda: lost.append("q2"))
    logs.follow("u1", "large", "p4", lambda lines: None, lost=lambda: lost.append("p4"))
    assert lost == ["p3", "p2", "q2", "p4"]
    logs.leave("u2")
    logs.leave("u1", "p3")  # gone already
    logs.follow("u1", "large", "p5", lambda lines: None, lost=lambda: lost.append("p5"))
    assert lost == ["p3", "p2", "q2", "p4"]
    await logs.close()
