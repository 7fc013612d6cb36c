"""What cannot run is told so at once, in words, where kubectl shows it; no step's pod exists then."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from cluster.kube import Kube, KubeError, job_manifest, states_of

BUSYBOX = "busybox:1"
NO_IMAGE = "localhost/nope:1"
SECONDS = 120

HEAD = "from podgraph import job, op\n\n@op\ndef one():\n    return 1\n\n@op\ndef add(x: int):\n    return x + 1\n\n"
GOOD = HEAD + "@job\ndef my_job():\n    add(one())\n"


@dataclass(frozen=True)
class Case:
    """A Job that must not succeed: its spec, the reason, and parts of the sentence that tells why."""

    name: str
    spec: dict[str, Any]
    reason: str
    says: tuple[str, ...]


def op(name: str, *ups: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": BUSYBOX, "script": "true", **({"after": list(ups)} if ups else {}), **more}


def takes(name: str, source: str, output: str = "result") -> dict[str, Any]:
    return op(name, inputs=[{"name": "x", "from": {"op": source, "output": output}}])


def writes(name: str) -> dict[str, Any]:
    return op(name, outputs=[{"name": "result"}])


def code(source: str, **more: Any) -> dict[str, Any]:
    return {"code": {"source": source, **more}}


REFUSED = [
    Case(
        "selection-unknown",
        {"ops": [op("add_two")], "opSelection": ["*ad_two"]},
        "UnknownOp",
        ("'*ad_two'", "did you mean 'add_two'?"),
    ),
    Case("selection-unknown-code", {**code(GOOD), "opSelection": ["onee+"]}, "UnknownOp", ("'onee+'", "mean 'one'?")),
    Case(
        "selection-bad",
        {"ops": [op("add_two")], "opSelection": ["**add_two"]},
        "InvalidSelection",
        ("'**add_two'", "write '*add_two'"),
    ),
    Case("selection-empty-clause", {"ops": [op("a")], "opSelection": [""]}, "InvalidSelection", ("is empty",)),
    Case("duplicate", {"ops": [op("a"), op("b"), op("a")]}, "DuplicateOp", ("'a'", "unique")),
    Case(
        "duplicate-alias",
        code(HEAD + "@job\ndef j():\n    one.alias('b')()\n    one.alias('b')()\n"),
        "DuplicateOp",
        ("'b'", "job.py line 14"),
    ),
    Case("cycle", {"ops": [op("a", "c"), op("b", "a"), op("c", "b")]}, "Cycle", ("cycle", "->")),
    Case("from-no-op", {"ops": [writes("load"), takes("use", "lod")]}, "UnknownOp", ("'lod'", "mean 'load'?")),
    Case("after-no-op", {"ops": [op("a", "zz")]}, "UnknownOp", ("'zz'", "does not exist")),
    Case(
        "from-no-output",
        {"ops": [writes("load"), takes("use", "load", "rows")]},
        "UnknownOutput",
        ("'rows'", "'load'", "result"),
    ),
    Case(
        "missing-input",
        {"ops": [op("use", inputs=[{"name": "rows"}])]},
        "InvalidRunConfig",
        ("ops.use.inputs.rows is missing", '{"ops": {"use": {"inputs": {"rows": "..."}}}}'),
    ),
    Case(
        "missing-input-code",
        {**code(GOOD), "opSelection": ["add"]},
        "InvalidRunConfig",
        ("ops.add.inputs.x is missing", '{"ops": {"add": {"inputs": {"x": 0}}}}'),
    ),
    Case(
        "config-unknown-op",
        {"ops": [op("a")], "runConfig": {"ops": {"b": {"inputs": {"x": 1}}}}},
        "InvalidRunConfig",
        ("ops.b is unknown", "there are: a"),
    ),
    Case(
        "config-unknown-input",
        {"ops": [op("a")], "runConfig": {"ops": {"a": {"inputs": {"x": 1}}}}},
        "InvalidRunConfig",
        ("ops.a.inputs is unknown; there are: pod",),
    ),
    Case("no-compile", code("def broken(:\n    pass\n"), "CodeError", ("does not compile", "job.py line 1")),
    Case(
        "no-import",
        code("import podgraph\n\nimport not_installed_here\n"),
        "CodeError",
        ("No module named 'not_installed_here'", "job.py line 3"),
    ),
    Case("no-module", {"code": {"module": "not_installed_here.jobs"}}, "CodeError", ("not_installed_here",)),
    Case("no-job", code(HEAD), "NoJob", ("no @job",)),
    Case(
        "several-jobs",
        code(HEAD + "@job\ndef a():\n    one()\n\n@job\ndef b():\n    one()\n"),
        "SeveralJobs",
        ("a, b",),
    ),
    Case("unknown-job", code(GOOD, job="my_jop"), "UnknownJob", ("'my_jop'", "mean 'my_job'?")),
    Case(
        "no-config-map", {"code": {"configMapRef": {"name": "nope", "key": "a.py"}}}, "ConfigMapNotFound", ("'nope'",)
    ),
    Case("code-no-image", code(GOOD, image=NO_IMAGE), "ImagePullFailed", (NO_IMAGE,)),
    Case("name-digit", {"ops": [op("2nd")]}, "InvalidName", ("'2nd'", "start with a letter")),
    Case("name-space", {"ops": [op("a b")]}, "InvalidName", ("'a b'",)),
    Case("name-long", {"ops": [op("a" * 200)]}, "InvalidName", ("at most 128 characters",)),
    Case("name-input", {"ops": [op("a", inputs=[{"name": "x-y", "value": 1}])]}, "InvalidName", ("'x-y'",)),
    Case("name-inside", {"ops": [op("a"), op("a.b")]}, "InvalidName", ("is inside 'a'",)),
]

FAILED = [
    Case(
        "not-json",
        code(
            "from podgraph import Out\n"
            + HEAD.replace("return 1", 'return {"a": [1, {2, 3}]}').replace("@op", '@op(out=Out(serializer="json"))', 1)
            + "@job\ndef j():\n    add(one())\n"
        ),
        "OutputNotJson",
        ("output 'result' of op 'one'", "a set at ['a'][1]"),
    ),
    Case(
        "too-large",
        code(HEAD.replace("return 1", 'return "x" * 3998') + "@job\ndef j():\n    add(one())\n"),
        "OutputTooLarge",
        ("output 'result' of op 'one'", "4,000 bytes", "at most 3,072 bytes", "set spec.storage to pass larger values"),
    ),
    Case(
        "too-large-script",
        {
            "ops": [
                {**writes("one"), "script": 'head -c 3500 /dev/zero | tr "\\0" x | sed s/^/result=/ > $PODGRAPH_OUTPUT'}
            ]
        },
        "OutputTooLarge",
        ("output 'result' of op 'one'", "3,502 bytes", "at most 3,072 bytes"),
    ),
    Case("step-no-image", {"ops": [{**op("one"), "image": NO_IMAGE}, op("add", "one")]}, "", (NO_IMAGE, "'one'")),
    Case(
        "raises",
        code(HEAD.replace("return 1", "return 1 // 0") + "@job\ndef j():\n    add(one())\n"),
        "OpFailed",
        ("ZeroDivisionError", "job.py line 5 in one"),
    ),
]


@dataclass
class Shown:
    """What kubectl shows after all Jobs of this file were applied at once."""

    kube: Kube
    applied_at: float


@pytest.fixture(scope="module")
def shown(operator: Any, shared: Kube, step_image: str) -> Shown:
    for case in [*REFUSED, *FAILED]:
        if "code" in case.spec:
            case.spec["code"].setdefault("image", step_image)
    shared.apply([job_manifest(case.name, **case.spec) for case in [*REFUSED, *FAILED]])
    return Shown(shared, time.monotonic())


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)
def test_refused(shown: Shown, case: Case) -> None:
    job = shown.kube.wait_finished(case.name, SECONDS)
    told(shown.kube, job, case, "Refused")
    accepted = condition(job, "Accepted")
    assert (accepted["status"], accepted["reason"]) == ("False", case.reason)
    assert not states_of(job)
    assert not [op for op in shown.kube.pods_of(case.name) if op]


@pytest.mark.parametrize("case", FAILED, ids=lambda case: case.name)
def test_failed(shown: Shown, case: Case) -> None:
    job = shown.kube.wait_finished(case.name, SECONDS)
    told(shown.kube, job, case, "Failed")
    assert condition(job, "Accepted")["status"] == "True"
    step = job["status"]["steps"]["one"]
    assert step["state"] == "Failed"
    assert case.reason in ("", step["reason"])
    assert all(part in step["message"] or part == "'one'" for part in case.says), step
    assert states_of(job).get("add", "UpstreamFailed") == "UpstreamFailed"
    # a pod started ahead for it is let go at the Job's end, and takes its time to go
    shown.kube.wait_for("the end of the pod of add", lambda: "add" not in shown.kube.pods_of(case.name), 60)


def test_a_missing_image_is_told_within_45_seconds(shown: Shown) -> None:
    job = shown.kube.wait_finished("step-no-image", SECONDS)
    status = job["status"]
    assert status["steps"]["one"]["reason"] in ("ErrImagePull", "ImagePullBackOff", "RegistryUnavailable"), status
    assert seconds(status["duration"]) < 45
    kube = shown.kube
    kube.wait_for("the pod's end", lambda: "one" not in kube.pods_of("step-no-image"), 60)


def test_1001_ops_are_accepted(operator: Any, namespace: Kube) -> None:
    namespace.create(job_manifest("ops-1001", ops=chain(1001)))
    try:
        namespace.run("wait", "pgj", "ops-1001", "--for=condition=Accepted", "--timeout=30s")
        job = namespace.get("pgj", "ops-1001")
    finally:
        namespace.run("delete", "pgj", "ops-1001", "--wait=false", "--ignore-not-found")
    assert condition(job, "Accepted")["message"] == "1001 ops will run"
    namespace.wait_for("its pods' end", lambda: not namespace.find("pods"), 60)


def test_5001_ops_are_refused(operator: Any, namespace: Kube) -> None:
    namespace.create(job_manifest("ops-5001", ops=chain(5001)))
    job = namespace.wait_finished("ops-5001", 30)
    told(namespace, job, Case("ops-5001", {}, "TooManyOps", ("5001 ops", "at most 5000 are allowed")), "Refused")
    assert not namespace.find("pods")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ({}, "exactly one of spec.ops"),
        ({"ops": [op("a")], "code": {"module": "m"}}, "exactly one of spec.ops"),
        ({"code": {"source": "x", "module": "m"}}, "exactly one of source, configMapRef and module"),
        ({"ops": []}, "at least 1 items"),
        ({"ops": [{"name": "a"}]}, "image: Required value"),
        ({"ops": [op("a", no_such_key=1)]}, "unknown field"),
    ],
)
def test_the_api_server_itself_refuses(operator: Any, shared: Kube, spec: dict[str, Any], says: str) -> None:
    with pytest.raises(KubeError, match=says):
        shared.create(job_manifest("never-made", **spec))


def test_a_spec_cannot_be_changed(shown: Shown) -> None:
    with pytest.raises(KubeError, match="spec cannot be changed once the Job exists"):
        shown.kube.run("patch", "pgj", "duplicate", "--type=merge", "-p", json.dumps({"spec": {"ops": [op("b")]}}))


def told(kube: Kube, job: dict[str, Any], case: Case, state: str) -> None:
    """Hold the printed columns, the conditions and an Event to the case's sentence."""
    succeeded = condition(job, "Succeeded")
    assert (succeeded["status"], succeeded["reason"]) == ("False", state), kube.describe(case.name)
    assert condition(job, "Finished")["status"] == "True"
    wide = kube.run("get", "pgj", case.name, "-o", "wide")
    parts = (case.reason, *case.says)
    assert state in wide
    assert all(part in wide for part in parts), wide

    def described() -> str:
        text = kube.run("describe", "pgj", case.name)
        return text if all(part in text.partition("\nEvents:")[2] for part in parts) else ""

    # The Event comes right after the status.
    conditions, _, _ = kube.wait_for(f"an Event with {parts}", described, 10).partition("\nEvents:")
    text = " ".join(conditions.split())
    assert all(" ".join(part.split()) in text for part in parts), conditions


def condition(job: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return one condition."""
    return next(c for c in job["status"]["conditions"] if c["type"] == kind)


def seconds(text: str) -> float:
    """Read a duration as the operator shows it below an hour."""
    minutes, _, rest = text.rpartition("m")
    return int(minutes or 0) * 60 + float(rest.removesuffix("s"))


def chain(count: int) -> list[dict[str, Any]]:
    """Return ops of which only the first could start, and sleeps."""
    first = op("a0", script="trap 'exit 0' TERM; sleep 60 & wait")
    return [first, *(op(f"a{at}", f"a{at - 1}") for at in range(1, count))]
