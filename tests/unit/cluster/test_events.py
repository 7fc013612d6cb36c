"""The Kubernetes Event of what planning decided."""

from __future__ import annotations

from podgraph.cluster.events import event_manifest
from podgraph.planning.actions import Event
from podgraph.planning.manifests.objects import JobRef

JOB = JobRef("j", "default", "u1")


def test_an_event_of_a_step_names_its_op_as_data() -> None:
    made = event_manifest(JOB, Event("Warning", "StepFailed", "op 'load' failed: E: x", "load"), 1_800_000_000.0)
    assert made["metadata"]["annotations"] == {"podgraph.dev/op": "load"}
    assert made["involvedObject"]["uid"] == "u1"


def test_an_event_of_the_job_names_no_op() -> None:
    made = event_manifest(JOB, Event("Normal", "Accepted", "op 'load' is only a word here"), 1_800_000_000.0)
    assert "annotations" not in made["metadata"]


def test_a_long_message_is_cut_to_what_the_api_server_takes() -> None:
    made = event_manifest(JOB, Event("Warning", "StepFailed", "x" * 5_000, "load"), 1_800_000_000.0)
    assert len(made["message"]) == 1_000
    assert made["message"].endswith(" ...")
