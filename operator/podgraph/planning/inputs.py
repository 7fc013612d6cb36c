"""Bind run config: decide where each input of each selected op gets its value, before anything runs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph, Input, Op
from podgraph.definition.values import NotJsonError, to_json

__all__ = ["bind_inputs", "is_connected", "read_run_config"]

Values = dict[str, dict[str, str]]

_EXAMPLES = {"int": 0, "float": 0.0, "str": "text", "bool": True, "list": [], "dict": {}}


def bind_inputs(graph: Graph, selected: Iterable[str], run_config: Mapping[str, Any]) -> Values:
    """Return, by op and input, the JSON text of each value that no selected op will give.

    An input whose source op is selected is left out: its value comes at run time. So is one that falls back on a
    default only its function knows. An input connected to ops that are not selected takes run config, else its
    default (as in Dagster).

    Raises DefinitionError: `PartialFanIn` when only some of a fan-in's ops are selected (Dagster would run on what is
    there and give another result without a word), `InvalidRunConfig`, `UnknownOp`, and `MissingInput` with an
    example of the config that is missing.
    """
    chosen = dict.fromkeys(selected)
    config = read_run_config(graph, run_config)
    values: Values = {}
    missing: list[tuple[Op, Input]] = []
    for name in chosen:
        op = graph.ops[name]
        known = {item.name: item for item in op.inputs}
        given = dict(config.get(name, {}))
        for item in op.inputs:
            text = _value(op, item, chosen, given)
            if text is not None:
                values.setdefault(name, {})[item.name] = text
            elif not (item.ordering or item.has_default or is_connected(item, chosen)):
                missing.append((op, item))
        for extra in given:
            if extra not in known:
                hint = nearest(extra, known)
                raise DefinitionError(
                    "InvalidRunConfig", f"runConfig sets input {extra!r} of op {name!r}, which it has not{hint}"
                )
    if missing:
        raise _missing(missing)
    return values


def is_connected(item: Input, chosen: Mapping[str, Any]) -> bool:
    """Whether an input's value comes from ops that are selected."""
    return bool(item.sources) and all(ref.op in chosen for ref in item.sources)


def read_run_config(graph: Graph, run_config: Mapping[str, Any]) -> Values:
    """Return run config's input values as JSON texts by op path and input.

    `ops` maps each op to `inputs` and each graph to `ops` of its own; a value may stand bare or as `{value: ...}`
    (Dagster's two forms). Raises DefinitionError (`UnknownOp`, `InvalidRunConfig`) naming the path.
    """
    _only(_object(run_config, "runConfig"), ("ops",), "runConfig")
    graphs = dict.fromkeys(path[:at] for path in graph.ops for at in range(len(path)) if path[at] == ".")
    values: Values = {}
    todo = [("runConfig.ops", "", run_config.get("ops") or {})]
    while todo:
        where, prefix, level = todo.pop()
        for name, entry in _object(level, where).items():
            path, place = prefix + name, f"{where}.{name}"
            if path not in graph.ops and path not in graphs:
                raise DefinitionError(
                    "UnknownOp", f"{place}: the job has no op {path!r}{nearest(path, [*graph.ops, *graphs])}"
                )
            entry = _object(entry or {}, place)
            if path in graphs:
                _only(entry, ("ops",), place)
                todo.append((f"{place}.ops", f"{path}.", entry.get("ops") or {}))
                continue
            _only(entry, ("inputs",), place)
            if path in values:
                raise DefinitionError("InvalidRunConfig", f"{place}: op {path!r} is set twice")
            inputs = _object(entry.get("inputs") or {}, f"{place}.inputs")
            values[path] = {key: _json(value, f"{place}.inputs.{key}") for key, value in inputs.items()}
    return values


def _value(op: Op, item: Input, chosen: Mapping[str, Any], given: Mapping[str, str]) -> str | None:
    where = f"input {item.name!r} of op {op.name!r}"
    here = [ref.op for ref in item.sources if ref.op in chosen]
    if here and len(here) < len(item.sources) and not item.ordering:
        left_out = ", ".join(sorted({ref.op for ref in item.sources} - set(here)))
        raise DefinitionError(
            "PartialFanIn",
            f"{where} takes a list from several ops, of which {left_out} are not selected; select all of them or none",
        )
    if item.name not in given:
        return None if here or item.ordering else item.literal if item.literal is not None else item.default
    if item.ordering:
        raise DefinitionError("InvalidRunConfig", f"runConfig sets {where}, which only waits and takes no value")
    if here:
        raise DefinitionError(
            "InvalidRunConfig", f"runConfig sets {where}, which gets its value from op {here[0]!r}; remove it"
        )
    if item.literal is not None:
        raise DefinitionError("InvalidRunConfig", f"runConfig sets {where}, which the job sets itself; remove it")
    return given[item.name]


def _missing(missing: list[tuple[Op, Input]]) -> DefinitionError:
    names = ", ".join(f"{item.name!r} of op {op.name!r}" for op, item in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    example: dict[str, Any] = {}
    for op, item in missing[:5]:
        level = example
        *graphs, last = op.name.split(".")
        for name in graphs:
            level = level.setdefault("ops", {}).setdefault(name, {})
        inputs = level.setdefault("ops", {}).setdefault(last, {}).setdefault("inputs", {})
        inputs[item.name] = [] if item.fan_in else _EXAMPLES.get(item.type, "...")
    plural = "inputs" if len(missing) > 1 else "input"
    verb = "have" if len(missing) > 1 else "has"
    return DefinitionError(
        "MissingInput",
        f"{plural} {names}{more} {verb} no value: no selected op gives one; for example set "
        f"runConfig: {json.dumps(example, ensure_ascii=False)}",
    )


def _json(value: Any, where: str) -> str:
    """Return a value, bare or as `{value: ...}`, as JSON text."""
    try:
        return to_json(value["value"] if isinstance(value, Mapping) and list(value) == ["value"] else value)
    except NotJsonError as error:
        raise DefinitionError("InvalidRunConfig", f"{where} must be a JSON value, not {error}") from None


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionError(
            "InvalidRunConfig", f"{where} must be a mapping, not {json.dumps(value, default=str)[:60]}"
        )
    for key in value:
        if not isinstance(key, str):
            raise DefinitionError("InvalidRunConfig", f"{where} has the key {key!r}, which is no text")
    return value


def _only(entry: Mapping[str, Any], allowed: tuple[str, ...], where: str) -> None:
    for key in entry:
        if key not in allowed:
            raise DefinitionError(
                "InvalidRunConfig", f"{where} has the unknown key {key!r}; allowed: {', '.join(allowed)}"
            )
