"""Which names are taken, and by which rule."""

from __future__ import annotations

import doctest

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.model import kube_names
from podgraph.planning.model.kube_names import (
    API_VERSION,
    CONFIG_KEY,
    IMAGE,
    LABEL,
    LABEL_KEY,
    LABEL_VALUE,
    RESOURCE,
    SUBDOMAIN,
    UID,
    Rule,
    check_field,
    check_labels,
    check_name,
    problem,
)

NEVER = [
    "../../other-ns/configmaps/private", "%2e%2e%2f", "..", ".", "a?b", "a#b", "a\n", "\n", "a b", "a\x00", "a" * 1_025,
    "\uff0e\uff0e", "\u2024\u2024/x", "a\u2215b", "a\\b",
]  # fmt: skip
RULES = {name: getattr(kube_names, name) for name in kube_names.__all__ if name.isupper()}


@pytest.mark.parametrize("rule", [r for name, r in RULES.items() if name != "IMAGE"], ids=lambda r: r.pattern[:20])
def test_what_could_lead_elsewhere_is_no_name_by_any_rule(rule: Rule) -> None:
    assert [text for text in NEVER if not problem(rule, text)] == []


@pytest.mark.parametrize(
    ("rule", "texts"),
    [
        (SUBDOMAIN, ["a", "nightly-1.load", "0", "a" * 253]),
        (LABEL, ["a", "kube-system", "9"]),
        (CONFIG_KEY, ["job.py", ".env", "A_b-c", "-"]),
        (LABEL_VALUE, ["", "v1.2", "A_b"]),
        (LABEL_KEY, ["app", "example.com/App_1", "app.kubernetes.io/name"]),
        (UID, ["6e1f4b6e-6a0e-4b42-8a1a-0a1b2c3d4e5f", "u1"]),
        (API_VERSION, ["v1", "apps/v1", "podgraph.dev/v1alpha1"]),
        (RESOURCE, ["pods", "jobdefinitions"]),
        (IMAGE, ["python:3.13-slim", "ghcr.io/Owner/i@sha256:00ff", "host:5000/a/b_c:v1"]),
    ],
)
def test_what_kubernetes_takes_is_taken(rule: Rule, texts: list[str]) -> None:
    assert [text for text in texts if problem(rule, text)] == []


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (SUBDOMAIN, "A"), (SUBDOMAIN, ""), (SUBDOMAIN, "a..b"), (SUBDOMAIN, "-a"), (SUBDOMAIN, "a."), (LABEL, "a.b"),
        (LABEL, "a" * 64), (CONFIG_KEY, "..data"), (CONFIG_KEY, "a/b"), (LABEL_VALUE, "a,b"), (LABEL_VALUE, "-"),
        (LABEL_KEY, "a/b/c"), (LABEL_KEY, "a=b"), (UID, ""), (API_VERSION, "apps"), (API_VERSION, "a/b/v1"),
        (API_VERSION, "../v1"), (RESOURCE, "pods/log"), (IMAGE, "a b"), (IMAGE, "a\tb"), (IMAGE, ""),
    ],
)  # fmt: skip
def test_what_kubernetes_refuses_is_refused(rule: Rule, text: str) -> None:
    assert problem(rule, text)


def test_a_refusal_says_which_field_what_stands_there_and_what_is_allowed() -> None:
    with pytest.raises(DefinitionError) as refused:
        check_name("spec.rerunOf.name", "../../other/jobs/x")
    assert refused.value.reason == "InvalidName"
    assert refused.value.message == (
        "spec.rerunOf.name: '../../other/jobs/x' is not allowed; a name has at most 253 lower-case letters, digits, "
        "'-' and '.', and a letter or digit at both ends of each part between dots"
    )
    assert "\n" not in problem(SUBDOMAIN, "a\nb")
    assert len(problem(SUBDOMAIN, "x/" * 100_000)) < 300
    assert "a value of type dict" in problem(SUBDOMAIN, {"a": 1})


def test_what_stands_in_a_mapping_may_be_absent() -> None:
    assert check_field("spec.x", {"name": ""}, absent="") == ""
    assert check_field("spec.x", {"name": "a"}) == "a"
    for wrong in ({}, {"name": ["a"]}, "a", ["a"]):
        with pytest.raises(DefinitionError, match=r"spec\.x"):
            check_field("spec.x", wrong)


def test_labels_are_checked_by_key_and_value() -> None:
    assert check_labels("spec.l", {"a/b": "c"}) == {"a/b": "c"}
    for wrong in ({"a": "b,c=d"}, {"a,b": "c"}, {"a": None}, ["a"]):
        with pytest.raises(DefinitionError, match=r"spec\.l"):
            check_labels("spec.l", wrong)


def test_the_examples_hold() -> None:
    assert doctest.testmod(kube_names, optionflags=doctest.ELLIPSIS).failed == 0
