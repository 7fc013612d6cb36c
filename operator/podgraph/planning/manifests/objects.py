"""The pods and ConfigMaps the operator makes, as the API server takes them.

Every pod meets the "restricted" Pod Security Standard and holds no token: a step needs no permission at all.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.planning.manifests import shell_runner
from podgraph.planning.model import names
from podgraph.planning.model.owner import Owner
from podgraph.planning.model.spec import CodeSpec, ContainerSpec
from podgraph.protocol.signing import KEY_VARIABLE
from podgraph.protocol.step import MOUNT, TERMINATION_FILE, Assignment

__all__ = ["JobRef", "code_config_map", "container_pod", "input_texts", "python_pod", "runtime_config_map", "secret"]

Manifest = dict[str, Any]

USER_ID = 65532
VOLUME = "podgraph"
CODE_FILE = "job.py"


@dataclass(frozen=True)
class JobRef:
    """Which Job something belongs to, or which generation of a JobDefinition (`kind`)."""

    name: str
    namespace: str
    uid: str
    kind: str = "Job"
    generation: int = 0

    @property
    def key(self) -> str:
        """What the names of its objects follow from: another for each generation of a definition."""
        return f"{self.uid}/{self.generation}" if self.generation else self.uid

    @property
    def owner(self) -> Owner:
        """Whose its pods and ConfigMaps are."""
        return Owner(self.namespace, self.kind, self.uid)

    @property
    def noun(self) -> str:
        """What a sentence calls it."""
        return "job" if self.kind == "Job" else "definition"


def python_pod(
    job: JobRef, name: str, code: CodeSpec, assignment: Assignment, runtime: str, code_map: str, key: str = ""
) -> Manifest:  # fmt: skip
    """Return the pod of a Python op, of some or all steps, or the resolve pod when the assignment names none.

    `key` is the name of the Secret with the key that it signs with, empty for a pod that signs nothing.
    """
    sources: list[Manifest] = [
        _downward("in/assignment", names.ASSIGNMENT),
        {"configMap": {"name": runtime, "items": [{"key": "runtime.pyz", "path": "runtime.pyz"}]}},
    ]
    if code_map:
        sources.append({"configMap": {"name": code_map, "items": [{"key": CODE_FILE, "path": f"code/{CODE_FILE}"}]}})
    container: Manifest = {
        "image": code.image,
        "command": ["python3", f"{MOUNT}/runtime.pyz"],
        "env": _env({"HOME": "/tmp", "PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}),
    }
    if key:
        container["env"] += [_secret_env(KEY_VARIABLE, key, "key")]
    return _pod(job, name, assignment.op, container, {names.ASSIGNMENT: assignment.to_text()}, sources)


def container_pod(
    job: JobRef, name: str, op: str, spec: ContainerSpec, inputs: Mapping[str, str],
    token: tuple[str, str] = ("", ""), wait: int = 0,
) -> Manifest:  # fmt: skip
    """Return the pod of a container or script op; `inputs` holds JSON texts.

    Inputs are environment variables, so that `$(INPUT_X)` works in command and args by Kubernetes' own rule. With
    `wait` the pod of a script waits in a shell for so many seconds for :func:`input_texts` in an annotation. `token`
    names a Secret, and the entry in it that the lines repeat by which such a pod tells its end.
    """
    env = {"HOME": "/tmp", "PODGRAPH_OUTPUT": TERMINATION_FILE}
    env |= {key: text.replace("$", "$$") for key, text in input_texts(inputs).items()}  # nothing for it to expand
    container: Manifest = {"image": spec.image, "env": _env(env) + _env(dict(spec.env))}
    if spec.args:
        container["args"] = list(spec.args)
    if spec.command:
        container["command"] = list(spec.command)
    if not spec.script:
        return _pod(job, name, op, container, {}, [])
    # The kernel runs the mounted file itself, so its first line may name any interpreter the image has.
    container["command"] = [f"{MOUNT}/in/script"]
    script = spec.script if spec.script.startswith("#!") else f"#!/bin/sh -e\n{spec.script}"
    notes, sources = {names.SCRIPT: script}, [_downward("in/script", names.SCRIPT, 0o555)]
    if wait or shell_runner.is_shell(spec):
        container["command"] = [shell_runner.START_FILE]
        notes[names.START] = shell_runner.runner(wait)
        if token[0]:  # behind what the op sets, so that it counts and no other variable can quote it
            container["env"] += [_secret_env(shell_runner.TOKEN_VARIABLE, *token, optional=True)]
        sources += [_downward("in/start", names.START, 0o555), _downward("in/inputs", names.INPUTS)]
    return _pod(job, name, op, container, notes, sources)


def input_texts(inputs: Mapping[str, str]) -> dict[str, str]:
    """Return the inputs of a container or script op as its environment has them: text as it is, all else as JSON."""
    texts = {}
    for key, text in inputs.items():
        value = json.loads(text)
        texts[f"INPUT_{key.upper()}"] = value if isinstance(value, str) else text
    return texts


def code_config_map(job: JobRef, name: str, source: str) -> Manifest:
    """Return the Job's own copy of its code: what the ConfigMap it came from holds later does not matter."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": _labels(job),
            "ownerReferences": [_owner(job)],
        },
        "immutable": True,
        "data": {CODE_FILE: source},
    }


def runtime_config_map(namespace: str, name: str, archive: str) -> Manifest:
    """Return the step runtime (a zip archive as base64) as one immutable ConfigMap for all Jobs of a namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace, "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY}},
        "immutable": True,
        "binaryData": {"runtime.pyz": archive},
    }


def secret(job: JobRef, name: str, data: Mapping[str, str]) -> Manifest:
    """Return a Secret that belongs to the Job and is never changed."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": _labels(job),
            "ownerReferences": [_owner(job)],
        },
        "immutable": True,
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in data.items()},
    }


def _pod(
    job: JobRef, name: str, op: str, container: Manifest, annotations: dict[str, str], sources: list[Manifest]
) -> Manifest:
    labels, notes = _labels(job), dict(annotations)
    if op:
        labels[names.OP_LABEL] = names.label_value(op)
        notes[names.OP_ANNOTATION] = op
    spec: Manifest = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "runAsGroup": USER_ID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": names.CONTAINER,
                "terminationMessagePath": TERMINATION_FILE,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                **container,
            }
        ],
    }
    if sources:
        spec["volumes"] = [{"name": VOLUME, "projected": {"sources": sources}}]
        spec["containers"][0]["volumeMounts"] = [{"name": VOLUME, "mountPath": MOUNT, "readOnly": True}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": job.namespace,
            "labels": labels,
            "annotations": notes,
            "ownerReferences": [_owner(job)],
        },
        "spec": spec,
    }


def _labels(job: JobRef) -> dict[str, str]:
    return {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        (names.JOB_LABEL if job.kind == "Job" else names.DEFINITION_LABEL): names.label_value(job.name),
        names.JOB_UID_LABEL: job.uid,
    }


def _owner(job: JobRef) -> Manifest:
    return {
        "apiVersion": names.API_VERSION,
        "kind": job.kind,
        "name": job.name,
        "uid": job.uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }


def _downward(path: str, annotation: str, mode: int | None = None) -> Manifest:
    item: Manifest = {"path": path, "fieldRef": {"fieldPath": f"metadata.annotations['{annotation}']"}}
    if mode is not None:
        item["mode"] = mode
    return {"downwardAPI": {"items": [item]}}


def _secret_env(variable: str, name: str, key: str, optional: bool = False) -> Manifest:
    source = {"name": name, "key": key, **({"optional": True} if optional else {})}
    return {"name": variable, "valueFrom": {"secretKeyRef": source}}


def _env(values: Mapping[str, str]) -> list[Manifest]:
    return [{"name": key, "value": value} for key, value in values.items()]
