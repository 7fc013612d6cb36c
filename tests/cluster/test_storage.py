"""Large values end to end: on a claim under the restricted standard, and in a real S3 server."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from cluster import s3
from cluster.conftest import OperatorProcess
from cluster.kube import CHECKOUT, Kube, job_manifest, new_namespace, outputs_of, reasons_of
from cluster.volumes import node_claim

SECONDS = 180
GIBIBYTE = 1 << 30

VALUES = """
import datetime
from dataclasses import dataclass
from podgraph import Out, job, op

@dataclass
class Row:
    key: int
    when: datetime.datetime

@op
def rows():
    return [Row(i, datetime.datetime(2026, 1, 1)) for i in range(10_000)]

@op(out={"text": Out(), "same": Out(serializer="pickle"), "few": Out()})
def several():
    return {"lines": ["ü" * 100] * 1_000}, "y" * 9_000, {1, 2}

@op
def check(rows: list, text, same, few, all: list):
    assert rows[9_999] == Row(9_999, datetime.datetime(2026, 1, 1)) and type(rows[0]) is Row
    assert text == {"lines": ["ü" * 100] * 1_000} and same == "y" * 9_000 and few == {1, 2}
    assert all == [few, text, rows, 1]
    return len(rows)

@op
def one():
    return 1

@job
def values():
    r = rows()
    text, same, few = several()
    check(r, text, same, few, [few, text, r, one()])
"""

LARGE = f"""
import os, resource
from podgraph import job, op, success_hook

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

@success_hook
def tell(context):
    print("peak:", peak(), flush=True)

@op
def make():
    return os.urandom({GIBIBYTE})

@op
def use(x: bytes):
    assert len(x) == {GIBIBYTE}

@job(hooks={{tell}})
def large():
    use(make())
"""

SPOILED = """
from pathlib import Path
from podgraph import In, Nothing, job, op

@op
def make():
    return b"x" * 10_000

@op(ins={"after": In(Nothing)})
def spoil(context):
    [file] = Path("/podgraph-storage").glob(f"*/*/{context.run_id}/make/1/result")
    data = bytearray(file.read_bytes())
    HOW
    file.write_bytes(data)

@op(ins={"after": In(Nothing)})
def use(x):
    pass

@job
def spoiled():
    made = make()
    use(made, after=spoil(after=made))
"""

MISSING_MODULE = """
import sys
from pathlib import Path
from podgraph import job, op

@op
def make():
    Path("/tmp/only_here.py").write_text("class Row:\\n    pass\\n")
    sys.path.insert(0, "/tmp")
    import only_here
    return [only_here.Row() for _ in range(5_000)]

@op
def use(x):
    pass

@job
def j():
    use(make())
"""

UNPICKLABLE = """
import threading
from podgraph import job, op

@op
def make():
    return {"big": b"x" * 100_000, "lock": threading.Lock()}

@job
def j():
    make()
"""

SPEAKING = """
import os, signal, subprocess
from podgraph import job, op

@op
def speak():
    subprocess.run(["echo", "last words of speak"])

@op
def crash():
    print("last words of crash")
    os.kill(os.getpid(), signal.SIGSEGV)

@job
def j():
    speak()
    crash()
"""

PLAIN = "from podgraph import job, op\n\n@op\ndef one():\n    return 1\n\n@job\ndef j():\n    one()\n"


SPOILT = {"changed": "data[5000] ^= 1", "truncated": "del data[-1:]"}
# What is applied at once when there is a place, and looked at by one test each: source, and more of the spec.
ANYWHERE: dict[str, tuple[str, dict[str, Any]]] = {
    "unpicklable": (UNPICKLABLE, {}),
    "logs": (SPEAKING, {"storage": {"logs": True}}),
}
ON_THE_CLAIM: dict[str, tuple[str, dict[str, Any]]] = {
    **{name: (SPOILED.replace("HOW", how), {}) for name, how in SPOILT.items()},
    "module": (MISSING_MODULE, {}),
    "no": (PLAIN, {"storage": {"claimRef": {"name": "nothing"}}}),
    "kept": (VALUES, {"storage": {"retain": "Keep"}}),
}
IN_THE_BUCKET: dict[str, tuple[str, dict[str, Any]]] = {
    "wrong-secret": (PLAIN, {"storage": {"secretRef": {"name": "wrong"}}}),
    "no-bucket": (PLAIN, {"storage": {"url": "s3://nothing-here/x"}}),
    "image": (PLAIN, {"image": "podgraph/operator:dev"}),
}


@dataclass(frozen=True)
class Place:
    """A storage: what a Job says of it, and how to see what it holds."""

    kube: Kube
    spec: dict[str, Any]
    objects: Callable[[], list[str]]
    read: Callable[[str], str]


@pytest.fixture(scope="module")
def restricted(kube: Kube, operator: OperatorProcess) -> Iterator[Kube]:
    """A namespace under the restricted standard; its Jobs go before it, while the operator is there to let them go."""
    with _namespace(kube) as namespace:
        yield namespace


@pytest.fixture(scope="module")
def claim(restricted: Kube) -> Iterator[Place]:
    with node_claim(restricted, "values") as folder:
        place = Place(restricted, {"claimRef": {"name": "values"}}, folder.files, folder.text)
        apply_all(place, ANYWHERE | ON_THE_CLAIM)
        yield place
        _delete_jobs(restricted)


@pytest.fixture(scope="module")
def bucket(restricted: Kube, s3_server: s3.S3) -> Iterator[Place]:
    _secret(restricted, "s3", s3_server.environment)
    spec = {"url": f"s3://{s3.BUCKET}/some/prefix", "secretRef": {"name": "s3"}}
    _secret(restricted, "wrong", {**s3_server.environment, "AWS_SECRET_ACCESS_KEY": "wrong"})
    place = Place(restricted, spec, s3_server.keys, s3_server.read)
    apply_all(place, ANYWHERE | IN_THE_BUCKET)
    yield place
    _delete_jobs(restricted)


@pytest.fixture(params=["claim", "bucket"])
def place(request: pytest.FixtureRequest) -> Place:
    found: Place = request.getfixturevalue(request.param)
    return found


def apply(place: Place, name: str, source: str, **more: Any) -> str:
    """Apply a Job and return its name."""
    storage = {**place.spec, **more.pop("storage", {})}
    keep = {"podRetention": "Always"}  # some tests read what the pods of steps that succeeded have printed
    full = name_in(place, name)
    place.kube.create(job_manifest(full, code={"source": source, **more}, storage=storage, execution=keep))
    return full


def apply_all(place: Place, jobs: dict[str, tuple[str, dict[str, Any]]]) -> None:
    for name, (source, more) in jobs.items():
        apply(place, name, source, **more)


def name_in(place: Place, name: str) -> str:
    return f"{name}-{'s3' if 'url' in place.spec else 'claim'}"


def succeeded(kube: Kube, name: str) -> dict[str, Any]:
    job = kube.wait_finished(name, SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", kube.describe(name)
    return job


def failure(kube: Kube, name: str, step: str) -> tuple[str, str]:
    record = kube.wait_finished(name, SECONDS)["status"]["steps"][step]
    assert record["state"] == "Failed", kube.describe(name)
    return record["reason"], record["message"]


def refusal(kube: Kube, name: str) -> tuple[str, str]:
    """Return why a Job was refused, which must be before any step's pod."""
    job = kube.wait_finished(name, SECONDS)
    accepted = next(c for c in job["status"]["conditions"] if c["type"] == "Accepted")
    assert accepted["status"] == "False", kube.describe(name)
    assert kube.pods_of(name).keys() <= {""}
    return accepted["reason"], accepted["message"]


def test_values_of_any_kind_and_size_pass_and_go_with_the_job(place: Place) -> None:
    name = apply(place, "values", VALUES)
    job = succeeded(place.kube, name)
    assert outputs_of(job, "check") == {"result": 10_000}
    uid, steps = job["metadata"]["uid"], job["status"]["steps"]
    stored = {item["key"] for step in steps.values() for item in step.get("stored", {}).values() if "key" in item}
    assert stored == {
        f"{place.kube.namespace}/{name}/{uid}/{part}" for part in ("rows/1/result", "several/1/text", "several/1/same")
    }
    assert steps["several"]["stored"]["text"]["format"] == "json"
    assert "data" in steps["several"]["stored"]["few"]
    held = [key for key in place.objects() if uid in key]
    assert len(held) == 3
    place.kube.run("delete", "pgj", name, "--timeout=60s", seconds=75)
    assert [key for key in place.objects() if uid in key] == []


def test_a_gibibyte_is_never_held_twice(place: Place) -> None:
    name = apply(place, "large", LARGE)
    succeeded(place.kube, name)
    for op, [pod] in place.kube.pods_of(name).items():
        if op:
            peak = int(re.findall(r"peak: (\d+)", place.kube.logs(pod["metadata"]["name"]))[-1])
            print(f"{name} {op}: peak {peak / GIBIBYTE:.3f} GiB")
            assert peak <= 1.3 * GIBIBYTE, (op, peak / GIBIBYTE)
    place.kube.run("delete", "pgj", name, "--timeout=60s", seconds=75)


@pytest.mark.parametrize(
    ("how", "says"),
    [("changed", "is not what was written: its SHA-256 differs"), ("truncated", "bytes were written")],
)
def test_what_was_spoiled_is_not_read(claim: Place, how: str, says: str) -> None:
    reason, message = failure(claim.kube, name_in(claim, how), "use")
    assert reason == "InputCorrupt"
    assert message.startswith("input 'x' of op 'use': what is stored at ")
    assert says in message


def test_a_module_that_the_consumer_lacks_is_named(claim: Place) -> None:
    reason, message = failure(claim.kube, name_in(claim, "module"), "use")
    assert reason == "InputNotReadable"
    assert message.startswith("input 'x' of op 'use' cannot be unpickled: the op's image has no module 'only_here'")


def test_an_output_that_cannot_be_pickled_is_named(place: Place) -> None:
    name = name_in(place, "unpicklable")
    reason, message = failure(place.kube, name, "make")
    assert reason == "OutputNotPicklable"
    assert message.startswith("output 'result' of op 'make' can be passed neither as JSON nor as a pickle: TypeError")
    uid = place.kube.get("pgj", name)["metadata"]["uid"]
    assert [key for key in place.objects() if uid in key] == []


def test_wrong_credentials_and_buckets_are_told_before_any_step(bucket: Place) -> None:
    reason, message = refusal(bucket.kube, name_in(bucket, "wrong-secret"))
    assert (reason, message.split(":")[0]) == ("StorageFailed", "storage s3")
    assert "cannot be written to: PermissionError" in message
    reason, message = refusal(bucket.kube, name_in(bucket, "no-bucket"))
    assert reason == "StorageFailed"
    assert "storage s3://nothing-here/x cannot be written to: " in message


def test_an_image_that_cannot_reach_the_storage_is_told_before_any_step(bucket: Place) -> None:
    reason, message = refusal(bucket.kube, name_in(bucket, "image"))
    assert reason == "StorageFailed"
    assert message.endswith("use an image with fsspec and s3fs, or a claim")


def test_a_claim_that_is_not_there_is_told_before_any_pod(claim: Place) -> None:
    name = name_in(claim, "no")
    assert refusal(claim.kube, name) == (
        "ClaimNotFound", "there is no PersistentVolumeClaim 'nothing' in the job's namespace"
    )  # fmt: skip
    assert claim.kube.pods_of(name) == {}


def test_values_are_kept_when_that_is_asked_for(claim: Place) -> None:
    name = name_in(claim, "kept")
    uid = succeeded(claim.kube, name)["metadata"]["uid"]
    claim.kube.run("delete", "pgj", name, "--timeout=60s", seconds=75)
    assert len([key for key in claim.objects() if uid in key]) == 3


def test_logs_outlive_their_pods(place: Place) -> None:
    name = name_in(place, "logs")
    job = place.kube.wait_finished(name, SECONDS)
    assert {op: step["reason"] for op, step in job["status"]["steps"].items() if "reason" in step} == {
        "crash": "ContainerFailed"
    }
    uid = job["metadata"]["uid"]
    for op, [pod] in place.kube.pods_of(name).items():
        if op:
            key = f"{place.kube.namespace}/{name}/{uid}/{op}/1/log.txt"
            text = f"last words of {op}\n"
            place.kube.wait_for(f"the kept log of {op}", lambda key=key: any(key in it for it in place.objects()))
            assert place.read(key).replace("\r", "").endswith(text), op
            said = re.sub("::podgraph-.*\n", "", place.kube.logs(pod["metadata"]["name"]))  # its words to the operator
            assert said.endswith(text)
    place.kube.run("delete", "pgj", name, "--timeout=60s", seconds=75)
    assert [key for key in place.objects() if uid in key] == []


@pytest.mark.parametrize("kind", ["claim", "s3"])
def test_example(kube: Kube, operator: OperatorProcess, step_image: str, kind: str, request: Any) -> None:
    text = (CHECKOUT / "tests" / "examples" / "storage" / f"{kind}.yaml").read_text()
    text = text.replace("podgraph/step:dev", step_image)
    with contextlib.ExitStack() as stack:
        namespace = stack.enter_context(_namespace(kube))
        if kind == "s3":
            text = text.replace("http://s3.example:7070", request.getfixturevalue("s3_server").endpoint)
        namespace.apply(text)
        assert outputs_of(succeeded(namespace, f"storage-{kind}"), "count") == {"result": 100_000}
        _delete_jobs(namespace)


def test_a_namespace_goes_with_its_jobs_and_what_they_stored(kube: Kube, operator: OperatorProcess) -> None:
    with new_namespace(kube) as namespace, node_claim(namespace, "values"):
        place = Place(namespace, {"claimRef": {"name": "values"}}, list, str)
        succeeded(namespace, apply(place, "values", VALUES))
        kube.run("delete", "namespace", namespace.namespace, "--timeout=90s", seconds=100)


def test_with_the_charts_claim_a_large_value_just_passes(
    kube: Kube, operator: OperatorProcess, step_image: str
) -> None:
    own = {"claimRef": {"name": "podgraph-storage"}, "size": "1Gi", "storageClassName": ""}
    with _namespace(kube) as namespace:
        operator.stop()
        operator.settings["PODGRAPH_STORAGE"] = json.dumps(own)
        operator.start()
        try:
            namespace.create(job_manifest("values", code={"source": VALUES}))
            job = succeeded(namespace, "values")
            told = job["status"]["storage"]
            assert (told["url"], told["claim"]) == ("file:///podgraph-storage", "podgraph-storage")
            text = (CHECKOUT / "tests" / "examples" / "storage" / "large-value.yaml").read_text()
            namespace.apply(text.replace("podgraph/step:dev", step_image))
            assert outputs_of(succeeded(namespace, "large-value"), "total") == {"result": 499_999_500_000}
            _delete_jobs(namespace)
        finally:
            operator.stop()
            del operator.settings["PODGRAPH_STORAGE"]
            operator.start()


@contextlib.contextmanager
def _namespace(kube: Kube) -> Iterator[Kube]:
    with new_namespace(kube) as namespace:
        name = namespace.namespace
        kube.run("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        yield namespace
        _delete_jobs(namespace)


def _delete_jobs(namespace: Kube) -> None:
    namespace.run("delete", "pgj", "--all", "--timeout=120s", seconds=130)


def _secret(namespace: Kube, name: str, data: dict[str, str]) -> None:
    namespace.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data})
