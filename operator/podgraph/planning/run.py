"""One Job on its way from its spec to its end.

A `Run` is fed with what was seen (pods by name, the time) and tells what to do (`Actions`). It holds nothing that the
Job's status and its pods do not say, so it can be made anew from them at any time.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.flow import TERMINAL
from podgraph.planning import manifests, names
from podgraph.planning.actions import Actions, Event, Settings
from podgraph.planning.conditions import Conditions
from podgraph.planning.manifests import JobRef, Manifest
from podgraph.planning.observe import PULL_GRACE_SECONDS, Phase, Seen, observe
from podgraph.planning.outcome import Outcome, container_outcome, micro, python_outcome, read_record
from podgraph.planning.pods import Pod
from podgraph.planning.references import split
from podgraph.planning.spec import ContainerSpec, JobSpec, graph_of_ops, read_spec
from podgraph.planning.status import STATES, StepRecord, duration, seconds_of
from podgraph.planning.steps import Steps
from podgraph.planning.storage import Storage, equip, prefix, read_storage
from podgraph.run_config.binding import Bound, bind
from podgraph.runtime.protocol import Assignment, Record
from podgraph.runtime.resolve import unpack
from podgraph.runtime.step import utc
from podgraph.selection import select

__all__ = ["Run"]

MAX_OPS = 5_000
"""The most ops one job may have in a cluster: their records must fit into one Kubernetes object."""
MAX_OBJECT = 1_400_000
"""Most bytes a Job may have as Kubernetes stores it (etcd takes 1.5 MiB)."""
MAX_JOB_OUTPUTS = 524_288
MAX_ASSIGNMENT = 131_072
_RECORD_BYTES = 260
_ATTEMPT = 1
_SECTIONS = ("ops", "inputs", "resources")

Object = Mapping[str, Any]


class Run:
    """The state of one Job. Make it with the Job object as the API server gave it."""

    def __init__(self, job: Object, settings: Settings) -> None:
        meta, status = job["metadata"], job.get("status") or {}
        self.ref = JobRef(meta["name"], meta["namespace"], meta["uid"])
        self.settings = settings
        self.conditions = Conditions(status.get("conditions") or (), int(meta.get("generation", 1)))
        self.started: str | None = status.get("startTime")
        self.spec: JobSpec | None = None
        self.steps: Steps | None = None
        self._object = job
        self._packed: str = status.get("graph") or ""
        self._told = ""
        self._gone: set[str] = set()
        self._records = {k: _as_loaded(StepRecord.from_status(v)) for k, v in (status.get("steps") or {}).items()}
        self._containers: dict[str, ContainerSpec] = {}
        self._step_of_pod: dict[str, str] = {}
        self._stuck: dict[str, float] = {}  # pods that cannot start, and since when
        self._resolve_pod = names.resolve_pod(self.ref.name, self.ref.uid)
        self._code_map = ""
        self._copied = False
        self._output_budget = MAX_JOB_OUTPUTS
        self._bound = Bound()
        self.storage = Storage.from_status(status["storage"]) if status.get("storage") else None

    @property
    def finished(self) -> bool:
        """Whether the Job is at its end."""
        return self.conditions.finished

    def advance(self, pods: Mapping[str, Pod], changed: Iterable[str], now: float) -> Actions:
        """Take in the `changed` pods of `pods` and return what is to be done.

        The first call must name all of the Job's pods as changed.
        """
        actions = Actions()
        if self.finished:
            actions.deletes = self._strays(pods)
            return actions
        if self.started is None:
            self.started = utc(now)
            actions.status["startTime"] = self.started
        first_look: list[str] = []
        try:
            if self.steps is None:
                self._prepare(pods, now, actions)
                first_look = list(self._step_of_pod)
        except DefinitionError as error:
            self.conditions.refuse(error, self.started, now, actions)
            return actions
        if self.steps is not None:
            due = [name for name, since in self._stuck.items() if now - since >= PULL_GRACE_SECONDS]
            for name in dict.fromkeys([*changed, *first_look, *due]):
                self._look(name, pods.get(name), now, actions)
            if self._stuck:  # asked for again at each pass, for the queue keeps only the earliest wish
                actions.again_at = min(self._stuck.values()) + PULL_GRACE_SECONDS
            self._start_ready(actions)
            self.conditions.conclude(self.steps, self.started, now, actions)
        return actions

    def code_source(self) -> tuple[str, tuple[str, str] | None]:
        """Return the code's text, or the ConfigMap and key that hold it."""
        assert self.spec is not None
        assert self.spec.code is not None
        return self.spec.code.source, self.spec.code.config_map

    def code_map(self, source: str) -> Manifest:
        """Return the ConfigMap with the Job's own copy of its code."""
        return manifests.code_config_map(self.ref, self._code_map, source)

    def code_copied(self) -> None:
        """Say that the copy exists."""
        self._copied = True

    def graph_from_log(self, packed: str) -> None:
        """Give the packed graph that `read_log` asked for."""
        self._told = packed

    def confirm_gone(self, pod_name: str) -> None:
        """Say that a pod that `confirm` named is really gone."""
        self._gone.add(pod_name)

    def refuse(self, error: DefinitionError, now: float) -> Actions:
        """Return what refusing the Job takes, for an error found outside (a missing ConfigMap)."""
        actions = Actions()
        self.conditions.refuse(error, self.started, now, actions)
        return actions

    # --- from the spec to steps

    def _prepare(self, pods: Mapping[str, Pod], now: float, actions: Actions) -> None:
        if self.spec is None:
            self.spec = read_spec(self._object["spec"], self.settings.default_image)
            if self.spec.code is not None and not self.spec.code.module:
                self._code_map = names.code_config_map(self.ref.name, self.ref.uid)
            if self.spec.code is not None and self.storage is None:
                self.storage = read_storage(self.spec.storage) if self.spec.storage else self.settings.storage
                if self.storage is not None:
                    actions.status["storage"] = self.storage.to_status()
        if self.spec.code is None:
            graph, self._containers = graph_of_ops(self.ref.name, self.spec.ops or ())
        elif self._packed:
            graph = unpack(self._packed)
        else:
            packed = self._told or self._resolve(pods, now, actions)
            if not packed:
                return
            self._packed = packed
            actions.status["graph"] = packed
            graph = unpack(packed)
        self._accept(graph, now, actions)

    def _resolve(self, pods: Mapping[str, Pod], now: float, actions: Actions) -> str:
        """Return the packed graph of the Job's code, or "" while the resolve pod is not done."""
        pod = pods.get(self._resolve_pod)
        if pod is None:
            if self._code_map and not self._copied:
                actions.copy_code = True
                return ""
            actions.creates.append(self._python_pod(self._resolve_pod, "", {}))
            self.conditions.resolving("", now, actions)
            return ""
        seen, since = observe(pod), self._stuck.pop(self._resolve_pod, now)
        if seen.phase is Phase.STUCK and self._give_up(pod, seen, since, now, actions):
            reason = "ImagePullFailed" if "Image" in seen.reason else seen.reason
            raise DefinitionError(reason, f"the resolve pod cannot start: {seen.reason}: {seen.message}")
        if seen.phase is Phase.GONE:
            raise DefinitionError("PodDeleted", "the resolve pod was deleted before it had told the graph")
        if seen.phase is not Phase.ENDED:
            self.conditions.resolving(f"{seen.reason}: {seen.message}" if seen.reason else "", now, actions)
            return ""
        record = read_record(seen, self._nonce(""))
        if record is None:
            raise DefinitionError("ResolveFailed", _no_record(seen))
        if record.outcome == "Failed":
            raise DefinitionError(record.reason or "CodeError", record.message)
        if not record.graph:
            actions.read_log = self._resolve_pod
        return record.graph

    def resolve_record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the resolve pod's record, for reading its log."""
        pod = pods.get(self._resolve_pod)
        return read_record(observe(pod), self._nonce("")) if pod is not None else None

    def _accept(self, graph: Graph, now: float, actions: Actions) -> None:
        assert self.spec is not None
        if len(graph.ops) > MAX_OPS:
            raise DefinitionError("TooManyOps", f"the job has {len(graph.ops)} ops; at most {MAX_OPS} are allowed")
        selected = select(graph, self.spec.selection)
        self._bound = bind(graph, selected, self.spec.run_config, sections=_SECTIONS)
        self._check_size(len(selected))
        self.steps = Steps(graph, selected, self._bound.inputs, self._records)
        self._step_of_pod = {names.step_pod(self.ref.name, self.ref.uid, op, _ATTEMPT): op for op in selected}
        if not self.conditions.holds("Accepted", "True"):
            self.steps.changed.update(selected)
            chosen, total = len(selected), len(graph.ops)
            count = f"{chosen} of {total} ops" if chosen < total else f"{total} op{'s' if total != 1 else ''}"
            self.conditions.accept(f"{count} will run", now, actions)

    def _check_size(self, steps: int) -> None:
        spec = len(json.dumps(self._object["spec"], ensure_ascii=False).encode())
        meta = len(json.dumps(self._object["metadata"], ensure_ascii=False).encode())
        room = MAX_OBJECT - spec - meta - len(self._packed) - _RECORD_BYTES * steps
        if room < 16_384:
            raise DefinitionError(
                "TooLarge",
                f"the job would be {MAX_OBJECT - room:,} bytes with its status; at most {MAX_OBJECT:,} bytes fit: use "
                "fewer ops or shorter scripts (kubectl apply keeps a second copy of the spec, kubectl create does not)",
            )
        self._output_budget = min(MAX_JOB_OUTPUTS, room)

    # --- steps

    def _look(self, pod_name: str, pod: Pod | None, now: float, actions: Actions) -> None:
        assert self.steps is not None
        step = self._step_of_pod.get(pod_name)
        if step is None:
            return
        since = self._stuck.pop(pod_name, now)
        record = self.steps.records[step]
        if record.state in TERMINAL:
            return
        if pod is None:
            if record.pod_uid and pod_name in self._gone:
                self._fail(step, Outcome({}, "PodDeleted", "its pod was deleted before it ended"), actions)
            elif record.pod_uid:
                actions.confirm.append(pod_name)
            return
        if record.pod_uid and record.pod_uid != pod.metadata.uid:
            message = "its pod was deleted and another was made under its name"
            self._fail(step, Outcome({}, "PodDeleted", message), actions)
            actions.deletes.append(pod_name)
            return
        record.pod_uid = pod.metadata.uid
        if record.state == "Pending":  # created before a restart that lost the write
            self.steps.ready = type(self.steps.ready)(name for name in self.steps.ready if name != step)
            self.steps.set_state(step, "Starting")
        seen = observe(pod)
        if seen.phase is Phase.STUCK:
            if self._give_up(pod, seen, since, now, actions):
                self._fail(step, Outcome({}, seen.reason, seen.message), actions)
            else:
                self.steps.set_state(step, "Starting", seen.reason, seen.message)
        elif seen.phase is Phase.STARTING:
            self.steps.set_state(step, "Starting", seen.reason, seen.message)
        elif seen.phase is Phase.RUNNING:
            record.start_time = micro(seen.started_at)
            self.steps.set_state(step, "Running")
        elif seen.phase is Phase.GONE:
            self._fail(step, Outcome({}, seen.reason, seen.message), actions)
        else:
            self._finish(step, seen, actions)

    def _finish(self, step: str, seen: Seen, actions: Actions) -> None:
        assert self.steps is not None
        op = self.steps.graph.ops[step]
        outcome = (
            container_outcome(op, seen)
            if step in self._containers
            else python_outcome(op, seen, self._nonce(step), self._prefix(step))
        )
        size = sum(len(text.encode()) for text in outcome.outputs.values())
        if self.steps.output_bytes + size > self._output_budget:
            outcome = Outcome(
                {},
                "OutputsFull",
                f"with the outputs of op {step!r} the job's outputs would be {self.steps.output_bytes + size:,} bytes; "
                f"at most {self._output_budget:,} bytes fit into its status",
                outcome.start_time,
                outcome.completion_time,
            )
        if outcome.reason:
            self._fail(step, outcome, actions)
        else:
            self.steps.end(step, outcome)

    def _fail(self, step: str, outcome: Outcome, actions: Actions) -> None:
        assert self.steps is not None
        self.steps.end(step, outcome)
        actions.events.append(
            Event("Warning", "StepFailed", f"op {step!r} failed: {outcome.reason}: {outcome.message}")
        )

    def _start_ready(self, actions: Actions) -> None:
        assert self.steps is not None
        while self.steps.ready:
            step = self.steps.ready.popleft()
            inputs = self.steps.inputs_of(step)
            size = sum(len(text.encode()) for text in inputs.values())
            if size > MAX_ASSIGNMENT:
                largest = max(inputs, key=lambda name: len(inputs[name]))
                message = (
                    f"input {largest!r} of op {step!r} is {len(inputs[largest].encode()):,} bytes of JSON; the inputs "
                    f"of one step may have at most {MAX_ASSIGNMENT:,} bytes together"
                )
                self._fail(step, Outcome({}, "InputTooLarge", message), actions)
                continue
            name = names.step_pod(self.ref.name, self.ref.uid, step, _ATTEMPT)
            if step in self._containers:
                pod = manifests.container_pod(self.ref, name, step, self._containers[step], inputs)
            else:
                pod = self._python_pod(name, step, inputs)
            actions.creates.append(pod)
            self.steps.set_state(step, "Starting")

    def created(self, pod_name: str, uid: str) -> None:
        """Say that a pod exists; its uid goes into the record with the next write."""
        step = self._step_of_pod.get(pod_name)
        if step is not None and self.steps is not None and not self.steps.records[step].pod_uid:
            self.steps.records[step].pod_uid = uid
            self.steps.changed.add(step)

    def not_created(self, pod_name: str, reason: str, message: str) -> Actions:
        """Say that the API server refuses a pod for good: its step has failed.

        Raises DefinitionError when it is the resolve pod: then the Job is to be refused.
        """
        actions = Actions()
        step = self._step_of_pod.get(pod_name)
        if step is None or self.steps is None:
            raise DefinitionError(reason, f"the API server refuses the resolve pod: {message}")
        self._fail(step, Outcome({}, reason, f"the API server refuses its pod: {message}"), actions)
        return actions

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`patch` would return anything."""
        return self.steps is not None and bool(self.steps.changed)

    def patch(self, now: float) -> dict[str, Any]:
        """Return the merge patch for all that changed in steps since the last call; empty when nothing did."""
        if self.steps is None or not self.steps.changed:
            return {}
        changed, self.steps.changed = self.steps.changed, set()
        counts = {state[0].lower() + state[1:]: self.steps.count(state) for state in STATES}
        done = self.steps.count("Succeeded") + self.steps.count("Skipped")
        status: dict[str, Any] = {
            "steps": {name: self.steps.records[name].to_patch() for name in changed},
            "counts": {"total": len(self.steps.records), **counts},
            "progress": f"{done}/{len(self.steps.records)}",
        }
        if self.started is not None and not self.finished:  # at the end it is told with the completion time
            status["duration"] = duration(now - seconds_of(self.started))
        return status

    # --- pods

    def _python_pod(self, name: str, op: str, inputs: Mapping[str, str]) -> Manifest:
        assert self.spec is not None
        assert self.spec.code is not None
        code = self.spec.code
        values, stored = split(inputs)
        assignment = Assignment(
            op=op,
            nonce=self._nonce(op),
            run_id=self.ref.uid,
            attempt=_ATTEMPT,
            file="" if code.module else manifests.CODE_FILE,
            module=code.module,
            job=code.job,
            inputs=values,
            configured=list(self._bound.from_config.get(op, ())),
            config=self._bound.configs.get(op),
            resources=self._resources(op),
            tags=dict(self.steps.graph.tags) if self.steps is not None else {},
            storage=self.storage.url if self.storage is not None else "",
            prefix=self._prefix(op) if self.storage is not None else "",
            stored=stored,
            keep_log=bool(op) and self.storage is not None and self.storage.logs,
        )
        pod = manifests.python_pod(self.ref, name, code, assignment, self.settings.runtime, self._code_map)
        if self.storage is not None:
            equip(pod, self.storage)
        return pod

    def _prefix(self, op: str) -> str:
        return f"{prefix(self.ref)}/{op}/{_ATTEMPT}" if op else prefix(self.ref)

    def _resources(self, op: str) -> dict[str, Any]:
        """Return the config of each resource that an op uses."""
        names_of = self.steps.graph.ops[op].resources if op and self.steps is not None else ()
        return {name: config for name in names_of if (config := self._bound.resources.get(name)) is not None}

    def _nonce(self, op: str) -> str:
        return names.nonce(self.ref.uid, op, _ATTEMPT)

    def _give_up(self, pod: Pod, seen: Seen, since: float, now: float, actions: Actions) -> bool:
        """Whether a container that cannot start has been waited for long enough; its pod is then deleted.

        Deleted, so that it cannot start after all when nobody waits for it any more.
        """
        if seen.hopeless or now - since >= PULL_GRACE_SECONDS:
            actions.deletes.append(pod.metadata.name)
            return True
        self._stuck[pod.metadata.name] = since
        actions.again_at = since + PULL_GRACE_SECONDS
        return False

    def _strays(self, pods: Mapping[str, Pod]) -> list[str]:
        """Return pods of a finished Job that have not started: a crash may have come before they were deleted."""
        waiting = (Phase.STARTING, Phase.STUCK)
        return [n for n, pod in pods.items() if not pod.metadata.deletion_timestamp and observe(pod).phase in waiting]


def _as_loaded(record: StepRecord) -> StepRecord:
    """Take a step whose pod was never seen for one that is still to start: making the pod again makes it once."""
    if record.state == "Starting" and not record.pod_uid:
        return StepRecord()
    return record


def _no_record(seen: Seen) -> str:
    if seen.reason == "DeadlineExceeded":
        return f"reading the code took longer than {manifests.RESOLVE_SECONDS} seconds"
    tail = f": {seen.text.strip()[-600:]}" if seen.text.strip() else ""
    return f"the resolve pod told no graph; {seen.message or 'it exited with code 0'}{tail}"
