"""One Job on its way from its spec to its end.

A `Run` is fed with what was seen (pods by name, the time) and tells what to do (`Actions`). It holds nothing that the
Job's status and its pods do not say, so it can be made anew from them at any time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning import manifests, names
from podgraph.planning.actions import Actions, Settings
from podgraph.planning.admission import check_priorities
from podgraph.planning.attempts import Attempts
from podgraph.planning.conditions import Conditions
from podgraph.planning.execution import ExecutionSpec, one_pod_section, read_control
from podgraph.planning.making import PodMaker
from podgraph.planning.manifests import JobRef, Manifest
from podgraph.planning.mixed import Mixed
from podgraph.planning.observe import observe
from podgraph.planning.pods import Pod
from podgraph.planning.resolving import Resolver
from podgraph.planning.retention import pods_to_delete
from podgraph.planning.sharing import SharingSteps, sharing_of
from podgraph.planning.sizes import check_ops, output_budget
from podgraph.planning.spec import ContainerSpec, JobSpec, graph_of_ops, read_spec
from podgraph.planning.status import STATES, StepRecord, duration, seconds_of
from podgraph.planning.steps import ReportedSteps, Steps
from podgraph.planning.stopping import Stop, deadline_of, stop_of
from podgraph.planning.storage import Storage, read_storage
from podgraph.planning.whole import Whole
from podgraph.run_config.binding import bind
from podgraph.runtime.protocol import Record
from podgraph.runtime.resolve import unpack
from podgraph.runtime.step import utc
from podgraph.selection import select

__all__ = ["Run"]

_SUSPENDED = ("Suspended", "nothing further is started while spec.suspend is true")

Object = Mapping[str, Any]


class Run:
    """The state of one Job. Make it with the Job object as the API server gave it."""

    def __init__(self, job: Object, settings: Settings) -> None:
        meta, status = job["metadata"], job.get("status") or {}
        self.ref = JobRef(meta["name"], meta["namespace"], meta["uid"])
        self.settings = settings
        self.conditions = Conditions(status.get("conditions") or (), int(meta.get("generation", 1)))
        self.conditions.completed = status.get("completionTime")
        self.started: str | None = status.get("startTime")
        self.control = read_control(job["spec"])
        self.spec: JobSpec | None = None
        self._object = job
        self._packed: str = status.get("graph") or ""
        self._told = ""
        self._records = {k: _as_loaded(StepRecord.from_status(v)) for k, v in (status.get("steps") or {}).items()}
        self.storage = Storage.from_status(status["storage"]) if status.get("storage") else None
        self._maker = PodMaker(self.ref, settings, None)
        self._resolver = Resolver(self._maker, self.conditions, ExecutionSpec())
        self._pods = status.get("pods") or {}
        self._attempts: Attempts | Whole | None = None
        self._told_generation = True

    @property
    def finished(self) -> bool:
        """Whether the Job is at its end."""
        return self.conditions.finished

    @property
    def completed(self) -> str | None:
        """When it came to its end."""
        return self.conditions.completed

    @property
    def steps(self) -> Steps | None:
        """Its steps, None until the graph is known."""
        return self._attempts.steps if self._attempts is not None else None

    def spec_changed(self, job: Object) -> None:
        """Take in what a user changed of the Job: of its spec only what steers it can change."""
        self.control = read_control(job["spec"])
        self.conditions.generation = int(job["metadata"].get("generation", 1))
        self._told_generation = False

    def advance(self, pods: Mapping[str, Pod], changed: Iterable[str], now: float) -> Actions:
        """Take in the `changed` pods of `pods` and return what is to be done.

        The first call must name all of the Job's pods as changed.
        """
        actions = Actions()
        if not self._told_generation:
            actions.status["observedGeneration"] = self.conditions.generation
            self._told_generation = True
        if not self.finished:
            if self.started is None and not self.control.suspend and not self.control.cancel:
                self.started = utc(now)
                actions.status["startTime"] = self.started
            try:
                self._advance(pods, changed, now, actions)
            except DefinitionError as error:
                self.conditions.refuse(error, self.started, now, actions)
        if self.finished:
            actions.again_at = None
            actions.deletes += self._no_longer_needed(pods)
        actions.deletes = list(dict.fromkeys(actions.deletes))
        return actions

    def code_source(self) -> tuple[str, tuple[str, str] | None]:
        """Return the code's text, or the ConfigMap and key that hold it."""
        assert self.spec is not None
        assert self.spec.code is not None
        return self.spec.code.source, self.spec.code.config_map

    def code_map(self, source: str) -> Manifest:
        """Return the ConfigMap with the Job's own copy of its code."""
        return manifests.code_config_map(self.ref, self._maker.code_map, source)

    def code_copied(self) -> None:
        """Say that the copy exists."""
        self._resolver.copied = True

    def graph_from_log(self, packed: str) -> None:
        """Give the packed graph that `read_log` asked for."""
        self._told = packed

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> None:
        """Give lines of a log that was asked for; `whole` says that the pod has ended and there are no others."""
        if isinstance(self._attempts, Whole):
            self._attempts.take_lines(lines, whole)
        elif isinstance(self._attempts, Mixed):
            self._attempts.take_lines(pod_name, lines, whole)

    def resolve_record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the resolve pod's record, for reading its log."""
        return self._resolver.record(pods)

    def created(self, pod_name: str, uid: str) -> None:
        """Say that a pod exists."""
        if self._attempts is not None:
            self._attempts.created(pod_name, uid)

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Say that the API server refuses a pod for good.

        Raises DefinitionError when it is the resolve pod: then the Job is to be refused.
        """
        if self._attempts is None or pod_name == self._resolver.pod_name:
            raise DefinitionError(reason, f"the API server refuses the resolve pod: {message}")
        return self._attempts.not_created(pod_name, reason, message, now)

    def confirm_gone(self, pod_name: str) -> None:
        """Say that a pod that `confirm` named is really gone."""
        if self._attempts is not None:
            self._attempts.confirm_gone(pod_name)

    def refuse(self, error: DefinitionError, now: float) -> Actions:
        """Return what refusing the Job takes, for an error found outside (a missing ConfigMap)."""
        actions = Actions()
        self.conditions.refuse(error, self.started, now, actions)
        return actions

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`patch` would return anything."""
        if isinstance(self._attempts, Mixed) and self._attempts.has_changes:
            return True
        return self.steps is not None and bool(self.steps.changed)

    def patch(self, now: float) -> dict[str, Any]:
        """Return the merge patch for all that changed in steps since the last call; empty when nothing did."""
        pods = self._attempts.pods_patch() if isinstance(self._attempts, Mixed) else {}
        if self.steps is None or not (self.steps.changed or pods):
            return {}
        changed, self.steps.changed = self.steps.changed, set()
        counts = {state[0].lower() + state[1:]: self.steps.count(state) for state in STATES}
        done = self.steps.count("Succeeded") + self.steps.count("Skipped")
        status: dict[str, Any] = {
            "steps": {name: self.steps.records[name].to_patch() for name in changed},
            "counts": {"total": len(self.steps.records), **counts},
            "progress": f"{done}/{len(self.steps.records)}",
            **pods,
        }
        if self.started is not None and not self.finished:  # at the end it is told with the completion time
            status["duration"] = duration(now - seconds_of(self.started))
        return status

    # --- one pass

    def _advance(self, pods: Mapping[str, Pod], changed: Iterable[str], now: float, actions: Actions) -> None:
        if self._attempts is None:
            self._prepare(pods, now, actions)
            if self._attempts is None:
                return
            changed = dict.fromkeys([*changed, *self._attempts.pod_names])
        attempts, steps = self._attempts, self._attempts.steps
        attempts.take_in(changed, pods, now, actions)
        stop = None if attempts.done else self._stop(now)
        if stop is not None:
            attempts.stop(stop, pods, now, actions)
        elif not self.control.suspend:
            attempts.start(pods, now, actions)
        if attempts.done:
            self.conditions.conclude(steps, attempts.stopped, self.started, now, actions)
            return
        if attempts.stopped is not None:
            told = ("Stopping", f"{attempts.stopped.message}; its pods are coming to their end")
        else:
            told = _SUSPENDED if self.control.suspend else ("Running", "its steps are running")
        self.conditions.on_the_way(*told, now, actions)
        actions.look_again(attempts.timers.next())
        self._look_at_deadline(actions)

    def _stop(self, now: float) -> Stop | None:
        assert self.spec is not None
        return stop_of(self.control, self.started, self.spec.deadline, now)

    def _look_at_deadline(self, actions: Actions) -> None:
        """Look again when the Job's time is over, unless it is being ended already."""
        assert self.spec is not None
        if self._attempts is None or self._attempts.stopped is None:
            actions.look_again(deadline_of(self.started, self.spec.deadline))

    def _no_longer_needed(self, pods: Mapping[str, Pod]) -> list[str]:
        retention = (self._object["spec"].get("execution") or {}).get("podRetention", "OnFailure")
        records = self.steps.records if self.steps is not None else self._records
        done = {record.pod_uid for record in records.values() if record.state == "Succeeded"}
        # A pod for no one op: it read the code, or ran all steps, and its exit code tells whether all went well.
        others = [pod for pod in pods.values() if names.OP_LABEL not in pod.metadata.labels]
        done -= {pod.metadata.uid for pod in others}
        if self.conditions.holds("Accepted", "True"):
            done |= {pod.metadata.uid for pod in others if not observe(pod).reason}
        return pods_to_delete(retention, pods, done)

    # --- from the spec to steps

    def _prepare(self, pods: Mapping[str, Pod], now: float, actions: Actions) -> None:
        if self.spec is None:
            self.spec = read_spec(self._object["spec"], self.settings.default_image)
            if self.spec.code is not None and self.storage is None:
                self.storage = read_storage(self.spec.storage) if self.spec.storage else self.settings.storage
                if self.storage is not None:
                    actions.status["storage"] = self.storage.to_status()
            self._maker = PodMaker(self.ref, self.settings, self.spec.code, self.storage)
            self._resolver = Resolver(self._maker, self.conditions, self.spec.execution)
        containers: Mapping[str, ContainerSpec] = {}
        if self.spec.code is None:
            graph, containers = graph_of_ops(self.ref.name, self.spec.ops or ())
        elif self._packed:
            graph = unpack(self._packed)
        else:
            packed = self._told or self._resolve(pods, now, actions)
            if not packed:
                return
            self._packed = packed
            actions.status["graph"] = packed
            graph = unpack(packed)
        self._accept(graph, containers, now, actions)

    def _resolve(self, pods: Mapping[str, Pod], now: float, actions: Actions) -> str:
        """Return the packed graph, "" while it is not known or when the Job has to end before it is."""
        stop = self._stop(now)
        if stop is not None:
            actions.deletes.append(self._resolver.pod_name)  # also one that was asked for and has not been seen
            self.conditions.stop(stop.reason, stop.message, self.started, now, actions)
            return ""
        packed = self._resolver.look(pods, self.control.suspend, now, actions)
        if self.control.suspend and self._resolver.pod_name not in pods:
            self.conditions.on_the_way(*_SUSPENDED, now, actions)
        self._look_at_deadline(actions)
        return packed

    def _accept(self, graph: Graph, containers: Mapping[str, ContainerSpec], now: float, actions: Actions) -> None:
        assert self.spec is not None
        check_ops(graph)
        selected = select(graph, self.spec.selection)
        check_priorities(graph.ops[name] for name in selected)
        bound = bind(graph, selected, self.spec.run_config)
        section = one_pod_section(self.spec.execution, self.spec.run_config)
        sharing = {} if section else sharing_of(graph, selected)
        budget = output_budget(self._object, len(self._packed), len(selected) + len(sharing))
        self._maker.set_graph(graph, bound, containers)
        steps: Steps
        if section:
            steps = ReportedSteps(graph, selected, bound.inputs, self._records)
            self._attempts = Whole(steps, self._maker, self.spec.execution, budget, self.spec.group(section))
        elif sharing:
            steps = SharingSteps(graph, selected, bound.inputs, self._records, sharing)
            self._attempts = Mixed(steps, self._maker, self.spec.execution, budget, self._pods)
        else:
            steps = Steps(graph, selected, bound.inputs, self._records)
            self._attempts = Attempts(steps, self._maker, self.spec.execution, budget)
        if not self.conditions.holds("Accepted", "True"):
            steps.changed.update(selected)
            chosen, total = len(selected), len(graph.ops)
            count = f"{chosen} of {total} ops" if chosen < total else f"{total} op{'s' if total != 1 else ''}"
            self.conditions.accept(f"{count} will run", now, actions)


def _as_loaded(record: StepRecord) -> StepRecord:
    """Take an attempt whose pod was never seen for one that is still to begin: making the pod again makes it once."""
    if record.state != "Starting" or record.pod_uid:
        return record
    before = record.attempt - 1
    return StepRecord("UpForRetry", before, record.lost) if before > 0 else StepRecord()
