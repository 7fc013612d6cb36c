"""The pods of one Job: which name each has, and what it is told to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.planning import manifests, names
from podgraph.planning.actions import Settings
from podgraph.planning.manifests import JobRef, Manifest
from podgraph.planning.references import split
from podgraph.planning.spec import CodeSpec, ContainerSpec
from podgraph.planning.storage import Storage, equip, prefix
from podgraph.planning.templates import JOB_TEMPLATE, PodCheck, Templates
from podgraph.run_config.binding import Bound
from podgraph.runtime.protocol import Assignment

__all__ = ["PodMaker"]


class PodMaker:
    """Makes the manifests of a Job's pods; those of steps once it was told the graph."""

    def __init__(
        self, ref: JobRef, settings: Settings, code: CodeSpec | None, storage: Storage | None = None,
        templates: Templates | None = None, tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.ref = ref
        self.code_map = ""
        if code is not None and not code.module:
            self.code_map = names.code_config_map(ref.name, ref.uid)
        self.containers: Mapping[str, ContainerSpec] = {}
        self._settings = settings
        self._code = code
        self._storage = storage
        self._templates = templates or Templates()
        self._tags = dict(tags or {})
        self._graph: Graph | None = None
        self._bound = Bound()

    def set_graph(self, graph: Graph, bound: Bound, containers: Mapping[str, ContainerSpec]) -> None:
        """Say what the steps are, what run config gives them, and which of them run a container of their own."""
        self._graph, self._bound, self.containers = graph, bound, containers
        self._templates.set_ops({name: op.pod_template for name, op in graph.ops.items()}, bound.pods, containers)

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
        return self._stored(self._templates.on_helper(self._python_pod(self.resolve_name(attempt), "", attempt, 0, {})))

    def step_pod(self, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Manifest:
        """Return the pod of an attempt; `inputs` holds JSON texts and references, `lost` see Assignment."""
        name = self.name_of(op, attempt)
        if op in self.containers:
            pod = manifests.container_pod(self.ref, name, op, self.containers[op], inputs)
            return self._templates.on_step(pod, op)
        return self._stored(self._templates.on_step(self._python_pod(name, op, attempt, lost, inputs), op))

    def resolve_checks(self) -> list[PodCheck]:
        """Return what the API server is to be asked before there is a resolve pod."""
        if not self._templates.has_job:
            return []
        return [PodCheck(f"the pods of the job with {JOB_TEMPLATE}", self.resolve_pod(1))]

    def step_checks(self, selected: Iterable[str]) -> list[PodCheck]:
        """Return what the API server is to be asked before the first step: one pod for all of which the same is said.

        What :meth:`resolve_checks` asks is not asked again. Raises DefinitionError for what a template cannot touch.
        """
        assert self._graph is not None
        asked: set[tuple[str, str]] = {("", "")} if self._code is not None else set()
        checks = []
        for op in selected:
            kind = self._templates.kind_of(op)
            if kind is None:
                continue
            pod = self.step_pod(op, 1, 0, {i.name: "null" for i in self._graph.ops[op].inputs if not i.ordering})
            if kind not in asked:
                asked.add(kind)
                checks.append(PodCheck(self._templates.wishes_of(op), pod))
        return checks

    def refuse_overrides(self) -> None:
        """Refuse what run config says of the pods of single ops: one pod runs all steps."""
        self._templates.refuse_overrides()

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
        return self._stored(self._templates.on_run(self._assigned(self.run_name, assignment)))

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
            tags={**(self._graph.tags if self._graph is not None else {}), **self._tags},
            storage=storage.url if storage is not None else "",
            prefix=self.prefix_of(op, attempt) if storage is not None else "",
            stored=stored,
            keep_log=bool(op) and storage is not None and storage.logs,
        )
        return self._assigned(name, assignment)

    def _assigned(self, name: str, assignment: Assignment) -> Manifest:
        assert self._code is not None
        return manifests.python_pod(self.ref, name, self._code, assignment, self._settings.runtime, self.code_map)

    def _stored(self, pod: Manifest) -> Manifest:
        """Give a pod what it needs for the storage, whatever templates say."""
        if self._storage is not None:
            equip(pod, self._storage)
        return pod

    def _resources(self, op: str) -> dict[str, Any]:
        """Return the config of each resource that an op uses."""
        names_of = self._graph.ops[op].resources if op and self._graph is not None else ()
        return {name: config for name in names_of if (config := self._bound.resources.get(name)) is not None}
