"""What the chart lets its accounts do, by configuration: exactly what rights.txt says."""

from __future__ import annotations

import pytest

from chart.rendering import CONFIGURATIONS, GOLDEN, UI, Right, allowed, golden, render, rights_of, template


def test_each_configuration_grants_exactly_what_is_written_down() -> None:
    assert golden() == GOLDEN.read_text(), (
        "look at what changed, then: PYTHONPATH=operator:tests python -m chart.rendering"
    )


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_no_role_holds_a_wildcard_or_a_way_to_more_rights(name: str) -> None:
    for role in render(*CONFIGURATIONS[name]):
        for rule in role.get("rules", ()):
            assert "*" not in [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert not {"escalate", "bind"} & set(rule["verbs"])
            assert not {"pods/exec", "pods/attach", "serviceaccounts/token", "roles"} & set(rule["resources"])


@pytest.mark.parametrize("name", [name for name in CONFIGURATIONS if "namespace" in name and "ui" not in name])
def test_with_namespaces_the_operator_has_roles_alone(name: str) -> None:
    documents = render(*CONFIGURATIONS[name])
    rights = rights_of(documents, "podgraph")
    own = [right for right in rights if right.namespace == "here"]
    assert {right.namespace for right in rights if right not in own} <= {"team-a", "team-b"}
    assert {name for right in own for name in right.resources} == {"secrets"}  # the key of all Jobs' keys
    assert not [d for d in documents if d["kind"] == "ClusterRoleBinding"]
    assert not allowed(rights, "list", "", "pods")
    assert not allowed(rights, "list", "", "pods", "team-c")
    assert allowed(rights, "list", "", "pods", "team-a")


def test_nothing_of_the_whole_cluster_is_left_where_it_can_be_left_out() -> None:
    documents = render('watchNamespaces=["team-a"]', "crds.install=false", UI)
    assert not [d for d in documents if d["kind"].startswith("Cluster") or d["kind"] == "CustomResourceDefinition"]
    assert {d["metadata"]["namespace"] for d in documents} == {"here", "team-a"}


def test_the_page_shows_a_namespace_that_is_watched() -> None:
    several = 'watchNamespaces=["a","b"]'
    assert "requires ui.namespace" in template(several, UI).stderr
    assert "which is not in watchNamespaces" in template(several, UI, 'ui.namespace="c"').stderr
    documents = render(several, UI, 'ui.namespace="b"')
    assert {right.namespace for right in rights_of(documents, "podgraph-ui")} == {"b"}


def test_a_right_is_decided_as_kubernetes_does() -> None:
    everywhere = [Right("", ("",), ("pods", "pods/log"), ("get",))]
    assert allowed(everywhere, "get", "", "pods", "a", "p")
    assert allowed(everywhere, "get", "", "pods/log", "a", "p")
    for wrong in (("list", "", "pods"), ("get", "apps", "pods"), ("get", "", "pods/exec")):
        assert not allowed(everywhere, *wrong, "a")
    here = [Right("a", ("",), ("users",), ("impersonate",), ("jane",))]
    assert allowed(here, "impersonate", "", "users", "a", "jane")
    assert not allowed(here, "impersonate", "", "users", "a", "max")
    assert not allowed(here, "impersonate", "", "users", "b", "jane")
    assert not allowed(here, "impersonate", "", "users")


def policy(*values: str, name: str = "podgraph") -> dict[str, object]:
    (found,) = [
        d["spec"] for d in render("networkPolicy.enabled=true", *values)
        if d["kind"] == "NetworkPolicy" and d["metadata"]["name"] == name
    ]  # fmt: skip
    return dict(found)


def test_a_network_policy_bounds_who_reaches_what() -> None:
    assert not [d for d in render() if d["kind"] == "NetworkPolicy"]
    ours = {"matchLabels": {"app.kubernetes.io/managed-by": "podgraph"}}
    link = {"from": [{"podSelector": ours, "namespaceSelector": {}}], "ports": [{"protocol": "TCP", "port": 7443}]}
    assert policy()["ingress"] == [link]
    assert policy()["policyTypes"] == ["Ingress"]
    watched = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}
    (bounded,) = policy('watchNamespaces=["a","b"]', "directLink.port=9000")["ingress"]  # type: ignore[misc]
    assert bounded == {
        "from": [{"podSelector": ours, "namespaceSelector": {"matchExpressions": [watched]}}],
        "ports": [{"protocol": "TCP", "port": 9000}],
    }
    peers = 'networkPolicy.metricsFrom=[{"namespaceSelector":{"matchLabels":{"a":"b"}}}]'
    metrics = {
        "from": [{"namespaceSelector": {"matchLabels": {"a": "b"}}}], "ports": [{"protocol": "TCP", "port": 8080}]
    }  # fmt: skip
    assert policy(peers)["ingress"] == [link, metrics]
    assert policy(peers, "directLink.enabled=false")["ingress"] == [metrics]
    assert policy("directLink.enabled=false")["ingress"] is None  # nobody


def test_a_network_policy_for_the_page() -> None:
    assert policy(UI, name="podgraph-ui")["ingress"] is None
    peers = 'networkPolicy.uiFrom=[{"podSelector":{"matchLabels":{"app":"proxy"}}}]'
    spec = policy(UI, 'ui.auth="token"', peers, name="podgraph-ui")
    assert spec["ingress"] == [
        {"from": [{"podSelector": {"matchLabels": {"app": "proxy"}}}], "ports": [{"protocol": "TCP", "port": 3000}]}
    ]
    assert spec["podSelector"] == {
        "matchLabels": {
            "app.kubernetes.io/name": "podgraph", "app.kubernetes.io/instance": "podgraph",
            "app.kubernetes.io/component": "ui",
        }
    }  # fmt: skip


def test_the_operator_is_told_its_namespaces() -> None:
    from podgraph.operator import read_namespaces

    def env(*values: str) -> dict[str, str]:
        (found,) = [d for d in render(*values) if d["kind"] == "Deployment"]
        return {item["name"]: item.get("value") for item in found["spec"]["template"]["spec"]["containers"][0]["env"]}

    assert "PODGRAPH_WATCH_NAMESPACES" not in env()
    assert read_namespaces(env('watchNamespaces=["b","a"]')["PODGRAPH_WATCH_NAMESPACES"]) == ["a", "b"]
