"""Objects of many levels: the whole operator, kopf's watches with it, beside an honest Job."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from typing import Any

import kopf
import pytest

from api.driving import condition
from api.fake import AutoKubelet, FakeCluster
from podgraph.cluster import decoding
from podgraph.cluster.decoding import cut
from podgraph.operator import operate

Obj = dict[str, Any]
LEVELS = 3_000


@pytest.fixture(autouse=True)
def deep_stack() -> Iterator[None]:
    """The fake API server is to store such objects, and the operator sets the limit of its process."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(60_000)
    yield
    sys.setrecursionlimit(before)


def job(name: str, **spec: Any) -> Obj:
    ops = [{"name": "a", "image": "i"}]
    return {
        "apiVersion": "podgraph.dev/v1alpha1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {"ops": ops, **spec},
    }


def of_few_levels(parse: Callable[..., Any]) -> Callable[..., Any]:
    """A parser that takes no more than 1,500 levels, as those of some versions of Python take no more than 10,000."""

    def parsed(data: Any, **more: Any) -> Any:
        text = data.encode() if isinstance(data, str) else bytes(data)
        if text.count(b"{") > 1_500 and text != cut(text, 1_500):
            raise RecursionError
        return parse(data, **more)

    return parsed


@pytest.mark.parametrize("few", [False, True])
async def test_a_job_of_many_levels_is_refused_and_stops_no_other(few: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if few:
        for name in ("_decode", "_loads"):
            monkeypatch.setattr(decoding, name, of_few_levels(getattr(decoding, name)))
    config: Obj = {}
    for _ in range(LEVELS):
        config = {"a": config}
    async with FakeCluster() as fake, AutoKubelet(fake, lambda _: (0, "")):
        loop = asyncio.get_running_loop()
        stops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

        async def whole() -> None:
            sys.setrecursionlimit(1_000)  # as a process begins
            stops.append((asyncio.get_running_loop(), asyncio.Event()))
            await operate(stops[0][1], "python:3.13-slim", kopf.ConnectionInfo(server=fake.url))

        def state(name: str, kind: str) -> Obj:
            return condition((fake.find("jobs", "default", name) or {}).get("status") or {}, kind)

        # In a loop of its own: kopf ends by cancelling every task its loop has gained.
        running = loop.run_in_executor(None, lambda: asyncio.run(whole()))
        try:
            fake.create(job("first"))
            await fake.until(lambda: state("first", "Succeeded").get("status") == "True", 30, "the first Job's end")
            fake.create(job("deep", runConfig=config))
            fake.create(job("later"))
            await fake.until(lambda: state("later", "Succeeded").get("status") == "True", 30, "the later Job's end")
            await fake.until(lambda: state("deep", "Accepted").get("status") == "False", 30, "a verdict")
            assert "nested deeper than 100 levels" in state("deep", "Accepted")["message"]
            assert not running.done()
        finally:
            where, stop = stops[0]
            where.call_soon_threadsafe(stop.set)
            await asyncio.wait_for(running, 30)
