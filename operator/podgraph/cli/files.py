"""Read the graph of a job from a file a person has: Python code or the YAML of a Job."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph
from podgraph.planning.names import GROUP
from podgraph.planning.spec import CodeSpec, graph_of_ops, read_spec
from podgraph.runtime.load import find_job, import_file, import_module

__all__ = ["graph_of_file"]


def graph_of_file(path: Path, job: str = "") -> Graph:
    """Return the graph of the job in a `.py` file, or of the Job resource in a YAML file.

    `job` names one of several: a @job in Python, a Job resource in YAML. Python code, also inside of YAML, is
    imported into this process. Raises DefinitionError.
    """
    if not path.is_file():
        raise DefinitionError("NoFile", f"there is no file {str(path)!r}")
    if path.suffix == ".py":
        return find_job(import_file(str(path)), job).graph
    if path.suffix not in (".yaml", ".yml", ".json"):
        raise DefinitionError("NoFile", f"{str(path)!r} must end in .py, .yaml, .yml or .json")
    resource = _resource(path, job)
    name = (resource.get("metadata") or {}).get("name", "job")
    spec = read_spec(_mapping(resource.get("spec"), f"{path.name}: spec"), "")
    if spec.ops is not None:
        return _graph_of_ops(path, name, spec.ops)
    assert spec.code is not None
    return _graph_of_code(spec.code)


def _resource(path: Path, job: str) -> Mapping[str, Any]:
    try:
        documents = [d for d in yaml.safe_load_all(path.read_text()) if d is not None]
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise DefinitionError("InvalidFile", f"{path.name} is no valid YAML: {' '.join(str(error).split())}") from None
    jobs = {
        (d.get("metadata") or {}).get("name", ""): d
        for d in documents
        if isinstance(d, dict) and d.get("kind") == "Job" and str(d.get("apiVersion", "")).startswith(f"{GROUP}/")
    }
    if job and job not in jobs:
        raise DefinitionError("UnknownJob", f"{path.name} has no Job named {job!r}{nearest(job, jobs)}")
    if len(jobs) != 1 and not job:
        found = f"{len(jobs)} Jobs ({', '.join(jobs)}); say which one with --job" if jobs else f"no Job of {GROUP}"
        raise DefinitionError("NoJob", f"{path.name} has {found}")
    return jobs[job] if job else next(iter(jobs.values()))


def _graph_of_ops(path: Path, name: str, ops: tuple[Mapping[str, Any], ...]) -> Graph:
    try:
        return graph_of_ops(name, ops)[0]
    except (KeyError, TypeError, AttributeError) as error:
        # What the API server's schema would refuse on apply.
        raise DefinitionError("InvalidSpec", f"{path.name}: spec.ops does not match the schema: {error!r}") from None


def _graph_of_code(code: CodeSpec) -> Graph:
    if code.config_map is not None:
        raise DefinitionError(
            "NoFile", "the job's code is in a ConfigMap of the cluster; select from the Python file itself"
        )
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
