"""The Job manifests that the CLI and the page send: the same for the same wishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from podgraph.api import Object, manifest
from podgraph.definition.ops import check_tags
from podgraph.planning.model.names import DEFINITION_LABEL, label_value

__all__ = ["job_manifest", "run_spec"]


def run_spec(
    source: Object, selection: Sequence[str] = (), run_config: Object | None = None,
    tags: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the spec that runs a source (`code`, `definitionRef` or `ops`) with these options.

    An empty option is left out, so that what the source says itself stays. Raises DefinitionError for invalid tags.
    """
    options = {"opSelection": list(selection), "runConfig": run_config, "tags": check_tags("the run", tags)}
    return {**source, **{key: value for key, value in options.items() if value}}


def job_manifest(metadata: Object, spec: Object) -> dict[str, Any]:
    """Return a Job. A Job of a JobDefinition has the label that finds all Jobs of it."""
    labels = dict(metadata.get("labels") or {})
    if "definitionRef" in spec:
        labels[DEFINITION_LABEL] = label_value(spec["definitionRef"]["name"])
    rest = {key: value for key, value in metadata.items() if key != "labels"}
    return manifest("Job", {**rest, **({"labels": labels} if labels else {})}, spec)
