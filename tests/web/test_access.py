"""Who may use the page, and as whom: tokens, a proxy, and that nobody sees or does what the cluster denies them."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import kopf
import pytest

from podgraph.cluster.impersonation import UserClients
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, OP_ANNOTATION
from podgraph.server import users
from podgraph.server.proxies import SECRET_HEADER, Proxy, ProxyRules
from podgraph.server.sessions import COOKIE, SECURE_COOKIE, Sessions
from podgraph.server.settings import auth_of
from podgraph.server.users import Own
from web.serving import Served, browser_of, serving, sign_in

Obj = dict[str, Any]
SECRET = "0123456789abcdef"
ANY = ipaddress.ip_network("127.0.0.0/8")


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server where jane may use one namespace, max another, and root all."""
    async with serving(auth=Sessions) as found:
        found.fake.people.tokens = {"t-jane": "jane", "t-max": "max", "t-root": "root", "t-none": "none"}
        found.fake.people.open = {"jane": {"team-a"}, "max": {"team-b"}, "root": {""}}
        for namespace, name in (("team-a", "mine"), ("team-b", "theirs")):
            found.job(name, namespace=namespace)
            found.definition(f"{name}-def", namespace=namespace)
        await found.fake.until(lambda: len(found.state.jobs.items) == 2 == len(found.state.definitions.items))
        yield found


@contextlib.asynccontextmanager
async def signed_in(served: Served, token: str) -> AsyncIterator[aiohttp.ClientSession]:
    async with browser_of(served) as http:
        await sign_in(http, token)
        yield http


async def status(http: aiohttp.ClientSession, path: str, method: str = "GET", **more: Any) -> int:
    async with http.request(method, path, **more) as answer:
        return answer.status


async def names(http: aiohttp.ClientSession, path: str = "/api/runs", part: str = "runs") -> list[str]:
    async with http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return [item["name"] for item in (await answer.json())[part]]


async def test_nothing_is_told_to_who_is_not_signed_in(served: Served) -> None:
    async with browser_of(served) as http:
        async with http.get("/openapi.json") as answer:
            paths = (await answer.json())["paths"]
        asked = 0
        for path, methods in paths.items():
            where = path.format(namespace="team-a", name="mine", kind="schedules")
            for method in methods:
                if path.startswith("/api/session"):
                    continue
                assert await status(http, where, method.upper(), json={} if method == "post" else None) == 401, path
                asked += 1
        assert asked > 10
        async with http.get("/api/session") as answer:
            assert await answer.json() == {"mode": "token", "user": None}
        assert await status(http, "/") == 200
        assert await status(http, "/api/runs", cookies={COOKIE: "made-up"}) == 401


async def test_a_visitor_sees_and_does_what_the_cluster_lets_them(served: Served) -> None:
    async with signed_in(served, "t-jane") as http:
        assert (await names(http), await names(http, "/api/definitions", "definitions")) == (["mine"], ["mine-def"])
        async with http.get("/api/info") as answer:
            assert (await answer.json())["namespaces"] == ["default", "team-a"]
        for path, method, body in (
            ("/api/runs/team-b/theirs", "GET", None), ("/api/runs/team-b/theirs/pods", "GET", None),
            ("/api/runs/team-b/theirs/graph", "GET", None), ("/api/runs/team-b/theirs/log?step=one", "GET", None),
            ("/api/runs/team-b/theirs/cancel", "POST", None), ("/api/definitions/team-b/theirs-def", "GET", None),
            ("/api/runs/team-b/theirs?uid=x", "DELETE", None),
            ("/api/runs/team-b/theirs/rerun", "POST", {"steps": "All"}),
            ("/api/runs", "POST", {"namespace": "team-b", "source": {"source": "x"}}),
            ("/api/check", "POST", {"namespace": "team-b", "source": {"run": "theirs"}}),
        ):  # fmt: skip
            assert await status(http, path, method, json=body) == 403, path
        assert await status(http, "/api/runs/team-a/mine") == 200
        made = {"namespace": "team-a", "source": {"source": "x"}}
        assert await status(http, "/api/runs", "POST", json=made) == 201
    async with signed_in(served, "t-root") as http:
        assert {"mine", "theirs"} < set(await names(http))
    async with signed_in(served, "t-none") as http:
        assert await names(http) == []
    assert {user for user, _ in served.fake.people.seen} == {"", "jane", "root", "none"}


async def test_changes_are_told_of_open_namespaces_alone(served: Served) -> None:
    async with signed_in(served, "t-jane") as http, http.get("/api/runs/events") as answer:
        await answer.content.readuntil(b"\n\n")
        served.job("hidden", namespace="team-b")
        served.fake.delete("jobs", "team-b", "theirs")
        served.job("shown", namespace="team-a")
        seen = b""
        async with asyncio.timeout(10):
            while b"shown" not in seen:
                seen += await answer.content.readuntil(b"\n\n")
        assert (b"hidden" in seen, b"theirs" in seen) == (False, False)


async def test_a_right_that_is_taken_away_is_heeded(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users, "_YES_HOLDS_SECONDS", 0.0)
    async with signed_in(served, "t-jane") as http:
        assert await names(http) == ["mine"]
        served.fake.people.open["jane"] = set()
        assert await names(http) == []


async def test_the_cookie_and_the_end_of_a_session(served: Served) -> None:
    async with browser_of(served) as http:
        async with http.post("/api/session", json={"token": "t-jane"}) as answer:
            told = answer.headers["Set-Cookie"]
            assert await answer.json() == {"mode": "token", "user": "jane"}
        assert ("HttpOnly" in told, "SameSite=strict" in told, "Path=/" in told) == (True, True, True)
        assert ("Secure" in told, "t-jane" in told, told.startswith(f"{COOKIE}=")) == (False, False, True)
        async with http.get("/api/runs/events") as answer, http.delete("/api/session") as out:
            await answer.content.readuntil(b"\n\n")
            assert (out.status, 'podgraph=""' in out.headers["Set-Cookie"]) == (200, True)
            served.job("later", namespace="team-a")
            async with asyncio.timeout(10):
                assert b"later" not in await answer.content.read()  # and it ends
        kept = told.partition("=")[2].partition(";")[0]
        assert await status(http, "/api/runs", cookies={COOKIE: kept}) == 401
    secure = served.url.replace("http://", "https://")
    async with browser_of(served) as http:
        async with http.post("/api/session", json={"token": "t-jane"}, headers={"Origin": secure}) as answer:
            told = answer.headers["Set-Cookie"]
        assert ("Secure" in told, told.startswith(f"{SECURE_COOKIE}=")) == (True, True)
        key = told.partition("=")[2].partition(";")[0]
        assert await status(http, "/api/runs", headers={"Cookie": f"{SECURE_COOKIE}={key}"}) == 200


async def test_a_token_that_is_not_taken_any_more_ends_the_session(served: Served) -> None:
    async with signed_in(served, "t-root") as http:
        assert await status(http, "/api/runs/team-a/mine") == 200
        del served.fake.people.tokens["t-root"]
        async with http.get("/api/runs/team-a/mine") as answer:
            assert (answer.status, (await answer.json())["reason"]) == (401, "SignedOut")
        async with http.get("/api/session") as answer:
            assert (await answer.json())["user"] is None
    served.fake.people.tokens["t-root"] = "root"
    # Also one that is only looked on, by what it is told.
    async with signed_in(served, "t-root") as http, http.get("/api/runs/team-a/mine/events") as answer:
        await answer.content.readuntil(b"\n\n")
        del served.fake.people.tokens["t-root"]
        served.job("other", namespace="team-a")
        served.fake.patch("jobs", "team-a", "mine", {"status": {"progress": "2/2"}}, status=True)
        async with asyncio.timeout(10):
            assert b"2/2" not in await answer.content.read()
        assert await status(http, "/api/runs") == 401


async def test_a_session_ends_by_itself(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.server.sessions._SECONDS", -1)
    async with browser_of(served) as http:
        async with http.post("/api/session", json={"token": "t-jane"}) as answer:
            told = answer.headers["Set-Cookie"].partition("=")[2].partition(";")[0]
        assert await status(http, "/api/runs", headers={"Cookie": f"{COOKIE}={told}"}) == 401


async def test_no_more_sessions_than_there_is_room_for(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("podgraph.server.sessions._MOST", 2)
    async with signed_in(served, "t-jane") as a, signed_in(served, "t-max") as b, signed_in(served, "t-root") as c:
        assert [await status(http, "/api/runs") for http in (a, b, c)] == [401, 200, 200]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("t-unknown", "does not accept this token"),
        ("a b\r\nX: y", "not a valid token"),
        ("", "token"),
        (" ", "not a valid token"),
    ],
)
async def test_a_wrong_token_is_refused_and_told_nowhere(
    served: Served, token: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with browser_of(served) as http, http.post("/api/session", json={"token": token}) as answer:
        told = (await answer.json())["message"]
        assert (answer.status, why in told, "Set-Cookie" in answer.headers) == (422, True, False)
    assert not token.strip() or (token not in told and token not in caplog.text)


async def test_tokens_are_in_no_log_and_no_answer(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with signed_in(served, "t-jane") as http:
        await names(http)
        served.fake.fail_watches("jobs")
        for path in ("/api/session", "/api/info", "/api/runs/team-b/theirs"):
            async with http.get(path) as answer:
                assert "t-jane" not in await answer.text() + str(answer.headers)
    assert "t-jane" not in caplog.text


async def test_another_site_cannot_sign_in_nor_out_nor_read(served: Served) -> None:
    async with signed_in(served, "t-jane") as http:
        for method in ("POST", "DELETE"):
            headers = {"Origin": "http://evil.example"}
            assert await status(http, "/api/session", method, json={"token": "t-max"}, headers=headers) == 403
        for site, expected in (("cross-site", 403), ("same-site", 403), ("same-origin", 200), ("none", 200)):
            assert await status(http, "/api/runs", headers={"Sec-Fetch-Site": site}) == expected


async def test_where_nobody_signs_in() -> None:
    async with serving() as served, browser_of(served) as http:
        async with http.get("/api/session") as answer:
            assert await answer.json() == {"mode": "none", "user": ""}
        async with http.post("/api/session", json={"token": "t"}) as answer:
            assert (answer.status, (await answer.json())["reason"]) == (422, "NoSignIn")
        assert await status(http, "/api/session", "DELETE") == 200


def proxy(**rules: Any) -> Any:
    return lambda acting: Proxy(acting, ProxyRules(**{"user_header": "X-User", "secret": SECRET, **rules}))


async def test_a_proxy_says_who_asks() -> None:
    auth = proxy(groups_header="X-Groups", groups=["data"], networks=[ANY])
    async with serving(auth=auth) as served, browser_of(served) as http:
        served.fake.people.open = {"jane": {"team-a"}, "data": {"team-b"}, "ops": {""}}
        for namespace in ("team-a", "team-b", "team-c"):
            served.job(f"of-{namespace}", namespace=namespace)
        await served.fake.until(lambda: len(served.state.jobs.items) == 3)

        async def seen(**headers: str) -> list[str] | int:
            http.headers.clear()
            http.headers.update({SECRET_HEADER: SECRET, **{key.replace("_", "-"): v for key, v in headers.items()}})
            async with http.get("/api/runs") as answer:
                found = await answer.json()
            return sorted(run["name"] for run in found["runs"]) if answer.status == 200 else answer.status

        assert await seen(X_User="jane") == ["of-team-a"]
        # A group that the rules do not name is not passed on, whoever the proxy says is in it.
        assert await seen(X_User="jane", X_Groups="ops, data,system:masters") == ["of-team-a", "of-team-b"]
        assert await seen(X_User="max", X_Groups="ops") == []
        assert await seen() == 401
        for wrong in ("system:admin", "system:serviceaccount:a:b", "a b", "x" * 300, "jäne"):
            assert await seen(X_User=wrong) == 403, wrong
        assert served.fake.people.seen[-1] == ("max", ())
        for secret in ("", "wrong", f"{SECRET}x"):
            assert await seen(X_User="jane", **{SECRET_HEADER: secret}) == 403
        http.headers.clear()
        async with http.get("/api/runs", headers={"X-User": "jane"}) as answer:
            assert answer.status == 403
        twice = [(SECRET_HEADER, SECRET), ("X-User", "root"), ("X-User", "jane")]
        async with http.get("/api/runs", headers=twice) as answer:
            assert answer.status == 403
        twice = [(SECRET_HEADER, SECRET), ("X-User", "jane"), ("X-Groups", "data"), ("X-Groups", "ops")]
        async with http.get("/api/runs", headers=twice) as answer:
            assert answer.status == 403


async def test_only_users_who_are_listed_come_through_the_proxy() -> None:
    async with serving(auth=proxy(users=["jane"])) as served, browser_of(served) as http:
        served.fake.people.open = {"jane": {""}, "max": {""}}
        for user, expected in (("jane", 200), ("max", 403), ("Jane", 403), ("jane ", 200), ("jane,max", 403)):
            headers = {SECRET_HEADER: SECRET, "X-User": user}  # spaces around a header's value are not of it
            assert await status(http, "/api/runs", headers=headers) == expected, user
        assert {user for user, _ in served.fake.people.seen} <= {"jane", ""}


async def test_no_header_of_the_browsers_gives_rights(served: Served) -> None:
    """Neither who signs in, nor whom a proxy lets in, adds to what the API server is asked with."""
    spoofed = {"Impersonate-User": "root", "Impersonate-Group": "system:masters", "Authorization": "Bearer t-root"}
    async with signed_in(served, "t-jane") as http:
        assert await status(http, "/api/runs/team-b/theirs", headers=spoofed) == 403
    async with browser_of(served) as http:
        assert await status(http, "/api/runs", headers={**spoofed, "X-Forwarded-User": "root"}) == 401
    async with serving(auth=proxy(users=["jane"])) as behind, browser_of(behind) as http:
        behind.fake.people.open = {"jane": {"team-a"}, "system:masters": {""}, "root": {""}}
        behind.job("theirs", namespace="team-b")
        known = {SECRET_HEADER: SECRET, "X-User": "jane", **spoofed}
        assert await status(http, "/api/runs/team-b/theirs", headers=known) == 403
        assert ("jane", ()) in behind.fake.people.seen


VIEW = {
    ("podgraph.dev", resource): {"get", "list", "watch"}
    for resource in ("jobs", "jobdefinitions", "jobschedules", "jobsensors")
} | {("", "pods"): {"get", "list", "watch"}, ("", "events"): {"list"}}


async def test_who_may_only_view_gets_no_more_from_the_page(served: Served) -> None:
    """Not a log that they may not read, nor one that a pod would read from the storage for them, nor a run."""
    job = served.job("done", namespace="team-a")
    stored = {"storage": {"url": "file:///x", "claim": "c", "logs": True}}
    served.fake.patch("jobs", "team-a", "done", {"status": stored}, status=True)
    served.fake.create(
        {
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {
                "name": "p", "namespace": "team-a", "annotations": {OP_ANNOTATION: "two"},
                "labels": {MANAGED_BY_LABEL: MANAGED_BY, JOB_UID_LABEL: job["metadata"]["uid"]},
            },
            "spec": {"containers": [{"name": "step", "image": "i"}]},
        }
    )  # fmt: skip
    served.fake.server.may = lambda verb, group, resource, *_: verb in VIEW.get((group, resource), ())
    async with signed_in(served, "t-jane") as http:
        assert await status(http, "/api/runs/team-a/done") == 200
        for step in ("one", "two"):  # of which the first is in the storage, and the second has its pod
            async with http.get(f"/api/runs/team-a/done/log?step={step}") as answer:
                assert (answer.status, "forbidden" in await answer.text()) == (403, True), step
        run = {"namespace": "team-a", "source": {"run": "done"}, "config": "ops: {one: {config: {n: 1}}}"}
        assert await status(http, "/api/runs", "POST", json=run) == 403
        assert await status(http, f"/api/runs/team-a/done?uid={job['metadata']['uid']}", "DELETE") == 403
    assert {"get pods/log", "create configmaps", "create jobs", "delete jobs"} <= {
        " ".join(denied.split()[:2]) for denied in served.fake.server.denied
    }
    assert len(served.fake.objects("pods")) == 1


async def test_a_page_that_only_shows() -> None:
    async with serving(auth=lambda _: Own(read_only=True)) as served, browser_of(served) as http:
        job = served.job("j", steps={"one": {}})
        await served.fake.until(lambda: served.state.jobs.items)
        before = len(served.fake.requests)
        writes = [
            ("POST", "/api/runs", {"namespace": "default", "source": {"run": "j"}}),
            ("POST", "/api/runs/default/j/cancel", None),
            ("POST", "/api/runs/default/j/rerun", {}),
            ("DELETE", f"/api/runs/default/j?uid={job['metadata']['uid']}", None),
            ("POST", "/api/makers/schedules/default/s/suspend", {"suspend": True}),
            ("POST", "/api/makers/schedules/default/s/tick", {}),
            ("POST", "/api/makers/sensors/default/s/try", {}),
        ]
        for method, path, body in writes:
            async with http.request(method, path, json=body) as answer:
                assert (answer.status, "ui.readOnly" in await answer.text()) == (403, True), path
        assert len(served.fake.requests) == before
        for path in ("/api/runs", "/api/runs/default/j", "/api/session", "/api/definitions", "/api/makers/schedules"):
            assert await status(http, path) == 200, path
        checked = {"namespace": "default", "source": {"run": "j"}}
        assert await status(http, "/api/source", "POST", json=checked) == 200
        stored = {"storage": {"url": "file:///x", "claim": "c", "logs": True}}
        served.fake.patch("jobs", "default", "j", {"status": stored}, status=True)
        async with http.get("/api/runs/default/j/log?step=one") as answer:
            assert (answer.status, "ui.readOnly" in await answer.text()) == (403, True)
        assert {r.method for r in served.fake.requests} <= {"GET", "POST"}
        assert not [r for r in served.fake.requests if r.method == "POST" and "selfsubject" not in r.path]
        assert auth_of({"PODGRAPH_UI_READ_ONLY": "true"}, None).read_only  # type: ignore[arg-type,attr-defined]


async def test_a_proxy_is_known_by_its_address() -> None:
    elsewhere = [ipaddress.ip_network("10.1.0.0/16")]
    async with serving(auth=proxy(networks=elsewhere, secret="")) as served, browser_of(served) as http:
        # That it says to come from there is not believed.
        headers = {"X-User": "jane", "X-Forwarded-For": "10.1.2.3", "Forwarded": "for=10.1.2.3"}
        assert await status(http, "/api/runs", headers=headers) == 403
        assert await status(http, "/healthz") == 200
        assert served.fake.people.seen.count(("jane", ())) == 0


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"PODGRAPH_UI_AUTH": "magic"}, "allowed are: none, token, proxy"),
        ({"PODGRAPH_UI_AUTH": "proxy"}, "requires the addresses of the proxy, a secret, or both"),
        ({"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_ADDRESSES": "10.0.0.1/8"}, "address '10.0.0.1/8'"),
        ({"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_ADDRESSES": "127.0.0.1"}, "also requires a secret"),
        ({"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_ADDRESSES": "::/0"}, "also requires a secret"),
        ({"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_ADDRESSES": "0.0.0.0/0"}, "also requires a secret"),
        ({"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_SECRET": "short"}, "fewer than 16 characters"),
        (
            {"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_SECRET": SECRET, "PODGRAPH_UI_PROXY_USER_HEADER": "a b"},
            "'a b' is not a valid header name",
        ),
        (
            {"PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_SECRET": SECRET, "PODGRAPH_UI_PROXY_USER_HEADER": ""},
            "'' is not a valid header name",
        ),
        (
            {
                "PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_SECRET": SECRET,
                "PODGRAPH_UI_PROXY_GROUPS": "data,system:masters",
            },
            "the group 'system:masters'",
        ),
        (
            {
                "PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_SECRET": SECRET,
                "PODGRAPH_UI_PROXY_USERS": "jane,system:admin",
            },
            "the user 'system:admin'",
        ),
    ],
)  # fmt: skip
def test_settings_that_would_believe_anybody_are_refused(settings: dict[str, str], why: str) -> None:
    acting: Any = None
    with pytest.raises(DefinitionError, match=why.replace("(", r"\(")):
        auth_of({"PODGRAPH_UI_PROXY_USER_HEADER": "X-User", **settings}, acting)


async def test_settings_of_a_proxy() -> None:
    async with UserClients(kopf.ConnectionInfo(server="http://x")) as acting:
        assert [auth_of({"PODGRAPH_UI_AUTH": mode}, acting).mode for mode in ("", "none", "token")] == [
            "none", "none", "token",
        ]  # fmt: skip
        settings = {
            "PODGRAPH_UI_AUTH": "proxy", "PODGRAPH_UI_PROXY_USER_HEADER": "X-User",
            "PODGRAPH_UI_PROXY_ADDRESSES": "10.0.0.1, fd00::/64", "PODGRAPH_UI_PROXY_GROUPS": "data",
        }  # fmt: skip
        assert auth_of(settings, acting).mode == "proxy"


async def test_a_token_is_sent_without_our_own_certificate_or_token() -> None:
    info = kopf.ConnectionInfo(server="http://x", token="own", username="u", password="p")
    async with UserClients(info) as acting:
        client = acting.with_token("theirs")
        assert client.headers.getall("Authorization") == ["Bearer theirs"]
        assert "Authorization" not in client.session.headers
        client = acting.as_user("jane", ["a", "b"])
        assert (client.headers["Impersonate-User"], client.headers.getall("Impersonate-Group")) == ("jane", ["a", "b"])
        assert client.session.headers["Authorization"] == aiohttp.encode_basic_auth("u", "p")
