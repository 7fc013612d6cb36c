"""The loop of list and watch, against a server whose answers are scripted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from podgraph.backoff import ExponentialBackoff
from podgraph.cluster.errors import ApiError
from podgraph.cluster.listwatch import ListWatch, told
from podgraph.cluster.paths import core

Answer = tuple[int, Any]


class _Meta(msgspec.Struct, rename="camel"):
    name: str
    resource_version: str = ""


class _Thing(msgspec.Struct):
    metadata: _Meta


class _Names(ListWatch[_Thing]):
    """Notes what it is called with."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        super().__init__(session, core("ns", "things"), _Thing, "things", {"labelSelector": "a=b"})
        self.seen: list[str] = []
        self.errors: list[Exception] = []
        self.pauses: list[float] = []
        self.at_end = asyncio.Event()

    def list_begins(self) -> None:
        self.seen.append("list")

    def list_page(self, items: Sequence[_Thing]) -> None:
        self.seen.append(" ".join(item.metadata.name for item in items))

    def list_ends(self, version: str) -> None:
        self.seen.append(f"at {version}")

    def changed(self, event: str, item: _Thing) -> None:
        self.seen.append(f"{event} {item.metadata.name}")

    def broke(self, error: Exception, pause: float) -> None:
        super().broke(error, pause)
        self.errors.append(error)
        self.pauses.append(pause)


class _Server:
    """Answers with what it was given, one after another, then holds every request."""

    def __init__(self) -> None:
        self.answers: list[Answer] = []
        self.queries: list[Mapping[str, str]] = []
        self.idle = asyncio.Event()

    async def answer(self, request: web.Request) -> web.Response:
        self.queries.append(dict(request.query))
        if not self.answers:
            self.idle.set()
            await asyncio.sleep(60)
        status, body = self.answers.pop(0)
        text = "".join(json.dumps(line) + "\n" for line in body) if isinstance(body, list) else json.dumps(body)
        return web.Response(status=status, text=text)


def page(names: str, version: str, more: str = "") -> Answer:
    items = [{"metadata": {"name": name}, "spec": {"unread": True}} for name in names.split()]
    return 200, {"metadata": {"resourceVersion": version, "continue": more}, "items": items}


def event(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


def refusal(status: int, reason: str) -> Answer:
    return status, {"kind": "Status", "reason": reason, "message": "because"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> _Server:
    monkeypatch.setattr("podgraph.cluster.listwatch._BACKOFF", ExponentialBackoff(0.01, 0.05))
    return _Server()


async def watched(server: _Server, *answers: Answer) -> _Names:
    """Run the loop until the server has no more answers."""
    server.answers = list(answers)
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/ns/things", server.answer)
    async with TestServer(app) as http, aiohttp.ClientSession(base_url=http.make_url("/")) as session:
        names = _Names(session)
        task = asyncio.create_task(names.run())
        idle = asyncio.create_task(server.idle.wait())
        done, _ = await asyncio.wait([task, idle], timeout=20, return_when=asyncio.FIRST_COMPLETED)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert idle in done, "the loop ended or hangs"
    return names


async def test_a_list_of_several_pages_and_its_watch(server: _Server) -> None:
    changes = [event("ADDED", "c", "8"), event("MODIFIED", "a", "9"), event("DELETED", "b", "10")]
    names = await watched(server, page("a", "7", "token"), page("b", "7"), (200, changes))
    assert names.seen == ["list", "a", "b", "at 7", "ADDED c", "MODIFIED a", "DELETED b"]
    first, second, watch, again = server.queries
    assert first == {"labelSelector": "a=b", "limit": "200"}
    assert second == {**first, "continue": "token"}
    assert (watch["resourceVersion"], watch["allowWatchBookmarks"], watch["labelSelector"]) == ("7", "true", "a=b")
    assert again["resourceVersion"] == "10", "a watch that ends goes on from its last event"
    assert not names.errors


async def test_a_bookmark_moves_the_version_and_nothing_else(server: _Server) -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Thing", "metadata": {"resourceVersion": "50"}}}
    names = await watched(server, page("", "7"), (200, [bookmark]))
    assert names.seen == ["list", "", "at 7"]
    assert server.queries[-1]["resourceVersion"] == "50"


@pytest.mark.parametrize(
    "expired",
    [(410, {}), (200, [{"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}])],
    ids=["status", "event"],
)
async def test_what_is_expired_is_listed_again_at_once(server: _Server, expired: Answer) -> None:
    names = await watched(server, page("a", "7"), expired, page("b", "9"))
    assert names.seen == ["list", "a", "at 7", "list", "b", "at 9"]
    assert not names.errors


async def test_a_continue_token_that_is_expired_begins_the_list_again(server: _Server) -> None:
    names = await watched(server, page("a", "7", "old"), (410, {}), page("a b", "9"))
    assert names.seen == ["list", "a", "list", "a b", "at 9"]
    assert "continue" not in server.queries[2]


async def test_a_server_that_always_says_expired_is_not_asked_in_a_tight_loop(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    pause = ListWatch._pause
    monkeypatch.setattr(ListWatch, "_pause", lambda self: pauses.append(pause(self)) or pauses[-1])
    await watched(server, *[page("", "7"), (410, {})] * 4)
    assert pauses == [0.02, 0.04, 0.05]


async def test_a_refusal_is_asked_again_soon_and_its_message_kept(server: _Server) -> None:
    server_pauses = ExponentialBackoff(0.03, 60)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("podgraph.cluster.listwatch._BACKOFF", server_pauses)
        patch.setattr(_Names, "refused_seconds", 0.04)
        names = await watched(
            server, refusal(403, "Forbidden"), refusal(404, "NotFound"), refusal(403, "Forbidden"), page("a", "7")
        )
    assert names.pauses == [0.03, 0.04, 0.04]
    assert [(error.reason, error.message) for error in names.errors if isinstance(error, ApiError)] == [
        ("Forbidden", "because"), ("NotFound", "because"), ("Forbidden", "because"),
    ]  # fmt: skip
    assert names.seen[-2:] == ["a", "at 7"]


@pytest.mark.parametrize(
    "broken", [(500, {}), (200, "no list"), (200, {"metadata": {}, "items": [{"metadata": {"name": 5}}]})]
)
async def test_a_broken_answer_does_not_end_the_loop(server: _Server, broken: Answer) -> None:
    names = await watched(server, broken, page("a", "7"))
    assert len(names.errors) == 1
    assert names.seen[-2:] == ["a", "at 7"]


async def test_an_event_ends_the_row_of_failures(server: _Server) -> None:
    broken = (200, ["no event"])
    names = await watched(
        server,
        page("", "1"),
        broken,
        page("", "2"),
        broken,
        page("", "3"),
        (200, [event("ADDED", "a", "4"), "no event"]),
    )
    assert names.pauses == [0.01, 0.02, 0.01]


def test_the_token_does_not_reach_the_log() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer secret"}))
    request = aiohttp.RequestInfo(URL("https://server/api"), "GET", headers, URL("https://server/api"))
    error = aiohttp.ClientResponseError(request, (), status=503, message="no")
    assert "secret" in repr(error)
    assert told(error) == "ClientResponseError 503"
    assert told(TimeoutError()) == "TimeoutError"
