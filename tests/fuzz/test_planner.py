"""From a Job's spec, as the CRD's schema lets it be, to what is planned."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, fuzzed
from fuzz.from_schema import spec_of
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.settings import Settings

SETTINGS = Settings("python:3.13-slim", "podgraph-runtime-x")
NOW = 1_795_478_400.0


def whole(kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    meta = {"name": "j", "namespace": "default", "uid": "0b6c0f4e-7e1c-4b43-9f0c-000000000001", "generation": 1}
    return {"apiVersion": "podgraph.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}


OPS = [{"name": "a", "image": "i", "outputs": [{"name": "x"}]}, {"name": "b", "image": "i", "after": ["a"]}]


@fuzzed
@given(spec_of("jobs"), st.booleans())
def test_any_job(spec: dict[str, Any], is_plain: bool) -> None:
    if is_plain:  # so that what else it says is looked at
        spec = {**{key: value for key, value in spec.items() if key not in ("code", "definitionRef")}, "ops": OPS}
    with bounded():
        run = Run(whole("Job", spec), SETTINGS)
        for at in range(3):
            run.advance({}, set(), NOW + at)


@fuzzed
@given(spec_of("jobdefinitions"))
def test_any_definition(spec: dict[str, Any]) -> None:
    with bounded():
        run = DefinitionRun(whole("JobDefinition", spec), SETTINGS)
        for at in range(3):
            run.advance({}, set(), NOW + at)
