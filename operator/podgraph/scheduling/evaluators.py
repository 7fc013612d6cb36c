"""Evaluator pods: their manifests and their requests.

One evaluator pod runs the code of a JobDefinition and serves all its schedules and sensors; another lists the object
store of a JobSensor. As with steps, no user code runs in the operator, and credentials stay in the namespace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.api import Object, ready_of
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_template import JOB_TEMPLATE, lay_over
from podgraph.planning.manifests.storage import Storage, equip
from podgraph.planning.model import names
from podgraph.planning.model.spec import CodeSpec
from podgraph.protocol.step import Assignment
from podgraph.scheduling.job_factory import SENSOR_LABEL

__all__ = ["EVALUATOR_LABEL", "MAX_REQUESTS", "EvaluatorSpec", "PodOf", "definition_pod", "requests_that_fit"]

EVALUATOR_LABEL = f"{names.GROUP}/evaluator"
MAX_REQUESTS = 200_000
"""Maximum size of the requests in the annotation of a pod, in bytes. Kubernetes allows 262,144 for all annotations."""
_GRACE_SECONDS = 5


@dataclass(frozen=True)
class EvaluatorSpec:
    """The specification of an evaluator pod; equal specifications share a pod. `template` is JSON text."""

    ref: JobRef
    code: CodeSpec
    runtime: str
    code_map: str = ""
    storage: Storage | None = None
    template: str = ""

    @property
    def key(self) -> str:
        """A digest that identifies this specification."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:32]

    def pod_name(self, attempt: int) -> str:
        """Return the name of the pod of one attempt."""
        return names.evaluator_pod(self.ref.name, f"{self.key}/{attempt}")

    def nonce(self, name: str) -> str:
        """Return the nonce that identifies the pod of this name in its answers."""
        return names.evaluator_nonce(self.key, name)

    def annotations(self, name: str, requests: Mapping[str, Any]) -> dict[str, str]:
        """Return the annotations that replace the current requests of the pod of this name."""
        return {names.ASSIGNMENT: self._assignment(name, requests).to_text()}

    def pod(self, name: str, requests: Mapping[str, Any], key: str = "") -> Manifest:
        """Return the pod; it signs with the key in the Secret `key`.

        Raises DefinitionError for a template that changes a protected field.
        """
        assignment = self._assignment(name, requests)
        pod = manifests.python_pod(self.ref, name, self.code, assignment, self.runtime, self.code_map, key)
        pod["metadata"]["labels"] = {
            names.MANAGED_BY_LABEL: names.MANAGED_BY,
            EVALUATOR_LABEL: self.key,
            (SENSOR_LABEL if self.ref.kind == "JobSensor" else names.DEFINITION_LABEL): names.label_value(
                self.ref.name
            ),
        }
        pod["spec"]["terminationGracePeriodSeconds"] = _GRACE_SECONDS
        if self.template:
            pod = lay_over(pod, JOB_TEMPLATE, json.loads(self.template))
        if self.storage is not None:
            equip(pod, self.storage)
        return pod

    def _assignment(self, name: str, requests: Mapping[str, Any]) -> Assignment:
        return Assignment(
            op="",
            nonce=self.nonce(name),
            run_id=self.ref.uid,
            file=manifests.CODE_FILE if self.code_map else "",
            module=self.code.module,
            storage=self.storage.url if self.storage is not None else "",
            evaluate={"requests": dict(requests)},
        )


@dataclass(frozen=True)
class PodOf:
    """The evaluator pod of a JobDefinition, or the reason why there is none. Both are empty while it is not known."""

    spec: EvaluatorSpec | None = None
    reason: str = ""
    message: str = ""


def definition_pod(definition: Object, default_image: str, runtime: str) -> PodOf:
    """Return the evaluator pod for the current state of a JobDefinition."""
    meta, spec = definition["metadata"], definition["spec"]
    code, name = spec.get("code"), meta["name"]
    if code is None:
        return PodOf(None, "NoCode", f"JobDefinition {name!r} has no Python code, so it has no functions")
    ready = ready_of(definition)
    if ready.status == "Unknown":
        return PodOf(None, "AwaitingDefinition", f"the operator is still reading the code of JobDefinition {name!r}")
    if ready.status != "True":
        return PodOf(None, "DefinitionNotReady", f"JobDefinition {name!r} cannot be run: {ready.message}")
    ref = JobRef(name, meta["namespace"], meta["uid"], "JobDefinition", int(meta["generation"]))
    module = code.get("module", "")
    made = EvaluatorSpec(
        ref,
        CodeSpec(code.get("image") or default_image, module=module),
        runtime,
        "" if module else names.code_config_map(name, ref.key),
        template=json.dumps(spec["podTemplate"], sort_keys=True) if spec.get("podTemplate") else "",
    )
    try:
        made.pod("check", {})
    except DefinitionError as error:
        return PodOf(None, error.reason, error.message)
    return PodOf(made)


def requests_that_fit(requests: Mapping[str, Object]) -> dict[str, Object]:
    """Return the requests that fit into the annotation of a pod, the oldest first."""
    found: dict[str, Object] = {}
    room = MAX_REQUESTS
    for name, request in requests.items():
        size = len(json.dumps({name: request}, ensure_ascii=False).encode())
        if size > room and found:
            break
        found[name] = request
        room -= size
    return found
