"""Plans a run before its first step: which ops run, with which config. All errors of the arguments are found here."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph, Input
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.ops import check_tags
from podgraph.definition.resources import ResourceDefinition, with_dependencies
from podgraph.flow import FlowStep, is_connected
from podgraph.run_config.binding import Bound, RunConfigError, bind
from podgraph.run_config.execution import Execution, read_execution
from podgraph.run_config.schema import op_path
from podgraph.run_config.validate import Problem
from podgraph.selection import select

__all__ = ["RunPlan", "gather", "plan_run"]


@dataclass
class RunPlan:
    """A run that is ready to start: the selected ops in run order, with their config and inputs.

    `configs` and `inputs` hold values of the types of the ops; `inputs` only those that no selected op produces.
    """

    job: JobDefinition
    graph: Graph
    selected: tuple[str, ...]
    bound: Bound
    resource_defs: dict[str, ResourceDefinition]
    tags: dict[str, str]
    execution: Execution
    configs: dict[str, Any] = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)


def plan_run(
    job: JobDefinition,
    run_config: Mapping[str, Any],
    op_selection: Sequence[str] = (),
    input_values: Mapping[str, Any] | None = None,
    resources: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    default_executor: str = "in_process",
    taken: Collection[str] = (),
) -> RunPlan:
    """Check all arguments and return the plan of the run. `taken` names ops that do not run but whose outputs exist.

    Raises DefinitionError; for run config a RunConfigError with all problems.
    """
    graph, resource_defs = _with_resources(job, resources or {})
    selected = select(graph, op_selection)
    given = input_values or {}
    _check_input_values(graph, given)
    bound = bind(graph, selected, run_config, given, taken=taken)
    prepared = RunPlan(
        job, graph, selected, bound, resource_defs,
        {**graph.tags, **check_tags("the run", tags)}, read_execution(bound.execution, default_executor),
    )  # fmt: skip
    problems: list[Problem] = []
    for name, config in bound.configs.items():
        schema = job.ops[name].config_schema
        prepared.configs[name] = _read(schema, config, f"{op_path(name)}.config", problems)
    for name, config in bound.resources.items():
        if resource_defs[name].config_schema is not None and not resource_defs[name].is_fixed:
            _read(resource_defs[name].config_schema, config, f"resources.{name}.config", problems)
    for name in selected:
        if values := _own_inputs(job, graph, name, bound, given, problems):
            prepared.inputs[name] = values
    if problems:
        raise RunConfigError(problems)
    return prepared


def gather(graph: Graph, name: str, own: Mapping[str, Any], steps: Mapping[str, FlowStep]) -> dict[str, Any]:
    """Return the inputs of an op: its `own` values and the outputs of other `steps`.

    A fan-in is the list of the produced values.
    """
    inputs = dict(own)
    for item in graph.ops[name].inputs:
        if item.ordering or not is_connected(item, steps):
            continue
        values = [steps[ref.op].outputs[ref.output] for ref in item.sources if ref.output in steps[ref.op].outputs]
        inputs[item.name] = values if item.fan_in else values[0]
    return inputs


def _with_resources(job: JobDefinition, given: Mapping[str, Any]) -> tuple[Graph, dict[str, ResourceDefinition]]:
    """Return the graph and the resources of the job, with the resources in `given` replaced."""
    if not given:
        return job.graph, job.resource_defs
    for key in given:
        if key not in job.resource_defs:
            raise DefinitionError(
                "UnknownResource", f"job {job.name!r} has no resource {key!r}{nearest(key, job.resource_defs)}"
            )
    resources = with_dependencies({**job.resource_defs, **given})
    schemas = {key: "" if r.schema is None else json.dumps(r.schema) for key, r in resources.items()}
    ops = {  # a replacement may require other resources
        name: dataclasses.replace(op, resources=job.resources_of(name, resources)) if op.resources else op
        for name, op in job.graph.ops.items()
    }
    return dataclasses.replace(job.graph, ops=ops, resources=schemas), resources


def _check_input_values(graph: Graph, given: Mapping[str, Any]) -> None:
    known = {item.job_input for op in graph.ops.values() for item in op.inputs if item.job_input} if given else ()
    for name in given:
        if name not in known:
            raise DefinitionError("UnknownInput", f"job {graph.name!r} has no input {name!r}{nearest(name, known)}")


def _own_inputs(
    job: JobDefinition, graph: Graph, name: str, bound: Bound, given: Mapping[str, Any], problems: list[Problem]
) -> dict[str, Any]:
    texts = bound.inputs.get(name)
    values = {key: json.loads(text) for key, text in texts.items()} if texts else {}
    for key in bound.from_config.get(name, ()):
        hint = job.ops[name].input_hints.get(key, Any)
        values[key] = _read(hint, values[key], f"{op_path(name)}.inputs.{key}", problems, any_type=True)
    if given:
        values.update({i.name: given[i.job_input] for i in graph.ops[name].inputs if _is_given(i, given)})
    return values


def _is_given(item: Input, given: Mapping[str, Any]) -> bool:
    return item.job_input in given and not item.ordering


def _read(hint: Any, value: Any, path: str, problems: list[Problem], any_type: bool = False) -> Any:
    """Return a value converted to its type; add its problems to `problems`."""
    try:
        return read_config(hint, value)
    except ConfigError as error:
        problems += [Problem(path + inner, f"{path}{inner}: {text}") for inner, text in error.problems]
    except DefinitionError:
        if not any_type:  # config cannot represent the type of this input: the type check of the op reports it
            raise
    return value
