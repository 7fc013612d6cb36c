from __future__ import annotations

from podgraph.planning.actions import PrestartOutcome
from podgraph.reconcile.metrics import Metrics


def test_what_is_counted_is_told_in_prometheus_format() -> None:
    waiting = [3]
    metrics = Metrics(lambda: 2, lambda: waiting[0], lambda: 4)
    metrics.take(
        [
            PrestartOutcome("used", 1.5),
            PrestartOutcome("used", 0.5),
            PrestartOutcome("released", 300),
            PrestartOutcome("released", -1),
        ]
    )
    with metrics.passes.time():
        pass
    lines = metrics.text().decode().splitlines()
    for line in (
        "podgraph_unfinished_jobs 2.0",
        "podgraph_waiting_pods 3.0",
        "podgraph_linked_pods 4.0",
        'podgraph_waiting_pod_seconds_total{outcome="used"} 2.0',
        'podgraph_waiting_pod_seconds_total{outcome="released"} 300.0',
        'podgraph_waiting_pods_ended_total{outcome="used"} 2.0',
        'podgraph_waiting_pods_ended_total{outcome="released"} 2.0',
        "podgraph_reconcile_seconds_count 1.0",
    ):
        assert line in lines
    waiting[0] = 0
    assert b"podgraph_waiting_pods 0.0" in metrics.text()


def test_two_controllers_count_by_themselves() -> None:
    one, other = (Metrics(lambda: 0, lambda: 0, lambda: 0) for _ in range(2))
    one.take([PrestartOutcome("used", 1)])
    assert b'{outcome="used"}' not in other.text()


def test_what_is_ignored_is_counted_by_kind_and_reason() -> None:
    metrics = Metrics(lambda: 0, lambda: 0, lambda: 0)
    metrics.ignore("Pod", "OtherNamespace")
    metrics.ignore("Pod", "OtherNamespace")
    metrics.ignore("Job", "OtherNamespace")
    lines = metrics.text().decode().splitlines()
    assert 'podgraph_ignored_objects_total{kind="Pod",reason="OtherNamespace"} 2.0' in lines
    assert 'podgraph_ignored_objects_total{kind="Job",reason="OtherNamespace"} 1.0' in lines
