"""Which pods of a finished Job go."""

from __future__ import annotations

import pytest

from builders import ended, pod_with
from podgraph.planning.pods.pod_retention import pods_to_delete
from podgraph.planning.pods.types import ContainerState, Meta, Pod, Running


def pods() -> dict[str, Pod]:
    made = [
        ended("good", uid="u1"),
        ended("bad", code=1, uid="u2"),
        pod_with("running", ContainerState(running=Running()), "u3"),
        pod_with("waiting", None, "u4"),
        Pod(Meta("going", uid="u5", deletion_timestamp="2026-11-23T09:00:00Z")),
        Pod(Meta("gone", uid="u6"), gone=True),
    ]
    return {p.metadata.name: p for p in made}


@pytest.mark.parametrize(
    ("retention", "expected"),
    [
        ("Always", ["running", "waiting"]),
        ("OnFailure", ["good", "running", "waiting"]),
        ("Never", ["good", "bad", "running", "waiting"]),
    ],
)
def test_which_pods_go(retention: str, expected: list[str]) -> None:
    assert pods_to_delete(retention, pods(), {"u1"}) == expected
