"""The pods of one Job: which name each has, and what it is told to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.planning import manifests, names
from podgraph.planning.actions import Settings
from podgraph.planning.manifests import JobRef, Manifest
from podgraph.planning.references import split
from podgraph.planning.spec import CodeSpec, ContainerSpec
from podgraph.planning.storage import Storage, equip, prefix
from podgraph.run_config.binding import Bound
from podgraph.runtime.protocol import Assignment, stored_below

__all__ = ["PodMaker"]


class PodMaker:
    """Makes the manifests of a Job's pods; those of steps once it was told the graph."""

    def __init__(self, ref: JobRef, settings: Settings, code: CodeSpec | None, storage: Storage | None = None) -> None:
        self.ref = ref
        self.code_map = ""
        if code is not None and not code.module:
            self.code_map = names.code_config_map(ref.name, ref.uid)
        self.containers: Mapping[str, ContainerSpec] = {}
        self._settings = settings
        self._code = code
        self._storage = storage
        self._graph: Graph | None = None
        self._bound = Bound()

    def set_graph(self, graph: Graph, bound: Bound, containers: Mapping[str, ContainerSpec]) -> None:
        """Say what the steps are, what run config gives them, and which of them run a container of their own."""
        self._graph, self._bound, self.containers = graph, bound, containers

    def name_of(self, op: str, attempt: int) -> str:
        """Return the name of the pod of one attempt at a step."""
        return names.step_pod(self.ref.name, self.ref.uid, op, attempt)

    def nonce_of(self, op: str, attempt: int) -> str:
        """Return what the record of that pod must repeat."""
        return names.nonce(self.ref.uid, op, attempt)

    def prefix_of(self, op: str, attempt: int) -> str:
        """Return the key below which that pod's large outputs go; each attempt's apart from the others'."""
        return f"{prefix(self.ref)}/{op}/{attempt}" if op else prefix(self.ref)

    def resolve_name(self, attempt: int) -> str:
        """Return the name of the pod of one attempt to learn the graph of the Job's code."""
        return names.resolve_pod(self.ref.name, self.ref.uid, attempt)

    def resolve_pod(self, attempt: int) -> Manifest:
        """Return that pod."""
        return self._python_pod(self.resolve_name(attempt), "", attempt, 0, {})

    def step_pod(self, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Manifest:
        """Return the pod of an attempt; `inputs` holds JSON texts and references, `lost` see Assignment."""
        name = self.name_of(op, attempt)
        if op in self.containers:
            return manifests.container_pod(self.ref, name, op, self.containers[op], inputs)
        return self._python_pod(name, op, attempt, lost, inputs)

    @property
    def run_name(self) -> str:
        """The name of the one pod that runs all steps."""
        return names.run_pod(self.ref.name, self.ref.uid)

    @property
    def run_nonce(self) -> str:
        """What the record and the reports of that pod must repeat."""
        return names.run_nonce(self.ref.uid)

    def run_assignment(self, group: Mapping[str, Any]) -> Assignment:
        """Return what that pod is to do."""
        assert self._code is not None
        file = "" if self._code.module else manifests.CODE_FILE
        return Assignment(
            "", self.run_nonce, self.ref.uid, file=file, module=self._code.module, job=self._code.job, group=dict(group)
        )

    def run_pod(self, assignment: Assignment) -> Manifest:
        """Return that pod."""
        return self._assigned(self.run_name, assignment)

    def shared_name(self, pod: str, attempt: int) -> str:
        """Return the name of one attempt at a pod that steps share."""
        return names.shared_pod(self.ref.name, self.ref.uid, pod, attempt)

    def shared_nonce(self, pod: str, attempt: int) -> str:
        """Return what the record and the reports of that attempt must repeat."""
        return names.shared_nonce(self.ref.uid, pod, attempt)

    def shared_prefix(self, pod: str, attempt: int, op: str, op_attempt: int) -> str:
        """Return the key below which an op in that attempt stores its large outputs; no other pod writes there."""
        return stored_below(self._shared_prefix(pod, attempt), op, op_attempt)

    def shared_assignment(self, pod: str, attempt: int, work: Mapping[str, Any]) -> Assignment:
        """Return what that attempt is to do; `work` see planning.shared_work."""
        assert self._code is not None
        assert self._graph is not None
        storage, bound = self._storage, self._bound
        for op, told in work["ops"].items():
            found = {"configured": list(bound.from_config.get(op, ())), "config": bound.configs.get(op)}
            told.update({key: value for key, value in found.items() if value not in ([], None)})
        return Assignment(
            op="",
            nonce=self.shared_nonce(pod, attempt),
            run_id=self.ref.uid,
            attempt=attempt,
            file="" if self._code.module else manifests.CODE_FILE,
            module=self._code.module,
            job=self._code.job,
            shared=dict(work),
            resources={name: config for op in work["ops"] for name, config in self._resources(op).items()},
            tags=dict(self._graph.tags),
            storage=storage.url if storage is not None else "",
            prefix=self._shared_prefix(pod, attempt) if storage is not None else "",
            keep_log=storage is not None and storage.logs,
        )

    def shared_pod(self, pod: str, attempt: int, assignment: Assignment) -> Manifest:
        """Return the pod of that attempt."""
        made = self._assigned(self.shared_name(pod, attempt), assignment)
        made["metadata"]["labels"][names.POD_LABEL] = names.label_value(pod)
        return made

    def _shared_prefix(self, pod: str, attempt: int) -> str:
        return f"{prefix(self.ref)}/@{pod}/{attempt}"  # no op can be named so

    def _python_pod(self, name: str, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Manifest:
        assert self._code is not None
        code, storage = self._code, self._storage
        values, stored = split(inputs)
        assignment = Assignment(
            op=op,
            nonce=self.nonce_of(op, attempt),
            run_id=self.ref.uid,
            attempt=attempt,
            lost=lost,
            file="" if code.module else manifests.CODE_FILE,
            module=code.module,
            job=code.job,
            inputs=values,
            configured=list(self._bound.from_config.get(op, ())),
            config=self._bound.configs.get(op),
            resources=self._resources(op),
            tags=dict(self._graph.tags) if self._graph is not None else {},
            storage=storage.url if storage is not None else "",
            prefix=self.prefix_of(op, attempt) if storage is not None else "",
            stored=stored,
            keep_log=bool(op) and storage is not None and storage.logs,
        )
        return self._assigned(name, assignment)

    def _assigned(self, name: str, assignment: Assignment) -> Manifest:
        assert self._code is not None
        pod = manifests.python_pod(self.ref, name, self._code, assignment, self._settings.runtime, self.code_map)
        if self._storage is not None:
            equip(pod, self._storage)
        return pod

    def _resources(self, op: str) -> dict[str, Any]:
        """Return the config of each resource that an op uses."""
        names_of = self._graph.ops[op].resources if op and self._graph is not None else ()
        return {name: config for name in names_of if (config := self._bound.resources.get(name)) is not None}
