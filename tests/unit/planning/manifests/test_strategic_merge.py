"""Strategic merge of parts of a pod: by table where Kubernetes names a key, and as laws for anything."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.planning.manifests.strategic_merge import MergeError, merge

steady = settings(deadline=None, derandomize=True, max_examples=200)

LISTS = {
    "containers": "name", "initContainers": "name", "volumes": "name", "imagePullSecrets": "name", "env": "name",
    "volumeMounts": "mountPath", "volumeDevices": "devicePath", "ports": "containerPort", "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey", "schedulingGates": "name", "resourceClaims": "name",
}  # fmt: skip


@pytest.mark.parametrize(("below", "above", "merged"), [
    ({"a": 1}, {"a": 2, "b": 3}, {"a": 2, "b": 3}),
    ({"a": 1, "b": 2}, {"a": None, "c": None}, {"b": 2}),
    ({"m": {"a": 1, "b": 2}}, {"m": {"b": 3, "c": {"d": None, "e": 1}}}, {"m": {"a": 1, "b": 3, "c": {"e": 1}}}),
    ({"m": {"a": 1}}, {"m": None}, {}),
    ({"args": ["a"]}, {"args": ["b", "c"]}, {"args": ["b", "c"]}),
    ({"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a"}]}, {"tolerations": [{"key": "a"}] * 2}),
    ({"tolerations": [{"key": "a"}]}, {"tolerations": None}, {}),
    ({}, {"tolerations": [{"key": "a", "value": None}]}, {"tolerations": [{"key": "a"}]}),
    ({"envFrom": [1]}, {"envFrom": [2]}, {"envFrom": [1, 2]}),
    (
        {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}]},
        {"env": [{"name": "C", "value": "3"}, {"name": "A", "value": "2"}]},
        {"env": [{"name": "A", "value": "2"}, {"name": "B", "value": "$(A)"}, {"name": "C", "value": "3"}]},
    ),
    (
        {"env": [{"name": "A", "value": "1"}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
        {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s"}}}]},
    ),
    (
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory"}}]},
        {"volumes": [{"name": "v", "emptyDir": {"sizeLimit": "1Gi"}}]},
        {"volumes": [{"name": "v", "emptyDir": {"medium": "Memory", "sizeLimit": "1Gi"}}]},
    ),
    (
        {"volumes": [{"name": "v", "emptyDir": {}}]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
        {"volumes": [{"name": "v", "hostPath": {"path": "/x"}}]},
    ),
    (
        {"containers": [{"name": "step", "env": [{"name": "A", "value": "1"}], "tty": True}]},
        {"containers": [{"name": "step", "env": [{"name": "B", "value": "2"}], "tty": None}]},
        {"containers": [{"name": "step", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]},
    ),
])  # fmt: skip
def test_merge(below: dict[str, Any], above: dict[str, Any], merged: dict[str, Any]) -> None:
    before = copy.deepcopy((below, above))
    assert merge(below, above) == merged
    assert (below, above) == before


@pytest.mark.parametrize("name", LISTS)
def test_lists_with_keys(name: str) -> None:
    key = LISTS[name]
    below = {name: [{key: "a", "x": 1}, {key: "b"}]}
    above = {name: [{key: "c"}, {key: "a", "y": 2}]}
    first = {key: "a", "y": 2} if name == "volumes" else {key: "a", "x": 1, "y": 2}
    assert merge(below, above) == {name: [first, {key: "b"}, {key: "c"}]}
    with pytest.raises(MergeError, match=rf"{name}\[0\] has no {key}, by which it is merged"):
        merge(below, {name: [{"x": 1}]})
    with pytest.raises(MergeError, match=rf"{name}\[0\] must be a mapping"):
        merge({}, {name: [1]})
    with pytest.raises(MergeError, match=f"{name} must be a list"):
        merge(below, {name: {}} if name == "args" else {name: "x"})


@pytest.mark.parametrize(
    ("below", "above", "message"),
    [
        ({"a": {"b": [1]}}, {"a": {"b": 1}}, "a.b must be a list"),
        ({"a": {"b": [1]}}, {"a": {"b": {}}}, "a.b must not be a mapping"),
        ({"a": {}}, {"a": "x"}, "a must be a mapping"),
        ({"a": "x"}, {"a": {}}, "a must not be a mapping"),
        ({}, {"envFrom": "x"}, "envFrom must be a list"),
        ({}, {"containers": [{"name": "a", "env": [None]}]}, r"containers\[0\].env\[0\] must be a mapping"),
    ],
)
def test_what_cannot_be_merged(below: dict[str, Any], above: dict[str, Any], message: str) -> None:
    with pytest.raises(MergeError, match=f"^{message}$"):
        merge(below, above)


scalars = st.none() | st.integers(0, 3) | st.sampled_from("ab")
items = st.fixed_dictionaries(
    {"name": st.sampled_from("abc")},
    optional={"x": scalars, "value": scalars, "valueFrom": st.just({"k": 1}), "ports": st.just([{"containerPort": 1}])},
)
parts = st.fixed_dictionaries(
    {},
    optional={
        "s": scalars,
        "m": st.dictionaries(st.sampled_from("abc"), scalars, max_size=3),
        "env": st.lists(items, max_size=3, unique_by=lambda item: str(item["name"])),
        "plain": st.lists(st.integers(0, 3), max_size=2),
    },
)


@steady
@given(parts)
def test_laws_of_one(part: dict[str, Any]) -> None:
    alone = merge({}, part)
    assert merge(alone, {}) == alone
    assert merge(alone, alone) == alone  # nothing here is appended
    assert merge(alone, dict.fromkeys(part)) == {}
    assert "None" not in repr(alone)


@steady
@given(parts, parts)
def test_laws_of_two(one: dict[str, Any], two: dict[str, Any]) -> None:
    both = merge(merge({}, one), two)
    for item in two.get("env", ()):
        found = [made for made in both["env"] if made["name"] == item["name"]]
        assert len(found) == 1
        for key, value in item.items():
            assert found[0].get(key) == value
    for key, value in two.get("m", {}).items():
        assert both["m"].get(key) == value
    for key in one.get("m", {}).keys() - two.get("m", {}).keys():
        assert both["m"].get(key) == one["m"][key]
    assert [i["name"] for i in both.get("env", ())][: len(one.get("env", ()))] == [
        i["name"] for i in one.get("env", ())
    ]
