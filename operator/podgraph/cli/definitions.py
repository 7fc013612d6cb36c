"""JobDefinitions in a cluster: create one from Python code, print it, and create a Job from it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from podgraph.api import manifest, ready_of
from podgraph.cli.cluster import Cluster
from podgraph.cli.graphs import print_tree
from podgraph.cli.launch import code_spec, loaded, name_of
from podgraph.cli.tables import age, print_table
from podgraph.cluster.polling import looks
from podgraph.definition.errors import DefinitionError
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.definition_snapshot import effective_spec
from podgraph.planning.job.manifest import job_manifest, run_spec
from podgraph.protocol.graph_codec import unpack
from podgraph.runtime.load import CodeRef

__all__ = ["Definitions", "definition_of", "job_of", "print_definition", "print_definitions", "wait_resolved"]

Object = dict[str, Any]


class Definitions(Cluster):
    """The JobDefinitions of one namespace."""

    plural, kind = "jobdefinitions", "JobDefinition"


def definition_of(code: CodeRef, image: str, name: str, selection: Sequence[str], run_config: dict[str, Any]) -> Object:
    """Return the JobDefinition of a Python file, or of a module in the image.

    Checks the job, the selection and the run config locally, unless the code needs packages that only the image has.
    Jobs of the definition may add missing run config. Raises DefinitionError.
    """
    spec = run_spec({"code": code_spec(code, image)}, selection, run_config)
    job = loaded(code)
    check_spec(spec, job.graph if job is not None else None, may_lack_config=True).raise_errors()
    return manifest("JobDefinition", {"name": name or name_of(code, job)}, spec)


def job_of(
    definition: Object, name: str, selection: Sequence[str], run_config: dict[str, Any],
    tags: Mapping[str, Any] | None = None,
) -> Object:  # fmt: skip
    """Return a Job that runs a definition of the cluster, with the label that selects all Jobs of the definition.

    Checks the selection and run config locally, unless the definition is not resolved yet; the Job then waits for it.
    Raises DefinitionError, also for a definition that is not ready.
    """
    meta = definition["metadata"]
    spec = run_spec({"definitionRef": {"name": meta["name"]}}, selection, run_config, tags)
    ready, _, message = ready_of(definition)
    if ready == "False":
        raise DefinitionError("NotReady", f"JobDefinition {meta['name']!r} cannot be run: {message}")
    if ready == "True":
        graph, whole = unpack(definition["status"]["graph"]), effective_spec(definition["spec"], spec)
        check_spec(whole, graph).raise_errors()
    made = {"name": name} if name else {"generateName": f"{meta['name'][:50].strip('-.')}-"}
    return job_manifest(made, spec)


def print_definitions(definitions: Sequence[Object], output: str) -> None:
    """Print one line per definition, or a JSON list of the definitions."""
    if output == "json":
        print(json.dumps(list(definitions), ensure_ascii=False, indent=2))
        return
    rows = [("NAME", "READY", "OPS", "AGE")]
    for item in definitions:
        meta, count = item["metadata"], str((item.get("status") or {}).get("opCount", ""))
        rows.append((meta["name"], ready_of(item).status, count, age(meta["creationTimestamp"])))
    print_table(rows)


def print_definition(definition: Object, output: str) -> int:
    """Print a definition with its ops as a tree; return exit status 1 if it is not ready, else 0."""
    ready, _, message = ready_of(definition)
    if output == "json":
        print(json.dumps(definition, ensure_ascii=False, indent=2))
    elif ready == "True":
        print_tree(unpack(definition["status"]["graph"]))
    else:
        what = "cannot be run" if ready == "False" else "is not ready yet"
        print(f"JobDefinition {definition['metadata']['name']!r} {what}: {message}", file=sys.stderr)
    return 1 if ready == "False" else 0


def wait_resolved(cluster: Definitions, name: str, seconds: float) -> Object:
    """Wait until a definition is ready or invalid, and return it. Raises DefinitionError after `seconds`."""
    for pause in looks(seconds):
        definition = cluster.get(name)
        ready, _, message = ready_of(definition)
        if ready != "Unknown":
            return definition
        time.sleep(pause)
    raise DefinitionError("Timeout", f"after {seconds:.0f} s JobDefinition {name!r} is not ready yet: {message}")
