"""Pod templates as people write them: what they may hold, and in which words the rest is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podgraph import DefinitionError, job, op
from podgraph.definition.graph import Graph, Op
from podgraph.definition.pod_templates import MAX_POD_TEMPLATE, check_pod_template

SSD: dict[str, Any] = {"spec": {"nodeSelector": {"disk": "ssd"}}}


@pytest.mark.parametrize(
    "empty", [None, {}, {"spec": {}}, {"metadata": None, "spec": None}, {"metadata": {"labels": None}}]
)
def test_a_template_that_says_nothing(empty: Any) -> None:
    assert check_pod_template("op 'a'", empty) == ""


def test_nulls_stay_below_the_sections() -> None:
    template = {"metadata": {"labels": {"a": None}}, "spec": {"affinity": None, "volumes": [{"name": "x", "y": None}]}}
    assert json.loads(check_pod_template("op 'a'", template)) == template


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ([], "x: it must be a mapping, not list"),
        ({"spec": []}, "x: spec must be a mapping, not list"),
        ({"containers": []}, "x: it contains 'containers'; only metadata and spec are allowed"),
        ({"specs": {}}, "x: it contains 'specs'; only metadata and spec are allowed; did you mean 'spec'?"),
        ({1: {}}, "x: it contains '1'; only metadata and spec are allowed"),
        ({"metadata": {"name": "n"}}, "x: metadata contains 'name'; only labels and annotations are allowed"),
        ({"metadata": {"namespace": "n"}}, "x: metadata contains 'namespace'; only labels and annotations are allowed"),
        ({"metadata": {"ownerReferences": []}}, "x: metadata contains 'ownerReferences'; only labels and annotations"),
        ({"metadata": {"labels": ["a"]}}, "x: metadata.labels must be a mapping, not list"),
        ({"metadata": {"labels": {"a": 1}}}, "x: metadata.labels.a must be a string, not 1"),
        ({"spec": {"a": {1, 2}}}, "x: it must contain only JSON values, not a set at ['spec']['a']"),
        ({"spec": {"a": (1,)}}, "x: it must contain only JSON values, not a tuple"),
        (
            {"spec": {"volumes": [{"$patch": "delete", "name": "a"}]}},
            "x: spec.volumes[0] contains '$patch'; patch directives are not supported, use null to remove a field",
        ),
        ({"spec": {"a": "x" * MAX_POD_TEMPLATE}}, "x: it is 65,553 bytes of JSON; at most 65,536 are allowed"),
    ],
)
def test_what_is_refused(template: Any, message: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_pod_template("x", template)
    assert caught.value.reason == "InvalidPodTemplate"
    assert caught.value.message.startswith(message)


def test_an_op_carries_its_template_into_the_graph_and_back() -> None:
    @op(pod_template=SSD)
    def a() -> int:
        return 1

    @op
    def b(x: int) -> None: ...

    @job
    def j() -> None:
        b(a.alias("other")())

    read = Graph.from_json(j.graph.to_json())
    assert json.loads(read.ops["other"].pod_template) == SSD
    assert read.ops["b"].pod_template == ""
    assert "pod_template" not in Graph.of("g", [Op("a")]).to_json()


def test_an_ops_template_is_checked_when_the_op_is_made() -> None:
    with pytest.raises(DefinitionError, match="pod_template of op 'a': metadata contains 'name'"):
        op("a", pod_template={"metadata": {"name": "n"}})(lambda: None)


@pytest.mark.parametrize("text", ["{", "[]", '{"spec":{"$patch":1}}'])
def test_a_graph_that_comes_from_a_pod_is_checked_again(text: str) -> None:
    with pytest.raises(DefinitionError):
        Graph.of("g", [Op("a", pod_template=text)])


def test_it_has_no_effect_on_this_machine() -> None:
    @op(pod_template=SSD)
    def a() -> int:
        return 1

    @job
    def j() -> None:
        a()

    config = {"ops": {"a": {"pod": {"resources": {"limits": {"cpu": "1"}}}}}}
    assert j.execute_in_process(config).output_for_node("a") == 1
