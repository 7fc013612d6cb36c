"""The Job that a schedule makes when a person asks for it (`podgraph schedule tick`, or the page)."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.manual_ticks import job_by_hand

NEXT = {"nextTickTime": "2026-11-25T01:30:00Z"}


def schedule(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"runConfig": {"day": "{{ tick.date }}"}}}
    meta = {"name": "nightly", "namespace": "n", "uid": "u"}
    return {"kind": "JobSchedule", "metadata": meta, "spec": {"jobTemplate": template, **spec}, "status": NEXT}


def test_the_next_tick_or_a_given_one() -> None:
    job = job_by_hand(schedule(timeZone="Asia/Tokyo"), "", True, 0)
    assert job["metadata"]["name"] == "nightly-manual-1795570200"
    assert job["spec"]["runConfig"] == {"day": "2026-11-25"}
    job = job_by_hand(schedule(timeZone="Asia/Tokyo"), "2026-11-24T20:00:00Z", True, 0)
    assert job["spec"]["runConfig"] == {"day": "2026-11-25"}
    assert job["metadata"]["annotations"] == {"podgraph.dev/tick-time": "2026-11-24T20:00:00Z"}
    assert job_by_hand(schedule(), "2026-11-24T20:00", False, 0)["spec"]["runConfig"] == {"day": "2026-11-24"}
    assert job_by_hand(schedule(), "", False, 86_400.7)["metadata"]["name"] == "nightly-manual-86400"


@pytest.mark.parametrize(
    ("spec", "at", "part"),
    [
        ({}, "tomorrow", "'tomorrow' is not a valid time; for example: 2026"),
        ({"timeZone": "X/Y"}, "", "unknown time zone 'X/Y'"),
    ],
)
def test_what_is_refused(spec: dict[str, Any], at: str, part: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        job_by_hand(schedule(**spec), at, False, 0)
    assert part in refused.value.message
