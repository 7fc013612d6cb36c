"""What the API server itself takes, refuses and keeps of a Job.

The CRD of this checkout is tried under another group and other short names: no operator touches these Jobs, and an
installed CRD, which may be older, stays as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.kube import CHECKOUT, Kube, KubeError

pytestmark = pytest.mark.cluster

GROUP = f"crd{os.getpid()}.test.podgraph.dev"
JOBS = f"jobs.{GROUP}"
UNCHANGEABLE = "spec cannot be changed once the Job exists; delete the Job or create one with another name"
ONE_OF_TWO = (
    "exactly one of spec.ops (container and script ops), spec.code (Python ops) and spec.definitionRef "
    "(a JobDefinition) must be set"
)
ONE_OF_THREE = "exactly one of source, configMapRef and module must be set"

OPS: dict[str, Any] = {
    "opSelection": ["*b"],
    "runConfig": {"ops": {"a": {"inputs": {"num": 3, "deep": {"list": [1, None, {"c": "d"}], "none": None}}}}},
    "ops": [
        {
            "name": "a",
            "image": "busybox",
            "script": "echo result=1 > $PODGRAPH_OUTPUT",
            "inputs": [{"name": "num", "value": 1}, {"name": "x", "value": None}, {"name": "w", "default": None}],
            "outputs": [{"name": "result", "optional": True}],
            "tags": {"db": "x", "podgraph/priority": "3"},
            "timeoutSeconds": 5,
            "podTemplate": {"spec": {"containers": [{"name": "step", "resources": {"limits": {"cpu": 1}}}]}},
            "retryPolicy": {"maxRetries": 2, "delaySeconds": 0.5, "backoff": "Linear", "jitter": "PlusMinus"},
        },
        {
            "name": "b",
            "image": "busybox",
            "command": ["sh", "-c"],
            "args": ["echo $(INPUT_I)"],
            "env": [{"name": "A", "value": "b"}],
            "inputs": [
                {"name": "i", "from": {"op": "a"}},
                {"name": "l", "fromList": [{"op": "a", "output": "result"}]},
            ],
            "after": ["a"],
        },
    ],
    "execution": {
        "maxConcurrent": 3,
        "tagConcurrencyLimits": [
            {"key": "db", "value": "x", "limit": 1},
            {"key": "db", "perValue": True, "limit": 2},
        ],
        "pendingTimeoutSeconds": 60,
        "infrastructureRetries": 0,
        "podRetention": "Never",
    },
    "activeDeadlineSeconds": 600,
    "rerunOf": {"name": "parent", "uid": "u", "steps": "All"},
    "podTemplate": {
        "metadata": {"labels": {"a": "b", "c": None}, "annotations": {"d": "e"}, "name": "for the operator to refuse"},
        "spec": {"nodeSelector": {"disk": "ssd"}, "tolerations": [{"key": "gpu"}], "affinity": None},
    },
    "tags": {"team": "data"},
}
LIMIT = {"key": "db", "limit": 1}
CODE: dict[str, Any] = {"code": {"source": "from podgraph import job, op\n", "image": "python", "job": "my_job"}}
DEFINED: dict[str, Any] = {"definitionRef": {"name": "daily"}}
CLAIM: dict[str, Any] = {"claimRef": {"name": "c"}}
A_PLACE = "url or claimRef must be set"
ONE_PLACE = "a file:// url requires claimRef, and claimRef allows only a file:// url"
TIME = "2026-01-01T00:00:00Z"
MICRO = "2026-01-01T00:00:00.123456Z"
STATUS: dict[str, Any] = {
    "observedGeneration": 1,
    "conditions": [
        {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "2 ops", "lastTransitionTime": TIME},
        {"type": "Succeeded", "status": "Unknown", "reason": "Running", "message": "on", "lastTransitionTime": TIME},
    ],
    "startTime": MICRO,
    "completionTime": MICRO,
    "duration": "3.2s",
    "progress": "1/2",
    "counts": {"total": 2, "succeeded": 1},
    "graph": "eJw=",
    "definition": {
        "name": "daily",
        "uid": "u",
        "generation": 3,
        "digest": "0" * 64,
        "podRetention": "Never",
        "ttlSecondsAfterFinished": 60,
    },
    "storage": {"url": "file:///x", "claim": "c", "secret": "s", "retain": "Keep", "logs": True, "image": "i"},
    "steps": {
        "src.a": {
            "state": "Succeeded",
            "attempt": 2,
            "infrastructureFailures": 1,
            "retryTime": MICRO,
            "podUID": "u",
            "startTime": MICRO,
            "completionTime": MICRO,
            "outputs": {"result": '{"k": 1.0}'},
            "stored": {
                "rows": {"format": "pickle", "size": 2**40, "sha256": "0" * 64, "key": "ns/j/uid/src.a/1/rows"},
                "few": {"format": "pickle", "data": "gAVLAS4="},
            },
            "reason": "R",
            "message": "m",
        },
        "b": {"state": "Pending"},
        "c": {"state": "Succeeded", "takenFrom": "parent"},
    },
}


@pytest.fixture(scope="module")
def jobs(kube: Kube, shared: Kube) -> Iterator[Kube]:
    """kubectl where the copy of the CRD is served."""
    crd = yaml.safe_load((CHECKOUT / "crds" / "jobs.podgraph.dev.yaml").read_text())
    crd["metadata"]["name"], crd["spec"]["group"] = JOBS, GROUP
    kinds = crd["spec"]["names"]
    assert (kinds["shortNames"], kinds["categories"]) == (["pgj"], ["podgraph"])
    kinds["shortNames"], kinds["categories"] = [f"pgj{os.getpid()}"], [f"podgraph{os.getpid()}"]
    try:
        kube.run("apply", "--server-side", "-f", "-", stdin=json.dumps(crd))
        kube.run("wait", "--for=condition=Established", f"crd/{JOBS}", "--timeout=30s")
        shared.wait_for("the API server to serve the CRD", lambda: answers(shared, "get", JOBS))
        yield shared
    finally:
        kube.delete("crd", JOBS)


def answers(kube: Kube, *args: str) -> bool:
    try:
        kube.run(*args)
    except KubeError:
        return False
    return True


def job(name: str, spec: Any) -> dict[str, Any]:
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def many(name: str, count: int) -> dict[str, Any]:
    ops = [
        {
            "name": f"op_{i}",
            "image": "busybox",
            "script": "true",
            "inputs": [{"name": "i", "from": {"op": f"op_{i - 1}"}}],
        }
        for i in range(count)
    ]
    return job(name, {"ops": ops})


def patch(kube: Kube, name: str, body: Any, *args: str, kind: str = "merge") -> dict[str, Any]:
    done = kube.run("patch", JOBS, name, f"--type={kind}", "-p", json.dumps(body), "-o", "json", *args)
    return dict(json.loads(done))


def patch_status(kube: Kube, name: str, body: Any, kind: str = "merge") -> dict[str, Any]:
    return patch(kube, name, body, "--subresource=status", kind=kind)


def refusal(kube: Kube, manifest: dict[str, Any]) -> str:
    with pytest.raises(KubeError) as caught:
        kube.create(manifest)
    return str(caught.value)


# --- the spec


def test_a_job_with_ops_is_kept_as_it_is_written(jobs: Kube) -> None:
    jobs.create(job("ops", OPS))
    assert jobs.get(JOBS, "ops")["spec"] == OPS


def test_a_job_with_code_is_kept_as_it_is_written(jobs: Kube) -> None:
    for name, where in (
        ("source", {"source": "x"}),
        ("module", {"module": "x.y"}),
        ("map", {"configMapRef": {"name": "m", "key": "k"}}),
    ):
        jobs.create(job(f"code-{name}", {"code": where}))
        assert jobs.get(JOBS, f"code-{name}")["spec"] == {"code": where}


@pytest.mark.parametrize(
    "storage",
    [
        {"url": "s3://b/p", "secretRef": {"name": "s"}, "retain": "Keep", "logs": True},
        CLAIM,
        {**CLAIM, "url": "file:///x"},
    ],
    ids=["s3", "claim", "mounted"],
)
def test_a_storage_is_kept_as_it_is_written(jobs: Kube, storage: Any) -> None:
    jobs.create(job(f"storage-{len(storage)}", {**CODE, "storage": storage}))
    assert jobs.get(JOBS, f"storage-{len(storage)}")["spec"]["storage"] == storage


def test_a_job_of_a_definition_may_set_what_the_definition_does(jobs: Kube) -> None:
    spec = {**DEFINED, "storage": CLAIM, "execution": {"mode": "InProcess"}, "opSelection": []}
    jobs.create(job("defined", spec))
    assert jobs.get(JOBS, "defined")["spec"] == spec
    for other in ({"definitionRef": {"name": "other"}}, {"definitionRef": None}):
        with pytest.raises(KubeError, match=UNCHANGEABLE):
            patch(jobs, "defined", {"spec": other})


@pytest.mark.parametrize("how", [(), ("--server-side",)], ids=["plain", "server-side"])
@pytest.mark.parametrize("spec", [OPS, CODE], ids=["ops", "code"])
def test_applying_the_same_job_again_is_no_error(jobs: Kube, spec: Any, how: tuple[str, ...]) -> None:
    manifest = json.dumps(job(f"again-{'ops' if spec is OPS else 'code'}-{len(how)}", spec))
    for _ in range(2):
        jobs.run("apply", *how, "-f", "-", stdin=manifest)


def test_a_thousand_ops_go_through_plain_apply(jobs: Kube) -> None:
    jobs.apply(many("thousand", 1_001))
    jobs.apply(many("thousand", 1_001))
    assert patch_status(jobs, "thousand", {"status": {"progress": "1/1001"}})["status"] == {"progress": "1/1001"}


def test_the_number_of_ops_is_for_the_operator_to_refuse_until_it_is_absurd(jobs: Kube) -> None:
    jobs.create(many("more-than-the-operator-takes", 5_001))
    assert "spec.ops: Too many: 20001: must have at most 20000 items" in refusal(jobs, many("absurd", 20_001))


def test_what_the_operator_refuses_with_its_own_words_is_stored(jobs: Kube) -> None:
    ops = [
        {"name": "no name!", "image": "i"},
        {"name": "twice", "image": "i"},
        {"name": "twice", "image": "i", "inputs": [{"name": "x", "from": {"op": "nowhere"}}]},
    ]
    jobs.create(job("wrong", {"ops": ops, "opSelection": ["nowhere+++"]}))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, ONE_OF_TWO),
        ({**OPS, **CODE}, ONE_OF_TWO),
        ({**CODE, **DEFINED}, ONE_OF_TWO),
        ({**OPS, **DEFINED}, ONE_OF_TWO),
        ({"definitionRef": {}}, "spec.definitionRef.name: Required value"),
        ({"code": {}}, ONE_OF_THREE),
        ({"code": {"source": "x", "module": "y"}}, ONE_OF_THREE),
        ({"code": {"source": "x", "configMapRef": {"name": "m", "key": "k"}}}, ONE_OF_THREE),
        (None, "spec: Required value"),
        ({"ops": []}, "spec.ops in body should have at least 1 items"),
        ({**OPS, "storage": {"url": "s3://b"}}, "storage is for Python ops (spec.code)"),
        ({**CODE, "storage": {}}, A_PLACE),
        ({**CODE, "storage": {"url": "file:///x"}}, ONE_PLACE),
        ({**CODE, "storage": {"url": "s3://b", **CLAIM}}, ONE_PLACE),
        ({**CODE, "storage": {"url": "ftp://b"}}, "spec.storage.url"),
        ({**CODE, "storage": {**CLAIM, "retain": "Maybe"}}, "spec.storage.retain: Unsupported value"),
        ({"ops": [{"name": "a"}]}, "spec.ops[0].image: Required value"),
        ({"ops": [{"name": "a", "image": "i", "script": 1}]}, "spec.ops[0].script in body must be of type string"),
        ({**CODE, "execution": {"podRetention": "Sometimes"}}, "spec.execution.podRetention: Unsupported value"),
        ({**CODE, "execution": {"maxConcurrent": 0}}, "spec.execution.maxConcurrent in body should be greater than"),
        (
            {**CODE, "execution": {"tagConcurrencyLimits": [{**LIMIT, "value": "x", "perValue": True}]}},
            "value and perValue are mutually exclusive",
        ),
        ({**CODE, "rerunOf": {"steps": "All"}}, "spec.rerunOf.name: Required value"),
        ({**CODE, "rerunOf": {"name": "p", "steps": "Some"}}, "spec.rerunOf.steps: Unsupported value"),
        ({**CODE, "podTemplate": []}, "spec.podTemplate in body must be of type object"),
        (
            {**CODE, "podTemplate": {"metadata": {"labels": {"a": 1}}}},
            "spec.podTemplate.metadata.labels.a in body must",
        ),
        ({**CODE, "podTemplate": {"spec": "x"}}, "spec.podTemplate.spec in body must be of type object"),
        ({**CODE, "tags": {"a": 1}}, "spec.tags.a in body must be of type string"),
        ({**CODE, "tags": {"a": "x" * 257}}, "spec.tags.a: Too long: may not be more than 256 bytes"),
        ({**CODE, "activeDeadlineSeconds": 0}, "spec.activeDeadlineSeconds in body should be greater than"),
    ],
)
def test_a_spec_that_cannot_be_meant_is_refused(jobs: Kube, spec: Any, message: str) -> None:
    assert message in refusal(jobs, job("refused", spec))


def test_every_unknown_field_is_named(jobs: Kube) -> None:
    op = {"name": "a", "image": "i", "scirpt": "x", "inputs": [{"name": "i", "frm": {"op": "b"}}]}
    said = refusal(jobs, job("unknown", {"ops": [op], "opSelektion": [], "runConfig": {"opps": {}}}))
    for field in ("spec.ops[0].scirpt", "spec.ops[0].inputs[0].frm", "spec.opSelektion", "spec.runConfig.opps"):
        assert f'unknown field "{field}"' in said


@pytest.mark.parametrize(
    "change",
    [
        {"op": "replace", "path": "/spec/ops/0/image", "value": "other"},
        {"op": "replace", "path": "/spec/ops/0/inputs/0/value", "value": 2},
        {"op": "replace", "path": "/spec/ops/0/inputs/0/value", "value": "1"},
        {"op": "replace", "path": "/spec/ops/0/inputs/1/value", "value": 0},
        {"op": "remove", "path": "/spec/ops/0/inputs/1/value"},
        {"op": "remove", "path": "/spec/ops/1"},
        {"op": "replace", "path": "/spec/runConfig/ops/a/inputs/num", "value": 4},
        {"op": "replace", "path": "/spec/runConfig/ops/a/inputs/deep/list/2/c", "value": "e"},
        {"op": "add", "path": "/spec/runConfig/ops/b", "value": {}},
        {"op": "remove", "path": "/spec/runConfig"},
        {"op": "replace", "path": "/spec/opSelection", "value": ["b"]},
        {"op": "remove", "path": "/spec/opSelection"},
        {"op": "add", "path": "/spec/ops/0/retryPolicy/maxRetries", "value": 9},
        {"op": "remove", "path": "/spec/execution"},
        {"op": "replace", "path": "/spec/execution/maxConcurrent", "value": 4},
        {"op": "replace", "path": "/spec/activeDeadlineSeconds", "value": 900},
        {"op": "remove", "path": "/spec/activeDeadlineSeconds"},
        {"op": "replace", "path": "/spec/rerunOf/name", "value": "other"},
        {"op": "remove", "path": "/spec/rerunOf"},
        {"op": "replace", "path": "/spec/podTemplate/spec/nodeSelector/disk", "value": "hdd"},
        {"op": "replace", "path": "/spec/podTemplate/metadata/labels/a", "value": "x"},
        {"op": "remove", "path": "/spec/podTemplate"},
        {"op": "add", "path": "/spec/ops/1/podTemplate", "value": {}},
        {"op": "replace", "path": "/spec/ops/0/podTemplate/spec/containers/0/resources/limits/cpu", "value": 2},
        {"op": "replace", "path": "/spec/tags/team", "value": "x"},
        {"op": "remove", "path": "/spec/tags"},
    ],
    ids=lambda change: f"{change['op']}{change['path']}",
)
def test_the_spec_cannot_be_changed(jobs: Kube, change: dict[str, Any]) -> None:
    jobs.run("apply", "--server-side", "-f", "-", stdin=json.dumps(job("fixed", OPS)))
    with pytest.raises(KubeError, match=UNCHANGEABLE):
        patch(jobs, "fixed", [change], kind="json")


def test_what_steers_a_job_can_be_changed(jobs: Kube) -> None:
    jobs.create(job("steered", OPS))
    for change in ({"suspend": True}, {"suspend": None}, {"ttlSecondsAfterFinished": 60}, {"cancel": True}):
        spec = patch(jobs, "steered", {"spec": change})["spec"]
        assert {key: spec.get(key) for key in change} == change
    assert jobs.get(JOBS, "steered")["metadata"]["generation"] == 5
    for back in ({"cancel": False}, {"cancel": None}):
        with pytest.raises(KubeError, match="cannot be set back"):
            patch(jobs, "steered", {"spec": back})
    assert patch(jobs, "steered", {"spec": {"ttlSecondsAfterFinished": 0}})["spec"]["ttlSecondsAfterFinished"] == 0


def test_code_cannot_be_changed_but_labels_can(jobs: Kube) -> None:
    jobs.apply(job("fixed-code", CODE))
    changed = job("fixed-code", {"code": {**CODE["code"], "source": "pass"}})
    with pytest.raises(KubeError, match=UNCHANGEABLE):
        jobs.apply(changed)
    assert patch(jobs, "fixed-code", {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"] == {"a": "b"}


def test_the_storage_cannot_be_changed(jobs: Kube) -> None:
    jobs.create(job("fixed-storage", {**CODE, "storage": CLAIM}))
    jobs.create(job("no-storage", CODE))
    for name, change in (
        ("fixed-storage", {"storage": {**CLAIM, "retain": "Keep"}}),
        ("fixed-storage", {"storage": None}),
        ("no-storage", {"storage": CLAIM}),
    ):
        with pytest.raises(KubeError, match=UNCHANGEABLE):
            patch(jobs, name, {"spec": change})


# --- the status


def test_the_status_keeps_all_that_is_written(jobs: Kube) -> None:
    jobs.create(job("status", OPS))
    assert patch_status(jobs, "status", {"status": STATUS})["status"] == STATUS
    lighter = patch_status(
        jobs, "status", {"status": {"steps": {"src.a": {"message": None}, "b": {"state": "Starting"}}}}
    )
    assert "message" not in lighter["status"]["steps"]["src.a"]
    assert lighter["status"]["steps"]["b"] == {"state": "Starting"}
    assert patch(jobs, "status", {"status": {"progress": "2/2"}})["status"]["progress"] == "1/2"
    assert patch_status(jobs, "status", {"spec": {"opSelection": ["b"]}})["spec"] == OPS


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ({"steps": {"a": {"state": "Odd"}}}, "status.steps.a.state: Unsupported value"),
        ({"steps": {"a": {"reason": "R"}}}, "status.steps.a.state: Required value"),
        ({"conditions": [STATUS["conditions"][0] | {"status": "Maybe"}]}, "status.conditions[0].status: Unsupported"),
        ({"conditions": STATUS["conditions"][:1] * 2}, "status.conditions[1]: Duplicate value"),
        ({"startTime": "now"}, "status.startTime: Invalid value"),
    ],
)
def test_a_wrong_status_is_refused(jobs: Kube, status: Any, message: str) -> None:
    jobs.run("apply", "--server-side", "-f", "-", stdin=json.dumps(job("wrong-status", OPS)))
    with pytest.raises(KubeError) as caught:
        patch_status(jobs, "wrong-status", {"status": status})
    assert message in str(caught.value)


def test_only_a_resource_version_ties_a_status_patch_to_its_job(jobs: Kube) -> None:
    jobs.create(job("tied", OPS))
    uid = jobs.get(JOBS, "tied")["metadata"]["uid"]
    other = "00000000-0000-0000-0000-000000000000"
    # The API server takes a wrong uid in a merge patch of the status and writes all the same.
    taken = patch_status(jobs, "tied", {"metadata": {"uid": other}, "status": {"progress": "1/2"}})
    assert (taken["metadata"]["uid"], taken["status"]["progress"]) == (uid, "1/2")
    with pytest.raises(KubeError, match=r"\(Conflict\)"):
        patch_status(jobs, "tied", {"metadata": {"resourceVersion": "1"}, "status": {"progress": "2/2"}})
    assert jobs.get(JOBS, "tied")["status"]["progress"] == "1/2"


def test_the_columns_a_person_reads(jobs: Kube) -> None:
    jobs.create(job("shown", OPS))
    patch_status(jobs, "shown", {"status": STATUS})
    head, row = jobs.run("get", JOBS, "shown").splitlines()
    assert head.split() == ["NAME", "STATE", "STEPS", "DURATION", "AGE"]
    assert row.split()[:4] == ["shown", "Running", "1/2", "3.2s"]
    head, row = jobs.run("get", JOBS, "shown", "-o", "wide").splitlines()
    assert head.split() == ["NAME", "STATE", "STEPS", "DURATION", "AGE", "REASON", "DEFINITION", "MESSAGE"]
    assert row.split()[5:] == ["Accepted", "on"]


def test_the_short_name_and_the_category(jobs: Kube) -> None:
    jobs.create(job("found", OPS))
    assert jobs.run("get", f"pgj{os.getpid()}", "found", "-o", "name").strip() == f"job.{GROUP}/found"
    assert f"job.{GROUP}/found" in jobs.run("get", f"podgraph{os.getpid()}", "-o", "name").split()
