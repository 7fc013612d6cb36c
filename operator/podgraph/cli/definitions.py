"""JobDefinitions in a cluster: create one from Python code, print it, and create a Job from it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from podgraph.cli.cluster import Cluster
from podgraph.cli.graphs import print_tree
from podgraph.cli.launch import code_spec, loaded, name_of
from podgraph.definition.errors import DefinitionError
from podgraph.definition.ops import check_tags
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.definition_snapshot import effective_spec
from podgraph.planning.model.names import DEFINITION_LABEL, GROUP, label_value
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
    """Return the JobDefinition of a Python file, or of a module in the image.

    Checks the job, the selection and the run config locally, unless the code needs packages that only the image has.
    Jobs of the definition may add missing run config. Raises DefinitionError.
    """
    spec: dict[str, Any] = {"code": code_spec(code, image)}
    if selection:
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = run_config
    job = loaded(code)
    check_spec(spec, job.graph if job is not None else None, may_lack_config=True).raise_errors()
    meta = {"name": name or name_of(code, job)}
    return {"apiVersion": f"{GROUP}/v1alpha1", "kind": "JobDefinition", "metadata": meta, "spec": spec}


def job_of(
    definition: Object, name: str, selection: Sequence[str], run_config: dict[str, Any],
    tags: Mapping[str, Any] | None = None,
) -> Object:  # fmt: skip
    """Return a Job that runs a definition of the cluster, with the label that selects all Jobs of the definition.

    Checks the selection and run config locally, unless the definition is not resolved yet; the Job then waits for it.
    Raises DefinitionError, also for a definition that is not ready.
    """
    meta = definition["metadata"]
    spec: dict[str, Any] = {"definitionRef": {"name": meta["name"]}}
    if selection:
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = run_config
    if run_tags := check_tags("the run", tags):
        spec["tags"] = run_tags
    ready, message = state_of(definition)
    if ready == "False":
        raise DefinitionError("NotReady", f"JobDefinition {meta['name']!r} cannot be run: {message}")
    if ready == "True":
        graph, whole = unpack(definition["status"]["graph"]), effective_spec(definition["spec"], spec)
        check_spec(whole, graph).raise_errors()
    made = {"name": name} if name else {"generateName": f"{meta['name'][:50].strip('-.')}-"}
    labels = {DEFINITION_LABEL: label_value(meta["name"])}
    return {
        "apiVersion": f"{GROUP}/v1alpha1", "kind": "Job", "metadata": {**made, "labels": labels}, "spec": spec
    }  # fmt: skip


def state_of(definition: Object) -> tuple[str, str]:
    """Return the current status and message of a definition's `Ready` condition."""
    conditions = (definition.get("status") or {}).get("conditions") or ()
    ready = next((c for c in conditions if c["type"] == "Ready"), None)
    if ready is None or ready.get("observedGeneration") != definition["metadata"]["generation"]:
        return "Unknown", "the operator has not reconciled it yet"
    return ready["status"], ready["message"]


def print_definitions(definitions: Sequence[Object], output: str) -> None:
    """Print one line per definition, or a JSON list of the definitions."""
    if output == "json":
        print(json.dumps(list(definitions), ensure_ascii=False, indent=2))
        return
    rows = [("NAME", "READY", "OPS", "AGE")]
    for item in definitions:
        age = datetime.now(UTC) - datetime.fromisoformat(item["metadata"]["creationTimestamp"])
        count = str((item.get("status") or {}).get("opCount", ""))
        rows.append((item["metadata"]["name"], state_of(item)[0], count, duration(age.total_seconds())))
    widths = [max(len(row[at]) for row in rows) for at in range(4)]
    for row in rows:
        print("   ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip())


def print_definition(definition: Object, output: str) -> int:
    """Print a definition with its ops as a tree; return exit status 1 if it is not ready, else 0."""
    ready, message = state_of(definition)
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
    end = time.monotonic() + seconds
    while True:
        definition = cluster.get(name)
        ready, message = state_of(definition)
        if ready != "Unknown":
            return definition
        if time.monotonic() >= end:
            raise DefinitionError(
                "Timeout", f"after {seconds:.0f} s JobDefinition {name!r} is not ready yet: {message}"
            )
        time.sleep(_LOOK_SECONDS)
