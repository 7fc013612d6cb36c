"""Binds run config: checks it and decides the source of each input of each selected op before anything runs."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op
from podgraph.definition.values import NotJsonError, to_json
from podgraph.run_config.budget import is_deeper
from podgraph.run_config.schema import SECTIONS, needed_resources, op_path, run_config_schema, takes_config
from podgraph.run_config.validate import Problem, problems

__all__ = ["Bound", "RunConfigError", "Values", "bind", "merge"]

Values = dict[str, dict[str, str]]

_MOST_TOLD = 50  # problems in one message; a job may have thousands of ops
_LONGEST = 1_000  # characters of one problem in a message
_LONGEST_EXAMPLE = 10_000
_DEEPEST = 100  # levels of run config
_CHOICES = (".execution.config", ".execution.config.multiprocess.start_method")


class RunConfigError(DefinitionError):
    """Run config is not valid; `problems` holds all problems, each with its path."""

    def __init__(self, found: Iterable[Problem]) -> None:
        self.problems = tuple(found)
        texts = [_cut(problem.message) for problem in self.problems[:_MOST_TOLD]]
        count = len(self.problems)
        head = "run config: " if count == 1 else f"run config has {count} problems: "
        if count > 1:
            texts = [f"{number}) {text}" for number, text in enumerate(texts, 1)]
        if count > _MOST_TOLD:
            texts.append(f"and {count - _MOST_TOLD} more")
        example = json.dumps(self.example, ensure_ascii=False) if self.example else ""
        tail = f"; for example: {example}" if 0 < len(example) <= _LONGEST_EXAMPLE else ""
        super().__init__("InvalidRunConfig", head + "; ".join(texts) + tail)

    @cached_property
    def example(self) -> dict[str, Any]:
        """Run config with an example of each missing value (of the first ones), and nothing else."""
        whole: dict[str, Any] = {}
        for problem in self.problems[:_MOST_TOLD]:
            if problem.missing and "[" not in problem.path:  # an item of a list has no example
                *parents, last = problem.path.split(".")
                level = whole
                for name in parents:
                    level = level.setdefault(name, {})
                level[last] = problem.example
        return whole


@dataclass(frozen=True)
class Bound:
    """The values that run config, literals and defaults set for a run.

    `inputs` holds, by op and input, the JSON text of each value that no selected op produces. `from_config` names, by
    op, the inputs among them that run config sets. `configs` holds the config of each selected op that takes one (None
    if it is not set), `resources` the config of each resource in use, `execution` the section of this name, and `pods`
    the pod settings of selected ops.
    """

    inputs: Values = field(default_factory=dict)
    from_config: dict[str, tuple[str, ...]] = field(default_factory=dict)
    configs: dict[str, Any] = field(default_factory=dict)
    resources: dict[str, Any] = field(default_factory=dict)
    execution: Mapping[str, Any] = field(default_factory=dict)
    pods: dict[str, Any] = field(default_factory=dict)


def bind(
    graph: Graph, selected: Iterable[str], run_config: Mapping[str, Any] | None = None, given: Collection[str] = (),
    sections: Collection[str] = SECTIONS, taken: Collection[str] = (),
) -> Bound:  # fmt: skip
    """Check run config for the `selected` ops and return the values that it sets.

    The default run config of the job is merged below it, limited to the `sections`. The result omits an input whose
    source op is selected (its value comes at run time), an input whose default only its function knows, and an input
    from a job input in `given`. An input connected to ops that are not selected uses run config, else its default (as
    in Dagster). `taken` names ops that do not run but whose outputs exist.

    Raises RunConfigError with all problems, and DefinitionError (`PartialFanIn`) if only some of the ops of a fan-in
    are selected (Dagster would run with the values that exist and silently return another result).
    """
    if is_deeper(run_config, _DEEPEST):
        raise RunConfigError([Problem("", f"it is nested deeper than {_DEEPEST} levels")])
    chosen = dict.fromkeys(selected)
    giving = {*chosen, *taken}
    _check_fan_ins(graph, chosen, giving)
    found: list[Problem] = []
    own = json.loads(graph.run_config or "{}")
    default = {key: own[key] for key in sections if key in own}
    if "inputs" in default:
        default["inputs"] = {key: value for key, value in default["inputs"].items() if key not in given}
    config = _nested(merge(default, {} if run_config is None else run_config), found)
    refused = list(_refused(graph, chosen, giving, config))
    found += refused
    schema = run_config_schema(graph, chosen, given, sections, True, taken)
    paths = {problem.path for problem in refused}
    found += [problem for problem in problems(schema, config, "") if problem.path not in paths]
    if found:
        raise RunConfigError(found)
    bound = Bound(execution=config.get("execution") or {})
    for key in needed_resources(graph, chosen):
        bound.resources[key] = _entry(config.get("resources"), key).get("config")
    for name in chosen:
        op, entry = graph.ops[name], _op_entry(config, name)
        if op.config:
            bound.configs[name] = entry.get("config")
        if entry.get("pod"):
            bound.pods[name] = entry["pod"]
        if op.inputs:
            _bind_inputs(op, giving, entry, config.get("inputs") or {}, bound, found)
    if found:
        raise RunConfigError(found)
    return bound


def merge(below: Any, above: Any, path: str = "") -> Any:
    """Merge one run config over another: mappings are merged, any other value of `above` replaces that of `below`.

    An executor or a start method in `above` replaces another one in `below` together with its settings. `path` is the
    place of both in run config.

    >>> merge({"ops": {"a": {"config": 1}}}, {"ops": {"b": {"config": 2}}})
    {'ops': {'a': {'config': 1}, 'b': {'config': 2}}}
    """
    if not isinstance(below, Mapping) or not isinstance(above, Mapping):
        return above
    if path in _CHOICES and above and set(above) != set(below):
        return above
    merged = dict(below)
    for key, value in above.items():
        merged[key] = merge(below[key], value, f"{path}.{key}") if key in below else value
    return merged


def _check_fan_ins(graph: Graph, chosen: Collection[str], giving: Collection[str]) -> None:
    for name in chosen:
        for item in graph.ops[name].inputs:
            if item.ordering or len(item.sources) < 2:
                continue
            out = sorted({ref.op for ref in item.sources if ref.op not in giving})
            if out and len(out) < len({ref.op for ref in item.sources}):
                raise DefinitionError(
                    "PartialFanIn",
                    f"input {item.name!r} of op {name!r} takes a list from several ops, of which {', '.join(out)} are "
                    "not selected; select all of them or none",
                )


def _nested(config: Any, found: list[Problem]) -> Any:
    """Return run config with dotted op paths expanded to nested mappings, and without empty sections."""
    if not isinstance(config, Mapping):
        return config
    tidy = {key: value for key, value in config.items() if value is not None or key not in SECTIONS}
    if "inputs" in tidy:
        tidy["inputs"] = _bare(tidy["inputs"])
    if isinstance(tidy.get("ops"), Mapping):
        tidy["ops"] = _nested_ops(tidy["ops"], "ops", found)
    return tidy


def _nested_ops(level: Mapping[str, Any], where: str, found: list[Problem]) -> dict[Any, Any]:
    made: dict[Any, Any] = {}
    for name, entry in level.items():
        value = entry
        if isinstance(entry, Mapping):
            value = {k: v for k, v in entry.items() if v is not None or k not in ("config", "inputs", "ops", "pod")}
            if "inputs" in value:
                value["inputs"] = _bare(value["inputs"])
            if isinstance(value.get("ops"), Mapping):
                value["ops"] = _nested_ops(value["ops"], f"{where}.{name}.ops", found)
        elif entry is None:
            value = {}
        key = name
        if isinstance(name, str):
            *graphs, key = name.split(".")
            inner = made
            for graph in graphs:
                opened = inner.setdefault(graph, {})
                inner = opened.setdefault("ops", {}) if isinstance(opened, dict) else {}
        else:
            inner = made
        both = inner.get(key)
        if isinstance(both, dict) and isinstance(value, dict) and not set(both) & set(value):
            value = {**both, **value}
        elif key in inner:
            found.append(Problem(f"{where}.{name}", f"{where}.{name} is set twice; set it once"))
        inner[key] = value
    return made


def _refused(graph: Graph, chosen: Collection[str], giving: Collection[str], config: Any) -> Iterable[Problem]:
    """Yield a problem for each input that exists but that run config must not set, with the reason."""
    if not isinstance(config, Mapping):
        return
    for path, inputs in _set_inputs(config.get("ops"), "", "ops"):
        if path[0] not in chosen:
            continue
        for item in graph.ops[path[0]].inputs:
            if item.name in inputs and not takes_config(item, giving):
                where = f"{path[1]}.inputs.{item.name}"
                yield Problem(where, f"{where} {_why_not(item, giving)}", extra=True)


def _set_inputs(level: Any, prefix: str, where: str) -> Iterable[tuple[tuple[str, str], Mapping[str, Any]]]:
    for name, entry in level.items() if isinstance(level, Mapping) else ():
        if not isinstance(entry, Mapping):
            continue
        if isinstance(entry.get("inputs"), Mapping):
            yield (f"{prefix}{name}", f"{where}.{name}"), entry["inputs"]
        yield from _set_inputs(entry.get("ops"), f"{prefix}{name}.", f"{where}.{name}.ops")


def _why_not(item: Input, giving: Collection[str]) -> str:
    if item.ordering:
        return "only waits and does not take a value; remove it"
    if item.job_input:
        return f"gets its value from the job's input {item.job_input!r}; set inputs.{item.job_input} instead"
    if item.literal is not None:
        return "is set by the job itself; remove it"
    return f"gets its value from op {next(ref.op for ref in item.sources if ref.op in giving)!r}; remove it"


def _bind_inputs(
    op: Op, giving: Collection[str], entry: Mapping[str, Any], job_inputs: Mapping[str, Any], bound: Bound,
    found: list[Problem],
) -> None:  # fmt: skip
    values: dict[str, str] = {}
    configured: list[str] = []
    own = entry.get("inputs") or {}
    for item in op.inputs:
        text: str | None = item.literal if item.literal is not None else item.default
        place, given = f"{op_path(op.name)}.inputs.{item.name}", own
        key = item.name
        if item.job_input:
            place, given, key = f"inputs.{item.job_input}", job_inputs, item.job_input
        if item.ordering or any(ref.op in giving for ref in item.sources):
            continue
        if key in given:
            configured.append(item.name)
            try:
                text = to_json(given[key])
            except NotJsonError as error:
                found.append(Problem(place, f"{place} must be a JSON value, not {error}"))
        if text is not None:
            values[item.name] = text
    if values:
        bound.inputs[op.name] = values
    if configured:
        bound.from_config[op.name] = tuple(configured)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _bare(inputs: Any) -> Any:
    """Return input values without the optional `{value: ...}` around each (Dagster's other form)."""
    if not isinstance(inputs, Mapping):
        return inputs
    return {
        key: value["value"] if isinstance(value, Mapping) and list(value) == ["value"] else value
        for key, value in inputs.items()
    }


def _op_entry(config: Mapping[str, Any], path: str) -> Mapping[str, Any]:
    level: Mapping[str, Any] = config
    for name in path.split("."):
        level = _entry(level.get("ops"), name)
        if not level:
            return {}
    return level


def _entry(section: Any, key: str) -> Mapping[str, Any]:
    return (section or {}).get(key) or {}
