"""The pods of one Job: which name each has, and what it is told to do."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from podgraph.definition.graph import Graph
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests import shell_runner
from podgraph.planning.manifests.keys import key_secret, script_tokens
from podgraph.planning.manifests.multi_container import join
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_template import JOB_TEMPLATE, PodCheck, Templates
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage, equip, prefix
from podgraph.planning.model import names
from podgraph.planning.model.spec import CodeSpec, ContainerSpec
from podgraph.planning.model.value_refs import split
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, stored_below
from podgraph.run_config.binding import Bound

__all__ = ["PodFactory"]

TURN_SECONDS = 30 * 86_400
"""How long a container waits at most for its turn in a pod that others share."""


class PodFactory:
    """Makes the manifests of a Job's pods; those of steps once it was told the graph."""

    def __init__(
        self, ref: JobRef, settings: Settings, code: CodeSpec | None, storage: Storage | None = None,
        templates: Templates | None = None, tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.ref = ref
        self.code_map = ""
        if code is not None and not code.module:
            self.code_map = names.code_config_map(ref.name, ref.key)
        self.containers: Mapping[str, ContainerSpec] = {}
        self._settings = settings
        self._key = settings.keys.of(ref.uid) if settings.keys is not None else None
        self.pod_key = self._key.pod if self._key is not None else b""
        """What the Job's Python pods sign with."""
        self._secret = names.key_secret(ref.name, self._key.name) if self._key is not None else ""
        self._code = code
        self._storage = storage
        self._templates = templates or Templates()
        self._tags = dict(tags or {})
        self._graph: Graph | None = None
        self._bound = Bound()
        self._names: dict[tuple[str, int, int], str] = {}

    def set_graph(self, graph: Graph, bound: Bound, containers: Mapping[str, ContainerSpec]) -> None:
        """Say what the steps are, what run config gives them, and which of them run a container of their own."""
        self._graph, self._bound, self.containers = graph, bound, containers
        self._templates.set_ops({name: op.pod_template for name, op in graph.ops.items()}, bound.pods, containers)

    def name_of(self, op: str, attempt: int, released: int = 0) -> str:
        """Return the name of the pod of one attempt at a step, after `released` that were started ahead for nothing."""
        name = self._names.get((op, attempt, released))
        if name is None:  # to make one costs as much as all else that is decided of a step
            name = names.step_pod(self.ref.name, self.ref.uid, op, attempt, released)
            self._names[op, attempt, released] = name
        return name

    def key_secret(self) -> Manifest | None:
        """Return the Secret with what the Job's pods sign with; None when it has only pods that sign nothing."""
        if self._key is None:
            return None
        tokens = script_tokens(self._key, self.containers)
        python = self._code is not None
        return key_secret(self.ref, self._key, python, tokens) if python or tokens else None

    def signer_of(self, op: str, attempt: int) -> Signer:
        """Return what reads the lines of that pod."""
        return Signer(self._nonce_of(op, attempt), self.pod_key)

    def token_of(self, op: str, attempt: int) -> str:
        """Return what the lines of a script op repeat in that attempt."""
        return self._key.token(op, attempt) if self._key is not None else self._nonce_of(op, attempt)

    def _nonce_of(self, op: str, attempt: int) -> str:
        return names.nonce(self.ref.key, op, attempt)

    def prefix_of(self, op: str, attempt: int) -> str:
        """Return the key below which that pod's large outputs go; each attempt's apart from the others'."""
        return f"{prefix(self.ref)}/{op}/{attempt}" if op else prefix(self.ref)

    def resolve_name(self, attempt: int) -> str:
        """Return the name of the pod of one attempt to learn the graph of the Job's code."""
        name = self._names.get(("", attempt, 0))
        if name is None:
            name = self._names["", attempt, 0] = names.resolve_pod(self.ref.name, self.ref.key, attempt)
        return name

    def resolve_pod(self, attempt: int, stay: int = 0) -> Manifest:
        """Return that pod; when it has told the graph it waits for so many seconds for a step to do (see first_pod)."""
        assignment = self._resolve_assignment(attempt)
        if stay:
            logs = self._storage is not None and self._storage.logs
            assignment = replace(assignment, ahead=stay, keep_log=logs)
        pod = self._stored(self._templates.on_helper(self._assigned(self.resolve_name(attempt), assignment)))
        if stay:
            pod["metadata"]["labels"][names.AHEAD_LABEL] = names.WAITING
        return pod

    def resolve_end(self, attempt: int) -> dict[str, str]:
        """Return the annotation that tells that pod to end, as it has told the graph."""
        return {names.ASSIGNMENT: self._resolve_assignment(attempt).to_text()}

    def can_take_over(self, op: str) -> bool:
        """Whether a step's pod is made as the one that reads the code is, so that this may become it."""
        return op not in self.containers and self._templates.is_plain(op)

    @property
    def is_queued(self) -> bool:
        """Whether the pods of steps wait in a queue until there is a quota for them; the resolve pod never does."""
        return self._templates.is_queued

    def step_pod(self, name: str, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Manifest:
        """Return the pod of an attempt; `inputs` holds JSON texts and references, `lost` see Assignment."""
        if op in self.containers:
            pod = manifests.container_pod(self.ref, name, op, self.containers[op], inputs, self._entry(op, attempt))
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
            inputs = {item.name: "null" for item in self._graph.ops[op].inputs if not item.ordering}
            pod = self.step_pod(self.name_of(op, 1), op, 1, 0, inputs)
            if kind not in asked:
                asked.add(kind)
                checks.append(PodCheck(self._templates.wishes_of(op), pod))
        return checks

    def refuse_overrides(self) -> None:
        """Refuse what run config says of the pods of single ops: one pod runs all steps."""
        self._templates.refuse_overrides()

    def tells(self, op: str) -> bool:
        """Whether a step's pod tells its result in its log: Python ops do, and scripts for a shell."""
        return op not in self.containers or shell_runner.is_shell(self.containers[op])

    def can_wait(self, op: str) -> bool:
        """Whether a step's pod can be started before its inputs exist.

        Those cannot whose container is not ours to begin, or for which Kubernetes puts inputs into args or variables;
        and none may that has its place in a queue (Kueue), where it would take the place of one that can run.
        """
        if self._templates.is_queued:
            return False
        spec = self.containers.get(op)
        if spec is None:
            return True
        texts = (*spec.args, *(value for _, value in spec.env))
        return shell_runner.is_shell(spec) and not any("$(INPUT_" in text for text in texts)

    def waiting_pod(self, name: str, op: str, attempt: int, seconds: int) -> Manifest:
        """Return the pod of an attempt that waits for what it is to do, for at most so many seconds."""
        if op in self.containers:
            entry = self._entry(op, attempt)
            pod = manifests.container_pod(self.ref, name, op, self.containers[op], {}, entry, seconds)
            pod = self._templates.on_step(pod, op)
        else:
            pod = self._assigned(name, replace(self._assignment(op, attempt, 0, {}), ahead=seconds))
            pod = self._stored(self._templates.on_step(pod, op))
        pod["metadata"]["labels"][names.AHEAD_LABEL] = names.WAITING
        return pod

    def assignment(self, name: str, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> dict[str, str]:
        """Return the annotation that tells the waiting pod of this name what to do."""
        if op in self.containers:
            return {names.INPUTS: shell_runner.exports(manifests.input_texts(inputs))}
        return {names.ASSIGNMENT: self._invited(name, self._assignment(op, attempt, lost, inputs)).to_text()}

    @property
    def run_name(self) -> str:
        """The name of the one pod that runs all steps."""
        return names.run_pod(self.ref.name, self.ref.uid)

    @property
    def run_signer(self) -> Signer:
        """What reads the record and the reports of that pod."""
        return Signer(names.run_nonce(self.ref.uid), self.pod_key)

    def run_assignment(self, group: Mapping[str, Any]) -> Assignment:
        """Return what that pod is to do."""
        assert self._code is not None
        file = "" if self._code.module else manifests.CODE_FILE
        return Assignment(
            "",
            self.run_signer.nonce,
            self.ref.uid,
            file=file,
            module=self._code.module,
            job=self._code.job,
            group=dict(group),
        )

    def run_pod(self, assignment: Assignment) -> Manifest:
        """Return that pod."""
        return self._stored(self._templates.on_run(self._assigned(self.run_name, assignment)))

    def shared_name(self, pod: str, attempt: int) -> str:
        """Return the name of one attempt at a pod that steps share."""
        return names.shared_pod(self.ref.name, self.ref.uid, pod, attempt)

    def shared_signer(self, pod: str, attempt: int) -> Signer:
        """Return what reads the record and the reports of that attempt."""
        return Signer(names.shared_nonce(self.ref.uid, pod, attempt), self.pod_key)

    def shared_prefix(self, pod: str, attempt: int, op: str, op_attempt: int) -> str:
        """Return the key below which an op in that attempt stores its large outputs; no other pod writes there."""
        return stored_below(self._shared_prefix(pod, attempt), op, op_attempt)

    def shared_assignment(self, pod: str, attempt: int, work: Mapping[str, Any]) -> Assignment:
        """Return what that attempt is to do; `work` see planning.groups.assignment."""
        assert self._code is not None
        assert self._graph is not None
        storage, bound = self._storage, self._bound
        for op, told in work["ops"].items():
            found = {"configured": list(bound.from_config.get(op, ())), "config": bound.configs.get(op)}
            told.update({key: value for key, value in found.items() if value not in ([], None)})
        return Assignment(
            op="",
            nonce=self.shared_signer(pod, attempt).nonce,
            run_id=self.ref.uid,
            attempt=attempt,
            file="" if self._code.module else manifests.CODE_FILE,
            module=self._code.module,
            job=self._code.job,
            shared=dict(work),
            resources={name: config for op in work["ops"] for name, config in self._resources(op).items()},
            tags={**self._graph.tags, **self._tags},
            storage=storage.url if storage is not None else "",
            prefix=self._shared_prefix(pod, attempt) if storage is not None else "",
            keep_log=storage is not None and storage.logs,
        )

    def shared_pod(self, pod: str, attempt: int, assignment: Assignment) -> Manifest:
        """Return the pod of that attempt."""
        made = self._assigned(self.shared_name(pod, attempt), assignment)
        made["metadata"]["labels"][names.POD_LABEL] = names.label_value(pod)
        return self._stored(self._templates.on_run(made))

    def joined_pod(self, pod: str, attempt: int, attempts: Mapping[str, int], numbers: Mapping[str, int]) -> Manifest:
        """Return the pod that container ops share: what attempt it is at each, and each op's number in the pod.

        Raises DefinitionError where they cannot share one.
        """
        singles = {}
        for op, number in attempts.items():
            entry = self._entry(op, number)
            single = manifests.container_pod(self.ref, "", op, self.containers[op], {}, entry, TURN_SECONDS)
            singles[op] = (numbers[op], self._templates.on_step(single, op))
        return join(pod, self.shared_name(pod, attempt), singles)

    def joined_checks(self, sharing: Mapping[str, Sequence[str]]) -> list[PodCheck]:
        """Return what the API server is to be asked of pods that container ops share. Raises DefinitionError."""
        checks = []
        for pod, members in sharing.items():
            attempts = dict.fromkeys(members, 1)
            made = self.joined_pod(pod, 1, attempts, {op: at for at, op in enumerate(members)})
            if any(self._templates.kind_of(op) for op in members):
                checks.append(PodCheck(f"pod {pod!r} with the settings of its ops", made))
        return checks

    def turn(self, op: str, inputs: Mapping[str, str], limit: float | None) -> str:
        """Return what an op's container in a shared pod is told when its turn has come; `limit` is in seconds."""
        return shell_runner.exports(manifests.input_texts(inputs), limit)

    def _shared_prefix(self, pod: str, attempt: int) -> str:
        return f"{prefix(self.ref)}/@{pod}/{attempt}"  # no op can be named so

    def _entry(self, op: str, attempt: int) -> tuple[str, str]:
        """Return the Secret, and the entry in it, with the token of an attempt at a script op."""
        return self._secret, names.token_entry(op, attempt)

    def _python_pod(self, name: str, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Manifest:
        return self._assigned(name, self._assignment(op, attempt, lost, inputs))

    def _resolve_assignment(self, attempt: int) -> Assignment:
        return self._assignment("", attempt, 0, {})

    def _assignment(self, op: str, attempt: int, lost: int, inputs: Mapping[str, str]) -> Assignment:
        assert self._code is not None
        code, storage = self._code, self._storage
        values, stored = split(inputs)
        return Assignment(
            op=op,
            nonce=self._nonce_of(op, attempt),
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

    def _assigned(self, name: str, assignment: Assignment) -> Manifest:
        assert self._code is not None
        invited = self._invited(name, assignment)
        runtime = self._settings.runtime
        return manifests.python_pod(self.ref, name, self._code, invited, runtime, self.code_map, self._secret)

    def _invited(self, name: str, assignment: Assignment) -> Assignment:
        """Tell the pod of this name, too, where it reaches the operator."""
        if self._settings.invitation is None:
            return assignment
        return replace(assignment, link=self._settings.invitation.credential_for(self.ref.uid, name))

    def _stored(self, pod: Manifest) -> Manifest:
        """Give a pod what it needs for the storage, whatever templates say."""
        if self._storage is not None:
            equip(pod, self._storage)
        return pod

    def _resources(self, op: str) -> dict[str, Any]:
        """Return the config of each resource that an op uses."""
        names_of = self._graph.ops[op].resources if op and self._graph is not None else ()
        return {name: config for name in names_of if (config := self._bound.resources.get(name)) is not None}
