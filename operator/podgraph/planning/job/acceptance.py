"""What makes a job acceptable: one rule for Jobs, JobDefinitions, the command line and the Launchpad.

The operator runs this check before a Job has a step. Everybody who lets a user write a job runs the same check earlier,
so that nothing is accepted in one place and refused in another.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.groups.steps import Sharing, sharing_of
from podgraph.planning.job.rerun_of import Rerun, Taken, taken_before
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.pod_template import PodCheck, Templates
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.shell_runner import in_shared_pod
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.execution import one_pod_section
from podgraph.planning.model.limits import check_ops
from podgraph.planning.model.spec import ContainerSpec, JobSpec, graph_of_ops, read_spec
from podgraph.planning.model.status import StepRecord
from podgraph.planning.steps.admission import check_priorities
from podgraph.run_config.binding import Bound, RunConfigError, bind
from podgraph.selection import select

__all__ = ["Plan", "Verdict", "check", "check_spec"]

Object = Mapping[str, Any]

_ANY_NAME = "job"


@dataclass(frozen=True)
class Plan:
    """How an accepted job runs.

    `taken` says which steps run and which results come from an earlier Job; `bound` holds what run config gives them.
    `containers` says what container and script ops run. `one_pod` is the `execution` section for the pod that runs all
    steps, empty when steps have pods of their own; `pod_groups` lists the steps that share a pod. The API server has
    still to be asked whether it would take `pod_checks`.
    """

    graph: Graph
    taken: Taken
    bound: Bound
    containers: Mapping[str, ContainerSpec] = field(default_factory=dict)
    one_pod: Mapping[str, Any] = field(default_factory=dict)
    pod_groups: Sharing = field(default_factory=dict)
    pod_checks: tuple[PodCheck, ...] = ()


@dataclass(frozen=True)
class Verdict:
    """The answer of :func:`check`: a plan, or all that is wrong, in the order in which the rules apply."""

    plan: Plan | None
    errors: tuple[DefinitionError, ...] = ()

    def raise_errors(self) -> None:
        """Raise DefinitionError if anything is wrong; several errors become one with all their messages."""
        if len(self.errors) == 1:
            raise self.errors[0]
        if self.errors:
            text = "; ".join(error.message for error in self.errors)
            raise DefinitionError(self.errors[0].reason, text)

    def get(self) -> Plan:
        """Return the plan. Raises DefinitionError, see :meth:`raise_errors`."""
        self.raise_errors()
        assert self.plan is not None
        return self.plan


def check(
    graph: Graph,
    spec: JobSpec,
    maker: PodFactory,
    containers: Mapping[str, ContainerSpec] | None = None,
    *,
    records: Mapping[str, StepRecord] | None = None,
    rerun: Rerun | None = None,
    storage: Storage | None = None,
    may_lack_config: bool = False,
    with_pods: bool = True,
) -> Verdict:
    """Check a graph against a spec; `containers` says what its container ops run, and `maker` makes its pods.

    `records` are the steps of a Job that was accepted before, `rerun` is a rerun that is not. With `may_lack_config`
    missing run config is no error, because the Jobs of a definition may give it. Without `with_pods` the pods are not
    tried: they were when the Job was accepted.
    """
    errors: list[DefinitionError] = []
    given, containers = spec.run_config, containers or {}
    try:
        check_ops(graph)
        selected: Sequence[str] = select(graph, spec.selection)
        taken = taken_before(graph, selected, records or {})
        if rerun is not None:
            taken = rerun.take(graph, selected, storage)
    except DefinitionError as error:
        return Verdict(None, (error,))
    section = one_pod_section(spec.execution, given)
    bound, groups = Bound(), dict[str, tuple[str, ...]]()
    with _collecting(errors):
        check_priorities(graph.ops[name] for name in selected)
    try:
        bound = bind(graph, taken.run, given, taken=taken.records)
    except RunConfigError as error:
        wrong = [problem for problem in error.problems if not (may_lack_config and problem.missing)]
        if wrong:
            errors.append(error if len(wrong) == len(error.problems) else RunConfigError(wrong))
    except DefinitionError as error:
        errors.append(error)
    with _collecting(errors):
        groups = {} if section else dict(sharing_of(graph, taken.run))
    shared = {op: pod for pod, members in groups.items() for op in members}
    pods: tuple[PodCheck, ...] = ()
    with _collecting(errors):
        containers = {op: in_shared_pod(op, c, shared[op]) if op in shared else c for op, c in containers.items()}
        maker.set_graph(graph, bound, containers)
        if section:
            maker.refuse_overrides()
        elif with_pods:
            pods = tuple(_pod_checks(maker, taken.run, groups, containers))
    if errors:
        return Verdict(None, tuple(errors))
    return Verdict(Plan(graph, taken, bound, containers, section, groups, pods))


def check_spec(spec: Object, graph: Graph | None, *, may_lack_config: bool = False) -> Verdict:
    """Check a spec as it stands in a Job or JobDefinition, before the cluster has seen it.

    `graph` is that of its Python code, None while it is not known: then only the spec itself is checked. Neither the
    cluster's storage nor a Job that `rerunOf` names is looked at.
    """
    try:
        read = read_spec(spec, _ANY_NAME)
        containers: Mapping[str, ContainerSpec] = {}
        if read.code is None:
            graph, containers = graph_of_ops(_ANY_NAME, read.ops or ())
    except DefinitionError as error:
        return Verdict(None, (error,))
    if graph is None:
        return Verdict(None)
    ref = JobRef(_ANY_NAME, _ANY_NAME, _ANY_NAME)
    maker = PodFactory(ref, Settings(_ANY_NAME, _ANY_NAME), read.code, None, Templates(read.pod_template), read.tags)
    return check(graph, read, maker, containers, may_lack_config=may_lack_config)


def _pod_checks(
    maker: PodFactory, run: Iterable[str], groups: Sharing, containers: Mapping[str, ContainerSpec]
) -> list[PodCheck]:
    shared = {op for members in groups.values() for op in members}
    checks = maker.step_checks(op for op in run if op not in shared or not containers)
    return checks + (maker.joined_checks(groups) if containers else [])


@contextlib.contextmanager
def _collecting(errors: list[DefinitionError]) -> Iterator[None]:
    """Collect a DefinitionError of the block instead of raising it."""
    try:
        yield
    except DefinitionError as error:
        errors.append(error)
