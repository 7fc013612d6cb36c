"""What people say of the pods of a Job: `spec.podTemplate`, the template of an op, run config for one op, queue labels.

Each is laid over the pod that podgraph makes, in this order, by Kubernetes' own rules (see
planning.manifests.strategic_merge); a field of a container op (`image`, `command`, `args`, `env`) goes before the Job's
template and behind the op's. What podgraph needs of a pod stays as it is: a template that touches it is refused.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import VOLUME, Manifest
from podgraph.planning.manifests.strategic_merge import MergeError, merge
from podgraph.planning.model import names
from podgraph.planning.model.spec import ContainerSpec
from podgraph.protocol.step import MOUNT, TERMINATION_FILE
from podgraph.run_config.schema import op_path

__all__ = ["JOB_TEMPLATE", "PodCheck", "Templates", "lay_over", "queue_labels"]

JOB_TEMPLATE = "spec.podTemplate"
_QUEUE_PREFIX = "kueue.x-k8s.io/"

_OURS = "podgraph needs it as it is"
_RESERVED_SPEC = {
    "restartPolicy": "an attempt is one pod that never restarts; a retry policy starts others",
    "activeDeadlineSeconds": "timeoutSeconds of the op limits an attempt",
}
_RESERVED_STEP = ("terminationMessagePath", "terminationMessagePolicy", "restartPolicy", "restartPolicyRules")


@dataclass(frozen=True)
class PodCheck:
    """A pod that the API server is asked about before there is any; `what` says in an error which, by whose wish."""

    what: str
    pod: Manifest


def queue_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of a Job's labels by which Kueue knows its pods.

    >>> queue_labels({"kueue.x-k8s.io/queue-name": "gpu", "team": "data"})
    {'kueue.x-k8s.io/queue-name': 'gpu'}
    """
    return {key: value for key, value in labels.items() if key.startswith(_QUEUE_PREFIX)}


def lay_over(pod: Manifest, where: str, template: Mapping[str, Any]) -> Manifest:
    """Return a pod of ours with a template laid over it. Raises DefinitionError (`InvalidPodTemplate`)."""
    try:
        made = merge(pod, template)
    except MergeError as error:
        raise DefinitionError("InvalidPodTemplate", f"{where}: {error}") from None
    for path, why in _reserved(pod, template):
        raise DefinitionError("InvalidPodTemplate", f"{where}: {path} cannot be set: {why}")
    return made


class Templates:
    """All that is said of one Job's pods. `job` is the Job's template as JSON text, `labels` go to pods of steps."""

    def __init__(self, job: str = "", labels: Mapping[str, str] | None = None) -> None:
        self._job: Mapping[str, Any] = json.loads(job) if job else {}
        self._labels = dict(labels or {})
        self._ops: Mapping[str, str] = {}
        self._overrides: Mapping[str, Any] = {}
        self._containers: Mapping[str, ContainerSpec] = {}

    @property
    def has_job(self) -> bool:
        """Whether the Job itself has a template."""
        return bool(self._job)

    @property
    def is_queued(self) -> bool:
        """Whether the pods wait in a queue until there is a quota for them."""
        return bool(self._labels)

    def set_ops(
        self, ops: Mapping[str, str], overrides: Mapping[str, Any], containers: Mapping[str, ContainerSpec]
    ) -> None:
        """Say what is said of single ops: their templates as JSON texts, run config, and what container ops run."""
        self._ops, self._overrides, self._containers = ops, overrides, containers

    def on_helper(self, pod: Manifest) -> Manifest:
        """Return a pod that is for no step as the Job wants it: the one that reads the code."""
        return lay_over(pod, JOB_TEMPLATE, self._job) if self._job else pod

    def on_run(self, pod: Manifest) -> Manifest:
        """Return the pod that runs all steps as the Job wants it."""
        return self.on_helper(self._labeled(pod))

    def on_step(self, pod: Manifest, op: str) -> Manifest:
        """Return the pod of an op as the Job, the op and run config want it."""
        made = self._labeled(pod)
        if self._job:
            made = lay_over(made, JOB_TEMPLATE, self._job)
            if op in self._containers:
                made = merge(made, _own_fields(self._containers[op]))
        if text := self._ops.get(op):
            made = lay_over(made, f"podTemplate of op {op!r}", json.loads(text))
        if op in self._overrides:
            made = lay_over(made, f"runConfig.{op_path(op)}.pod", _step(self._overrides[op]))
        return made

    def is_plain(self, op: str) -> bool:
        """Whether the pods of a Python op are made as the one that reads the code is."""
        return not (self._labels or self._ops.get(op) or op in self._overrides)

    def kind_of(self, op: str) -> tuple[str, str] | None:
        """Return what tells the pods of an op from those of others by what is said of them; None for nothing."""
        own, override = self._ops.get(op, ""), self._overrides.get(op)
        if not (self._job or own or override):
            return None
        return own, json.dumps(override, sort_keys=True) if override else ""

    def wishes_of(self, op: str) -> str:
        """Say what shapes the pods of an op besides podgraph."""
        wishes = [JOB_TEMPLATE] if self._job else []
        wishes += ["its own podTemplate"] if self._ops.get(op) else []
        wishes += [f"runConfig.{op_path(op)}.pod"] if op in self._overrides else []
        return f"op {op!r} with {' and '.join(wishes)}"

    def refuse_overrides(self) -> None:
        """Refuse run config about the pods of single ops where they have none."""
        for op in self._overrides:
            raise DefinitionError(
                "InvalidRunConfig",
                f"runConfig.{op_path(op)}.pod is for ops with pods of their own, but one pod runs all steps; "
                "set spec.podTemplate or the mode PodPerStep",
            )

    def _labeled(self, pod: Manifest) -> Manifest:
        return merge(pod, {"metadata": {"labels": self._labels}}) if self._labels else pod


def _step(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": names.CONTAINER, **fields}]}}


def _own_fields(spec: ContainerSpec) -> dict[str, Any]:
    fields: dict[str, Any] = {"image": spec.image}
    if spec.command:
        fields["command"] = list(spec.command)
    if spec.args:
        fields["args"] = list(spec.args)
    if spec.env:
        fields["env"] = [{"name": name, "value": value} for name, value in spec.env]
    return _step(fields)


def _reserved(pod: Manifest, template: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what a template sets, or removes, of that which podgraph needs, and why it cannot."""
    metadata, spec = template.get("metadata") or {}, template.get("spec") or {}
    for section in ("labels", "annotations"):
        for key in metadata.get(section) or {}:
            if key == names.MANAGED_BY_LABEL or key.startswith(f"{names.GROUP}/"):
                yield f"metadata.{section}[{key!r}]", "podgraph finds its pods by it"
    for key, why in _RESERVED_SPEC.items():
        if key in spec:
            yield f"spec.{key}", why
    for key in ("containers", "volumes"):
        if key in spec and spec[key] is None:
            yield f"spec.{key}", _OURS
    for at, volume in enumerate(spec.get("volumes") or ()):
        if volume["name"] == VOLUME:
            yield f"spec.volumes[{at}]", f"the volume {VOLUME!r} is podgraph's own"
    for at, container in enumerate(spec.get("containers") or ()):
        if container["name"] == names.CONTAINER:
            is_python = names.ASSIGNMENT in pod["metadata"]["annotations"]
            ours = pod["spec"]["containers"][0]
            yield from _reserved_of_step(ours, is_python, container, f"spec.containers[{at}]")


def _reserved_of_step(
    ours: Manifest, is_python: bool, container: Mapping[str, Any], path: str
) -> Iterator[tuple[str, str]]:
    for key in _RESERVED_STEP:
        if key in container:
            yield f"{path}.{key}", _OURS
    mounts = [mount["mountPath"] for mount in ours.get("volumeMounts") or ()]
    if MOUNT in mounts:  # a Python or a script op: what runs is podgraph's own
        for key in ("command", "args") if is_python else ("command",):
            if key in container:
                yield f"{path}.{key}", "podgraph sets what the container of a Python or script op runs"
    for key in ("volumeMounts", "env"):
        if key in container and container[key] is None:
            yield f"{path}.{key}", _OURS
    for at, mount in enumerate(container.get("volumeMounts") or ()):
        place = posixpath.normpath(str(mount["mountPath"]))
        if place in (MOUNT, TERMINATION_FILE, "/dev") or place.startswith(f"{MOUNT}/"):
            yield f"{path}.volumeMounts[{at}]", f"{place} is podgraph's own"
    set_by_us = {item["name"] for item in ours.get("env") or ()}
    for at, item in enumerate(container.get("env") or ()):
        name = str(item["name"])
        if name.startswith("PODGRAPH_") or (name.startswith("INPUT_") and name in set_by_us):
            yield f"{path}.env[{at}]", f"{name} is how podgraph speaks to the op"
