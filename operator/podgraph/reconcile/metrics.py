"""What the operator counts, for Prometheus to read."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from podgraph.planning.actions import PrestartOutcome

__all__ = ["Metrics"]


class Metrics:
    """The counters of one controller; `jobs`, `waiting` and `links` are asked for when somebody reads."""

    def __init__(self, jobs: Callable[[], int], waiting: Callable[[], int], links: Callable[[], int]) -> None:
        self.registry = CollectorRegistry()
        unfinished = Gauge("podgraph_unfinished_jobs", "Jobs that are not at their end", registry=self.registry)
        unfinished.set_function(jobs)
        pods = Gauge("podgraph_waiting_pods", "Pods started ahead that wait for their inputs", registry=self.registry)
        pods.set_function(waiting)
        linked = Gauge("podgraph_linked_pods", "Pods that are linked to the operator directly", registry=self.registry)
        linked.set_function(links)
        self._held = Counter(
            "podgraph_waiting_pod_seconds",
            "How long pods started ahead have waited, by what became of them: used, or released for nothing",
            ["outcome"],
            registry=self.registry,
        )
        self._ended = Counter(
            "podgraph_waiting_pods_ended",
            "Pods started ahead whose waiting is over, by what became of them",
            ["outcome"],
            registry=self.registry,
        )
        self._ignored = Counter(
            "podgraph_ignored_objects",
            "Objects with our labels or names that are not ours and were not used, by kind and reason; after a break "
            "of the watch they are counted again",
            ["kind", "reason"],
            registry=self.registry,
        )
        self.passes = Histogram(
            "podgraph_reconcile_seconds",
            "The time of one reconcile pass over a Job, with its requests to the API server",
            buckets=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
            registry=self.registry,
        )

    def take(self, held: Iterable[PrestartOutcome]) -> None:
        """Count pods whose waiting is over."""
        for item in held:
            self._held.labels(item.outcome).inc(max(0.0, item.seconds))
            self._ended.labels(item.outcome).inc()

    def ignore(self, kind: str, reason: str) -> None:
        """Count an object that is not ours."""
        self._ignored.labels(kind, reason).inc()

    def text(self) -> bytes:
        """Return all of it in Prometheus' text format."""
        return generate_latest(self.registry)
