"""One Job, from its spec to its end.

A `Run` takes the pods of the Job and the time, and returns what to do (`Actions`). It can be created again from the
Job's status and pods at any time, as it holds nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.actions import Actions
from podgraph.planning.executors.base import StepExecutor
from podgraph.planning.executors.pod_per_step import EXIT_SECONDS
from podgraph.planning.job.acceptance import check
from podgraph.planning.job.conditions import Conditions
from podgraph.planning.job.definition_snapshot import Defined, DefinitionSnapshot
from podgraph.planning.job.executor_choice import executor_for, load_records
from podgraph.planning.job.finished_pods import exit_deadlines, unneeded_pods
from podgraph.planning.job.rerun_of import Rerun, read_rerun
from podgraph.planning.job.resolver import Resolver
from podgraph.planning.job.status_patch import status_patch
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.pod_template import PodCheck, Templates, queue_labels
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage, read_storage
from podgraph.planning.model.execution import Control, ExecutionSpec, one_pod_section, read_control
from podgraph.planning.model.limits import output_budget
from podgraph.planning.model.spec import ContainerSpec, JobSpec, graph_of_ops, read_spec
from podgraph.planning.model.status import seconds_of
from podgraph.planning.model.value_refs import check_stored
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.types import Pod
from podgraph.planning.steps.active_deadline import deadline_of
from podgraph.planning.steps.records import Steps
from podgraph.planning.steps.stop import Stop, stop_of
from podgraph.protocol.graph_codec import unpack
from podgraph.protocol.step import Record
from podgraph.protocol.times import utc

__all__ = ["Run"]


_SUSPENDED = ("Suspended", "nothing further is started while spec.suspend is true")

Object = Mapping[str, Any]


class Run:
    """The state of one Job, created from the Job object of the API server."""

    def __init__(self, job: Object, settings: Settings) -> None:
        meta, status = job["metadata"], job.get("status") or {}
        self.ref = JobRef(meta["name"], meta["namespace"], meta["uid"])
        self.settings = settings
        self.conditions = Conditions(status.get("conditions") or (), int(meta.get("generation", 1)))
        self.conditions.completed = status.get("completionTime")
        self.started: str | None = status.get("startTime")
        self.defined = Defined(job, self.conditions) if "definitionRef" in job["spec"] else None
        self.control = self._control(job)
        self.spec: JobSpec | None = None
        self._object = job
        self._packed: str = status.get("graph") or ""
        self._told = ""
        self._records, self._pod_records = load_records(status), status.get("pods") or {}
        self.storage: Storage | None = None
        self._maker = PodFactory(self.ref, settings, None)
        self._resolver = Resolver(self._maker, self.conditions, ExecutionSpec())
        self._executor: StepExecutor | None = None
        self._checked: set[str] = set()
        self._told_generation = True
        self.waits_for_exit = False
        self._rerun: Rerun | None = None
        self._wrong: DefinitionError | None = None  # with the object itself; the Job is refused for it
        try:
            self._read_object(job)
        except DefinitionError as error:
            self._wrong = error

    def _read_object(self, job: Object) -> None:
        """Read the references of the object; an older CRD may have accepted invalid ones."""
        status = job.get("status") or {}
        check_stored(status.get("steps") or {}, self.ref.namespace)
        if status.get("storage"):
            self.storage = Storage.from_status(status["storage"])
        again = read_rerun(job["spec"])
        if again and not self.conditions.holds("Accepted", "True"):
            self._rerun = Rerun(again, self.ref.uid, self.settings.keys)

    @property
    def finished(self) -> bool:
        """Whether the Job has finished."""
        return self.conditions.finished

    @property
    def completed(self) -> str | None:
        """When the Job finished, None before."""
        return self.conditions.completed

    @property
    def steps(self) -> Steps | None:
        """The steps of the Job, None until the graph is known."""
        return self._executor.steps if self._executor is not None else None

    def spec_changed(self, job: Object) -> None:
        """Take over a change of the Job; only the control fields of its spec can change."""
        self._object = job
        self.control = self._control(job)
        self.conditions.generation = int(job["metadata"].get("generation", 1))
        self._told_generation = False

    def advance(self, pods: Mapping[str, Pod], changed: Iterable[str], now: float) -> Actions:
        """Run one pass over `pods`, of which the `changed` ones are news, and return what to do.

        The first call must name all pods of the Job as changed.
        """
        actions = Actions()
        pass_ = Pass(now, pods, actions)
        if not self._told_generation:
            actions.status["observedGeneration"] = self.conditions.generation
            self._told_generation = True
        if not self.finished:
            if self.started is None and not self.control.suspend and not self.control.cancel:
                self.started = utc(now)
                actions.status["startTime"] = self.started
            try:
                self._advance(changed, pass_)
            except DefinitionError as error:
                self.conditions.refuse(error, self.started, pass_)
        if self.finished:
            self._clean_up(pass_)
        actions.deletes = list(dict.fromkeys(actions.deletes))
        return actions

    def code_source(self) -> tuple[str, tuple[str, str] | None]:
        """Return the text of the code, or the ConfigMap and key that hold it."""
        assert self.spec is not None
        assert self.spec.code is not None
        return self.spec.code.source, self.spec.code.config_map

    def code_map(self, source: str) -> Manifest:
        """Return the ConfigMap with the Job's own copy of its code."""
        return manifests.code_config_map(self.ref, self._maker.code_map, source)

    def key_secret(self) -> Manifest | None:
        """Return the Secret with the signing key of the Job's pods, None when they sign nothing."""
        return self._maker.key_secret()

    @property
    def job_spec(self) -> Object:
        """The spec of the Job itself, without that of its definition."""
        spec: Object = self._object["spec"]
        return spec

    def freeze(self, frozen: DefinitionSnapshot) -> None:
        """Take over the Job's own copy of its definition."""
        assert self.defined is not None
        self.defined.frozen = frozen
        self.control = self._control(self._object)

    def code_copied(self) -> None:
        """Take in that the copy of the code exists."""
        self._resolver.copied = True

    def jobs_found(self, jobs: Mapping[str, Object | None]) -> None:
        """Take in the Jobs that `read_jobs` requested, None for one that does not exist."""
        if self._rerun is not None:
            self._rerun.found(jobs)

    def pods_checked(self, checks: Iterable[PodCheck]) -> None:
        """Take in that the API server accepts the pods that `check_pods` named."""
        self._checked.update(check.what for check in checks)

    def graph_from_log(self, packed: str) -> None:
        """Take in the packed graph that `read_log` requested."""
        self._told = packed

    def take_lines(self, pod_name: str, lines: Iterable[str], whole: bool = False) -> bool:
        """Take in lines of a requested log, and return whether another pass is useful.

        `whole` says that the pod has ended and no other lines follow.
        """
        if self._executor is not None:
            return self._executor.take_lines(pod_name, lines, whole)
        return pod_name == self._resolver.pod_name and self._resolver.take_lines(lines)

    def log_unavailable(self, pod_name: str) -> None:
        """Take in that a requested log is not followed: there are too many, or it cannot be read."""
        if self._executor is None and pod_name == self._resolver.pod_name:
            self._resolver.log_unavailable()

    @property
    def waiting_pods(self) -> int:
        """How many prestarted pods wait for their inputs."""
        return self._executor.waiting_pods if self._executor is not None else 0

    def pause_ahead(self, now: float) -> bool:
        """Prestart no pods for a while, as pods find no node; return whether any waits and has to go."""
        return self._executor is not None and self._executor.pause_ahead(now)

    def resolve_record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the record of the resolve pod, for reading its log."""
        return self._resolver.record(pods)

    def created(self, pod_name: str, uid: str) -> None:
        """Take in that a pod exists."""
        if self._executor is not None:
            self._executor.room.created()
            self._executor.created(pod_name, uid)

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Take in that the API server refuses a pod for good.

        Raises DefinitionError for the resolve pod: the Job is then refused.
        """
        if self._executor is None or pod_name == self._resolver.pod_name:
            raise DefinitionError(reason, f"the API server refuses the resolve pod: {message}")
        return self._executor.not_created(pod_name, reason, message, now)

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Take in that there is no room for a pod yet; return whether it was requested to run, not only to wait."""
        if self._executor is None or pod_name == self._resolver.pod_name:
            return self._resolver.put_back(reason, message, now)
        return self._executor.put_back(pod_name, reason, message, now)

    def room_made(self, now: float) -> None:
        """Take in that another pod made room: pods that wait for it are tried again at once."""
        (self._resolver.room if self._executor is None else self._executor.room).made(now)

    def uid_of(self, pod_name: str) -> str:
        """Return the uid of the pod of this name, "" while it is not known."""
        return self._executor.uid_of(pod_name) if self._executor is not None else ""

    def confirm_gone(self, pod_name: str) -> None:
        """Take in that a pod which `confirm` named does not exist."""
        if self._executor is not None:
            self._executor.confirm_gone(pod_name)

    def refuse(self, error: DefinitionError, now: float) -> Actions:
        """Refuse the Job for an error found elsewhere, such as a missing ConfigMap."""
        actions = Actions()
        pass_ = Pass(now, {}, actions)
        self.conditions.refuse(error, self.started, pass_)
        return actions

    @property
    def has_changes(self) -> bool:
        """Whether :meth:`patch` would return anything."""
        return self._executor is not None and (self._executor.has_changes or self._executor.steps.has_changes)

    def patch(self, now: float) -> dict[str, Any]:
        """Return the merge patch for the steps that changed since the last call, empty when nothing changed."""
        if self._executor is None:
            return {}
        since = None if self.finished else self.started  # the end tells the duration with the completion time
        return status_patch(self._executor.steps, self._executor.pods_patch(), since, now)

    # --- one pass

    def _advance(self, changed: Iterable[str], pass_: Pass) -> None:
        if self._executor is None:
            self._prepare(pass_)
            if self._executor is None:
                return
            changed = dict.fromkeys([*changed, *self._executor.pod_names])
        executor = self._executor
        executor.observe(changed, pass_)
        self._resolver.look_after(pass_)
        stop = None if executor.done else self._stop(pass_.now)
        if stop is not None:
            executor.stop(stop, pass_)
        elif self.control.suspend:
            executor.hold(pass_)
        else:
            executor.start(pass_)
        if executor.done:
            self.conditions.conclude(executor.steps, executor.stopped, self.started, pass_)
            return
        if executor.stopped is not None:
            told = ("Stopping", f"{executor.stopped.message}; its pods are coming to their end")
        else:
            running = f"its pod has not started ({executor.waiting})" if executor.waiting else "its steps are running"
            if executor.room.trouble:
                running = f"steps wait until there is room for their pods ({executor.room.trouble})"
            told = _SUSPENDED if self.control.suspend else ("Running", running)
        self.conditions.on_the_way(*told, pass_)
        pass_.actions.requeue_at(executor.timers.next())
        self._look_at_deadline(pass_.actions)

    def _stop(self, now: float) -> Stop | None:
        assert self.spec is not None
        return stop_of(self.control, self.started, self.spec.deadline, now)

    def _look_at_deadline(self, actions: Actions) -> None:
        """Requeue the Job at its deadline, unless it is already stopping."""
        assert self.spec is not None
        if self._executor is None or self._executor.stopped is None:
            actions.requeue_at(deadline_of(self.started, self.spec.deadline))

    def _clean_up(self, pass_: Pass) -> None:
        """Delete the pods of the finished Job that are not kept; those that still exit have time to do so."""
        pods, actions = pass_.pods, pass_.actions
        records = self.steps.records if self.steps is not None else self._records
        exits = dict(self._executor.exits) if self._executor is not None else {}
        resolve_pod = self._resolver.let_go(pass_)
        if self.completed is not None and resolve_pod:
            exits.setdefault(resolve_pod, seconds_of(self.completed) + EXIT_SECONDS)
        deadlines = exit_deadlines(records, exits, pods)
        default = self.defined.reference.get("podRetention") if self.defined is not None else None
        retention = (self._object["spec"].get("execution") or {}).get("podRetention") or default or "OnFailure"
        unneeded = unneeded_pods(retention, records, pods, self.conditions.holds("Accepted", "True"))
        actions.deletes += [name for name in unneeded if name not in deadlines]
        actions.deletes += [name for name, until in deadlines.items() if pass_.now >= until]
        self.waits_for_exit = any(pass_.now < until for until in deadlines.values())
        actions.requeue_time = min((until for until in deadlines.values() if pass_.now < until), default=None)

    # --- from the spec to steps

    def _prepare(self, pass_: Pass) -> None:
        if self._wrong is not None:
            raise self._wrong
        if self.defined is not None and self.defined.frozen is None:
            self._await(self.defined, pass_)
            return
        if self.spec is None:
            frozen = self.defined.frozen if self.defined is not None else None
            if frozen is not None:
                pass_.actions.status["definition"] = frozen.reference
                if frozen.graph and not self._packed:
                    pass_.actions.status["graph"] = self._packed = frozen.graph
            self.spec = read_spec(
                frozen.spec if frozen is not None else self._object["spec"], self.settings.default_image
            )
            if self.spec.code is not None and self.storage is None:
                self.storage = read_storage(self.spec.storage) if self.spec.storage else self.settings.storage
                if self.storage is not None:
                    pass_.actions.status["storage"] = {**self.storage.to_status(), "image": self.spec.code.image}
            templates = Templates(self.spec.pod_template, queue_labels(self._object["metadata"].get("labels") or {}))
            self._maker = PodFactory(self.ref, self.settings, self.spec.code, self.storage, templates, self.spec.tags)
            one_pod = one_pod_section(self.spec.execution, self.spec.run_config)
            stays = not (one_pod or self._maker.is_queued)
            self._resolver = Resolver(self._maker, self.conditions, self.spec.execution, stays)
            self._resolver.copied = frozen is not None
        if self._rerun is not None and (wanted := self._rerun.wanted()):
            pass_.actions.read_jobs = wanted
            return
        containers: Mapping[str, ContainerSpec] = {}
        if self.spec.code is None:
            graph, containers = graph_of_ops(self.ref.name, self.spec.ops or ())
        elif self._packed:
            graph = unpack(self._packed)
        else:
            packed = self._told or self._resolve(pass_)
            if not packed:
                return
            self._packed = packed
            pass_.actions.status["graph"] = packed
            graph = unpack(packed)
        self._accept(graph, containers, pass_)

    def _await(self, defined: Defined, pass_: Pass) -> None:
        """Wait for the definition. Meanwhile only the Job's own deadline counts."""
        deadline = self._object["spec"].get("activeDeadlineSeconds")
        stop = stop_of(self.control, self.started, deadline, pass_.now)
        if stop is not None:
            self.conditions.stop(stop.reason, stop.message, self.started, pass_)
            return
        defined.reconcile(pass_)
        pass_.actions.requeue_at(deadline_of(self.started, deadline))

    def _control(self, job: Object) -> Control:
        control = read_control(job["spec"])
        if control.ttl is None and self.defined is not None:
            return replace(control, ttl=self.defined.reference.get("ttlSecondsAfterFinished"))
        return control

    def _resolve(self, pass_: Pass) -> str:
        """Return the packed graph, "" while it is not known or when the Job stops before."""
        stop = self._stop(pass_.now)
        if stop is not None:
            pass_.actions.deletes.append(self._resolver.pod_name)  # also one that was asked for and has not been seen
            self.conditions.stop(stop.reason, stop.message, self.started, pass_)
            return ""
        if self._must_check(self._maker.resolve_checks(), pass_.actions):
            return ""
        packed = self._resolver.reconcile(self.control.suspend, pass_)
        if self.control.suspend and self._resolver.pod_name not in pass_.pods:
            self.conditions.on_the_way(*_SUSPENDED, pass_)
        self._look_at_deadline(pass_.actions)
        return packed

    def _accept(self, graph: Graph, containers: Mapping[str, ContainerSpec], pass_: Pass) -> None:
        assert self.spec is not None
        accepted = self.conditions.holds("Accepted", "True")
        plan = check(
            graph, self.spec, self._maker, containers, records=self._records, rerun=self._rerun, storage=self.storage,
            with_pods=not accepted,
        ).get()  # fmt: skip
        if self._must_check(plan.pod_checks, pass_.actions):
            return
        budget = output_budget(self._object, len(self._packed), [*plan.taken.names(graph), *plan.pod_groups])
        self._executor = executor_for(
            plan, graph, self.spec, self._maker, budget, self._records, self._pod_records, pass_.pods
        )
        if not accepted:
            steps = self._executor.steps
            steps.mark_all_changed()
            chosen, total = len(plan.taken.run), len(graph.ops)
            count = f"{chosen} of {total} ops" if chosen < total else f"{total} op{'s' if total != 1 else ''}"
            rest = f"; {steps.taken} taken from Job {self._rerun.name!r}" if self._rerun and steps.taken else ""
            self.conditions.accept(f"{count} will run{rest}", pass_)
            self._rerun = None

    def _must_check(self, checks: Iterable[PodCheck], actions: Actions) -> bool:
        """Request the checks that are still to be made; return whether there are any."""
        actions.check_pods = [check for check in checks if check.what not in self._checked]
        return bool(actions.check_pods)
