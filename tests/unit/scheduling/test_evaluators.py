"""The pods that evaluate, as manifests."""

from __future__ import annotations

import dataclasses
from typing import Any

from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.names import ASSIGNMENT, JOB_UID_LABEL
from podgraph.planning.model.spec import CodeSpec
from podgraph.protocol.step import Assignment
from podgraph.scheduling.evaluators import EVALUATOR_LABEL, EvaluatorSpec, definition_pod, requests_that_fit

SPEC = EvaluatorSpec(JobRef("d", "n", "u", "JobDefinition", 2), CodeSpec("image"), "runtime", "code-map")


def definition(spec: dict[str, Any], ready: str = "True", observed: int = 2) -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "message": "m", "observedGeneration": observed}
    meta = {"name": "d", "namespace": "n", "uid": "u", "generation": 2}
    return {"metadata": meta, "spec": spec, "status": {"conditions": [condition]}}


def test_the_pod_of_code() -> None:
    pod = SPEC.pod("p", {"1": {"kind": "sensor"}})
    labels = pod["metadata"]["labels"]
    assert labels[EVALUATOR_LABEL] == SPEC.key
    assert labels["podgraph.dev/definition"] == "d"
    assert JOB_UID_LABEL not in labels  # those who look after Jobs are not to see it
    assert pod["metadata"]["ownerReferences"][0]["kind"] == "JobDefinition"
    assert "activeDeadlineSeconds" not in pod["spec"]
    told = Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT])
    assert (told.file, told.evaluate) == ("job.py", {"requests": {"1": {"kind": "sensor"}}})
    again = Assignment.from_text(SPEC.annotations("p", {})[ASSIGNMENT])
    assert (again.nonce, again.evaluate) == (told.nonce, {"requests": {}})
    assert SPEC.nonce("other") != told.nonce


def test_the_pod_of_a_store_has_its_credentials() -> None:
    ref = JobRef("s", "n", "u", "JobSensor")
    spec = EvaluatorSpec(ref, CodeSpec("image"), "runtime", storage=Storage("s3://b/p", "keys"))
    pod = spec.pod("p", {})
    assert pod["spec"]["containers"][0]["envFrom"] == [{"secretRef": {"name": "keys"}}]
    assert pod["metadata"]["labels"]["podgraph.dev/sensor"] == "s"
    assert Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT]).storage == "s3://b/p"


def test_another_image_is_another_pod() -> None:
    other = dataclasses.replace(SPEC, code=CodeSpec("other"))
    assert other.key != SPEC.key
    assert other.pod_name(1) != SPEC.pod_name(1) != SPEC.pod_name(2)


def test_which_pod_a_definition_has() -> None:
    found = definition_pod(definition({"code": {"source": "x"}}), "default", "runtime")
    assert found.spec is not None
    assert (found.spec.code.image, found.spec.code.module, bool(found.spec.code_map)) == ("default", "", True)
    found = definition_pod(definition({"code": {"module": "m", "image": "i"}}), "default", "runtime")
    assert found.spec is not None
    assert (found.spec.code, found.spec.code_map) == (CodeSpec("i", module="m"), "")
    code = {"code": {"source": "x"}}
    wrong: list[tuple[dict[str, Any], str]] = [
        (definition({"ops": []}), "NoCode"),
        (definition(code, "False"), "DefinitionNotReady"),
        (definition(code, "Unknown"), "AwaitingDefinition"),
        (definition(code, observed=1), "AwaitingDefinition"),
        ({**definition(code), "status": {}}, "AwaitingDefinition"),
        (definition({**code, "podTemplate": {"spec": {"restartPolicy": "Always"}}}), "InvalidPodTemplate"),
    ]
    assert [definition_pod(item, "i", "r").reason for item, _ in wrong] == [reason for _, reason in wrong]


def test_requests_are_told_as_they_fit_into_an_annotation() -> None:
    requests = {str(n): {"cursor": "x" * 16_000} for n in range(20)}
    told = requests_that_fit(requests)
    assert list(told) == [str(n) for n in range(12)]
    assert list(requests_that_fit({"a": {"cursor": "x" * 300_000}, "b": {}})) == ["a"]
