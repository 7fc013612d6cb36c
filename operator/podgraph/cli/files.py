"""Read the graph of a job from a file: Python code or the manifest of a Job."""

from __future__ import annotations

import dataclasses
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from podgraph.cli.overlay import plain_yaml
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph
from podgraph.planning.model.names import GROUP
from podgraph.planning.model.spec import CodeSpec, graph_of_ops, read_spec
from podgraph.run_config.schema import needed_resources, run_config_schema
from podgraph.run_config.validate import example
from podgraph.runtime.load import CodeRef, find_job, find_jobs, import_file, import_module

__all__ = ["code_ref", "graph_of", "graph_of_file", "print_definitions", "resource_of", "scaffold"]


def code_ref(file: Path | None, module: str, job: str) -> CodeRef:
    """Return the file or module with the Python code. Raises DefinitionError unless exactly one is given."""
    if (file is None) == (not module):
        raise DefinitionError("NoFile", "give exactly one of --file my_job.py and --module my_package.jobs")
    if file is None:
        return CodeRef(module=module, job=job)
    if not file.is_file():
        raise DefinitionError("NoFile", f"file {str(file)!r} does not exist")
    if file.suffix != ".py":
        raise DefinitionError(
            "NoFile",
            f"{str(file)!r} is not a Python file; its name must end in .py (or .yaml, .yml, .json for a manifest)",
        )
    return CodeRef(file=str(file), job=job)


def print_definitions(code: CodeRef, output: str) -> None:
    """Print one line per job that the code defines, or a JSON list of the jobs."""
    jobs = find_jobs(code.module_of())
    if output != "text":
        told = [{"name": j.name, "ops": len(j.graph.ops), "description": j.description} for j in jobs]
        if output == "json":
            print(json.dumps(told, ensure_ascii=False, indent=2))
        else:
            print(yaml.safe_dump(told, sort_keys=False, allow_unicode=True), end="")
        return
    width = max((len(j.name) for j in jobs), default=0)
    for j in jobs:
        line = f"{j.name:{width}}  {len(j.graph.ops)} op{'s' if len(j.graph.ops) != 1 else ''}"
        print(f"{line}  {j.description.splitlines()[0]}" if j.description else line)


def graph_of(file: Path | None, module: str, job: str) -> Graph:
    """Return the graph of a job in a Python file, a module or the manifest of a Job. Raises DefinitionError."""
    if file is not None and not module and file.suffix != ".py":
        return graph_of_file(file, job)
    return code_ref(file, module, job).load().graph


def scaffold(graph: Graph, selected: Sequence[str], everything: bool) -> str:
    """Return example run config as YAML: the required fields, with `everything` also the optional ones."""
    ops = {name: graph.ops[name] for name in selected}
    resources = {name: graph.resources[name] for name in needed_resources(graph, selected)}
    alone = dataclasses.replace(graph, ops=ops, resources=resources)  # omit ops that are not selected
    sections = ("ops", "inputs", "resources")
    config = example(run_config_schema(alone, sections=sections, bare=True), everything=everything)
    return str(yaml.safe_dump(_without_empty(config), sort_keys=False, allow_unicode=True))


def _without_empty(value: Any) -> Any:
    """Omit the ops and sections that have nothing to set."""
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty(item) for key, item in value.items()}
    return {key: item for key, item in kept.items() if item != {}}


def graph_of_file(path: Path, job: str = "") -> Graph:
    """Return the graph of the Job or JobDefinition in a YAML file; `job` names one of several.

    Imports its Python code into this process. Raises DefinitionError.
    """
    resource = resource_of(path, job)
    name = (resource.get("metadata") or {}).get("name", "job")
    spec = read_spec(_mapping(resource.get("spec"), f"{path.name}: spec"), "")
    if spec.ops is not None:
        return _graph_of_ops(path, name, spec.ops)
    assert spec.code is not None
    return _graph_of_code(spec.code)


def resource_of(path: Path, job: str) -> Mapping[str, Any]:
    """Return the Job or JobDefinition in a manifest; `job` names one of several. Raises DefinitionError."""
    if not path.is_file():
        raise DefinitionError("NoFile", f"file {str(path)!r} does not exist")
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise DefinitionError("NoFile", f"{str(path)!r} must end in .py, .yaml, .yml or .json")
    try:
        documents = [d for d in plain_yaml(path.read_text(encoding="utf-8")) if d is not None]
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise DefinitionError("InvalidFile", f"{path.name} is not valid YAML: {' '.join(str(error).split())}") from None
    ours = [d for d in documents if isinstance(d, dict) and str(d.get("apiVersion", "")).startswith(f"{GROUP}/")]
    found = [d for d in ours if d.get("kind") in ("Job", "JobDefinition")]
    whole = [d for d in found if not (isinstance(d.get("spec"), dict) and "definitionRef" in d["spec"])]
    jobs = {(d.get("metadata") or {}).get("name", ""): d for d in whole or found}
    if job and job not in jobs:
        raise DefinitionError("UnknownJob", f"{path.name} has no Job named {job!r}{nearest(job, jobs)}")
    if len(jobs) != 1 and not job:
        many = (
            f"{len(jobs)} Jobs ({', '.join(jobs)}); choose one with --job NAME (-j)" if jobs else f"no Job of {GROUP}"
        )
        raise DefinitionError("NoJob", f"{path.name} has {many}")
    return jobs[job] if job else next(iter(jobs.values()))


def _graph_of_ops(path: Path, name: str, ops: tuple[Mapping[str, Any], ...]) -> Graph:
    try:
        return graph_of_ops(name, ops)[0]
    except (KeyError, TypeError, AttributeError) as error:
        # The API server's schema would refuse it on apply.
        raise DefinitionError("InvalidSpec", f"{path.name}: spec.ops does not match the schema: {error!r}") from None


def _graph_of_code(code: CodeSpec) -> Graph:
    if code.config_map is not None:
        raise DefinitionError("NoFile", "the job's code is in a ConfigMap in the cluster; use the Python file instead")
    if code.module:
        return find_job(import_module(code.module), code.job).graph
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "job.py"
        source.write_text(code.source)
        return find_job(import_file(str(source)), code.job).graph


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise DefinitionError("InvalidSpec", f"{where} must be a mapping")
    return value
