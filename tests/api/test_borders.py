"""What somebody with rights in one namespace tries to reach from there: other rights, nodes, claims, Jobs, objects."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from api.driving import Driver, PythonPods, condition, driving
from api.fake import AutoKubelet
from podgraph.cluster.client import Client
from podgraph.planning.model.names import ASSIGNMENT, JOB_LABEL, code_config_map
from podgraph.planning.model.owner import Owner
from podgraph.protocol.signing import Signer, value_mac
from podgraph.protocol.step import RECORD_MARK, Assignment, Record

Obj = dict[str, Any]
OPS = [{"name": "a", "image": "i", "outputs": [{"name": "result"}]}]
CODE = """
from podgraph import job, op

@op
def one():
    return b"x" * 100_000

@op
def two(x: bytes):
    return len(x)

@job
def j():
    two(one())
"""


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


def violates_restricted(pod: Obj) -> str:
    """Say what of a pod the Pod Security Standard "restricted" refuses, as the namespace's admission does."""
    spec = pod["spec"]
    if any(spec.get(key) for key in ("hostNetwork", "hostPID", "hostIPC")):
        return "host namespaces"
    allowed = {"name", "configMap", "emptyDir", "projected", "secret", "downwardAPI", "persistentVolumeClaim", "csi"}
    for volume in spec.get("volumes") or ():
        if set(volume) - allowed:
            return f"restricted volume types: volume {volume['name']!r}"
    whole = spec.get("securityContext") or {}
    for container in [*spec["containers"], *(spec.get("initContainers") or ())]:
        own = container.get("securityContext") or {}
        both = {**whole, **own}
        if own.get("privileged") or own.get("allowPrivilegeEscalation") is not False:
            return f"allowPrivilegeEscalation != false: container {container['name']!r}"
        if (own.get("capabilities") or {}).get("drop") != ["ALL"] or (own.get("capabilities") or {}).get("add"):
            return f"unrestricted capabilities: container {container['name']!r}"
        if both.get("runAsNonRoot") is not True or both.get("runAsUser") == 0:
            return f"runAsNonRoot != true: container {container['name']!r}"
        if (both.get("seccompProfile") or {}).get("type") not in ("RuntimeDefault", "Localhost"):
            return f"seccompProfile: container {container['name']!r}"
    return ""


def refused(status: Obj) -> str:
    accepted = condition(status, "Accepted")
    assert accepted["status"] == "False", status
    return f"{accepted['reason']}: {accepted['message']}"


async def test_all_pods_of_ours_are_restricted(drive: Driver, tmp_path: Path) -> None:
    """In a namespace that enforces it every pod is taken: of ops, scripts and code, and the one that cleans."""
    drive.fake.server.refuse_pod = violates_restricted
    drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": {}})
    scripts = [{"name": "s", "image": "i", "script": "true"}, {"name": "t", "image": "i", "script": "true", "pod": "p"}]
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, CODE), select=lambda pod: "mine" in str(pod)):
        drive.apply(code={"source": CODE}, storage={"url": f"file://{tmp_path}", "claimRef": {"name": "mine"}})
        status = await drive.finished()
        assert condition(status, "Succeeded")["status"] == "True", status
        drive.fake.delete("jobs", "default", "j")
        await drive.fake.until(
            lambda: drive.fake.find("jobs", "default", "j") is None, what="the end of what it stored"
        )
    drive.apply("k", ops=[*OPS, *scripts])
    await drive.fake.until(lambda: len(drive.fake.objects("pods", **{JOB_LABEL: "k"})) == 3, what="a pod for each")
    assert all(request.status == 201 for request in drive.fake.calls("POST", "/pods$"))


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ({"spec": {"volumes": [{"name": "root", "hostPath": {"path": "/"}}]}}, "restricted volume types"),
        ({"spec": {"containers": [{"name": "step", "securityContext": {"privileged": True}}]}}, "allowPrivilege"),
        ({"spec": {"containers": [{"name": "step", "securityContext": {"runAsUser": 0}}]}}, "runAsNonRoot"),
        (
            {"spec": {"containers": [{"name": "step", "securityContext": {"capabilities": {"add": ["SYS_ADMIN"]}}}]}},
            "unrestricted capabilities",
        ),
        ({"spec": {"initContainers": [{"name": "x", "image": "i"}]}}, "allowPrivilege"),
    ],
)
@pytest.mark.parametrize("of_op", [False, True])
async def test_what_a_template_asks_for_is_for_the_namespace_to_decide(
    drive: Driver, template: Obj, why: str, of_op: bool
) -> None:
    drive.fake.server.refuse_pod = violates_restricted
    ops = [{**OPS[0], "podTemplate": template}] if of_op else OPS
    drive.apply(ops=ops, **({} if of_op else {"podTemplate": template}))
    told = refused(await drive.finished())
    assert told.startswith("InvalidPodTemplate: the API server refuses")
    assert why in told
    assert not drive.fake.objects("pods")


async def test_another_service_account_is_the_users_own_choice(drive: Driver) -> None:
    """As with any pod of their own; the API server's admission has the word, and no token is there unasked."""
    drive.fake.server.refuse_pod = lambda pod: (
        "service account admin not found" if pod["spec"].get("serviceAccountName") == "admin" else ""
    )
    drive.apply(ops=OPS, podTemplate={"spec": {"serviceAccountName": "admin"}})
    assert "service account admin not found" in refused(await drive.finished())
    drive.apply("k", ops=OPS)
    pod = await drive.pod_of("a")
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert "serviceAccountName" not in pod["spec"]


async def test_a_claim_is_looked_for_in_the_jobs_own_namespace(drive: Driver) -> None:
    theirs = {"name": "theirs", "namespace": "team-b"}
    drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": theirs, "spec": {}})
    drive.apply(code={"source": CODE}, storage={"claimRef": {"name": "theirs"}})
    assert refused(await drive.finished()).startswith("ClaimNotFound")
    assert not drive.fake.calls("GET", "/namespaces/team-b/")
    assert not drive.fake.objects("pods")


async def test_a_record_cannot_name_where_its_outputs_lie(drive: Driver, tmp_path: Path) -> None:
    """Another Job's values, or files beside them, are not read by way of a step's result."""
    drive.fake.create({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "mine"}, "spec": {}})
    (tmp_path / "secret").write_bytes(b"\x80\x04.")
    play = PythonPods(drive.fake, CODE)
    item = {"format": "pickle", "size": 3, "sha256": "0" * 64}
    for number, stored in enumerate(
        (
            {"result": {**item, "key": "../../secret"}},
            {"../../../../../secret": item},
            {"result": item, "../../../../../secret": item},
        )
    ):
        name = f"j{number}"

        def behave(pod: Obj, stored: Obj = stored) -> tuple[int, str]:
            code, text = play(pod)
            nonce = Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT]).nonce
            key = drive.keys.of(pod["metadata"]["ownerReferences"][0]["uid"]).pod
            record = Record.from_text(Signer(nonce, key).read(RECORD_MARK, text) or "")
            if record.outputs or record.stored:  # the op itself signs what it likes
                signed = {
                    name: {**item, "mac": value_mac(key, item["format"], item["sha256"], item["size"])}
                    for name, item in stored.items()
                }
                return code, Record(nonce, "Succeeded", stored=signed).to_line(key)
            return code, text

        async with AutoKubelet(drive.fake, behave):
            drive.apply(
                name, code={"source": CODE}, storage={"url": f"file://{tmp_path}", "claimRef": {"name": "mine"}}
            )
            status = await drive.finished(name)
        steps = status["steps"]
        assert steps["one"]["state"] == "Failed", steps
        assert steps["two"]["state"] == "UpstreamFailed"
        assert "secret" not in str(steps["one"].get("stored"))


@pytest.mark.parametrize("op", ["../../x", "a/../../b", "..", "/etc", "a/b", "a\n", "@p"])
async def test_an_op_cannot_be_named_as_a_path(drive: Driver, op: str) -> None:
    drive.apply(ops=[{**OPS[0], "name": op}])
    refused(await drive.finished())
    assert not drive.fake.objects("pods")


@pytest.mark.parametrize("name", ["d", "team-b/d"])
async def test_definitions_and_parents_are_of_the_jobs_own_namespace(drive: Driver, name: str) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition"}
    drive.fake.create({**kind, "metadata": {"name": "d", "namespace": "team-b"}, "spec": {"ops": OPS}})
    suspended = {"metadata": {"name": "d", "namespace": "team-b"}, "spec": {"ops": OPS, "suspend": True}}
    drive.fake.create({**kind, "kind": "Job", **suspended})
    await drive.fake.until(lambda: drive.fake.get("jobdefinitions", "team-b", "d").get("status"), what="its status")
    before = len(drive.fake.requests)
    drive.apply("again", ops=OPS, rerunOf={"name": name})
    refused(await drive.finished("again"))
    drive.apply("defined", definitionRef={"name": name})
    await drive.fake.until(lambda: drive.status("defined"), what="its status")
    reads = [r.path for r in drive.fake.requests[before:] if r.method == "GET" and r.query.get("watch") is None]
    assert all("/namespaces/default/" in path for path in reads), reads
    assert "steps" not in drive.status("defined")
    assert not drive.fake.objects("pods", "default")


@pytest.mark.parametrize("owners", [[], [{"uid": "else"}], None])
async def test_a_config_map_that_is_not_the_owners_is_left_alone(drive: Driver, owners: Any) -> None:
    """Its name can be computed, so somebody's may have it; a forged owner does not get a foreign object deleted."""
    assert drive.controller is not None
    client: Client = drive.controller.client
    name = code_config_map("d", "uid/1")
    meta: Obj = {"name": name}
    if owners is not None:
        full = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "name": "d"}
        meta["ownerReferences"] = [{**full, **owner} for owner in owners]
    drive.fake.collector.paused = True
    drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"x": "y"}})
    await client.delete_config_map(name, Owner("default", "JobDefinition", "uid"))
    assert drive.fake.find("configmaps", "default", name) is not None
    assert not drive.fake.calls("DELETE", "/configmaps/")


async def test_a_config_map_that_was_made_anew_meanwhile_is_left_alone(drive: Driver) -> None:
    assert drive.controller is not None
    owner: Obj = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "name": "d", "uid": "uid"}
    owner["controller"] = True
    drive.fake.collector.paused = True
    drive.fake.create({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m", "ownerReferences": [owner]}})
    await drive.controller.client.delete_config_map("m", Owner("default", "JobDefinition", "uid"))
    (sent,) = drive.fake.calls("DELETE", "/configmaps/m")
    assert set(sent.body["preconditions"]) == {"uid"}
    assert drive.fake.find("configmaps", "default", "m") is None
    # Once more is not an error.
    await drive.controller.client.delete_config_map("m", Owner("default", "JobDefinition", "uid"))
