"""Storage against the fake API server: values on a claim, what is refused, and what becomes of them with the Job."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.driving import IMAGE, Driver, PythonPods, assignment_of, condition, driving, op_of
from api.fake import AutoKubelet
from api.strangers import claimed
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.names import STORAGE_FINALIZER, clean_pod

Obj = dict[str, Any]

CODE = """
from podgraph import job, op

@op
def make():
    return b"x" * 100_000

@op
def text():
    return "y" * 5_000

@op
def small():
    return {1, 2}

@op
def total(items: list, one: bytes):
    assert items[0] == one and items[2] == {1, 2}, items[2]
    return [len(item) for item in items]

@job
def j():
    one = make()
    total([one, text(), small()], one)
"""
PLAIN = "from podgraph import job, op\n\n@op\ndef one():\n    return 1\n\n@job\ndef j():\n    one()\n"


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def on_claim(folder: Path, **more: Any) -> Obj:
    return {"url": f"file://{folder}", "claimRef": {"name": "mine"}, **more}


def make_claim(drive: Driver) -> None:
    drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": {}})


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def finalizers(drive: Driver) -> list[str]:
    found: list[str] = drive.fake.get("jobs", "default", "j")["metadata"].get("finalizers") or []
    return found


async def ran(drive: Driver, folder: Path, code: str = CODE, **more: Any) -> Obj:
    make_claim(drive)
    job = drive.apply(code={"source": code}, storage=on_claim(folder, **more))
    status = await drive.finished()
    assert condition(status, "Succeeded")["status"] == "True", condition(status, "Succeeded")
    return job


async def deleted(drive: Driver) -> None:
    drive.fake.delete("jobs", "default", "j")
    await drive.fake.until(lambda: drive.fake.find("jobs", "default", "j") is None, what="the Job's end")


async def test_large_values_pass_through_the_storage_and_go_with_the_job(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        job = await ran(drive, tmp_path)
        uid = job["metadata"]["uid"]
        steps, prefix = drive.steps(), f"default/j/{uid}"
        assert steps["total"]["outputs"] == {"result": "[100000,5000,2]"}
        made = steps["make"]["stored"]["result"]
        assert (made["key"], made["format"]) == (f"{prefix}/make/1/result", "pickle")
        assert made["size"] > 100_000
        assert steps["text"]["stored"]["result"]["format"] == "json"
        assert steps["small"]["stored"]["result"].keys() == {"format", "data", "mac"}
        assert "outputs" not in steps["make"]
        assert files(tmp_path) == [f"{prefix}/make/1/result", f"{prefix}/text/1/result"]
        assert drive.status()["storage"] == {"url": f"file://{tmp_path}", "claim": "mine", "image": IMAGE}
        assert finalizers(drive) == [STORAGE_FINALIZER]
        await deleted(drive)
        assert files(tmp_path) == []
        assert drive.fake.find("pods", "default", clean_pod("j", uid)) is None


async def test_every_pod_mounts_the_claim_and_takes_the_secret(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, PLAIN)):
        await ran(drive, tmp_path, PLAIN, secretRef={"name": "keys"})
    pods = drive.fake.objects("pods")
    assert len(pods) == 2
    for pod in pods:
        container = pod["spec"]["containers"][0]
        assert container["envFrom"] == [{"secretRef": {"name": "keys"}}]
        assert {"name": "storage", "mountPath": str(tmp_path)} in container["volumeMounts"]
        assert {"name": "storage", "persistentVolumeClaim": {"claimName": "mine"}} in pod["spec"]["volumes"]
        assert pod["spec"]["securityContext"]["fsGroup"] == 65532


async def test_the_pod_that_cleans_is_made_by_the_jobs_template_too(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        make_claim(drive)
        template = {"spec": {"nodeSelector": {"disk": "ssd"}, "imagePullSecrets": [{"name": "pull"}]}}
        drive.apply(code={"source": CODE}, storage=on_claim(tmp_path), podTemplate=template)
        await drive.finished()
        await deleted(drive)
    cleaner = drive.fake.calls("POST", "/pods$")[-1].body
    assert assignment_of(cleaner).clean
    assert cleaner["spec"].items() >= template["spec"].items()


async def test_steps_keep_their_logs_and_so_may_the_pod_that_reads_the_code(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, PLAIN)):
        await ran(drive, tmp_path, PLAIN, logs=True)
    assert {op_of(pod): assignment_of(pod).keep_log for pod in drive.fake.objects("pods")} == {"": True, "one": True}


async def test_a_job_that_stored_nothing_goes_without_another_pod(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, PLAIN)):
        await ran(drive, tmp_path, PLAIN)
        before = len(drive.creates())
        await deleted(drive)
        assert len(drive.creates()) == before


async def test_kept_values_stay(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        await ran(drive, tmp_path, retain="Keep")
        assert finalizers(drive) == []
        await deleted(drive)
    assert len(files(tmp_path)) == 2


async def test_a_job_deleted_while_a_step_runs_leaves_nothing(drive: Driver, tmp_path: Path) -> None:
    play = PythonPods(drive.fake, CODE)
    make_claim(drive)
    drive.apply(code={"source": CODE}, storage=on_claim(tmp_path))
    resolve = await drive.pod_of("")
    drive.fake.run_pod("default", resolve["metadata"]["name"])
    drive.finish("", play(resolve)[1])
    step = await drive.pod_of("make")
    drive.fake.run_pod("default", step["metadata"]["name"])
    play(step)  # it has stored, and has not said so
    assert len(files(tmp_path)) == 1
    async with AutoKubelet(drive.fake, play):
        await deleted(drive)
    assert files(tmp_path) == []


async def test_to_delete_what_a_job_stored_no_pod_of_others_is_deleted(drive: Driver, tmp_path: Path) -> None:
    play = PythonPods(drive.fake, CODE)
    make_claim(drive)
    job = drive.apply(code={"source": CODE}, storage=on_claim(tmp_path))
    async with AutoKubelet(drive.fake, play, select=lambda pod: pod["metadata"]["name"] != "stranger"):
        await drive.step("make", "Succeeded")
        drive.fake.create(claimed(job["metadata"]["uid"], "stranger", op="make"))
        drive.fake.run_pod("default", "stranger")
        await deleted(drive)
    assert files(tmp_path) == []
    assert [pod["metadata"]["name"] for pod in drive.fake.objects("pods")] == ["stranger"]
    deletes = drive.fake.calls("DELETE", "/pods/")
    assert deletes
    assert all(request.body["preconditions"]["uid"] for request in deletes)


@pytest.mark.parametrize("when", ["running", "deleting"])
async def test_another_operator_goes_on(drive: Driver, tmp_path: Path, when: str) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        if when == "running":
            make_claim(drive)
            drive.apply(code={"source": CODE}, storage=on_claim(tmp_path))
            await drive.step("make", "Succeeded")
            await drive.stop()
            await drive.start()
            await drive.finished()
            assert drive.steps()["total"]["outputs"] == {"result": "[100000,5000,2]"}
            await deleted(drive)
        else:
            await ran(drive, tmp_path)
            await drive.stop()
            drive.fake.delete("jobs", "default", "j")
            assert drive.fake.find("jobs", "default", "j")
            await drive.start()
            await drive.fake.until(lambda: drive.fake.find("jobs", "default", "j") is None, what="the Job's end")
    assert files(tmp_path) == []


async def test_a_job_whose_values_cannot_be_deleted_goes_all_the_same(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        await ran(drive, tmp_path)
        drive.fake.fault("POST", "/pods$", status=403, times=None)
        await deleted(drive)
    told = [e for e in drive.fake.objects("events") if e["reason"] == "StorageNotDeleted"]
    assert len(told) == 1
    assert told[0]["message"].startswith("what the job stored was not deleted: ")


async def test_a_claim_that_is_not_there_is_told_before_any_pod(drive: Driver) -> None:
    drive.apply(code={"source": PLAIN}, storage={"claimRef": {"name": "mine"}})
    accepted = condition(await drive.finished(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "ClaimNotFound")
    assert "'mine'" in accepted["message"]
    assert drive.creates() == []
    await deleted(drive)


@pytest.mark.parametrize(
    ("storage", "says"),
    [
        ({"url": "ftp://x"}, "'ftp://x'; it must be a URL that begins with one of file://, s3://, gs://, az://"),
        ({"url": "bucket"}, "'bucket'; it must be a URL"),
        ({"url": "s3://"}, "'s3://'; it must be a URL"),
        ({"url": "file:///data"}, "without claimRef: each pod would have a folder of its own"),
        ({"url": "s3://b", "claimRef": {"name": "c"}}, "has a claimRef, but its url 's3://b' is not a file:// URL"),
        ({"url": "file://data", "claimRef": {"name": "c"}}, "must be file:// and an absolute path"),
        ({"url": "file:///a/../b", "claimRef": {"name": "c"}}, "without '.' or '..' between its slashes"),
        ({"url": "file:///podgraph/x", "claimRef": {"name": "c"}}, "a folder that the image or podgraph needs"),
        ({"url": "file:///", "claimRef": {"name": "c"}}, "a folder that the image or podgraph needs"),
    ],
)
async def test_a_storage_that_cannot_be_is_refused_before_any_pod(drive: Driver, storage: Obj, says: str) -> None:
    drive.apply(code={"source": PLAIN}, storage=storage)
    accepted = condition(await drive.finished(), "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", "InvalidStorage")
    assert says in accepted["message"]
    assert drive.creates() == []


async def test_container_ops_take_no_storage(drive: Driver) -> None:
    drive.apply(ops=[{"name": "a", "image": "busybox:1"}], storage={"url": "s3://b"})
    accepted = condition(await drive.finished(), "Accepted")
    assert accepted["message"] == "spec.storage is for Python ops (spec.code); container ops cannot use it"


async def test_the_operators_own_storage_makes_its_claim_in_the_jobs_namespace(tmp_path: Path) -> None:
    own = Storage(f"file://{tmp_path}", claim="podgraph-storage", size="1Gi", storage_class="fast")
    async with driving(storage=own) as drive, AutoKubelet(drive.fake, PythonPods(drive.fake, CODE)):
        drive.apply(code={"source": CODE})
        await drive.finished()
        assert drive.steps()["total"]["outputs"] == {"result": "[100000,5000,2]"}
        claim = drive.fake.get("persistentvolumeclaims", "default", "podgraph-storage")
        assert claim["spec"] == {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
            "storageClassName": "fast",
        }
        assert "ownerReferences" not in claim["metadata"]
        drive.apply("other", code={"source": PLAIN}, storage={"url": "s3://b"})
        await drive.fake.until(lambda: drive.status("other").get("storage"), what="a status")
        assert drive.status("other")["storage"] == {"url": "s3://b", "image": IMAGE}
        await deleted(drive)
    assert files(tmp_path) == []


AGAIN = """
from podgraph import Out, RetryPolicy, job, op

calls = []

@op(out={"large": Out(), "bad": Out()}, retry_policy=RetryPolicy(max_retries=1))
def make():
    calls.append(1)
    return b"x" * 9_000, (lambda: 1) if len(calls) == 1 else 2  # a lambda cannot be pickled

@op
def use(x):
    return len(x)

@job
def j():
    large, bad = make()
    use(large)
"""


async def test_each_attempt_stores_apart_and_all_of_it_goes_with_the_job(drive: Driver, tmp_path: Path) -> None:
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, AGAIN)):
        job = await ran(drive, tmp_path, AGAIN)
        prefix = f"default/j/{job['metadata']['uid']}/make"
        assert drive.steps()["make"]["attempt"] == 2
        assert drive.steps()["make"]["stored"]["large"]["key"] == f"{prefix}/2/large"
        assert drive.steps()["use"]["outputs"] == {"result": "9000"}
        assert files(tmp_path) == [f"{prefix}/1/large", f"{prefix}/2/large"]
        await deleted(drive)
    assert files(tmp_path) == []
