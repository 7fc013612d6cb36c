from __future__ import annotations

from typing import Any

import pytest

from podgraph.cluster.ownership import difference

OWNER = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "name": "j", "uid": "u1", "controller": True}
LABELS = {"app.kubernetes.io/managed-by": "podgraph", "podgraph.dev/job-uid": "u1", "podgraph.dev/ahead": "waiting"}


def config_map(owners: list[dict[str, Any]] | None = None, labels: dict[str, str] | None = None, **more: Any) -> Any:
    meta = {"name": "m", "labels": LABELS if labels is None else labels}
    meta |= {"ownerReferences": [OWNER] if owners is None else owners}  # type: ignore[dict-item]
    return {"metadata": meta, "immutable": True, "data": {"a": "1"}, **more}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (config_map(), ""),
        (config_map(labels={**LABELS, "team": "x"}), ""),
        (config_map(labels={**LABELS, "podgraph.dev/ahead": "assigned"}), ""),
        (config_map([]), "NoController"),
        (config_map([{**OWNER, "uid": "u2"}]), "OtherController"),
        (config_map([{**OWNER, "kind": "JobSensor"}]), "OtherController"),
        (config_map([{**OWNER, "apiVersion": "batch/v1"}]), "OtherController"),
        (config_map([{**OWNER, "controller": False}]), "OtherController"),
        (config_map(labels={}), "OtherLabels"),
        (config_map(labels={**LABELS, "podgraph.dev/job-uid": "u2"}), "OtherLabels"),
        (config_map(immutable=False), "NotImmutable"),
        (config_map(data={"a": "2"}), "OtherContent"),
        (config_map(data={"a": "1", "b": "2"}), "OtherContent"),
        (config_map(binaryData={"b": "eA=="}), "OtherContent"),
    ],
)
def test_what_has_the_name_of_a_config_map_of_ours(found: Any, reason: str) -> None:
    assert difference("configmaps", config_map(), found, False) == reason
    assert difference("configmaps", config_map(), found, True) == reason.replace("OtherContent", "")


def test_without_an_owner_there_may_be_none() -> None:
    assert difference("configmaps", config_map([]), config_map([]), False) == ""
    assert difference("configmaps", config_map([]), config_map(), False) == "OtherController"


def test_a_claim_of_the_name_that_is_nobody_elses_is_used() -> None:
    claim = {"metadata": {"name": "c", "labels": {"app.kubernetes.io/managed-by": "podgraph"}}}
    assert difference("persistentvolumeclaims", claim, {"metadata": {"name": "c"}}, False) == ""
    assert difference("persistentvolumeclaims", claim, config_map(), False) == "OtherController"
