"""JobSchedules on a real cluster: ticks by themselves, through a kill of the operator, and `podgraph schedule`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, KubeError, new_namespace, outputs_of
from unit.cli.running import podgraph

EXAMPLES = CHECKOUT / "tests" / "examples" / "schedules"
SCHEDULE = "podgraph.dev/schedule"


def schedule(name: str, template: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    spec["jobTemplate"] = {"spec": template or {"ops": [{"name": "a", "image": "busybox:1", "script": "true"}]}}
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSchedule"}
    return {**kind, "metadata": {"name": name}, "spec": spec}


def ready(kube: Kube, name: str) -> dict[str, Any]:
    def found() -> Any:
        seen = kube.get("pgs", name)
        conditions = (seen.get("status") or {}).get("conditions") or ()
        return next((c for c in conditions if c["observedGeneration"] == seen["metadata"]["generation"]), None)

    return kube.wait_for(f"{name} is looked at", found, 20)


@pytest.fixture(scope="module", autouse=True)
def heartbeat(operator: Any, kube: Kube) -> Iterator[Kube]:
    """The example that ticks every 10 seconds: the last test looks at it, when its time has passed."""
    with new_namespace(kube) as made:
        made.apply((EXAMPLES / "every-10-seconds.yaml").read_text())
        yield made


def test_killed_at_a_tick_there_is_one_job_for_each(operator: Any, namespace: Kube) -> None:
    namespace.apply(schedule("often", everySeconds=2, catchUp="All", maxCatchUp=100, successfulJobsHistoryLimit=99))
    ready(namespace, "often")
    for _ in range(3):
        end = time.monotonic() + 30
        while time.time() % 2 > 0.03 and time.monotonic() < end:  # as near to a tick as may be
            time.sleep(0.005)
        time.sleep(0.02)
        operator.kill()
        operator.start()
    namespace.run("patch", "pgs", "often", "--type=merge", "-p", '{"spec":{"suspend":true}}')
    assert ready(namespace, "often")["reason"] == "Suspended"
    made = [int(job["metadata"]["name"].removeprefix("often-")) for job in namespace.find("pgj")]
    assert sorted(made) == list(range(min(made), max(made) + 1, 2))
    assert len(made) >= 3


def test_the_nightly_example_is_ready_and_a_wrong_one_says_why(operator: Any, shared: Kube) -> None:
    shared.apply((EXAMPLES / "nightly.yaml").read_text())
    assert ready(shared, "nightly")["reason"] == "Ready"
    upcoming = shared.wait_for("a next tick", lambda: shared.get("pgs", "nightly")["status"].get("nextTickTime"))
    assert datetime.fromisoformat(upcoming) > datetime.now().astimezone()
    shared.apply(schedule("wrong", {"opps": []}, schedule="@daily"))
    condition = ready(shared, "wrong")
    assert (condition["status"], condition["reason"]) == ("False", "InvalidTemplate")
    assert "exactly one of spec.ops" in condition["message"]
    shared.apply(schedule("zone", schedule="@daily", timeZone="Europe/Belin"))
    assert "did you mean 'Europe/Berlin'?" in ready(shared, "zone")["message"]


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        ({}, "exactly one of spec.schedule"),
        ({"schedule": "@daily", "everySeconds": 5}, "exactly one of spec.schedule"),
        ({"everySeconds": 0}, "everySeconds"),
        ({"everySeconds": 5, "timeZone": "Europe/Berlin"}, "spec.timeZone is for cron expressions"),
        ({"schedule": "@daily", "concurrencyPolicy": "Never"}, "concurrencyPolicy"),
        ({"schedule": "@daily", "maxCatchUp": 101}, "maxCatchUp"),
    ],
)
def test_the_schema_refuses(operator: Any, shared: Kube, spec: dict[str, Any], part: str) -> None:
    with pytest.raises(KubeError, match="is invalid") as refused:
        shared.apply(schedule("refused", **spec))
    assert part in str(refused.value)


def test_the_commands(operator: Any, shared: Kube) -> None:
    def command(*arguments: object) -> tuple[int, str, str]:
        where = ["--namespace", shared.namespace, "--kubeconfig", shared.kubeconfig]
        return podgraph("schedule", *arguments, *where)

    template = {"ops": [{"name": "a", "image": "busybox:1", "script": "true"}]}
    shared.apply(schedule("yearly", template, schedule="0 0 1 1 *", successfulJobsHistoryLimit=0))
    ready(shared, "yearly")
    shared.wait_for("a next tick", lambda: shared.get("pgs", "yearly")["status"].get("nextTickTime"))
    status, out, err = command("list")
    assert status == 0, err
    assert [line.split()[0] for line in out.splitlines()].count("yearly") == 1
    assert "0 0 1 1 *" in out
    assert command("suspend", "yearly")[0] == 0
    assert ready(shared, "yearly")["reason"] == "Suspended"
    assert command("resume", "yearly")[0] == 0
    assert ready(shared, "yearly")["reason"] == "Ready"

    status, out, err = command("tick", "yearly", "--dry-run", "--at", "2026-01-01T00:00:00Z")
    assert (status, "name: yearly-manual-1767225600" in out) == (0, True), err
    assert shared.find("pgj", f"{SCHEDULE}=yearly") == []
    status, out, err = command("tick", "yearly")
    assert (status, out.startswith("yearly-manual-")) == (0, True), err
    shared.wait_for("the end of a Job that is not kept", lambda: not shared.find("pgj", f"{SCHEDULE}=yearly"))
    status, out, err = command("get", "yearly")
    assert (status, "next:" in out, "ready:     Ready: it creates Jobs: 0 0 1 1 *" in out) == (0, True, True), err
    assert command("get", "nobody")[2] == (
        "error: cannot get the JobSchedule 'nobody': jobschedules.podgraph.dev \"nobody\" not found\n"
    )


def test_the_example_makes_a_job_every_10_seconds(heartbeat: Kube) -> None:
    def ended() -> list[dict[str, Any]]:
        found = heartbeat.find("pgj", f"{SCHEDULE}=heartbeat")
        return [job for job in found if "completionTime" in job.get("status", {})]

    jobs = heartbeat.wait_for("two Jobs at their end", lambda: len(found := ended()) >= 2 and found, 60)
    for job in jobs:
        tick = job["metadata"]["annotations"]["podgraph.dev/tick-time"]
        assert outputs_of(job, "beat") == {"result": tick}
        assert job["metadata"]["name"] == f"heartbeat-{datetime.fromisoformat(tick).timestamp():.0f}"
        assert job["metadata"]["labels"]["kind"] == "heartbeat"
    row = heartbeat.run("get", "pgs", "heartbeat").splitlines()
    assert row[0].split() == ["NAME", "SCHEDULE", "SUSPEND", "LAST", "NEXT", "AGE"]
    assert "every 10 s" in row[1]
    heartbeat.wait_for("a third tick", lambda: len(heartbeat.get("pgs", "heartbeat")["status"]["ticks"]) >= 3, 30)
    heartbeat.wait_for("no more of them than are kept", lambda: len(ended()) <= 3, 10)
