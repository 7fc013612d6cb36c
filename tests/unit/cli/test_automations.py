"""The Jobs that `podgraph schedule tick` makes by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podgraph.cli.automations import check_resumed, jobs_by_hand
from podgraph.definition.errors import DefinitionError

NEXT = {"nextTickTime": "2026-11-25T01:30:00Z"}


def schedule(**spec: Any) -> dict[str, Any]:
    template = {"spec": {"runConfig": {"day": "{{ tick.date }}"}}}
    meta = {"name": "nightly", "namespace": "n", "uid": "u"}
    return {"kind": "JobSchedule", "metadata": meta, "spec": {"jobTemplate": template, **spec}, "status": NEXT}


class Fake:
    """A cluster with one schedule, whose operator answers at once what it is asked."""

    def __init__(self, found: dict[str, Any], tried: dict[str, Any] | None = None) -> None:
        self.found, self.tried, self.asked = found, tried, ""

    def get(self, name: str) -> dict[str, Any]:
        return self.found

    def annotate(self, name: str, annotations: dict[str, str]) -> None:
        self.asked = annotations["podgraph.dev/try"]
        if self.tried is not None:
            self.found["status"] = {"tried": {"id": self.asked, **self.tried}}


def test_one_without_is_made_here() -> None:
    [job], message = jobs_by_hand(Fake(schedule(timeZone="Asia/Tokyo")), "nightly", "", True, 0)  # type: ignore[arg-type]
    assert (job["metadata"]["name"], message) == ("nightly-manual-1795570200", "")


def test_one_with_a_function_is_asked_through_the_operator() -> None:
    python = {"definitionRef": {"name": "d"}}
    jobs = [{"metadata": {"name": name}} for name in ("nightly-1764032400", "nightly-1764032400-ab")]
    fake = Fake(schedule(python=python), {"jobs": [json.dumps(job) for job in jobs], "message": "m"})
    found, message = jobs_by_hand(fake, "nightly", "2025-11-25T01:00:00Z", True, 0)  # type: ignore[arg-type]
    assert fake.asked.endswith(" 2025-11-25T01:00:00Z")
    assert [job["metadata"]["name"] for job in found] == ["nightly-manual-1764032400", "nightly-manual-1764032400-ab"]
    assert message == "m"
    with pytest.raises(DefinitionError, match="the operator did not answer for 'nightly' within 0 s"):
        jobs_by_hand(Fake(schedule(python=python)), "nightly", "", True, 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("spec", [{"schedule": "61 * * * *"}, {"schedules": ["@daily", "0 0 31 2 *"]}])
def test_a_schedule_that_never_ticks_is_not_resumed(spec: dict[str, Any]) -> None:
    with pytest.raises(DefinitionError, match="JobSchedule 's' was not resumed: '"):
        check_resumed({"metadata": {"name": "s"}, "spec": spec})
    check_resumed({"metadata": {"name": "s"}, "spec": {"schedule": "0 0 ? * *"}})
    check_resumed({"metadata": {"name": "s"}, "spec": {"source": {}}})
