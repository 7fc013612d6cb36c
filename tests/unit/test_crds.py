"""The CRDs refuse invalid names by the same patterns as the operator, and describe each of their fields."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from crd_fields import KINDS, Field, fields, properties, schema_of, wrong_texts
from podgraph.planning.model.kube_names import (
    API_VERSION,
    CONFIG_KEY,
    IMAGE,
    LABEL_VALUE,
    RESOURCE,
    SUBDOMAIN,
    UID,
    Rule,
)

FILES = (Path(__file__).parents[1] / "examples").rglob("*.y*ml")
EXAMPLES = sorted(path for path in FILES if path.parent.name != "golden")
HOSTILE = ["../../other-ns/configmaps/private", "..", "a/b", "a?b", "a#b", "a\nb", "%2e%2e%2f", "\uff0e\uff0e", "A\x00"]


def rule_of(field: Field) -> Rule | None:
    """The rule of a field that names a Kubernetes object or a key of one, by where the field stands."""
    above, last = (*field.path, "", "")[len(field.path) - 2], field.path[-1]
    in_status = field.path[0] == "status"
    if last == "name" and (above.endswith("Ref") or above in ("rerunOf", "job", "kubernetes", "definition")):
        return SUBDOMAIN
    if in_status and (last in ("secret", "claim", "takenFrom", "lastJob", "job") or above == "blocks"):
        return SUBDOMAIN
    if last == "key" and above in ("configMapRef", "secretKeyRef"):
        return CONFIG_KEY
    if above in ("matchLabels", "labels") and "jobTemplate" not in field.path:
        return LABEL_VALUE
    by_name = {"image": IMAGE, "uid": UID, "podUID": UID, "apiVersion": API_VERSION, "resource": RESOURCE}
    return by_name.get(last)


FIELDS = [field for kind in KINDS for field in fields(kind) if not field.free]
NAMES = [(field, rule) for field in FIELDS if (rule := rule_of(field)) is not None]


def test_the_walk_finds_the_fields() -> None:
    found = {str(field) for field, _ in NAMES}
    assert {
        "Job.spec.code.configMapRef.key", "Job.spec.rerunOf.uid", "Job.status.steps.*.takenFrom",
        "JobDefinition.spec.storage.claimRef.name", "JobSchedule.spec.python.definitionRef.name",
        "JobSensor.spec.source.http.headers.*.secretKeyRef.name", "JobSensor.status.cursor.blocks.*",
        "JobSensor.spec.source.kubernetes.selector.matchLabels.*",
    } <= found  # fmt: skip
    assert len(found) > 45


@pytest.mark.parametrize(("field", "rule"), NAMES, ids=[str(field) for field, _ in NAMES])
def test_a_field_that_names_something_has_the_pattern_of_its_place(field: Field, rule: Rule) -> None:
    assert field.schema.get("pattern") == f"^({rule.pattern})$"
    assert field.schema.get("maxLength", 10_000) <= rule.most
    for text in HOSTILE:
        if not (rule is IMAGE and text.isprintable()):
            assert wrong_texts(field.schema, text), text


def test_a_reference_always_has_a_rule() -> None:
    known = {str(field) for field, _ in NAMES}
    assert [str(f) for f in FIELDS if any(part.endswith("Ref") for part in f.path) and str(f) not in known] == []


@pytest.mark.parametrize("field", [f for f in FIELDS if f.path[-1] == "url"], ids=str)
@pytest.mark.parametrize("text", ["s3://b\n", "s3://a b", "https://a\x01b", "//a", "s3:/x"])
def test_urls_hold_no_white_space_and_no_control_characters(field: Field, text: str) -> None:
    assert wrong_texts(field.schema, text)


def test_a_key_of_a_stored_value_is_a_path_without_dot_segments() -> None:
    (field,) = [f for f in FIELDS if f.path[-2:] == (f.path[-2], "key") and "stored" in f.path]
    assert wrong_texts(field.schema, "default/j/6e1f-1/a.b/1/result") == []
    for text in ("default/../x/u/a/1/r", "default/j/u/../1/r", "default/j/u", "/j/u/a/1/r", "default/j/u/a/1/r\n"):
        assert wrong_texts(field.schema, text), text


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.name)
def test_the_examples_have_no_text_that_breaks_a_pattern(path: Path) -> None:
    for document in yaml.safe_load_all(path.read_text()):
        if document and str(document.get("apiVersion")).startswith("podgraph.dev/"):
            assert wrong_texts(schema_of(document["kind"]), document) == []


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_has_a_description(kind: str) -> None:
    found = dict(properties(kind))
    assert {"apiVersion", "spec", "status", "status.conditions[].message"} <= set(found)
    for path, schema in found.items():
        text = schema.get("description", "")
        assert re.fullmatch(r"[A-Z@].*\.", text, re.DOTALL), f"{kind}.{path}: {text!r}"
