"""No text in a request to the page leads a request to the cluster elsewhere, whatever part of it it is."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from yarl import URL

from api.hostile import TEXTS, found
from podgraph.server.app import create_app
from web.serving import Served

Obj = dict[str, Any]
# Bodies by path, as the page sends them.
BODIES: dict[str, Obj] = {
    "/api/runs": {
        "namespace": "default", "source": {"run": "a"}, "name": "new", "selection": "one", "config": "", "mode": "",
        "tags": {"k": "v"},
    },
    "/api/source": {"namespace": "default", "source": {"definition": "d"}},
    "/api/check": {"namespace": "default", "source": {"source": "pass", "image": "i", "job": "j"}, "selection": ""},
    "/api/runs/{namespace}/{name}/rerun": {"steps": "Selected", "selection": "one"},
    "/api/runs/{namespace}/{name}/cancel": {},
    "/api/makers/{kind}/{namespace}/{name}/suspend": {"uid": "u", "suspend": True},
    "/api/makers/{kind}/{namespace}/{name}/try": {"at": "", "name": "n", "value": "v"},
    "/api/makers/schedules/{namespace}/{name}/tick": {"at": ""},
}  # fmt: skip
GIVEN = {"kind": "schedules", "namespace": "default", "name": "a"}
OPEN_ENDED = ("/events",)  # what streams until the page is closed


def routes(served: Served) -> list[tuple[str, str, Obj]]:
    """All routes of the API that are about the cluster: method, path, and their part of the OpenAPI document."""
    paths = create_app(served.state).openapi()["paths"]
    return [
        (method.upper(), path, operation)
        for path, methods in paths.items()
        for method, operation in methods.items()
        if path.startswith("/api/") and "/session" not in path
    ]


def requests_of(method: str, path: str, operation: Obj) -> Iterator[tuple[str, str, Any, bool]]:
    """Requests with one hostile text each: method, path, body, and whether the text stands for a name."""
    body = BODIES.get(path) if method == "POST" else None
    assert method != "POST" or body is not None, f"{path}: what is its body?"
    names = [item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"]
    queries = [item["name"] for item in operation.get("parameters", ()) if item["in"] == "query"]
    for text in TEXTS:
        for name in names:
            for sent in {quote(text, safe=""), quote(quote(text, safe=""), safe="")}:
                yield method, path.format(**{**GIVEN, name: sent}), body, True
        base = path.format(**GIVEN)
        for name in queries:
            yield method, f"{base}?{name}={quote(text, safe='')}", body, method == "DELETE"
        for place in places(body or {}):
            is_name = place[-1] in ("namespace", "run", "definition", "uid") or path.endswith("/runs/name")
            yield method, base, put(body or {}, place, text), is_name


def places(body: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where a body has a text."""
    for key, value in body.items():
        if isinstance(value, dict):
            yield from places(value, (*at, key))
        elif isinstance(value, str):
            yield (*at, key)


def put(body: Obj, place: tuple[str, ...], text: str) -> Obj:
    made = copy.deepcopy(body)
    inner = made
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = text
    return made


async def test_no_text_of_a_request_leads_elsewhere(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    served.definition("d")
    served.schedule("a", {"everySeconds": 3600, "jobTemplate": {"spec": {"ops": []}}}, "x")
    await served.fake.until(lambda: len(served.state.jobs.items) == 1)
    taken, count = [], 0
    sent = itertools.chain.from_iterable(requests_of(*route) for route in routes(served))
    for method, path, body, is_name in sent:
        if path.partition("?")[0].endswith(OPEN_ENDED) and "?" in path:
            continue
        url, count = URL(served.url + path, encoded=True), count + 1
        timeout = aiohttp.ClientTimeout(total=20)
        async with http.request(method, url, json=body, timeout=timeout) as answer:
            status, text = answer.status, (await answer.content.read(65_536)).decode(errors="replace")
        if status >= 500:
            taken.append(f"{method} {path} {body}: {status} {text[:200]}")
        if is_name and status < 300 and "<!doctype" not in text:
            taken.append(f"{method} {path} {body}: {status} {text[:200]}")
        if status in (400, 422) and method != "DELETE":
            assert "\n" not in json.loads(text)["message"]
    assert taken == []
    assert count > 500
    assert found(served.fake.requests, {"default"}) == []


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/api/runs/%2E%2E/a", "namespace: '..' is not allowed; a name has at most 63 lower-case letters"),
        ("/api/runs/default/..%2f..", "this address does not exist"),
        ("/api/runs/default/A", "name: 'A' is not allowed; a name has at most 253 lower-case letters"),
    ],
)
async def test_what_is_no_name_is_refused_in_a_sentence(
    served: Served, http: aiohttp.ClientSession, path: str, says: str
) -> None:
    async with http.get(URL(served.url + path, encoded=True)) as answer:
        told = await answer.json()
    assert answer.status in (404, 422)
    assert told["message"].startswith(says)
