"""JobDefinitions in a cluster: make one from Python code, look at it, and make a Job of it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from podgraph.api import manifest, ready_of
from podgraph.cli.cluster import Cluster
from podgraph.cli.graphs import print_tree
from podgraph.cli.launch import code_spec, loaded, name_of
from podgraph.definition.errors import DefinitionError
from podgraph.definition.ops import check_tags
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.definition_snapshot import effective_spec
from podgraph.planning.model.names import DEFINITION_LABEL, label_value
from podgraph.planning.model.status import duration
from podgraph.protocol.graph_codec import unpack
from podgraph.runtime.load import CodeRef

__all__ = ["Definitions", "definition_of", "job_of", "print_definition", "print_definitions", "wait_resolved"]

_LOOK_SECONDS = 0.3

Object = dict[str, Any]


class Definitions(Cluster):
    """The JobDefinitions of one namespace."""

    plural, kind = "jobdefinitions", "JobDefinition"


def definition_of(code: CodeRef, image: str, name: str, selection: Sequence[str], run_config: dict[str, Any]) -> Object:
    """Return the JobDefinition of a Python file as it is, or of a module that the image has.

    The job, the selection and run config are checked here, unless the code needs packages that only the image has;
    what run config lacks its Jobs may give. Raises DefinitionError.
    """
    spec: dict[str, Any] = {"code": code_spec(code, image)}
    if selection:
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = run_config
    job = loaded(code)
    check_spec(spec, job.graph if job is not None else None, may_lack_config=True).raise_errors()
    return manifest("JobDefinition", {"name": name or name_of(code, job)}, spec)


def job_of(
    definition: Object, name: str, selection: Sequence[str], run_config: dict[str, Any],
    tags: Mapping[str, Any] | None = None,
) -> Object:  # fmt: skip
    """Return a Job of a definition as the cluster has it, with the label that finds all its Jobs.

    The selection and run config are checked here, unless the definition is not resolved yet; the Job waits for that.
    Raises DefinitionError, also for a definition that cannot be run.
    """
    meta = definition["metadata"]
    spec: dict[str, Any] = {"definitionRef": {"name": meta["name"]}}
    if selection:
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = run_config
    if run_tags := check_tags("the run", tags):
        spec["tags"] = run_tags
    ready, _, message = ready_of(definition)
    if ready == "False":
        raise DefinitionError("NotReady", f"JobDefinition {meta['name']!r} cannot be run: {message}")
    if ready == "True":
        graph, whole = unpack(definition["status"]["graph"]), effective_spec(definition["spec"], spec)
        check_spec(whole, graph).raise_errors()
    made = {"name": name} if name else {"generateName": f"{meta['name'][:50].strip('-.')}-"}
    labels = {DEFINITION_LABEL: label_value(meta["name"])}
    return manifest("Job", {**made, "labels": labels}, spec)


def print_definitions(definitions: Sequence[Object], output: str) -> None:
    """Print a line for each definition, or a JSON list of them."""
    if output == "json":
        print(json.dumps(list(definitions), ensure_ascii=False, indent=2))
        return
    rows = [("NAME", "READY", "OPS", "AGE")]
    for item in definitions:
        age = datetime.now(UTC) - datetime.fromisoformat(item["metadata"]["creationTimestamp"])
        count = str((item.get("status") or {}).get("opCount", ""))
        rows.append((item["metadata"]["name"], ready_of(item).status, count, duration(age.total_seconds())))
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for row in rows:
        print("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_definition(definition: Object, output: str) -> int:
    """Print a definition with its ops as a tree; return exit status 1 when it has an error, else 0."""
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
    """Return a definition once it is known whether it can be run. Raises DefinitionError after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        definition = cluster.get(name)
        ready, _, message = ready_of(definition)
        if ready != "Unknown":
            return definition
        if time.monotonic() >= end:
            raise DefinitionError(
                "Timeout", f"after {seconds:.0f} s JobDefinition {name!r} is not ready yet: {message}"
            )
        time.sleep(_LOOK_SECONDS)
