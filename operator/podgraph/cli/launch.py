"""`podgraph job launch`: send a job to the cluster."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.jobs import JobDefinition
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.manifest import job_manifest, run_spec
from podgraph.runtime.load import CodeRef, find_job

__all__ = ["MAX_SOURCE", "code_spec", "loaded", "manifest", "module_here", "name_of", "resource_name"]

MAX_SOURCE = 524_288
"""The maximum size of a Python file in a Job, in bytes, as in the schema."""


def manifest(
    code: CodeRef, image: str, name: str, selection: Sequence[str], run_config: dict[str, Any],
    tags: Mapping[str, Any] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the Job that runs a Python file, or a module in the image.

    Checks the job, the selection and the run config locally, unless the code needs packages that only the image has.
    Raises DefinitionError.
    """
    spec = run_spec({"code": code_spec(code, image)}, selection, run_config, tags)
    job = loaded(code)
    check_spec(spec, job.graph if job is not None else None).raise_errors()
    meta = {"name": name} if name else {"generateName": f"{name_of(code, job)}-"}
    return job_manifest(meta, spec)


def name_of(code: CodeRef, job: JobDefinition | None) -> str:
    """Return a resource name for the code."""
    return resource_name((job.name if job is not None else "") or code.job or Path(code.file).stem or code.module)


def resource_name(name: str) -> str:
    """Convert a Python name to a Kubernetes name.

    >>> resource_name("each_Minute")
    'each-minute'
    """
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "job"


def code_spec(code: CodeRef, image: str) -> dict[str, Any]:
    """Return `spec.code` for a Python file or a module. Raises DefinitionError."""
    told: dict[str, Any] = {}
    if code.file:
        try:
            told["source"] = Path(code.file).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise DefinitionError("CodeError", f"{code.file!r} is not valid UTF-8: {error.reason}") from None
        size = len(told["source"].encode())
        if size > MAX_SOURCE:
            raise DefinitionError(
                "TooLarge",
                f"{code.file!r} is {size:,} bytes; at most {MAX_SOURCE:,} fit into a Job: build it into an image and "
                "launch it with --module and --image",
            )
    else:
        told["module"] = code.module
    if image:
        told["image"] = image
    if code.job:
        told["job"] = code.job
    return told


def loaded(code: CodeRef) -> JobDefinition | None:
    """Return the job of the code; None if the code needs packages that only its image has."""
    module = module_here(code)
    return None if module is None else find_job(module, code.job)


@functools.cache
def module_here(code: CodeRef) -> ModuleType | None:
    """Import the code once; None if it needs packages that only its image has. Raises DefinitionError."""
    try:
        return code.module_of()
    except DefinitionError as error:
        cause = error.__cause__
        # An image cannot provide names missing in podgraph, or in a file written for Dagster.
        if isinstance(cause, ImportError) and (cause.name or "").partition(".")[0] not in ("podgraph", "dagster"):
            return None
        raise
