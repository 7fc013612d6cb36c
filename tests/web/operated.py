"""Runs, definitions and ticks as the operator leaves them: its own planner runs them, in a time that passes at once.

So no test of the page shows a status, a message or an Event that the operator would not write.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from api.fake.patching import merge
from podgraph.cluster.events import event_manifest
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.actions import Actions, Event
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.definition_snapshot import DefinitionSnapshot
from podgraph.planning.job.run import Run
from podgraph.planning.manifests.objects import Manifest
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.model.names import ASSIGNMENT, CONTAINER, OP_ANNOTATION
from podgraph.planning.pods.types import ContainerState, ContainerStatus, Meta, Pod, PodStatus, Running, Terminated
from podgraph.protocol.graph_codec import pack
from podgraph.protocol.step import Assignment, Record
from podgraph.protocol.times import utc
from podgraph.reconcile.automation.base import Automation, record_tick, set_ready
from podgraph.scheduling.job_factory import second
from podgraph.scheduling.schedule import TickRecord, job_of_tick, read_schedule
from podgraph.scheduling.sensor import read_sensor
from web.serving import Obj, Served

__all__ = ["Operated", "Play", "Try", "at"]

SETTINGS = Settings("podgraph/step:dev", "podgraph-runtime")
_START_SECONDS = 2.0  # from a pod's creation to its first process
_EVENTS_KEPT_SECONDS = 3_600.0  # by a cluster as it comes


@contextlib.contextmanager
def at(served: Served, seconds: float) -> Iterator[None]:
    """Within the block the cluster's clock shows this time."""
    registry = served.fake.registry
    before, registry.clock = registry.clock, lambda: seconds
    try:
        yield
    finally:
        registry.clock = before


@dataclass(frozen=True)
class Try:
    """What the pod of one attempt does: it prints `log`, and after `seconds` gives `value` or fails with `error`."""

    seconds: float
    log: str = ""
    value: Any = None
    error: tuple[str, str] | None = None


Script = Callable[[str, int], Try]


@dataclass
class Operated:
    """The operator of a cluster as it is `now`."""

    served: Served
    now: float
    definitions: dict[str, DefinitionRun] = field(default_factory=dict)

    def definition(self, name: str, graph: Graph, **spec: Any) -> None:
        """Make a JobDefinition whose code has this graph."""
        found = self._create("JobDefinition", name, spec)
        run = DefinitionRun(found, SETTINGS)
        run.graph_from_log(pack(graph))
        self._status("jobdefinitions", name, run.advance({}, (), self.served.fake.registry.clock()).status)
        self.definitions[name] = run

    def schedule(self, name: str, spec: Obj) -> tuple[Obj, Automation]:
        """Make a JobSchedule that is ready, or suspended; return it with what the operator keeps of it."""
        found = self._create("JobSchedule", name, spec)
        read, maker = read_schedule(found), Automation(found, "JobSchedule")
        upcoming = read.timing.next_after(self.now)
        maker.set(schedule=read.timing.text, sinceTime=found["metadata"]["creationTimestamp"])
        if not read.suspend:
            maker.set(nextTickTime=None if upcoming is None else second(upcoming))
        self._ready(maker, read.suspend, f"it creates Jobs: {read.timing.text}")
        return found, maker

    def sensor(self, name: str, source: Obj, template: Obj) -> Automation:
        """Make a JobSensor that is ready; return what the operator keeps of it."""
        found = self._create("JobSensor", name, {"source": source, "jobTemplate": {"spec": template}})
        read, maker = read_sensor(found), Automation(found, "JobSensor")
        maker.set(source=read.source.text)
        self._ready(maker, read.suspend, f"it looks at {read.source.text}")
        return maker

    def ticks(self, maker: Automation, *records: TickRecord) -> None:
        """Record what became of ticks, the oldest first."""
        for record in records:
            record_tick(maker, record)
        self._status(f"{maker.object['kind'].lower()}s", maker.name, maker.unwritten)

    def failed_tick(self, schedule: Obj, tick: float) -> TickRecord:
        """Return what becomes of a tick whose Job cannot be made, as the template is wrong."""
        try:
            job_of_tick(schedule, read_schedule(schedule).zone, tick)
        except DefinitionError as error:
            return TickRecord(tick, "Failed", reason=error.reason, message=error.message)
        raise AssertionError("the template of this schedule is right")

    def job(self, manifest: Obj, begun: float, script: Script, has_pods: bool = False) -> Play:
        """Make a Job of a definition; `has_pods` says whether the cluster still has its pods."""
        with at(self.served, begun):
            made = self.served.fake.create({"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", **manifest})
        return Play(self, made, begun, script, has_pods)

    def _create(self, kind: str, name: str, spec: Obj) -> Obj:
        meta = {"name": name, "namespace": "default"}
        return self.served.fake.create(
            {"apiVersion": "podgraph.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec}
        )

    def _ready(self, maker: Automation, suspended: bool, message: str) -> None:
        now = self.served.fake.registry.clock()
        maker.set(observedGeneration=maker.generation)
        if suspended:
            set_ready(maker, False, "Suspended", "spec.suspend is true", now)
        else:
            set_ready(maker, True, "Ready", message, now)
        self.ticks(maker)

    def _status(self, plural: str, name: str, status: Obj) -> None:
        self.served.fake.patch(plural, "default", name, {"status": status}, status=True)


class Play:
    """One Job, its `Run`, and its pods, which do what the script says."""

    def __init__(self, operated: Operated, job: Obj, begun: float, script: Script, has_pods: bool) -> None:
        self.job, self.run = job, Run(job, SETTINGS)
        self.events: list[tuple[float, Event]] = []
        self.status: Obj = {}
        self._operated, self._script, self._has_pods = operated, script, has_pods
        self._fake = operated.served.fake
        self._pods: dict[str, Pod] = {}
        self._todo: list[tuple[float, int, Callable[[float], list[str]]]] = []
        self._count = itertools.count()
        self._later(begun, lambda _: [])

    def until(self, end: float) -> Play:
        """Let time pass, and write what is known then."""
        while self._todo and self._todo[0][0] <= end:
            now, _, what = heapq.heappop(self._todo)
            self._look(what(now), now)
        meta = self.job["metadata"]
        self._fake.patch("jobs", meta["namespace"], meta["name"], {"status": self.status}, status=True)
        for now, event in self.events:
            if now > self._operated.now - _EVENTS_KEPT_SECONDS:
                self._fake.create(event_manifest(self.run.ref, event, now))
        self.events = []
        return self

    def cancel(self, when: float) -> Play:
        """Have somebody cancel the Job at that time."""

        def change(_: float) -> list[str]:
            meta, patch = self.job["metadata"], {"spec": {"cancel": True}}
            self.run.spec_changed(self._fake.patch("jobs", meta["namespace"], meta["name"], patch))
            return []

        self._later(when, change)
        return self

    # --- the operator

    def _later(self, when: float, what: Callable[[float], list[str]]) -> None:
        heapq.heappush(self._todo, (when, next(self._count), what))

    def _look(self, changed: list[str], now: float) -> None:
        while True:
            actions = self.run.advance(self._pods, changed, now)
            self.events += [(now, event) for event in actions.events]
            self.status = merge(self.status, {**actions.status, **self.run.patch(now)})
            if actions.freeze:
                spec = self.job["spec"]
                self.run.freeze(
                    DefinitionSnapshot.of(self._operated.definitions[spec["definitionRef"]["name"]], None, spec)
                )
            elif actions.check_pods:
                self.run.pods_checked(actions.check_pods)
            else:
                break
        self._do(actions, now)

    def _do(self, actions: Actions, now: float) -> None:
        for manifest in actions.creates:
            self._create(manifest, now)
        for name in actions.deletes:
            self._later(now + 1, lambda _, name=name: self._delete(name))
        for name in actions.confirm:
            self.run.confirm_gone(name)
            self._later(now, lambda _, name=name: [name])
        if actions.requeue_time is not None:
            self._later(actions.requeue_time, lambda _: [])

    # --- its pods

    def _create(self, manifest: Manifest, now: float) -> None:
        meta, labels = manifest["metadata"], manifest["metadata"].get("labels") or {}
        name, uid = meta["name"], f"uid-of-{meta['name']}"
        if self._has_pods:
            with at(self._operated.served, now):
                uid = self._fake.create(manifest)["metadata"]["uid"]
        self._pods[name] = Pod(Meta(name, meta["namespace"], uid, labels=labels, creation_timestamp=second(now)))
        self.run.created(name, uid)
        self._later(now + _START_SECONDS, lambda time: self._start(name, manifest, time))

    def _start(self, name: str, manifest: Manifest, now: float) -> list[str]:
        if name not in self._pods:
            return []
        work = Assignment.from_text(manifest["metadata"]["annotations"][ASSIGNMENT])
        op = manifest["metadata"]["annotations"][OP_ANNOTATION]
        assert self.run.steps is not None
        part = self._script(op, self.run.steps.records[op].attempt)
        if self._has_pods:
            with at(self._operated.served, now):
                self._fake.run_pod("default", name)
                self._fake.logs.append(self._pods[name].metadata.uid, part.log)
        self._seen(name, ContainerState(running=Running(second(now))))
        self._later(now + part.seconds, lambda time: self._finish(name, work.nonce, part, now, time))
        return [name]

    def _finish(self, name: str, nonce: str, part: Try, begun: float, now: float) -> list[str]:
        if name not in self._pods:
            return []
        reason, message = part.error or ("", "")
        outputs = {} if part.error else {"result": part.value}
        outcome = "Failed" if part.error else "Succeeded"
        text = Record(nonce, outcome, utc(begun), utc(now), outputs, reason, message).to_line()
        if self._has_pods:
            with at(self._operated.served, now):
                self._fake.finish_pod("default", name, 1 if part.error else 0, text)
        ended = Terminated(1 if part.error else 0, 0, "", text, second(begun), second(now))
        self._seen(name, ContainerState(terminated=ended))
        return [name]

    def _delete(self, name: str) -> list[str]:
        if self._pods.pop(name, None) is not None and self._has_pods:
            self._fake.delete_pod("default", name)
        return [name]

    def _seen(self, name: str, state: ContainerState) -> None:
        status = PodStatus(container_statuses=[ContainerStatus(CONTAINER, state)])
        self._pods[name] = Pod(self._pods[name].metadata, status)
