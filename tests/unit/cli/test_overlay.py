"""The options that set fields of a Job's spec."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from podgraph.cli.overlay import FIELDS, MODES, Overlay
from podgraph.definition.errors import DefinitionError
from unit.cli.running import CHECKOUT


def spec_schema() -> dict[str, Any]:
    crd = yaml.safe_load((CHECKOUT / "crds" / "jobs.podgraph.dev.yaml").read_text())
    schema: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return schema["properties"]


def test_the_fields_are_those_of_the_schema() -> None:
    schema = spec_schema()
    assert {name: tuple(sorted(value.get("properties", ()))) for name, value in schema.items()} == dict(FIELDS)
    assert tuple(schema["execution"]["properties"]["mode"]["enum"]) == MODES


@pytest.mark.parametrize(
    ("sets", "spec"),
    [
        (["execution.maxConcurrent=2"], {"execution": {"maxConcurrent": 2}}),
        (["spec.suspend=true"], {"suspend": True}),
        (["opSelection=[a, '*b']"], {"opSelection": ["a", "*b"]}),
        (["opSelection[0]=a", "opSelection[1]=b"], {"opSelection": ["a", "b"]}),
        (["tags.on=2026-01-02"], {"tags": {"on": "2026-01-02"}}),
        ([r"tags.a\.b/c=x=y"], {"tags": {"a.b/c": "x=y"}}),
        ([r"tags.a\=b=c"], {"tags": {"a=b": "c"}}),
        (["tags.empty="], {"tags": {"empty": None}}),
        (["podTemplate.spec.volumes[0].name=v"], {"podTemplate": {"spec": {"volumes": [{"name": "v"}]}}}),
        (["runConfig.ops.load.config.n=3"], {"runConfig": {"ops": {"load": {"config": {"n": 3}}}}}),
    ],
)
def test_a_field_is_set(sets: list[str], spec: dict[str, Any]) -> None:
    assert Overlay(sets).over({}) == spec


@pytest.mark.parametrize(
    ("item", "said"),
    [
        ("execution", "must be path=value"),
        ("=1", "must be path=value"),
        ("exection.mode=x", "has no field 'exection'; did you mean 'execution'?"),
        ("execution.mod=x", "execution has no field 'mod'; did you mean 'mode'?"),
        ("suspend.x=1", "suspend has no field 'x'; it has no fields"),
        ("suspend[0]=1", "spec.suspend is not a list"),
        ("opSelection[7]=a", "spec.opSelection has 0 items; [7] is not the next index"),
        ("ops.a=1", "ops has no field 'a'"),
        ("code..image=x", "is not a valid path"),
        ("tags.a={", "--set tags.a: "),
        ("tags.a=" + "[" * 5000, "nested too deeply"),
    ],
)
def test_what_is_not_a_field_is_refused(item: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        Overlay([item]).over({"suspend": True})
    assert said in caught.value.message


def test_what_is_there_stays() -> None:
    spec = {"podTemplate": {"spec": {"containers": [{"name": "side"}, {"name": "step", "env": [{"name": "A"}]}]}}}
    laid = Overlay(env=["A=1", "B=2"]).over(spec)
    step = {"name": "step", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}
    assert laid["podTemplate"]["spec"]["containers"] == [{"name": "side"}, step]
    assert spec["podTemplate"]["spec"]["containers"][1]["env"] == [{"name": "A"}]


@pytest.mark.parametrize(
    ("overlay", "spec"),
    [
        (Overlay(storage="s3://b/p"), {"storage": {"url": "s3://b/p"}}),
        (Overlay(ttl="90"), {"ttlSecondsAfterFinished": 90}),
        (Overlay(ttl="7d"), {"ttlSecondsAfterFinished": 604_800}),
        (Overlay(execution="multi-process"), {"execution": {"mode": "Multiprocess"}}),
    ],
)
def test_short_options(overlay: Overlay, spec: dict[str, Any]) -> None:
    assert overlay.over({}) == spec


@pytest.mark.parametrize("overlay", [Overlay(ttl="soon"), Overlay(execution="pods"), Overlay(env=["A"])])
def test_short_options_are_checked(overlay: Overlay) -> None:
    with pytest.raises(DefinitionError):
        overlay.over({})
