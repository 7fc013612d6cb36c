"""The fake API server itself, over raw HTTP: what tests rely on when they rely on it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
import time
import types
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from api.fake import RESOURCES, ApiError, AutoKubelet, FakeCluster, Resource

JOBS = "/apis/podgraph.dev/v1alpha1/namespaces/default/jobs"
ALL_JOBS = "/apis/podgraph.dev/v1alpha1/jobs"
PODS = "/api/v1/namespaces/default/pods"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"


def job(name: str = "a", **more: Any) -> dict[str, Any]:
    labels = more.pop("labels", {})
    meta = {"name": name, **({"labels": labels} if labels else {}), **more.pop("metadata", {})}
    return {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": meta, "spec": {"n": 1}, **more}


def pod(name: str = "p", **metadata: Any) -> dict[str, Any]:
    spec = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "busybox:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


def config_map(name: str = "c", **metadata: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": {"k": "v"}}


def owned_by(owner: dict[str, Any], **more: Any) -> list[dict[str, Any]]:
    meta = owner["metadata"]
    ref = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": meta["name"], "uid": meta["uid"]}
    return [{**ref, **more}]


class Client:
    """Raw requests; every answer is (code, body)."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self.session, self.url = session, url

    async def __call__(
        self, method: str, path: str, body: Any = None, content_type: str = "application/json", **query: Any
    ) -> tuple[int, Any]:
        headers = {"Content-Type": content_type}
        data = None if body is None else io.BytesIO(json.dumps(body).encode())
        params = {key: str(value) for key, value in query.items()}
        async with self.session.request(method, self.url + path, data=data, headers=headers, params=params) as response:
            text = await response.text()
            return response.status, json.loads(text) if response.content_type == "application/json" else text

    async def patch(self, path: str, body: Any) -> tuple[int, Any]:
        return await self("PATCH", path, body, JSON_PATCH if isinstance(body, list) else MERGE)

    async def names(self, path: str, **query: Any) -> list[str]:
        code, body = await self("GET", path, **query)
        assert code == 200, body
        return [item["metadata"]["name"] for item in body["items"]]

    @asynccontextmanager
    async def watch(self, path: str, **query: Any) -> AsyncIterator[Events]:
        params = {"watch": "1", "allowWatchBookmarks": "true", **{k: str(v) for k, v in query.items()}}
        async with self.session.get(self.url + path, params=params) as response:
            yield Events(response)


class Events:
    """A watch stream, an event at a time; a wait that is too long fails the test."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response

    async def line(self) -> bytes:
        return await asyncio.wait_for(self.response.content.readline(), 5)

    async def next(self) -> tuple[str, dict[str, Any]]:
        line = await self.line()
        assert line, "the stream ended"
        event = json.loads(line)
        return event["type"], event["object"]

    async def broken(self) -> None:
        """Half an event may still come, then the connection is gone."""
        try:
            while line := await self.line():
                assert not line.endswith(b"\n"), line
        except aiohttp.ClientPayloadError:
            return
        raise AssertionError("the stream ended cleanly")

    async def names(self, count: int) -> list[tuple[str, str]]:
        events = [await self.next() for _ in range(count)]
        return [(kind, obj["metadata"].get("name", "")) for kind, obj in events]


@pytest.fixture
async def fake() -> AsyncIterator[FakeCluster]:
    async with FakeCluster() as cluster:
        yield cluster


@pytest.fixture
async def api(fake: FakeCluster) -> AsyncIterator[Client]:
    async with aiohttp.ClientSession() as session:
        yield Client(session, fake.url)


# ---- discovery ----


async def test_discovery(api):
    assert (await api("GET", "/api"))[1]["versions"] == ["v1"]
    groups = (await api("GET", "/apis"))[1]["groups"]
    assert {g["name"] for g in groups} == {"podgraph.dev", "coordination.k8s.io"}
    _, listed = await api("GET", "/apis/podgraph.dev/v1alpha1")
    assert {r["name"] for r in listed["resources"]} >= {"jobs", "jobs/status"}
    row = listed["resources"][0]
    assert row["namespaced"]
    assert row["shortNames"] == ["pgj"]
    assert "watch" in row["verbs"]
    assert (await api("GET", "/apis/podgraph.dev"))[1]["preferredVersion"]["version"] == "v1alpha1"
    assert (await api("GET", "/version"))[1]["gitVersion"].startswith("v1.")
    assert (await api("GET", "/apis/nope.dev/v1/things"))[0] == 404


async def test_a_resource_is_a_row_of_the_table():
    row = Resource("example.com", "v1", "widgets", "Widget", namespaced=False)
    async with FakeCluster([*RESOURCES, row]) as fake, aiohttp.ClientSession() as session:
        api = Client(session, fake.url)
        widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}, "status": {"x": 1}}
        code, made = await api("POST", "/apis/example.com/v1/widgets", widget)
        assert (code, made["status"]) == (201, {"x": 1})  # no subresource, so the status is like any field
        assert fake.get("widgets", "", "w")["metadata"]["generation"] == 1
        assert (await api("PATCH", "/apis/example.com/v1/widgets/w/status", {}, MERGE))[0] == 404


# ---- create, get, replace, patch ----


async def test_create_fills_in_and_drops_status(api):
    code, made = await api("POST", JOBS, job(status={"x": 1}))
    assert code == 201
    assert "status" not in made
    meta = made["metadata"]
    assert (meta["namespace"], meta["generation"]) == ("default", 1)
    assert meta["uid"]
    assert meta["creationTimestamp"].endswith("Z")
    assert (await api("GET", JOBS + "/a")) == (200, made)


async def test_create_twice_conflicts(api):
    await api("POST", JOBS, job())
    code, status = await api("POST", JOBS, job())
    assert (code, status["kind"], status["reason"]) == (409, "Status", "AlreadyExists")
    assert status["message"] == 'jobs.podgraph.dev "a" already exists'
    assert status["details"] == {"name": "a", "group": "podgraph.dev", "kind": "jobs"}


async def test_generate_name(api):
    made = [(await api("POST", JOBS, {**job(), "metadata": {"generateName": "g-"}}))[1] for _ in range(2)]
    names = {m["metadata"]["name"] for m in made}
    assert len(names) == 2
    assert all(name.startswith("g-") and len(name) == 7 for name in names)


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        (job("A_b"), 422, "metadata.name"),
        (job("a" * 254), 422, "metadata.name"),
        (job(""), 422, "metadata.name"),
        (job(labels={"x": "y" * 64}), 422, "metadata.labels"),
        (job(labels={"x": "a b"}), 422, "metadata.labels"),
        (job(metadata={"annotations": {"x": "y" * 270_000}}), 422, "metadata.annotations"),
        (job(metadata={"ownerReferences": [{"kind": "Pod"}]}), 422, "metadata.ownerReferences.apiVersion"),
        (job(metadata={"namespace": "other"}), 400, None),
        (job(metadata={"resourceVersion": "5"}), 500, None),
        (job(spec={"x": "y" * 1_700_000}), 500, None),
        (job(spec={"x": "y" * 3_500_000}), 413, None),
    ],
)
async def test_what_create_refuses(api, body, code, field):
    got, status = await api("POST", JOBS, body)
    assert (got, status["kind"], status["code"]) == (code, "Status", code)
    if field:
        assert status["details"]["causes"][0]["field"] == field


async def test_not_found(api):
    for method, path in (("GET", JOBS), ("PATCH", JOBS), ("DELETE", JOBS), ("GET", PODS)):
        code, status = await api(method, path + "/nope", {} if method == "PATCH" else None, MERGE)
        assert (code, status["reason"]) == (404, "NotFound")
    code, status = await api("POST", JOBS.replace("default", "nope"), job())
    assert (code, status["message"]) == (404, 'namespaces "nope" not found')


async def test_status_and_main_are_separate(api):
    _, made = await api("POST", JOBS, job())
    _, same = await api.patch(JOBS + "/a", {"status": {"x": 1}})
    assert same == made  # nothing changed, so no new version either
    _, got = await api.patch(
        JOBS + "/a/status", {"status": {"x": 1}, "spec": {"n": 2}, "metadata": {"labels": {"a": "b"}}}
    )
    assert (got["status"], got["spec"], got["metadata"].get("labels")) == ({"x": 1}, {"n": 1}, None)
    assert got["metadata"]["generation"] == 1
    _, got = await api.patch(JOBS + "/a", {"spec": {"n": 2}})
    assert (got["metadata"]["generation"], got["status"]) == (2, {"x": 1})
    _, got = await api.patch(JOBS + "/a", {"metadata": {"labels": {"a": "b"}}})
    assert got["metadata"]["generation"] == 2


async def test_put_needs_the_current_version(api):
    _, made = await api("POST", JOBS, job())
    code, got = await api("PUT", JOBS + "/a", {**made, "spec": {"n": 2}})
    assert (code, got["metadata"]["generation"]) == (200, 2)
    code, status = await api("PUT", JOBS + "/a", {**made, "spec": {"n": 3}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert "the object has been modified" in status["message"]
    assert (await api("PUT", JOBS + "/a", job()))[0] == 422  # a custom resource is never put unconditionally
    code, status = await api("PUT", JOBS + "/a", {**got, "metadata": {**got["metadata"], "uid": "other"}})
    assert (code, status["reason"]) == (409, "Conflict")
    assert (await api("PUT", JOBS + "/a", job("b")))[0] == 400
    await api("POST", CONFIG_MAPS, config_map())
    assert (await api("PUT", CONFIG_MAPS + "/c", config_map()))[0] == 200  # built-in kinds may be


async def test_preconditions_in_a_patch(api):
    _, made = await api("POST", JOBS, job())
    old = made["metadata"]["resourceVersion"]
    _, now = await api.patch(JOBS + "/a/status", {"metadata": {"resourceVersion": old}, "status": {"x": 1}})
    for path in (JOBS + "/a", JOBS + "/a/status"):
        code, status = await api.patch(path, {"metadata": {"resourceVersion": old}, "status": {"x": 2}})
        assert (code, status["reason"]) == (409, "Conflict")
    # A uid is a 422 in a patch, and no precondition at all on a custom resource's /status: as the real one does.
    code, status = await api.patch(JOBS + "/a", {"metadata": {"uid": "other"}, "spec": {"n": 2}})
    assert (code, status["details"]["causes"][0]["field"]) == (422, "metadata.uid")
    assert (await api.patch(JOBS + "/a/status", {"metadata": {"uid": "other"}, "status": {"x": 3}}))[0] == 200
    assert (await api.patch(JOBS + "/a", {"metadata": {"uid": now["metadata"]["uid"]}, "spec": {"n": 2}}))[0] == 200


async def test_json_patch(api):
    _, made = await api("POST", JOBS, job(spec={"l": [1, 2], "m": {"a/b": 1}}))
    version = {"op": "test", "path": "/metadata/resourceVersion", "value": made["metadata"]["resourceVersion"]}
    changes = [
        version,
        {"op": "add", "path": "/metadata/finalizers", "value": ["x.y/z"]},
        {"op": "add", "path": "/spec/l/-", "value": 3},
        {"op": "replace", "path": "/spec/l/2", "value": 4},
        {"op": "remove", "path": "/spec/m/a~1b"},
        {"op": "copy", "from": "/spec/l/0", "path": "/spec/l/1"},
        {"op": "move", "from": "/spec/l", "path": "/spec/k"},
    ]
    code, got = await api.patch(JOBS + "/a", changes)
    assert (code, got["spec"], got["metadata"]["finalizers"]) == (200, {"m": {}, "k": [1, 1, 2, 4]}, ["x.y/z"])
    for bad in ([version], [{"op": "remove", "path": "/spec/no/way"}], [{"op": "frob", "path": "/spec"}]):
        code, status = await api.patch(JOBS + "/a", bad)
        assert (code, status["reason"]) == (422, "Invalid")
    assert (await api("PATCH", JOBS + "/a", {}, "application/strategic-merge-patch+json"))[0] == 415


async def test_merge_patch_of_lists_and_nulls(api, fake):
    fake.create(job(spec={"l": [1, 2], "d": {"x": 1, "y": 2}}))
    _, got = await api.patch(JOBS + "/a", {"spec": {"l": [3], "d": {"x": None, "z": {"n": None, "o": 1}}}})
    assert got["spec"] == {"l": [3], "d": {"y": 2, "z": {"o": 1}}}


async def test_built_in_kinds_have_rules_of_their_own(api, fake):
    assert (await api("POST", PODS, {**pod(), "spec": {}}))[0] == 422
    await api("POST", PODS, pod())
    code, status = await api.patch(PODS + "/p", {"spec": {"restartPolicy": "Always"}})
    assert (code, status["details"]["causes"][0]["field"]) == (422, "spec")
    assert (await api.patch(PODS + "/p", {"metadata": {"annotations": {"a": "b"}}}))[0] == 200
    fake.create({**config_map(), "immutable": True})
    assert (await api.patch(CONFIG_MAPS + "/c", {"data": {"k": "w"}}))[0] == 422
    assert (await api("POST", CONFIG_MAPS, {**config_map("d"), "data": {"k": "v" * 1_100_000}}))[0] == 422
    lease = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    body = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}, "spec": {}}
    assert [(await api("PUT", lease, body))[0] for _ in range(2)] == [201, 422]


# ---- lists ----


@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("a=1", "x"),
        ("a==1", "x"),
        ("a!=1", "y z"),
        ("a", "x y"),
        ("!a", "z"),
        ("a in (1, 2)", "x y"),
        ("a notin (1)", "y z"),
        ("a,b=2", "y"),
        (" a = 1 ", "x"),
        ("a>1", "y"),
        ("in-between=yes", "z"),
    ],
)
async def test_label_selectors(api, fake, selector, names):
    for name, labels in (("x", {"a": "1"}), ("y", {"a": "2", "b": "2"}), ("z", {"in-between": "yes"})):
        fake.create(job(name, labels=labels))
    assert await api.names(ALL_JOBS, labelSelector=selector) == names.split()


async def test_field_selectors(api, fake):
    fake.create(pod("p"))
    fake.create(pod("q"), "other")
    assert await api.names("/api/v1/pods") == ["p", "q"]
    assert await api.names("/api/v1/pods", fieldSelector="metadata.name=q") == ["q"]
    assert await api.names("/api/v1/pods", fieldSelector="metadata.namespace!=other,status.phase=Pending") == ["p"]
    assert await api.names(PODS) == ["p"]
    for bad in ({"fieldSelector": "spec.foo=1"}, {"labelSelector": "a in"}, {"labelSelector": "a=b c"}):
        assert (await api("GET", PODS, **bad))[0] == 400


async def test_lists_of_built_in_kinds_leave_out_the_kind_of_items(api, fake):
    fake.create(pod())
    fake.create(job())
    _, pods = await api("GET", PODS)
    assert (pods["kind"], "kind" in pods["items"][0], "apiVersion" in pods["items"][0]) == ("PodList", False, False)
    _, jobs = await api("GET", JOBS)
    assert (jobs["kind"], jobs["items"][0]["kind"]) == ("JobList", "Job")


async def test_pages_are_of_one_version_and_expire(api, fake):
    for name in "abcde":
        fake.create(job(name))
    _, first = await api("GET", JOBS, limit=2)
    assert first["metadata"]["remainingItemCount"] == 3
    fake.delete("jobs", "default", "c")
    token, version = first["metadata"]["continue"], first["metadata"]["resourceVersion"]
    _, second = await api("GET", JOBS, **{"limit": 2, "continue": token})
    assert [i["metadata"]["name"] for i in second["items"]] == ["c", "d"]
    assert second["metadata"]["resourceVersion"] == version
    fake.compact("jobs")
    code, status = await api("GET", JOBS, **{"limit": 2, "continue": second["metadata"]["continue"]})
    assert (code, status["reason"]) == (410, "Expired")
    _, rest = await api("GET", JOBS, **{"continue": status["metadata"]["continue"]})  # the inconsistent rest
    assert [i["metadata"]["name"] for i in rest["items"]] == ["e"]
    assert "continue" not in rest["metadata"]
    assert (await api("GET", JOBS, **{"continue": "zzz"}))[0] == 400


async def test_versions_of_lists(api, fake):
    fake.create(job())
    _, listed = await api("GET", JOBS, resourceVersion=0)
    assert int(listed["metadata"]["resourceVersion"]) >= int(listed["items"][0]["metadata"]["resourceVersion"])
    code, status = await api("GET", JOBS, resourceVersion=99999)
    assert (code, status["details"]["causes"][0]["reason"]) == (504, "ResourceVersionTooLarge")


async def test_metadata_only(api, fake):
    fake.create(job())
    headers = {"Accept": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"}
    async with api.session.get(fake.url + JOBS, headers=headers) as response:
        listed = await response.json()
    assert listed["kind"] == "PartialObjectMetadataList"
    assert set(listed["items"][0]) == {"kind", "apiVersion", "metadata"}


# ---- watch ----


async def test_watch_resumes_from_a_list(api, fake):
    fake.create(job("old"))
    _, listed = await api("GET", ALL_JOBS)
    fake.create(job())
    fake.patch("jobs", "default", "a", {"status": {"x": 1}}, status=True)
    async with api.watch(ALL_JOBS, resourceVersion=listed["metadata"]["resourceVersion"]) as events:
        assert await events.names(2) == [("ADDED", "a"), ("MODIFIED", "a")]
        fake.delete("jobs", "default", "a")
        kind, gone = await events.next()
        assert (kind, gone["status"]) == ("DELETED", {"x": 1})
    fake.create(job("b"), "other")
    async with api.watch(ALL_JOBS, resourceVersion=gone["metadata"]["resourceVersion"]) as events:
        assert await events.names(1) == [("ADDED", "b")]
    await fake.until(lambda: fake.watch_count() == 0)  # the server notices who goes


async def test_watch_of_a_namespace_from_nothing_begins_with_what_is(api, fake):
    fake.create(job("a"))
    fake.create(job("b"), "other")
    async with api.watch(JOBS) as events:
        assert await events.names(1) == [("ADDED", "a")]
        fake.create(job("c"), "other")
        fake.create(job("d"))
        assert await events.names(1) == [("ADDED", "d")]


async def test_objects_entering_and_leaving_a_watched_selection(api, fake):
    fake.create(job(labels={"a": "1"}))
    version = fake.store.revision
    async with api.watch(JOBS, labelSelector="a=1", resourceVersion=version) as events:
        fake.patch("jobs", "default", "a", {"metadata": {"labels": {"a": "2"}}})
        kind, obj = await events.next()
        assert (kind, obj["metadata"]["labels"]) == ("DELETED", {"a": "1"})  # as it was last seen
        assert int(obj["metadata"]["resourceVersion"]) == version + 1
        fake.patch("jobs", "default", "a", {"spec": {"n": 5}})
        fake.patch("jobs", "default", "a", {"metadata": {"labels": {"a": "1"}}})
        assert await events.names(1) == [("ADDED", "a")]


async def test_bookmarks_and_the_end_of_time(api, fake):
    async with api.watch(JOBS, resourceVersion=fake.store.revision) as events:
        fake.create(config_map())  # of another resource: the bookmark tells that time went on
        fake.send_bookmarks("jobs")
        kind, obj = await events.next()
        assert (kind, obj["kind"]) == ("BOOKMARK", "Job")
        assert obj["metadata"] == {"resourceVersion": str(fake.store.revision)}
    async with api.watch(JOBS, resourceVersion=fake.store.revision, timeoutSeconds="0.01") as events:
        assert (await events.next())[0] == "BOOKMARK"
        assert await events.line() == b""
    query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan"}
    fake.create(job())
    async with api.watch(JOBS, **query) as events:
        assert await events.names(1) == [("ADDED", "a")]
        _, obj = await events.next()
        assert obj["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}


async def test_a_timer_that_goes_off_early_makes_no_second_bookmark(api, fake, monkeypatch):
    async def early(waiting, _seconds):
        waiting.close()
        raise TimeoutError

    async with api.watch(JOBS, resourceVersion=fake.store.revision, timeoutSeconds="30") as events:
        monkeypatch.setattr("api.fake.watches.asyncio", types.SimpleNamespace(**{**vars(asyncio), "wait_for": early}))
        fake.send_bookmarks("jobs")
        assert [kind for kind, _ in await events.names(2)] == ["BOOKMARK"] * 2
        assert await events.line() == b""


async def test_bookmarks_come_by_themselves():
    async with (
        FakeCluster(bookmark_interval=0.01) as fake,
        aiohttp.ClientSession() as session,
        Client(session, fake.url).watch(JOBS, resourceVersion=fake.store.revision) as events,
    ):
        assert [kind for kind, _ in await events.names(2)] == ["BOOKMARK"] * 2


async def test_too_old_to_watch_from():
    async with FakeCluster(history=3) as fake, aiohttp.ClientSession() as session:
        api = Client(session, fake.url)
        start = fake.store.revision
        for name in "abcde":
            fake.create(job(name))
        async with api.watch(JOBS, resourceVersion=start + 2) as events:
            assert [name for _, name in await events.names(3)] == ["c", "d", "e"]
        async with api.watch(JOBS, resourceVersion=start + 1) as events:
            assert events.response.status == 200
            kind, status = await events.next()
            assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
            assert await events.line() == b""
        fake.server.watch_gone = True
        code, status = await api("GET", JOBS, watch=1, resourceVersion=start + 1)
        assert (code, status["reason"]) == (410, "Expired")


# ---- delete, finalizers, garbage collection ----


async def test_delete_and_preconditions(api, fake):
    made = fake.create(job())
    for wrong in ({"uid": "other"}, {"resourceVersion": "1"}):
        code, status = await api("DELETE", JOBS + "/a", {"preconditions": wrong})
        assert (code, status["reason"]) == (409, "Conflict")
    uid = made["metadata"]["uid"]
    code, status = await api("DELETE", JOBS + "/a", {"preconditions": {"uid": uid}})
    assert (code, status["status"], status["details"]["uid"]) == (200, "Success", uid)
    assert fake.find("jobs", "default", "a") is None


async def test_finalizers_hold_a_deletion(api, fake):
    fake.create(job(metadata={"finalizers": ["x.y/z"]}))
    for _ in range(2):
        code, obj = await api("DELETE", JOBS + "/a")
        assert (code, obj["metadata"]["generation"]) == (200, 2)
        assert obj["metadata"]["deletionTimestamp"]
    code, status = await api.patch(JOBS + "/a", {"metadata": {"finalizers": ["x.y/z", "new/one"]}})
    assert (code, status["reason"]) == (422, "Invalid")
    async with api.watch(JOBS, resourceVersion=fake.store.revision) as events:
        assert (await api.patch(JOBS + "/a", {"metadata": {"finalizers": None}}))[0] == 200
        assert await events.names(1) == [("DELETED", "a")]
    assert (await api("GET", JOBS + "/a"))[0] == 404


async def test_delete_collection(api, fake):
    for name, labels in (("a", {"x": "1"}), ("b", {"x": "1"}), ("c", {"x": "2"})):
        fake.create(job(name, labels=labels))
    code, deleted = await api("DELETE", JOBS, labelSelector="x=1")
    assert (code, len(deleted["items"])) == (200, 2)
    assert await api.names(JOBS) == ["c"]


async def test_delete_collection_by_pages(api, fake):
    for name in ("a", "b", "c"):
        fake.create(job(name))
    _, deleted = await api("DELETE", JOBS, limit="2")
    assert [item["metadata"]["name"] for item in deleted["items"]] == ["a", "b"]
    assert await api.names(JOBS) == ["c"]
    _, deleted = await api("DELETE", JOBS, **{"limit": "2", "continue": deleted["metadata"]["continue"]})
    assert await api.names(JOBS) == []
    assert "continue" not in deleted["metadata"]


async def test_dependents_go_in_the_background(api, fake):
    owner, other = fake.create(job()), fake.create(job("other"))
    fake.create(pod("mine", ownerReferences=owned_by(owner, controller=True)))
    fake.create(pod("shared", ownerReferences=owned_by(owner) + owned_by(other)))
    fake.create(config_map("under", ownerReferences=owned_by(fake.get("pods", "default", "mine"))))
    fake.create(pod("free"))
    fake.collector.paused = True
    await api("DELETE", JOBS + "/a", {"propagationPolicy": "Background"})
    assert len(fake.objects("pods")) == 3  # the owner is gone, they are not yet
    fake.collector.paused = False
    await fake.until(lambda: not fake.find("pods", "default", "mine"))
    await fake.until(lambda: not fake.find("configmaps", "default", "under"))
    await fake.until(lambda: len(fake.get("pods", "default", "shared")["metadata"]["ownerReferences"]) == 1)
    assert fake.get("pods", "default", "free")


async def test_a_dependent_of_an_owner_that_is_gone_is_collected(api, fake):
    owner = fake.create(job())
    fake.delete("jobs", "default", "a")
    fake.create(job())  # of the same name, but not the same
    assert (await api("POST", PODS, pod("late", ownerReferences=owned_by(owner))))[0] == 201
    await fake.until(lambda: not fake.find("pods", "default", "late"))


async def test_orphan_and_foreground(api, fake):
    owner = fake.create(job())
    fake.create(pod("kept", ownerReferences=owned_by(owner)))
    await api("DELETE", JOBS + "/a", propagationPolicy="Orphan")
    await fake.until(lambda: not fake.find("jobs", "default", "a"))
    assert "ownerReferences" not in fake.get("pods", "default", "kept")["metadata"]
    owner = fake.create(job("b"))
    fake.create(config_map(ownerReferences=owned_by(owner, blockOwnerDeletion=True), finalizers=["x.y/z"]))
    _, obj = await api("DELETE", JOBS + "/b", propagationPolicy="Foreground")
    assert obj["metadata"]["finalizers"] == ["foregroundDeletion"]
    await fake.until(lambda: "deletionTimestamp" in fake.get("configmaps", "default", "c")["metadata"])
    assert fake.find("jobs", "default", "b")  # waits for its dependent
    fake.patch("configmaps", "default", "c", {"metadata": {"finalizers": None}})
    await fake.until(lambda: not fake.find("jobs", "default", "b"))


async def test_a_namespace_goes_with_all_it_holds(api, fake):
    fake.create(job(metadata={"finalizers": ["x.y/z"]}), "ns")
    fake.create(config_map(), "ns")
    await api("DELETE", "/api/v1/namespaces/ns")
    await fake.until(lambda: not fake.objects("configmaps"))
    code, status = await api("POST", "/api/v1/namespaces/ns/pods", pod())
    assert (code, status["details"]["causes"][0]["reason"]) == (403, "NamespaceTerminating")
    fake.patch("jobs", "ns", "a", {"metadata": {"finalizers": None}})
    await fake.until(lambda: not fake.find("namespaces", "", "ns"))


# ---- pods ----


async def test_a_pod_as_the_server_makes_it(api):
    _, made = await api("POST", PODS, {**pod(), "status": {"phase": "Running"}})
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["spec"]["terminationGracePeriodSeconds"] == 30
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


async def test_a_pod_through_its_life(fake):
    fake.create(pod())
    assert fake.unschedulable_pod("default", "p")["status"]["conditions"][0]["reason"] == "Unschedulable"
    waiting = fake.wait_pod("default", "p", "ErrImagePull", "no such image")
    (status,) = waiting["status"]["containerStatuses"]
    assert status["state"] == {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
    assert (waiting["status"]["phase"], waiting["spec"]["nodeName"]) == ("Pending", "node-1")
    running = fake.run_pod("default", "p")
    (status,) = running["status"]["containerStatuses"]
    assert (running["status"]["phase"], status["ready"], status["started"]) == ("Running", True, True)
    assert status["state"]["running"]["startedAt"]
    assert {c["type"]: c["status"] for c in running["status"]["conditions"]}["Ready"] == "True"
    done = fake.finish_pod("default", "p", 3, "m" * 5000)
    (status,) = done["status"]["containerStatuses"]
    ended = status["state"]["terminated"]
    assert (done["status"]["phase"], ended["exitCode"], ended["reason"]) == ("Failed", 3, "Error")
    assert (status["name"], status["ready"], status["restartCount"]) == ("main", False, 0)
    assert len(ended["message"]) == 4096
    assert ended["startedAt"]
    assert ended["finishedAt"]
    assert done["metadata"]["generation"] == 1
    with pytest.raises(ApiError, match="has ended"):
        fake.run_pod("default", "p")


@pytest.mark.parametrize(
    ("how", "phase", "code", "reason"),
    [({}, "Succeeded", 0, "Completed"), ({"signal": 9}, "Failed", 137, "Error"),
     ({"exit_code": 137, "reason": "OOMKilled"}, "Failed", 137, "OOMKilled")],
)  # fmt: skip
async def test_how_a_pod_ends(fake, how, phase, code, reason):
    fake.create(pod())
    status = fake.finish_pod("default", "p", **how)["status"]
    ended = status["containerStatuses"][0]["state"]["terminated"]
    assert (status["phase"], ended["exitCode"], ended["reason"]) == (phase, code, reason)
    assert "message" not in ended


async def test_a_deleted_running_pod_ends_first(api, fake):
    fake.create(pod())
    fake.run_pod("default", "p")
    async with api.watch(PODS, resourceVersion=fake.store.revision) as events:
        _, marked = await api("DELETE", PODS + "/p")
        assert marked["metadata"]["deletionGracePeriodSeconds"] == 30
        seen = [await events.next() for _ in range(4)]
    assert [kind for kind, _ in seen] == ["MODIFIED", "MODIFIED", "MODIFIED", "DELETED"]
    assert seen[1][1]["status"]["phase"] == "Failed"
    fake.termination_delay = None  # a node that does not answer
    fake.create(pod())
    fake.run_pod("default", "p")
    await api("DELETE", PODS + "/p")
    assert fake.get("pods", "default", "p")["status"]["phase"] == "Running"
    await api("DELETE", PODS + "/p", gracePeriodSeconds=0)
    assert not fake.find("pods", "default", "p")


async def test_evicted(fake):
    fake.create(pod())
    fake.run_pod("default", "p")
    status = fake.evict_pod("default", "p")["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "Evicted")
    assert status["conditions"][0]["type"] == "DisruptionTarget"


async def test_logs(api, fake):
    fake.create(pod())
    assert (await api("GET", PODS + "/p/log"))[0] == 204  # no node yet
    fake.wait_pod("default", "p")
    code, status = await api("GET", PODS + "/p/log")
    assert (code, "is waiting to start: ContainerCreating" in status["message"]) == (400, True)
    fake.run_pod("default", "p")
    fake.set_log("default", "p", "one\ntwo\n")
    assert await api("GET", PODS + "/p/log") == (200, "one\ntwo\n")
    assert await api("GET", PODS + "/p/log", tailLines=1) == (200, "two\n")
    _, stamped = await api("GET", PODS + "/p/log", timestamps="true", tailLines=1)
    assert stamped.split()[0].endswith("Z")
    assert (await api("GET", PODS + "/p/log", container="zz"))[0] == 400
    assert (await api("GET", PODS + "/nope/log"))[0] == 404


async def test_following_a_log(api, fake):
    fake.create(pod())
    fake.run_pod("default", "p")
    fake.set_log("default", "p", "one\n")
    async with api.session.get(fake.url + PODS + "/p/log", params={"follow": "true"}) as response:
        log = Events(response)
        assert await log.line() == b"one\n"
        fake.append_log("default", "p", "two\n")
        assert await log.line() == b"two\n"
        fake.finish_pod("default", "p")
        assert await log.line() == b""
    fake.create(pod("q"))
    fake.run_pod("default", "q")
    fake.set_log("default", "q", "one\n")
    async with api.session.get(fake.url + PODS + "/q/log", params={"follow": "true"}) as response:
        assert await Events(response).line() == b"one\n"
        fake.cut_logs("default", "q")
        with pytest.raises(aiohttp.ClientError):
            await Events(response).line()


async def test_pods_run_by_themselves(api, fake):
    fake.create(pod("before"))

    async def behave(pod: dict[str, Any]) -> tuple[int, str]:
        name = pod["metadata"]["name"]
        if name == "waits":
            await fake.until(lambda: "go" in fake.get("pods", "default", name)["metadata"].get("annotations", {}))
        return (1, "boom") if name == "bad" else (0, f"hello from {name}")

    async with AutoKubelet(fake, behave) as kubelet:
        for name in ("good", "bad", "waits"):
            await api("POST", PODS, pod(name))
        await fake.until(lambda: len(kubelet.finished) == 3)
        await fake.until(lambda: fake.get("pods", "default", "waits")["status"]["phase"] == "Running")
        await api.patch(PODS + "/waits", {"metadata": {"annotations": {"go": "1"}}})
        await fake.until(lambda: len(kubelet.finished) == 4)
    phases = {p["metadata"]["name"]: p["status"]["phase"] for p in fake.objects("pods")}
    assert phases == {"before": "Succeeded", "good": "Succeeded", "bad": "Failed", "waits": "Succeeded"}
    ended = fake.get("pods", "default", "bad")["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["exitCode"], ended["message"]) == (1, "boom")


async def test_behaviour_that_fails_fails_the_test(fake):
    async def run() -> None:
        async with AutoKubelet(fake, lambda pod: 1 // 0):
            fake.create(pod())
            await fake.until(lambda: fake.get("pods", "default", "p")["status"]["phase"] == "Failed")

    with pytest.raises(ExceptionGroup) as caught:
        await run()
    assert isinstance(caught.value.exceptions[0], ZeroDivisionError)


async def test_a_pod_deleted_while_it_runs_is_not_finished(fake):
    async with AutoKubelet(fake, lambda pod: (0, ""), run_delay=60) as kubelet:
        fake.create(pod())
        await fake.until(lambda: kubelet.running == 1)
        fake.delete("pods", "default", "p")
        await fake.until(lambda: not fake.find("pods", "default", "p"))
        await fake.until(lambda: kubelet.running == 0)
    assert kubelet.finished == []


# ---- faults ----


async def test_error_answers_are_counted(api, fake):
    fake.fault("POST", "/pods$", status=429, retry_after=7, times=2)
    async with api.session.post(fake.url + PODS, json=pod()) as response:
        assert (response.status, response.headers["Retry-After"]) == (429, "7")
        body = await response.json()
    assert (body["reason"], body["details"]["retryAfterSeconds"]) == ("TooManyRequests", 7)
    codes = [(await api("POST", PODS, pod()))[0] for _ in range(2)]
    assert codes == [429, 201]
    rule = fake.fault("GET", status=503, skip=1, times=None)
    assert [(await api("GET", PODS))[0] for _ in range(3)] == [200, 503, 503]
    assert rule.hits == 2
    fake.faults.clear()
    assert (await api("GET", PODS))[0] == 200


async def test_dropped_before_and_after(api, fake):
    fake.fault("POST", drop=True)
    with pytest.raises(aiohttp.ClientConnectionError):
        await api("POST", JOBS, job())
    assert not fake.objects("jobs")
    fake.fault("POST", drop=True, when="after")  # the lost answer
    with pytest.raises(aiohttp.ClientConnectionError):
        await api("POST", JOBS, job())
    assert len(fake.objects("jobs")) == 1
    assert (await api("POST", JOBS, job()))[0] == 409
    assert [(r.status, r.dropped) for r in fake.writes] == [(0, True), (0, True), (409, False)]


async def test_an_error_though_it_was_done(api, fake):
    fake.fault("POST", status=504, when="after")
    assert (await api("POST", JOBS, job()))[0] == 504
    assert fake.get("jobs", "default", "a")


async def test_slow_and_held_answers(api, fake):
    fake.fault("GET", delay=0.05)
    begun = time.monotonic()
    await api("GET", JOBS)
    assert time.monotonic() - begun >= 0.05
    rule = fake.fault("POST", hold=True)
    post = asyncio.create_task(api("POST", JOBS, job()))
    await fake.until(lambda: rule.waiting)
    assert not fake.objects("jobs")
    rule.release()
    assert (await post)[0] == 201


async def test_a_watch_cut_in_the_middle_of_an_event(api, fake):
    async with api.watch(JOBS, resourceVersion=fake.store.revision) as events:
        fake.cut_watches("jobs", mid_event=True)
        fake.create(job())
        await events.broken()
    fake.fault(path="/jobs", watch=True, cut_after=1)
    version = fake.store.revision
    async with api.watch(JOBS, resourceVersion=version) as events:
        fake.create(job("b"))
        fake.create(job("c"))
        assert await events.names(1) == [("ADDED", "b")]
        await events.broken()
    async with api.watch(JOBS, resourceVersion=version) as events:  # nothing is lost for who comes back
        assert await events.names(2) == [("ADDED", "b"), ("ADDED", "c")]


async def test_a_repeated_event(api, fake):
    async with api.watch(JOBS, resourceVersion=fake.store.revision) as events:
        fake.repeat_events("jobs")
        fake.create(job("a"))
        fake.create(job("b"))
        assert await events.names(3) == [("ADDED", "a"), ("ADDED", "a"), ("ADDED", "b")]


async def test_a_lost_deletion(api, fake):
    fake.create(job())
    version = fake.store.revision
    async with api.watch(JOBS, resourceVersion=version) as events:
        fake.lose_events("jobs", lambda: fake.delete("jobs", "default", "a"))
        with pytest.raises(aiohttp.ClientError):
            await events.next()
    async with api.watch(JOBS, resourceVersion=version) as events:
        kind, status = await events.next()
        assert (kind, status["code"]) == ("ERROR", 410)
    assert await api.names(JOBS) == []


async def test_held_events(api, fake):
    version = fake.store.revision
    async with api.watch(JOBS, resourceVersion=version) as early:
        with fake.held_events("jobs"):
            fake.create(job("a"))
            fake.send_bookmarks()  # none either: it would tell of what is held back
            async with api.watch(JOBS, resourceVersion=version) as late:
                fake.create(job("b"))
                assert await api.names(JOBS) == ["a", "b"]  # lists know already
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(late.response.content.readline(), 0.02)
                fake.watches.release(fake.resource("jobs"))
                assert await late.names(2) == [("ADDED", "a"), ("ADDED", "b")]
        assert await early.names(2) == [("ADDED", "a"), ("ADDED", "b")]


async def test_watches_that_end_or_fail(api, fake):
    version = fake.store.revision
    async with api.watch(JOBS, resourceVersion=version) as events:
        fake.end_watches()
        assert await events.line() == b""
    async with api.watch(JOBS, resourceVersion=version) as events:
        fake.fail_watches("jobs", 500, "etcdserver: leader changed")
        kind, status = await events.next()
        assert (kind, status["code"]) == ("ERROR", 500)
        assert await events.line() == b""
    fake.fault(watch=True, status=503)
    assert (await api("GET", JOBS, watch=1))[0] == 503


# ---- the rest ----


async def test_requests_are_logged_in_order(api, fake):
    await api("POST", JOBS, job())
    await api("GET", JOBS, limit=5)
    await api.patch(JOBS + "/a/status", {"status": {"x": 1}})
    assert [(r.method, r.path, r.status) for r in fake.requests] == [
        ("POST", JOBS, 201),
        ("GET", JOBS, 200),
        ("PATCH", JOBS + "/a/status", 200),
    ]
    assert fake.requests[1].query == {"limit": "5"}
    assert fake.calls("PATCH", "/status$")[0].body == {"status": {"x": 1}}
    assert fake.requests[0].body == job()  # as sent, not as stored
    assert len(fake.writes) == 2
    assert fake.requests[0].time <= fake.requests[2].time


async def test_kubeconfig(fake, tmp_path):
    config = json.loads(fake.kubeconfig(tmp_path / "config").read_text())
    assert config["clusters"][0]["cluster"]["server"] == fake.url
    assert config["current-context"] == "fake"


async def test_until_gives_up(fake):
    with pytest.raises(AssertionError, match="never"):
        await fake.until(lambda: False, timeout=0.02, what="never")


async def test_what_was_handed_out_stays_as_it_was(fake):
    made = fake.create(job())
    before = json.dumps(made)
    fake.patch("jobs", "default", "a", {"spec": {"n": 2}})
    fake.patch("jobs", "default", "a", [{"op": "add", "path": "/metadata/labels", "value": {"x": "y"}}])
    assert json.dumps(made) == before


async def test_thousands_of_pods_are_quick(api, fake):
    """5,000 creates with three watchers take about 3 s; it is the processor's time, as the machine may be busy."""
    begun = time.process_time()
    async with api.watch(PODS) as one, api.watch(PODS) as two, api.watch("/api/v1/pods") as three:
        limit = asyncio.Semaphore(50)

        async def create(index: int) -> None:
            async with limit, api.session.post(fake.url + PODS, json=pod(f"p-{index}")) as response:
                assert response.status == 201

        await asyncio.gather(*(create(index) for index in range(5000)))
        for stream in (one, two, three):
            assert len({name for _, name in await stream.names(5000)}) == 5000
    assert time.process_time() - begun < 30


async def test_kopf_watches_it(fake, api):
    kopf = pytest.importorskip("kopf")
    registry, seen = kopf.OperatorRegistry(), []
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.peering.standalone = True
    settings.scanning.disabled = True

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> Any:
        return kopf.ConnectionInfo(server=fake.url)

    @kopf.on.event("podgraph.dev", "v1alpha1", "jobs", registry=registry)
    async def event(type: str | None, name: str, **_: Any) -> None:
        seen.append((type, name))

    # In a loop of its own: kopf ends by cancelling every task its loop has gained, the server's among them.
    stop, ready = threading.Event(), threading.Event()
    flags = {"stop_flag": stop, "ready_flag": ready}
    fake.create(job("old"))
    logging.getLogger("kopf").setLevel(logging.WARNING)
    operator = asyncio.create_task(
        asyncio.to_thread(
            lambda: asyncio.run(kopf.operator(registry=registry, settings=settings, clusterwide=True, **flags))
        )
    )
    try:
        await fake.until(ready.is_set, timeout=10)
        await fake.until(lambda: fake.watch_count("jobs"), timeout=10)
        await api("POST", JOBS, job("new"))
        await fake.until(lambda: ("ADDED", "new") in seen, timeout=10)
        fake.lose_events("jobs", lambda: fake.create(job("missed")))
        await fake.until(lambda: (None, "missed") in seen, timeout=10)  # listed again after the 410
    finally:
        stop.set()
        await asyncio.wait_for(operator, 20)
    assert (None, "old") in seen
    assert not [r for r in fake.writes if r.method == "PATCH"]
