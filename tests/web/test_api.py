"""The page's API before the fake API server: what it tells, what it makes, and what it refuses."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from api.fake import RESOURCES
from podgraph.planning.model.names import JOB_UID_LABEL, MANAGED_BY, MANAGED_BY_LABEL, POD_LABEL, step_container
from podgraph.server import log_api
from podgraph.server.security import MOST_BODY
from web.serving import Served, serving

Obj = dict[str, Any]


async def get(http: aiohttp.ClientSession, path: str) -> Obj:
    async with http.get(path) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


async def refusal(http: aiohttp.ClientSession, path: str, body: Any = None, method: str = "POST") -> tuple[int, str]:
    async with http.request(method, path, json=body) as answer:
        return answer.status, (await answer.json())["message"]


async def told(answer: aiohttp.ClientResponse, kind: str) -> Obj:
    """Wait for an event of a kind and return its data."""
    async with asyncio.timeout(10):
        while True:
            line = (await answer.content.readline()).decode().strip()
            if line == f"event: {kind}":
                return json.loads((await answer.content.readline()).decode().partition(":")[2])


def launch(**more: Any) -> Obj:
    return {"namespace": "default", "source": {"run": "a"}, **more}


async def test_runs_are_listed_by_page_state_and_text(served: Served, http: aiohttp.ClientSession) -> None:
    for number in range(7):
        state = "Failed" if number % 2 else "Succeeded"
        served.job(f"run-{number}", state, labels={"team": "data"} if number == 3 else {})
    await served.fake.until(lambda: len(served.state.jobs.items) == 7)
    first = await get(http, "/api/runs?limit=3")
    second = await get(http, f"/api/runs?limit=3&before={first['next']}")
    third = await get(http, f"/api/runs?limit=3&before={second['next']}")
    names = [run["name"] for page in (first, second, third) for run in page["runs"]]
    assert (names, first["total"], third["next"]) == ([f"run-{n}" for n in range(6, -1, -1)], 7, "")
    failed = await get(http, "/api/runs?state=Failed,Canceled")
    assert [run["name"] for run in failed["runs"]] == ["run-5", "run-3", "run-1"]
    tagged = await get(http, "/api/runs?text=TEAM%3Ddata")
    assert [(run["name"], run["tags"], run["finished"]) for run in tagged["runs"]] == [
        ("run-3", {"team": "data"}, True)
    ]
    assert (await get(http, "/api/info"))["namespaces"] == ["default"]


async def test_changes_of_runs_are_told_as_they_happen(served: Served, http: aiohttp.ClientSession) -> None:
    async with http.get("/api/runs/events") as answer:
        assert answer.content_type == "text/event-stream"
        assert await told(answer, "list") == {"runs": [], "next": "", "total": 0}
        served.job("a", "Running")
        change = await told(answer, "runs")
        assert [(run["name"], run["state"]) for run in change["changed"]][-1] == ("a", "Running")
        served.fake.delete("jobs", "default", "a")
        while not change["gone"]:
            change = await told(answer, "runs")
        assert change["gone"] == [["default", "a"]]


async def test_a_run_is_told_with_only_the_steps_that_changed(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a", "Running")
    async with http.get("/api/runs/default/a/events") as answer:
        run = await told(answer, "run")
        assert (run["summary"]["state"], run["hasGraph"], "steps" in run) == ("Running", True, False)
        assert list(await told(answer, "steps")) == ["one"]
        steps = {"two": {"state": "Running"}, **served.fake.get("jobs", "default", "a")["status"]["steps"]}
        served.fake.patch("jobs", "default", "a", {"status": {"steps": steps}}, status=True)
        assert await told(answer, "steps") == {"two": {"state": "Running"}}
        served.fake.delete("jobs", "default", "a")
        assert "not found" in (await told(answer, "gone"))["message"]
    graph = served.job("b") and await get(http, "/api/runs/default/b/graph")
    assert [(op["name"], op["upstream"]) for op in graph["ops"]] == [("one", []), ("two", ["one"]), ("three", [])]
    served.job("c", graph=None)
    assert await refusal(http, "/api/runs/default/c/graph", method="GET") == (
        404,
        "the graph of Job 'c' is not known yet",
    )


async def test_a_log_is_streamed_without_the_operators_lines(served: Served, http: aiohttp.ClientSession) -> None:
    job = served.job("a", "Running")
    pod = served.pod(job, "one", "hello\n::podgraph-record secret\nworld\n", ended=False)
    async with http.get("/api/runs/default/a/log?step=one&follow=true") as answer:
        assert (answer.content_type, await answer.content.readline()) == ("text/plain", b"hello\n")
        assert await answer.content.readline() == b"world\n"
        served.fake.append_log("default", pod["metadata"]["name"], "more <b>\n")
        assert await answer.content.readline() == b"more <b>\n"
        served.fake.finish_pod("default", pod["metadata"]["name"], 0, "")
        assert await answer.content.read() == b""
    async with http.get("/api/runs/default/a/log?step=one&download=true") as answer:
        assert answer.headers["Content-Disposition"] == 'attachment; filename="a-one.log"'
        assert await answer.text() == "hello\nworld\nmore <b>\n"


async def test_a_step_in_a_shared_pod_is_told_by_its_container(served: Served, http: aiohttp.ClientSession) -> None:
    job = served.job("a", "Running")
    labels = {JOB_UID_LABEL: job["metadata"]["uid"], MANAGED_BY_LABEL: MANAGED_BY, POD_LABEL: "p"}
    meta = {"name": "a-p", "labels": labels}
    containers = [{"name": step_container(step), "image": step} for step in ("one", "two")]
    pod = served.fake.create(
        {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "namespace": "default"},
         "spec": {"containers": containers, "nodeName": "n"}}
    )  # fmt: skip
    served.run_pod(pod, "both say it\n")
    served.fake.end_container("default", "a-p", step_container("two"), 3)
    steps = {"one": {"podUID": pod["metadata"]["uid"]}, "two": {"podUID": pod["metadata"]["uid"]}}
    served.fake.patch("jobs", "default", "a", {"status": {"steps": steps}}, status=True)
    told = (await get(http, "/api/runs/default/a/pods"))["pods"]
    assert [(told[step][0]["image"], told[step][0]["exitCode"]) for step in ("one", "two")] == [
        ("one", None),
        ("two", 3),
    ]
    async with http.get("/api/runs/default/a/log?step=two") as answer:
        assert await answer.text() == "both say it\n"
    asked = [request.query for request in served.fake.requests if request.path.endswith("/pods/a-p/log")]
    assert [query["container"] for query in asked] == [step_container("two")]


async def test_a_log_is_waited_for_that_the_kubelet_has_not_yet(
    served: Served, http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.pod(served.job("early", "Succeeded"), "one", "hello\n")
    served.fake.fault("GET", "/log$", status=400, times=2)
    async with http.get("/api/runs/default/early/log?step=one") as answer:
        assert (answer.status, await answer.text()) == (200, "hello\n")
    monkeypatch.setattr(log_api, "_BEGIN_SECONDS", 0.0)
    served.fake.fault("GET", "/log$", status=400, times=2)
    assert (await refusal(http, "/api/runs/default/early/log?step=one", method="GET"))[0] == 502


async def test_why_there_is_no_log(served: Served, http: aiohttp.ClientSession) -> None:
    job = served.job("a")
    served.pod(job, "other", "of another step\n")
    where = "/api/runs/default/a/log?step="
    status, message = await refusal(http, f"{where}one", method="GET")
    assert (status, "podRetention: Always keeps pods" in message) == (404, True)
    assert "did you mean 'one'?" in (await refusal(http, f"{where}onee", method="GET"))[1]
    # A pod of another Job or step is not shown, whatever its name.
    served.pod(served.job("b"), "one", "not yours\n", name="b-pod")
    assert (await refusal(http, f"{where}one&pod=b-pod", method="GET"))[0] == 404
    served.fake.patch("jobs", "default", "a", {"status": {"steps": {"one": {"takenFrom": "b"}}}}, status=True)
    assert "taken from Job 'b'" in (await refusal(http, f"{where}one", method="GET"))[1]


STORAGE = {"url": "s3://bucket/here", "logs": True, "image": "python:3"}


async def kept(served: Served, said: str | None, exit_code: int = 0, message: str = "") -> None:
    """Be the pod that reads a log: it prints what there is of it, and ends."""
    await served.fake.until(lambda: served.fake.objects("pods"))
    [pod] = served.fake.objects("pods")
    meta = pod["metadata"]
    nonce = json.loads(meta["annotations"]["podgraph.dev/assignment"])["nonce"]
    served.fake.run_pod("default", meta["name"])
    if said is not None:
        served.fake.logs.append(meta["uid"], f"{nonce} one\n{said}")
    served.fake.logs.append(meta["uid"], "::podgraph-record the end\n")
    served.fake.finish_pod("default", meta["name"], exit_code, message)


async def test_a_log_comes_from_the_storage_when_its_pod_is_gone(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    served.fake.patch("jobs", "default", "a", {"status": {"storage": STORAGE}}, status=True)
    where = "/api/runs/default/a/log?step=one"
    for more, expected in (
        ("", "[from the Job's storage, because the step's pod is gone]\nhello\n<b>\n"),
        ("&download=true", "hello\n<b>\n"),
    ):
        reading = asyncio.create_task(kept(served, "hello\n<b>\n"))
        async with http.get(where + more) as answer:
            assert (answer.status, answer.headers["X-Podgraph-Log"]) == (200, "storage")
            assert await answer.text() == expected
        await reading
        await served.fake.until(lambda: not served.fake.objects("pods"))  # it is deleted when it has been read
    assert len(served.fake.objects("configmaps")) == 1  # the step runtime, made once and then found


async def test_a_log_that_the_storage_does_not_give(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    served.fake.patch("jobs", "default", "a", {"status": {"storage": STORAGE}}, status=True)
    where = "/api/runs/default/a/log?step=one"
    for (said, code, message), (status, why) in {
        (None, 0, ""): (404, "the storage has none"),
        (None, 1, "no such bucket"): (422, "cannot be read from s3://bucket/here: no such bucket"),
    }.items():
        reading = asyncio.create_task(kept(served, said, code, message))
        answered, told = await refusal(http, where, method="GET")
        await reading
        assert (answered, why in told) == (status, True), told
        await served.fake.until(lambda: not served.fake.objects("pods"))
    reading = asyncio.create_task(kept(served, ""))
    async with http.get(f"{where}&download=true") as answer:
        assert (answer.status, await answer.text()) == (200, "")
    await reading
    # Only of steps that have run, and only so many at a time.
    assert (await refusal(http, "/api/runs/default/a/log?step=three", method="GET"))[0] == 404


async def test_who_leaves_while_a_kept_log_is_read(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    served.fake.patch("jobs", "default", "a", {"status": {"storage": STORAGE}}, status=True)
    waiting = asyncio.create_task(http.request("GET", "/api/runs/default/a/log?step=one").__aenter__())
    await served.fake.until(lambda: served.fake.objects("pods"))
    waiting.cancel()
    await served.fake.until(lambda: not served.fake.objects("pods"))


async def test_pods_of_a_run_by_step(served: Served, http: aiohttp.ClientSession) -> None:
    job = served.job("a")
    served.pod(job, "one", "", name="first")
    served.pod(job, "one", "", name="second", ended=False)
    found = await get(http, "/api/runs/default/a/pods")
    assert [(pod["pod"], pod["exitCode"]) for pod in found["pods"]["one"]] == [("first", 0), ("second", None)]


async def test_the_launchpad_says_all_that_is_wrong_and_where(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")

    async def check(**more: Any) -> Obj:
        async with http.post("/api/check", json=launch(**more)) as answer:
            return await answer.json()

    found = await check(config="ops:\n  one:\n    config:\n      n: x\n      m: 1\n")
    assert [(p["path"], p["from"], p["to"]) for p in found["config"]] == [("ops.one.config.n", 30, 31)]
    assert found["schema"]["properties"]["ops"]["properties"]["one"]["properties"]["config"]["required"] == ["n"]
    found = await check(example="Missing")
    assert (found["config"][0]["missing"], found["example"]) == (True, "ops:\n  one:\n    config:\n      n: 0\n")
    found = await check(selection="three, on*e", config="{}")
    assert (found["selection"]["from"], found["selection"]["to"], found["selected"]) == (7, 11, None)
    found = await check(selection="three, tree", config="")
    assert (found["selection"]["from"], "did you mean 'three'?" in found["selection"]["message"]) == (7, True)
    found = await check(selection="three")
    assert (found["selection"], found["selected"], found["config"]) == (None, ["three"], [])
    for text, why in {
        "a: [": "this is not valid YAML",
        "a: 1\na: 2": "'a' is set twice",
        "a: &x 1\nb: *x": "aliases",
        "- 1": "must be a mapping",
        "ops: 2020-01-01": "must consist of JSON values",
        "[" * 200: "nested deeper than 100 levels",
    }.items():
        found = await check(config=text)
        assert len(found["config"]) == 1, text
        assert why in found["config"][0]["message"]


async def test_a_run_is_launched_from_another(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a", rerunOf={"name": "older"}, cancel=True, execution={"maxConcurrent": 2}, opSelection=["one"])
    body = launch(selection="*two", config="ops: {one: {config: {n: 1}}}", mode="InProcess", tags={"team": "x"})
    async with http.post("/api/runs", json=body) as answer:
        made = await answer.json()
        assert answer.status == 201
    job = served.fake.get("jobs", "default", made["name"])
    assert made["name"].startswith("a-")
    assert job["metadata"]["labels"] == {"team": "x"}
    assert job["spec"] == {
        "code": {"source": "pass", "image": "i"}, "opSelection": ["*two"],
        "runConfig": {"ops": {"one": {"config": {"n": 1}}}},
        "execution": {"maxConcurrent": 2, "mode": "InProcess"},
    }  # fmt: skip


async def test_a_run_is_launched_from_code_that_nobody_imports(served: Served, http: aiohttp.ClientSession) -> None:
    code = "raise SystemExit('imported')"
    async with http.post("/api/runs", json={"namespace": "default", "source": {"source": code}}) as answer:
        made = await answer.json()
    spec = served.fake.get("jobs", "default", made["name"])["spec"]
    assert spec == {"code": {"source": code, "image": "step:dev"}}
    for selection, config, why in (("a++b", "", "wrong"), ("", "a: [", "YAML")):
        status, message = await refusal(
            http, "/api/runs",
            {"namespace": "default", "source": {"source": code}, "selection": selection, "config": config},
        )  # fmt: skip
        assert (status, why in message or "is not a valid" in message) == (422, True), message


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"config": "ops: {one: {config: {n: x}}}"}, "ops.one.config.n must be integer"),
        ({"selection": "four"}, "names no op or graph"),
        ({"selection": "three", "tags": {"podgraph.dev/job": "x"}}, "reserved for podgraph"),
        ({"selection": "three", "tags": {"a b": "x"}}, "the tag 'a b' is not allowed"),
        ({"selection": "three", "tags": {"a": "<b>"}}, "the value '<b>' of the tag 'a'"),
        ({"selection": "three", "name": "A_b"}, "the name 'A_b' is not allowed"),
        ({"source": {"run": "a", "definition": "b"}}, "exactly one of run, definition and source"),
        ({"source": {"run": "../../x"}}, "source.run"),
        ({"mode": "Magic"}, "mode"),
        ({"config": "x" * 300_000}, "config"),
        ({"more": 1}, "more"),
    ],
)
async def test_what_is_wrong_is_not_launched(served: Served, http: aiohttp.ClientSession, more: Obj, why: str) -> None:
    served.job("a")
    status, message = await refusal(http, "/api/runs", launch(**more))
    assert (status, why in message) == (422, True), message
    assert len(served.fake.objects("jobs")) == 1


async def test_cancel_rerun_and_delete(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("going", "Running")
    done = served.job("done", "Failed", graph=None, labels={"team": "x"})
    async with http.post("/api/runs/default/going/cancel") as answer:
        assert answer.status == 202
    assert served.fake.get("jobs", "default", "going")["spec"]["cancel"] is True
    assert await refusal(http, "/api/runs/default/done/cancel") == (422, "Job 'done' is already finished")
    assert "is not finished" in (await refusal(http, "/api/runs/default/going/rerun", {"steps": "All"}))[1]
    assert "does not contain a step" in (await refusal(http, "/api/runs/default/done/rerun", {"steps": "Selected"}))[1]
    for steps, selection, expected in (
        ("FromFailure", "", None),
        ("All", "", None),
        ("Selected", "one,two", ["one", "two"]),
    ):
        async with http.post("/api/runs/default/done/rerun", json={"steps": steps, "selection": selection}) as answer:
            made = served.fake.get("jobs", "default", (await answer.json())["name"])
        assert made["spec"]["rerunOf"] == {
            "name": "done", "uid": done["metadata"]["uid"], "steps": "FromFailure" if steps == "FromFailure" else "All",
        }  # fmt: skip
        assert (made["spec"].get("opSelection"), made["metadata"]["labels"]) == (expected, {"team": "x"})
    async with http.delete("/api/runs/default/done?uid=of-another") as answer:
        assert answer.status == 202
    assert served.fake.find("jobs", "default", "done")
    async with http.delete(f"/api/runs/default/done?uid={done['metadata']['uid']}") as answer:
        assert answer.status == 202
    assert served.fake.find("jobs", "default", "done") is None


async def test_definitions_are_listed_drawn_and_launched(served: Served, http: aiohttp.ClientSession) -> None:
    served.definition("good", opSelection=["three"], execution={"mode": "InProcess"})
    served.definition("bad", "False")
    await served.fake.until(lambda: len(served.state.definitions.items) == 2)
    await asyncio.sleep(0.1)
    found = await get(http, "/api/definitions")
    assert [(item["name"], item["ready"], item["ops"]) for item in found["definitions"]] == [
        ("bad", "False", 3), ("good", "True", 3),
    ]  # fmt: skip
    one = await get(http, "/api/definitions/default/good")
    assert ([op["name"] for op in one["graph"]["ops"]], one["source"]) == (["one", "two", "three"], "pass")
    assert (await get(http, "/api/definitions/default/bad"))["why"] == "JobDefinition 'bad' cannot be run: because"
    body = {"namespace": "default", "source": {"definition": "good"}}
    async with http.post("/api/source", json=body) as answer:
        opened = await answer.json()
    assert (opened["selection"], opened["mode"], opened["graph"]["name"]) == ("three", "InProcess", "j")
    async with http.post(
        "/api/runs", json={**body, "selection": "", "config": "ops: {one: {config: {n: 1}}}"}
    ) as answer:
        made = served.fake.get("jobs", "default", (await answer.json())["name"])
    assert made["metadata"]["labels"] == {"podgraph.dev/definition": "good"}
    # All ops is said in so many words, since no selection would leave the definition's own.
    assert (made["spec"]["definitionRef"], made["spec"]["opSelection"]) == ({"name": "good"}, ["*"])


async def test_a_cluster_without_definitions() -> None:
    others = [resource for resource in RESOURCES if resource.plural != "jobdefinitions"]
    async with serving(resources=others) as served, aiohttp.ClientSession(base_url=served.url) as http:
        assert await get(http, "/api/definitions") == {"served": False, "definitions": []}
        assert (await get(http, "/api/info"))["definitions"] is False


async def test_one_namespace_alone() -> None:
    async with serving("elsewhere") as served, aiohttp.ClientSession(base_url=served.url) as http:
        served.job("a")
        assert (await get(http, "/api/runs"))["runs"] == []


async def test_the_list_survives_broken_watches(served: Served, http: aiohttp.ClientSession) -> None:
    served.job("a")
    await served.fake.until(lambda: served.state.jobs.items)
    served.fake.lose_events("jobs", lambda: served.fake.delete("jobs", "default", "a"))
    served.job("b")
    served.fake.fail_watches("jobs")
    await served.fake.until(lambda: list(served.state.jobs.items) == [("default", "b")])
    served.fake.cut_watches("jobs", mid_event=True)
    served.job("c")
    await served.fake.until(lambda: len(served.state.jobs.items) == 2)


async def test_other_sites_cannot_write_nor_read(served: Served) -> None:
    async with aiohttp.ClientSession(base_url=served.url) as http:
        body = launch(source={"source": "x"})
        for headers in (
            {}, {"Origin": "null"}, {"Origin": "http://evil.example"},
            {"Origin": served.url, "Sec-Fetch-Site": "cross-site"},
            {"Origin": f"{served.url}.evil.example"},
        ):  # fmt: skip
            async with http.post("/api/runs", json=body, headers=headers) as answer:
                assert answer.status == 403, headers
        # A name that an attacker points at this machine.
        async with http.get("/api/runs", headers={"Host": "evil.example"}) as answer:
            assert (answer.status, "not served under the host" in await answer.text()) == (421, True)
        async with http.get("/healthz", headers={"Host": "10.0.0.1:3000"}) as answer:
            assert answer.status == 200
        async with http.get("/") as answer:
            assert answer.headers["X-Frame-Options"] == "DENY"
            policy = answer.headers["Content-Security-Policy"]
            nonce = policy.partition("'nonce-")[2].partition("'")[0]
            assert ("default-src 'none'" in policy, "unsafe" in policy) == (True, False)
        async with http.get("/") as answer:
            assert nonce not in answer.headers["Content-Security-Policy"]
    assert served.fake.objects("jobs") == []


async def test_files_are_sent_small_and_kept(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_text("")
    (tmp_path / "assets" / "a-1.js").write_text("let a = 1;\n" * 1_000)
    async with (
        serving(static=tmp_path) as served,
        aiohttp.ClientSession(base_url=served.url, auto_decompress=False) as http,
    ):
        for asked, sent in (("gzip, br", "gzip"), ("identity", None)):
            async with http.get("/assets/a-1.js", headers={"Accept-Encoding": asked}) as answer:
                body = await answer.read()
                assert (answer.status, answer.headers.get("Content-Encoding"), answer.content_type) == (
                    200, sent, "text/javascript",
                )  # fmt: skip
                assert "immutable" in answer.headers["Cache-Control"]
                assert (gzip.decompress(body) if sent else body) == b"let a = 1;\n" * 1_000
                assert len(body) < 200 or sent is None
        for path in ("/assets/none.js", "/assets/..%2findex.html"):
            async with http.get(path) as answer:
                assert answer.status == 404, path


async def test_a_request_has_a_bound(served: Served, http: aiohttp.ClientSession) -> None:
    async with http.post("/api/runs", data=b"x" * (MOST_BODY + 1)) as answer:
        assert (answer.status, "too large" in await answer.text()) == (413, True)

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    async with http.post("/api/runs", data=endless()) as answer:
        assert answer.status == 413


async def test_the_api_describes_itself_and_asks_no_other_host(http: aiohttp.ClientSession) -> None:
    document = await get(http, "/openapi.json")
    assert {"/api/runs", "/api/runs/{namespace}/{name}/log", "/api/check"} <= set(document["paths"])
    assert await refusal(http, "/api/nothing", method="GET") == (404, "this address does not exist")
    assert await refusal(http, "/api/runs/default/..%2f..%2fpods", method="GET") is not None
