from __future__ import annotations

from typing import Any

import pytest

from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.definition_snapshot import DefinitionSnapshot, effective_spec, ttl_of
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.spec import read_spec

Obj = dict[str, Any]

REF = {"definitionRef": {"name": "d"}}
CODE = {"code": {"module": "m"}}
MULTI = {"execution": {"mode": "Multiprocess", "startMethod": "Spawn", "maxConcurrent": 2}}
IN_CONFIG = {"runConfig": {"execution": {"config": {"multiprocess": {}}}, "ops": {"a": {}}}}


@pytest.mark.parametrize(
    ("definition", "job", "expected"),
    [
        ({"opSelection": ["a"], "activeDeadlineSeconds": 1}, {}, {"opSelection": ["a"], "activeDeadlineSeconds": 1}),
        ({"opSelection": ["a"]}, {"opSelection": []}, {"opSelection": []}),
        ({}, {"suspend": True, "ttlSecondsAfterFinished": 0}, {"suspend": True, "ttlSecondsAfterFinished": 0}),
        (
            {"runConfig": {"ops": {"a": {"config": {"x": 1, "y": [1]}}}}},
            {"runConfig": {"ops": {"a": {"config": {"y": [2], "ü": None}}}}},
            {"runConfig": {"ops": {"a": {"config": {"x": 1, "y": [2], "ü": None}}}}},
        ),
        (
            {"runConfig": {"execution": {"config": {"in_process": {}}}}},
            {"runConfig": {"execution": {"config": {"multiprocess": {"max_concurrent": 2}}}}},
            {"runConfig": {"execution": {"config": {"multiprocess": {"max_concurrent": 2}}}}},
        ),
        (MULTI, {"execution": {"maxConcurrent": 3}}, {"execution": {**MULTI["execution"], "maxConcurrent": 3}}),
        (MULTI, {"execution": {"mode": "PodPerStep"}}, {"execution": {"mode": "PodPerStep", "maxConcurrent": 2}}),
        (IN_CONFIG, {"execution": {"maxConcurrent": 3}}, {**IN_CONFIG, "execution": {"maxConcurrent": 3}}),
        (
            IN_CONFIG,
            {"execution": {"mode": "InProcess"}},
            {"runConfig": {"ops": {"a": {}}}, "execution": {"mode": "InProcess"}},
        ),
        (
            {"storage": {"url": "s3://a", "logs": True}},
            {"storage": {"claimRef": {"name": "c"}}},
            {"storage": {"claimRef": {"name": "c"}}},
        ),
    ],
)
def test_what_the_job_sets_goes_before(definition: Obj, job: Obj, expected: Obj) -> None:
    before = repr((definition, job))
    merged = effective_spec({**CODE, **definition}, {**REF, **job})
    assert merged == {**CODE, **expected}
    read_spec(merged, "i")  # it fits together
    assert repr((definition, job)) == before


def ready(spec: Obj, status: Obj | None = None, storage: Storage | None = None) -> DefinitionRun:
    condition = {"type": "Ready", "status": "True", "reason": "Resolved", "message": "", "observedGeneration": 2}
    meta = {"name": "d", "namespace": "ns", "uid": "u", "generation": 2}
    told = {"conditions": [condition], "graph": "packed", "digest": "x", **(status or {})}
    return DefinitionRun({"metadata": meta, "spec": spec, "status": told}, Settings("default:1", "runtime", storage))


@pytest.mark.parametrize(
    ("code", "source", "expected"),
    [
        ({"source": "ü = 1"}, "ü = 1", {"source": "ü = 1", "image": "default:1"}),
        ({"configMapRef": {"name": "m", "key": "k"}, "job": "j"}, "x",
         {"source": "x", "job": "j", "image": "default:1"}),
        ({"module": "m", "image": "mine"}, None, {"module": "m", "image": "mine"}),
    ],
)  # fmt: skip
def test_what_is_frozen_is_read_back_as_it_was(code: Obj, source: str | None, expected: Obj) -> None:
    spec = {"code": code, "runConfig": {"inputs": {"ß": [1.0, None]}}, "ttlSecondsAfterFinished": 5}
    frozen = DefinitionSnapshot.of(ready(spec), source, {**REF, "execution": {"podRetention": "Never"}})
    made = frozen.config_map(JobRef("j", "ns", "job-uid"))
    assert (made["immutable"], made["metadata"]["ownerReferences"][0]["uid"]) == (True, "job-uid")
    assert made.get("data") == ({"job.py": source} if source else None)
    again = DefinitionSnapshot.from_config_map(made)
    assert again == frozen
    assert (again.spec["code"], again.graph) == (expected, "packed")
    assert again.spec["runConfig"] == spec["runConfig"]
    assert again.reference == {
        "name": "d", "uid": "u", "generation": 2, "digest": "x", "podRetention": "Never", "ttlSecondsAfterFinished": 5,
    }  # fmt: skip


S3 = {"url": "s3://b", "secretRef": {"name": "s"}}


@pytest.mark.parametrize(
    ("own", "tried", "default", "knows_graph"),
    [
        ({}, None, None, True),
        ({"storage": S3}, None, None, False),
        ({"storage": S3}, {"url": "s3://b", "secret": "s"}, None, True),
        ({"storage": {**S3, "retain": "Keep", "logs": True}}, {"url": "s3://b", "secret": "s"}, None, True),
        ({"storage": {"url": "s3://b"}}, {"url": "s3://b", "secret": "s"}, None, False),
        ({}, None, Storage("s3://new"), False),
        ({}, {"url": "s3://new"}, Storage("s3://new"), True),
    ],
)
def test_a_storage_that_was_not_tried_leaves_the_graph_to_the_job(
    own: Obj, tried: Obj | None, default: Storage | None, knows_graph: bool
) -> None:
    definition = ready(CODE, {"storage": tried} if tried else None, default)
    assert bool(DefinitionSnapshot.of(definition, None, {**REF, **own}).graph) is knows_graph


def test_how_long_a_job_stays() -> None:
    told = {"status": {"definition": {"ttlSecondsAfterFinished": 5}}}
    assert ttl_of({"spec": REF, **told}) == 5
    assert ttl_of({"spec": {**REF, "ttlSecondsAfterFinished": 0}, **told}) == 0
    assert ttl_of({"spec": REF}) is None
