"""The Secrets that the pods of Jobs sign with, and what somebody knows who may read all but Secrets."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest

from api.driving import (
    Driver,
    PythonPods,
    adding,
    assignment_of,
    condition,
    driving,
    key_of,
    secret_env,
)
from api.fake import AutoKubelet, FakeCluster
from podgraph.cluster.client import Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.shell_runner import TOKEN_VARIABLE
from podgraph.planning.model.names import ASSIGNMENT
from podgraph.protocol.signing import KEY_VARIABLE, Signer
from podgraph.protocol.step import Record
from podgraph.reconcile.master_key import MASTER_SECRET, master_keys, own_namespace, random_keys

Obj = dict[str, Any]

CODE = """
from podgraph import job, op

@op
def one():
    return {1, 2}

@op
def two(x):
    return len(x)

@job
def j():
    two(one())
"""
SCRIPT = {
    "name": "s",
    "image": "i",
    "script": "true",
    "outputs": [{"name": "result"}],
    "retryPolicy": {"maxRetries": 3},
}
PLAIN = {"name": "p", "image": "i", "outputs": [{"name": "result"}]}


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from (str(key), *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    else:
        yield str(value)


def visible(drive: Driver) -> list[str]:
    """Every string that somebody can read who may read all but Secrets."""
    found: list[str] = []
    for plural in ("pods", "jobs", "jobdefinitions", "events", "configmaps"):
        for item in drive.fake.objects(plural):
            found += strings(item)
    for pod in drive.fake.objects("pods"):
        found += [line.decode().rstrip("\n") for _, line in drive.fake.logs.of(pod["metadata"]["uid"]).lines]
    return found


def hidden(drive: Driver) -> list[str]:
    """What is in Secrets."""
    secrets = drive.fake.objects("secrets")
    return [base64.b64decode(text).decode() for secret in secrets for text in secret["data"].values()]


def secret_posts(drive: Driver) -> list[Any]:
    return drive.fake.calls("POST", "/secrets$")


async def test_a_job_s_secret_is_made_once_and_before_its_first_pod(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        job = drive.apply(code={"source": CODE})
        status = await drive.finished()
    assert status["steps"]["two"]["outputs"] == {"result": "2"}
    [secret] = drive.fake.objects("secrets")
    assert len(secret_posts(drive)) == 1
    assert secret["immutable"] is True
    assert [owner["uid"] for owner in secret["metadata"]["ownerReferences"]] == [job["metadata"]["uid"]]
    writes = [request.path.rpartition("/")[2] for request in drive.fake.writes]
    assert writes.index("secrets") < writes.index("pods")
    assert not drive.fake.calls("GET", "/secrets"), "it is never read"
    for pod in drive.fake.objects("pods"):
        assert secret_env(drive.fake, pod).keys() == {KEY_VARIABLE}
        assert "secret" not in json.dumps(pod["spec"].get("volumes")), "a volume would cost it its time"


async def test_a_job_of_plain_containers_has_none(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, adding):
        drive.apply(ops=[PLAIN, {**SCRIPT, "script": "#!/usr/bin/env python3\nx"}])
        await drive.finished()
    assert not secret_posts(drive)


async def test_nothing_that_can_be_read_holds_a_key(drive: Driver) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        drive.apply(code={"source": CODE})
        await drive.finished()
    drive.apply("scripts", ops=[SCRIPT])
    pod = await drive.pod_of("s")
    drive.fake.run_pod("default", pod["metadata"]["name"])
    await drive.step("s", "Running", "scripts")
    assert len(hidden(drive)) == 4
    for text in visible(drive):
        for secret in hidden(drive):
            assert secret not in text
            assert base64.b64encode(secret.encode()).decode() not in text
    posted = json.dumps([request.body for request in drive.fake.writes if "/secrets" not in request.path])
    assert not [secret for secret in hidden(drive) if secret in posted]


async def test_who_reads_all_that_can_be_read_cannot_speak_for_a_step(drive: Driver) -> None:
    drive.apply(code={"source": CODE})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE), select=lambda pod: not assignment_of(pod).op):
        pod = await drive.pod_of("one")
    name, work = pod["metadata"]["name"], assignment_of(pod)
    drive.fake.run_pod("default", name)
    await drive.step("one", "Running")
    forged = Record(work.nonce, "Succeeded", outputs={"result": 666})
    known = [b"", *(text.encode() for text in visible(drive) if len(text) < 200)]
    replayed = Record("another-attempt", "Succeeded", outputs={"result": 666}).to_line(key_of(drive.fake, pod))
    lines = [forged.to_text(), f"::podgraph-record {work.nonce}::{forged.to_text()}", replayed]
    lines += [forged.to_line(key) for key in dict.fromkeys(known)]
    drive.fake.append_log("default", name, "".join(f"{line}\n" for line in lines))
    true = Record(work.nonce, "Succeeded", outputs={"result": 2}).to_line(key_of(drive.fake, pod))
    drive.fake.append_log("default", name, f"{true}\n")
    found = await drive.step("one", "Succeeded")
    assert found["outputs"] == {"result": "2"}


async def test_the_end_of_a_log_is_no_record_where_it_takes_the_place_of_a_message(drive: Driver) -> None:
    drive.apply(code={"source": CODE}, execution={"infrastructureRetries": 0})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE), select=lambda pod: not assignment_of(pod).op):
        pod = await drive.pod_of("one")
    text = Record(assignment_of(pod).nonce, "Succeeded", outputs={"result": 666}).to_text()
    drive.fake.finish_pod("default", pod["metadata"]["name"], 137, " " * 2_000 + text)
    assert (await drive.finished())["steps"]["one"]["state"] == "Failed"


async def test_a_script_s_lines_count_with_the_token_of_their_attempt_alone(drive: Driver) -> None:
    drive.apply(ops=[SCRIPT])
    pod = await drive.pod_of("s")
    meta = pod["metadata"]
    assert "::podgraph" in meta["annotations"]["podgraph.dev/start"], "the runner is there to be read"
    token = secret_env(drive.fake, pod)[TOKEN_VARIABLE]
    other = drive.keys.of(meta["ownerReferences"][0]["uid"]).token("s", 2)
    assert {token, other} < set(hidden(drive))
    drive.fake.run_pod("default", meta["name"])
    await drive.step("s", "Running")
    for word, value in ((other, 666), ("", 667), (meta["uid"], 668), (token, 1)):
        lines = f"::podgraph-output {word}::result={value}\n::podgraph-end {word}::1\n"
        drive.fake.append_log("default", meta["name"], lines)
    assert (await drive.step("s", "Succeeded"))["outputs"] == {"result": '"1"'}


async def test_an_attempt_for_which_there_is_no_token_is_heard_by_its_status(drive: Driver) -> None:
    drive.apply(ops=[{**SCRIPT, "retryPolicy": {"maxRetries": 4, "delaySeconds": 0}}])
    tokens = []
    for attempt in range(1, 5):
        pods = await drive.fake.until(
            lambda n=attempt: found if len(found := drive.fake.objects("pods")) == n else None,
            what=f"attempt {attempt}",
        )
        pod = next(p for p in pods if p["status"].get("phase", "Pending") == "Pending")
        tokens.append(secret_env(drive.fake, pod).get(TOKEN_VARIABLE))
        drive.fake.finish_pod("default", pod["metadata"]["name"], int(attempt < 4), "result=1" if attempt == 4 else "")
    assert (await drive.step("s", "Succeeded"))["attempt"] == 4
    assert len(set(tokens)) == 4
    assert tokens[3] is None


@pytest.mark.parametrize("spec", [{"code": {"source": CODE}}, {"ops": [SCRIPT]}], ids=["python", "script"])
async def test_a_secret_that_the_server_refuses_refuses_the_job(drive: Driver, spec: Obj) -> None:
    drive.fake.fault("POST", "/secrets$", status=403, message="exceeded quota", times=1)
    drive.apply(**spec)
    status = await drive.finished()
    finished = condition(status, "Finished")
    assert "the API server refuses the Secret with the key of the job's pods: exceeded quota" in finished["message"]
    assert not drive.creates()


async def test_a_secret_whose_answer_was_lost_is_there_all_the_same(drive: Driver) -> None:
    drive.fake.fault("POST", "/secrets$", drop=True, times=1)
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        drive.apply(code={"source": CODE})
        status = await drive.finished()
    assert condition(status, "Succeeded")["status"] == "True"
    assert len(drive.fake.objects("secrets")) == 1


async def test_after_a_restart_pods_are_known_and_no_secret_is_made_again(drive: Driver) -> None:
    drive.apply(code={"source": CODE})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE), select=lambda pod: not assignment_of(pod).op):
        pod = await drive.pod_of("one")
    drive.fake.run_pod("default", pod["metadata"]["name"])
    await drive.step("one", "Running")
    await drive.stop()
    drive.fake.fault("POST", "/secrets$", status=403, message="exceeded quota", times=1)
    await drive.start()
    line = Record(assignment_of(pod).nonce, "Succeeded", outputs={"result": 2}).to_line(key_of(drive.fake, pod))
    drive.fake.append_log("default", pod["metadata"]["name"], f"{line}\n")
    await drive.step("one", "Succeeded")
    await drive.pod_of("two")
    assert len(secret_posts(drive)) == 1


async def test_a_rerun_takes_no_value_that_no_step_gave(drive: Driver) -> None:
    for name, forged in (("good", False), ("forged", True)):
        source = CODE.replace("return len(x)", "raise ValueError('not yet')")
        async with AutoKubelet(drive.fake, PythonPods(drive.fake, source)):
            drive.apply(name, code={"source": source})
            stored = (await drive.finished(name))["steps"]["one"]["stored"]["result"]
        if forged:
            stored = {**stored, "data": base64.b64encode(b"cos\nsystem\n(S'true'\ntR.").decode()}
            status = {"steps": {"one": {"stored": {"result": stored}}}}
            drive.fake.patch("jobs", "default", name, {"status": status}, status=True)
        async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
            drive.apply(f"again-{name}", code={"source": CODE}, rerunOf={"name": name})
            status = await drive.finished(f"again-{name}")
        if not forged:
            assert status["steps"]["two"]["outputs"] == {"result": "2"}
            assert status["steps"]["one"]["stored"]["result"]["mac"] != stored["mac"]
            continue
        accepted = condition(status, "Accepted")
        assert accepted["reason"] == "ValueNotAuthentic"
        assert (
            "output 'result' of op 'one', taken from Job 'forged', is not what a step of that Job gave"
            in (accepted["message"])
        )


async def test_a_step_does_not_unpickle_what_its_status_was_changed_to(drive: Driver) -> None:
    drive.apply(code={"source": CODE})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE), select=lambda pod: assignment_of(pod).op != "two"):
        pod = await drive.pod_of("two")
        work = assignment_of(pod)
        evil = {**work.stored["x"], "data": base64.b64encode(b"cos\nsystem\n(S'true'\ntR.").decode()}
        changed = json.loads(work.to_text()) | {"stored": {"x": evil}}
        notes = {ASSIGNMENT: json.dumps(changed)}
        drive.fake.patch("pods", "default", pod["metadata"]["name"], {"metadata": {"annotations": notes}})
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        assert (await drive.finished())["steps"]["two"]["reason"] == "InputNotAuthentic"


# --- the key of all


@pytest.fixture
async def client() -> AsyncIterator[tuple[FakeCluster, Client]]:
    async with FakeCluster() as fake, aiohttp.ClientSession(base_url=fake.url) as session:
        yield fake, Client(session)


async def test_all_operators_share_one_key(client: tuple[FakeCluster, Client]) -> None:
    fake, api = client
    first, second = await master_keys(api, "default"), await master_keys(api, "default")
    assert first == second
    [secret] = fake.objects("secrets")
    assert (secret["metadata"]["name"], secret["immutable"]) == (MASTER_SECRET, True)
    assert base64.b64decode(secret["data"]["key"]) == first.master
    assert len(fake.calls("POST", "/secrets$")) == 1


async def test_of_two_that_start_at_once_the_first_one_s_counts(client: tuple[FakeCluster, Client]) -> None:
    fake, api = client
    kept = await master_keys(api, "default")
    fake.fault("GET", f"/secrets/{MASTER_SECRET}$", status=404, message="not found", times=1)
    assert await master_keys(api, "default") == kept


async def test_a_secret_without_a_key_is_told(client: tuple[FakeCluster, Client]) -> None:
    fake, api = client
    metadata = {"name": MASTER_SECRET}
    for data in ({}, {"key": base64.b64encode(b"short").decode()}):
        fake.create({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})
        with pytest.raises(
            DefinitionError, match="has no key of 32 bytes; delete it, and the operator creates another"
        ):
            await master_keys(api, "default")
        fake.delete("secrets", "default", MASTER_SECRET)


async def test_outside_a_cluster_each_process_has_its_own(
    client: tuple[FakeCluster, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    fake, api = client
    assert await master_keys(api, "") != await master_keys(api, "")
    assert random_keys() != random_keys()
    assert not fake.objects("secrets")
    monkeypatch.setenv("PODGRAPH_NAMESPACE", "mine")
    assert own_namespace() == "mine"


def test_a_signer_shows_no_key() -> None:
    assert "secret" not in repr(Signer("n", b"secret"))
