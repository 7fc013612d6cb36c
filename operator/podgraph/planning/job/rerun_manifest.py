"""The Job that runs steps of another one again, made from that one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.job.manifest import job_manifest
from podgraph.planning.job.rerun_of import RerunSpec, check_parent
from podgraph.planning.model.names import GROUP
from podgraph.planning.model.spec import graph_of_ops
from podgraph.protocol.graph_codec import unpack
from podgraph.run_config.binding import merge
from podgraph.selection import select

__all__ = ["graph_of_job", "rerun_manifest"]

_OF_ITS_OWN = ("cancel", "suspend", "rerunOf")  # what steered the parent does not steer its rerun

Object = Mapping[str, Any]


def rerun_manifest(
    parent: Object, everything: bool, selection: Sequence[str], name: str, run_config: Object
) -> dict[str, Any]:
    """Return the Job that reruns `parent`: its spec as it is, with `run_config` laid over its own.

    It runs what did not succeed and what depends on that, with `everything` all its steps again, with a `selection`
    those. Raises DefinitionError for what can be known to be refused.
    """
    meta = parent["metadata"]
    check_parent(RerunSpec(meta["name"], from_failure=not (everything or selection)), parent)
    spec = {key: value for key, value in parent["spec"].items() if key not in _OF_ITS_OWN}
    spec["rerunOf"] = {
        "name": meta["name"],
        "uid": meta["uid"],
        "steps": "All" if everything or selection else "FromFailure",
    }
    if selection:
        graph = graph_of_job(parent)
        if graph is not None and not (spec.get("code") or {}).get("configMapRef"):  # else its code may be another now
            select(graph, selection)
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = merge(spec.get("runConfig") or {}, run_config)
    made: dict[str, Any] = (
        {"name": name} if name else {"generateName": meta.get("generateName") or f"{meta['name'][:57]}-"}
    )
    labels = {key: value for key, value in (meta.get("labels") or {}).items() if not key.startswith(f"{GROUP}/")}
    if labels:
        made["labels"] = labels
    return job_manifest(made, spec)


def graph_of_job(job: Object) -> Graph | None:
    """Return the job's graph from its status or its ops; None while it is not known."""
    try:
        packed = (job.get("status") or {}).get("graph")
        if packed:
            return unpack(packed)
        if job["spec"].get("ops"):
            return graph_of_ops(job["metadata"]["name"], tuple(job["spec"]["ops"]))[0]
    except DefinitionError:
        return None
    return None
