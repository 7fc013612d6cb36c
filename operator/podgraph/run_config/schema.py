"""The JSON Schema of the run config of a job, for validation, completion in an editor, and example run config.

Run config has Dagster's form: `ops` maps each op to its `config` and `inputs` (each graph to its `ops`), `inputs` sets
the parameters of the job, `resources` maps each resource to its `config`, and `execution.config` selects the executor.
In addition each op has a `pod` (see run_config.pods).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op
from podgraph.flow import is_connected
from podgraph.run_config.budget import Budget, is_deeper
from podgraph.run_config.execution import EXECUTION_SCHEMA
from podgraph.run_config.pods import POD_SCHEMA
from podgraph.run_config.validate import problems

__all__ = ["SECTIONS", "needed_resources", "op_path", "run_config_schema", "takes_config"]

SECTIONS = ("ops", "inputs", "resources", "execution")

Schema = dict[str, Any]

_DEEPEST = 100  # levels of a schema
_NOTHING: tuple[Any, ...] = ({}, None)  # missing config is read as one of these


def run_config_schema(
    graph: Graph, selected: Iterable[str] | None = None, given: Collection[str] = (),
    sections: Collection[str] = SECTIONS, bare: bool = False, taken: Collection[str] = (),
) -> Schema:  # fmt: skip
    """Return the JSON Schema (2020-12) of run config for the `selected` ops (all ops if None).

    The schema allows any settings for other ops. `given` names job inputs whose values come from elsewhere; run config
    must not set them. `taken` names ops that do not run but whose outputs exist. With `bare` an input value must be
    the value itself, not also `{value: ...}` (Dagster's other form). Raises DefinitionError (`InvalidGraph`) for a
    schema that is nested too deeply.

    >>> from podgraph.definition.graph import Op
    >>> run_config_schema(Graph.of("j", [Op("one")]))["properties"]["ops"]["properties"]
    {'one': {'type': 'object', 'properties': {'pod': {'$ref': '#/$defs/pod'}}, 'additionalProperties': False}}
    """
    return _Maker(graph, selected, given, bare, taken).whole(sections)


def op_path(name: str) -> str:
    """Return the path of an op in run config.

    >>> op_path("src.add")
    'ops.src.ops.add'
    """
    return f"ops.{name.replace('.', '.ops.')}"


def takes_config(item: Input, chosen: Collection[str]) -> bool:
    """Return whether run config may set an input of an op: nothing else supplies its value."""
    return not (item.ordering or item.job_input or item.literal is not None or is_connected(item, chosen))


def needed_resources(graph: Graph, chosen: Iterable[str]) -> list[str]:
    """Return the names of the resources that the `chosen` ops use."""
    return list(dict.fromkeys(key for name in chosen for key in graph.ops[name].resources))


class _Maker:
    """Builds the schema of one graph and selection; `defs` collects the `$defs` of the inner schemas."""

    def __init__(
        self, graph: Graph, selected: Iterable[str] | None, given: Collection[str], bare: bool, taken: Collection[str]
    ) -> None:
        self.graph, self.given, self.bare = graph, given, bare
        self.chosen = dict.fromkeys(graph.ops if selected is None else selected)
        self.giving = {*self.chosen, *taken}
        self.defs: Schema = {}
        self.budget = Budget({"$defs": self.defs})

    def whole(self, sections: Collection[str]) -> Schema:
        made = {
            "ops": self.ops(),
            "inputs": self.job_inputs(),
            "resources": self.resources(),
            "execution": EXECUTION_SCHEMA,
        }
        whole = _object({name: made[name] for name in sections if made[name] is not None})
        _require(whole)
        if self.chosen and "ops" in sections:
            self.defs["pod"] = POD_SCHEMA
        if self.defs:
            whole["$defs"] = self.defs
        whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
        whole["title"] = f"Run config of {self.graph.name}"
        return whole

    def ops(self) -> Schema:
        top = _object({})
        levels: dict[str, Schema] = {"": top}
        for path, op in self.graph.ops.items():
            parent = ""
            *graphs, last = path.split(".")
            for name in graphs:
                inner = f"{parent}{name}."
                if inner not in levels:
                    levels[inner] = _object({})
                    levels[parent]["properties"][name] = _object({"ops": levels[inner]})
                parent = inner
            levels[parent]["properties"][last] = self.op(op) if path in self.chosen else {}
        for level in reversed(
            levels.values()
        ):  # innermost levels first: an outer level requires what its inner levels require
            for entry in level["properties"].values():
                if "ops" in entry.get("properties", {}):
                    _require(entry)
            _require(level)
        return top

    def op(self, op: Op) -> Schema:
        entry, inputs = _object({}), _object({})
        if op.description:
            entry["description"] = op.description
        for item in op.inputs:
            if takes_config(item, self.giving):
                inputs["properties"][item.name] = self.value(item, f"ops.{op.name}.{item.name}")
                if not item.has_default:
                    inputs.setdefault("required", []).append(item.name)
        if inputs["properties"]:
            entry["properties"]["inputs"] = inputs
        self.with_config(entry, op.config, f"ops.{op.name}")
        entry["properties"]["pod"] = {"$ref": "#/$defs/pod"}
        return entry

    def with_config(self, entry: Schema, text: str, place: str) -> Schema:
        """Add the config to the entry of an op or a resource; it is optional if {} or null is valid."""
        _require(entry)
        if text:
            schema = entry["properties"]["config"] = self.hoisted(text, place)
            if "default" not in schema and all(problems(schema, value, "", self.budget) for value in _NOTHING):
                entry.setdefault("required", []).append("config")
        return entry

    def value(self, item: Input, place: str) -> Schema:
        plain = self.hoisted(item.schema, place)
        if item.fan_in and not plain:
            plain = {"type": "array"}
        schema = dict(plain)
        if plain and not self.bare:
            schema = {"anyOf": [plain, {**_object({"value": plain}), "required": ["value"]}]}
        if item.sources:
            schema["description"] = f"op {item.sources[0].op!r}, which produces it, is not selected"
        if item.default is not None:
            schema["default"] = json.loads(item.default)
        return schema

    def job_inputs(self) -> Schema | None:
        inputs: Schema = {}
        required: dict[str, None] = {}
        for name, op in self.graph.ops.items():
            for item in op.inputs:
                if not item.job_input or item.ordering:
                    continue
                known = inputs.setdefault(item.job_input, item.job_input not in self.given and {})
                if known is False or name not in self.chosen:
                    continue
                inputs[item.job_input] = known or self.value(item, f"inputs.{item.job_input}")
                if not item.has_default:
                    required[item.job_input] = None
        section = {**_object(inputs), **({"required": list(required)} if required else {})}
        return section if inputs else None

    def resources(self) -> Schema | None:
        if not self.graph.resources:
            return None
        section = _object({key: {} for key in self.graph.resources})
        for name in needed_resources(self.graph, self.chosen):
            entry = self.with_config(_object({}), self.graph.resources[name], f"resources.{name}")
            section["properties"][name] = entry
        _require(section)
        return section

    def hoisted(self, text: str, place: str) -> Schema:
        """Read a schema and move its `$defs` to those of the whole schema, so that its references resolve."""
        try:
            schema: Schema = json.loads(text) if text else {}
        except RecursionError:
            schema = {"": None}
        if is_deeper(schema, _DEEPEST) or schema == {"": None}:
            raise DefinitionError("InvalidGraph", f"the schema of {place} is nested deeper than {_DEEPEST} levels")
        if "$defs" not in schema:
            return schema
        own = schema.pop("$defs")
        self.defs.update({f"{place}.{name}": _renamed(inner, place) for name, inner in own.items()})
        renamed: Schema = _renamed(schema, place)
        return renamed


def _renamed(schema: Any, place: str) -> Any:
    if isinstance(schema, list):
        return [_renamed(item, place) for item in schema]
    if not isinstance(schema, dict):
        return schema
    renamed = {key: _renamed(value, place) for key, value in schema.items()}
    ref = renamed.get("$ref")
    if isinstance(ref, str):
        renamed["$ref"] = ref.replace("#/$defs/", f"#/$defs/{place}.", 1)
    return renamed


def _object(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _require(schema: Schema) -> None:
    """Mark each property of a schema as required if it has required keys."""
    required = [name for name, inner in schema["properties"].items() if inner.get("required")]
    if required:
        schema["required"] = required
