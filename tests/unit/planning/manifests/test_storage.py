"""Where a Job's values go, and what is left of them when it goes."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.storage import Storage, clean_pod, default_storage, needs_cleaning, read_storage
from podgraph.planning.model.names import JOB_UID_LABEL
from podgraph.protocol.step import Assignment

JOB = JobRef("j", "ns", "u1")
LARGE = {"format": "pickle", "size": 9, "sha256": "0" * 64, "key": "k"}
SMALL = {"format": "pickle", "data": "gAVLAS4="}


def test_what_is_asked_for_is_read() -> None:
    assert read_storage({"url": "s3://b/p/", "secretRef": {"name": "s"}}) == Storage("s3://b/p", "s")
    assert read_storage({"claimRef": {"name": "c"}, "retain": "Keep"}) == Storage(
        "file:///podgraph-storage", claim="c", keep=True
    )
    assert read_storage({"claimRef": {"name": "c"}, "url": "file:///tmp/x"}).url == "file:///tmp/x"


def test_the_status_tells_all_that_deleting_takes() -> None:
    for storage in (Storage("s3://b", "s"), Storage("file:///x", claim="c", keep=True, logs=True)):
        assert Storage.from_status(storage.to_status()) == storage


def test_the_operators_own_setting() -> None:
    assert default_storage("") is None
    text = '{"claimRef": {"name": "c"}, "size": "1Gi", "storageClassName": "", "accessMode": "ReadWriteMany"}'
    found = default_storage(text)
    assert found == Storage("file:///podgraph-storage", claim="c", size="1Gi", access_mode="ReadWriteMany")
    for wrong in ("{", '{"url": "x"}'):
        with pytest.raises(DefinitionError, match="PODGRAPH_STORAGE"):
            default_storage(wrong)


def test_the_pod_that_cleans_outlives_the_collector_and_holds_no_code() -> None:
    pod = clean_pod(JOB, "mine:1", Storage("file:///x", claim="c"), "runtime")
    assert JOB_UID_LABEL not in pod["metadata"]["labels"]  # else it would be one of the Job's that has no owner
    assert "ownerReferences" not in pod["metadata"]
    assert pod["spec"]["activeDeadlineSeconds"] == 300
    [text] = pod["metadata"]["annotations"].values()
    work = Assignment.from_text(text)
    assert (work.clean, work.storage, work.prefix, work.file) == (True, "file:///x", "ns/j/u1", "")


@pytest.mark.parametrize(
    ("steps", "needed"),
    [
        ({}, False),
        ({"a": {"state": "Succeeded"}, "b": {"state": "Skipped"}}, False),
        ({"a": {"state": "Succeeded", "stored": {"x": SMALL}}}, False),
        ({"a": {"state": "Succeeded", "stored": {"x": SMALL, "y": LARGE}}}, True),
        ({"a": {"state": "Failed"}, "b": {"state": "UpstreamFailed"}}, True),
        ({"a": {"state": "Running"}}, True),
        ({"a": {"state": "Succeeded", "attempt": 2}}, True),
        ({"a": {"state": "Starting"}}, True),
    ],
)
def test_what_may_have_been_stored(steps: dict[str, Any], needed: bool) -> None:
    assert needs_cleaning({"steps": steps}) is needed


def test_with_logs_each_step_that_ran_has_stored_something() -> None:
    assert read_storage({"url": "s3://b", "logs": True}).logs
    logs = {"storage": Storage("s3://b", logs=True).to_status()}
    assert needs_cleaning({**logs, "steps": {"a": {"state": "Succeeded"}}})
    assert not needs_cleaning({**logs, "steps": {"a": {"state": "Skipped"}, "b": {"state": "Pending"}}})
