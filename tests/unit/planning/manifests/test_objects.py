from __future__ import annotations

import json
from typing import Any

import pytest

from podgraph.planning.manifests.objects import JobRef, code_config_map, container_pod, python_pod, runtime_config_map
from podgraph.planning.model import names
from podgraph.planning.model.spec import CodeSpec, ContainerSpec
from podgraph.protocol.step import Assignment

JOB = JobRef("arithmetic", "team", "0000-1111")
CODE = CodeSpec(image="mine:1", source="x")


def container(spec: ContainerSpec, **inputs: str) -> dict[str, Any]:
    return container_pod(JOB, "p", "src.add", spec, inputs)


def python(op: str = "src.add", code_map: str = "code") -> dict[str, Any]:
    return python_pod(JOB, "p", CODE, Assignment(op, "n", JOB.uid, file="job.py"), "runtime", code_map)


PODS = {
    "container": container(ContainerSpec("busybox:1")),
    "script": container(ContainerSpec("busybox:1", script="true")),
    "python": python(),
    "resolve": python(""),
}


def env(pod: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item["value"] for item in pod["spec"]["containers"][0]["env"]}


@pytest.mark.parametrize("kind", PODS)
def test_every_pod_meets_the_restricted_standard_and_holds_no_token(kind: str) -> None:
    spec = PODS[kind]["spec"]
    assert spec["automountServiceAccountToken"] is False
    assert spec["enableServiceLinks"] is False
    assert spec["restartPolicy"] == "Never"
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] > 0
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not {"hostNetwork", "hostPID", "hostIPC", "serviceAccountName"} & spec.keys()
    [only] = spec["containers"]
    assert only["name"] == names.CONTAINER
    assert only["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert only["terminationMessagePolicy"] == "FallbackToLogsOnError"
    for volume in spec.get("volumes", ()):
        for source in volume["projected"]["sources"]:
            assert source.keys() <= {"downwardAPI", "configMap"}


@pytest.mark.parametrize("kind", PODS)
def test_every_pod_belongs_to_its_job(kind: str) -> None:
    meta = PODS[kind]["metadata"]
    assert meta["namespace"] == "team"
    assert meta["ownerReferences"] == [
        {
            "apiVersion": "podgraph.dev/v1alpha1",
            "kind": "Job",
            "name": "arithmetic",
            "uid": JOB.uid,
            "controller": True,
            "blockOwnerDeletion": False,
        }
    ]
    assert meta["labels"][names.MANAGED_BY_LABEL] == "podgraph"
    assert meta["labels"][names.JOB_UID_LABEL] == JOB.uid
    if kind == "resolve":
        assert names.OP_LABEL not in meta["labels"]
        assert names.OP_ANNOTATION not in meta["annotations"]
    else:
        assert meta["labels"][names.OP_LABEL] == "src.add"
        assert meta["annotations"][names.OP_ANNOTATION] == "src.add"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('"$(HOME) $x"', "$$(HOME) $$x"),
        ('"$$"', "$$$$"),
        ('"a\\nb \\"q\\""', 'a\nb "q"'),
        ("1", "1"),
        ("null", "null"),
        ('["a", {"b": "$(X)"}]', '["a", {"b": "$$(X)"}]'),
        ("12345678901234567890.10", "12345678901234567890.10"),
    ],
)
def test_an_input_is_an_environment_variable_with_nothing_to_expand(text: str, value: str) -> None:
    assert env(container(ContainerSpec("busybox:1"), my_x=text))["INPUT_MY_X"] == value


def test_env_of_the_spec_may_refer_to_inputs() -> None:
    spec = ContainerSpec("busybox:1", args=("--x", "$(INPUT_X)"), env=(("Y", "<$(INPUT_X)>"), ("HOME", "/data")))
    pod = container(spec, x="1")
    assert pod["spec"]["containers"][0]["args"] == ["--x", "$(INPUT_X)"]
    assert "command" not in pod["spec"]["containers"][0]
    assert env(pod)["Y"] == "<$(INPUT_X)>"
    assert env(pod)["HOME"] == "/data"
    assert [item["name"] for item in pod["spec"]["containers"][0]["env"]].index("INPUT_X") < 3


@pytest.mark.parametrize(
    ("script", "text", "command"),
    [
        ("echo hi\n", "#!/bin/sh -e\necho hi\n", "/podgraph/in/start"),
        ("#!/usr/bin/env python3\n1", "#!/usr/bin/env python3\n1", "/podgraph/in/script"),
    ],
)
def test_a_script_is_a_file_that_runs_itself_or_is_run_by_its_shell(script: str, text: str, command: str) -> None:
    pod = container(ContainerSpec("busybox:1", script=script, args=("x",)))
    assert pod["metadata"]["annotations"][names.SCRIPT] == text
    [only] = pod["spec"]["containers"]
    assert only["command"] == [command]
    assert only["args"] == ["x"]
    [item] = pod["spec"]["volumes"][0]["projected"]["sources"][0]["downwardAPI"]["items"]
    assert item["mode"] == 0o555
    assert item["fieldRef"]["fieldPath"] == f"metadata.annotations['{names.SCRIPT}']"


def test_a_python_pod_finds_its_assignment_runtime_and_code() -> None:
    pod = python()
    assert Assignment.from_text(pod["metadata"]["annotations"][names.ASSIGNMENT]).op == "src.add"
    assert pod["spec"]["containers"][0]["command"] == ["python3", "/podgraph/runtime.pyz"]
    assert pod["spec"]["containers"][0]["image"] == "mine:1"
    maps = [s["configMap"]["name"] for s in pod["spec"]["volumes"][0]["projected"]["sources"] if "configMap" in s]
    assert maps == ["runtime", "code"]
    assert "code" not in json.dumps(python(code_map="")["spec"]["volumes"])


def test_config_maps_cannot_be_changed() -> None:
    code = code_config_map(JOB, "c", "x = 1")
    assert code["immutable"] is True
    assert code["data"] == {"job.py": "x = 1"}
    assert code["metadata"]["ownerReferences"][0]["uid"] == JOB.uid
    runtime = runtime_config_map("team", "r", "QUJD")
    assert runtime["immutable"] is True
    assert runtime["binaryData"] == {"runtime.pyz": "QUJD"}
    assert "ownerReferences" not in runtime["metadata"]  # it serves all Jobs of the namespace
