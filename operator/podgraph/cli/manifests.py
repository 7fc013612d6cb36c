"""Jobs written as YAML: sent to a cluster, or run on this machine."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from podgraph.cli.files import resource_of
from podgraph.definition.errors import DefinitionError
from podgraph.definition.ops import check_tags
from podgraph.planning.model.spec import graph_of_ops
from podgraph.run_config.binding import merge
from podgraph.runtime.load import CodeRef
from podgraph.selection import select

__all__ = ["LocalJob", "is_manifest", "job_of_manifest", "local_job"]


def is_manifest(file: Path | None) -> bool:
    """Whether a file is a manifest rather than Python code."""
    return file is not None and file.suffix in (".yaml", ".yml", ".json")


def job_of_manifest(
    path: Path, job: str, name: str, image: str, selection: Sequence[str], run_config: Mapping[str, Any],
    tags: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """Return the Job in a manifest, with the options applied. Raises DefinitionError."""
    found = resource_of(path, job)
    own = str((found.get("metadata") or {}).get("name") or "")
    if found.get("kind") != "Job":
        raise DefinitionError(
            "NoJob", f"{path.name} has a {found.get('kind')}, not a Job; apply it with kubectl, then launch it with "
            f"--definition {own or 'NAME'}"
        )  # fmt: skip
    spec = found.get("spec")
    if not isinstance(spec, dict):
        raise DefinitionError("InvalidSpec", f"{path.name}: spec must be a mapping")
    meta = dict(found.get("metadata") or {})
    spec = dict(spec)
    if name:
        meta.pop("generateName", None)
        meta["name"] = name
    if image:
        if not isinstance(spec.get("code"), dict):
            raise DefinitionError(
                "InvalidOption", f"--image is for Python code; {path.name} names an image for each op"
            )
        spec["code"] = {**spec["code"], "image": image}
    if selection:
        spec["opSelection"] = list(selection)
    if run_config:
        spec["runConfig"] = merge(dict(spec.get("runConfig") or {}), dict(run_config))
    if tags:
        spec["tags"] = {**(spec.get("tags") or {}), **check_tags("the run", tags)}
    if isinstance(spec.get("ops"), list):
        with contextlib.suppress(KeyError, TypeError, AttributeError):  # the API server's schema would refuse it
            select(graph_of_ops(own or "job", spec["ops"])[0], spec.get("opSelection") or ())
    return {**found, "metadata": meta, "spec": spec}


@dataclass(frozen=True)
class LocalJob:
    """Python code to run on this machine, with the settings of its manifest."""

    code: CodeRef
    run_config: Mapping[str, Any] = field(default_factory=dict)
    selection: Sequence[str] = ()
    tags: Mapping[str, str] = field(default_factory=dict)


@contextlib.contextmanager
def local_job(path: Path, job: str) -> Iterator[LocalJob]:
    """Provide the code of the Job or JobDefinition in a manifest as a file. Raises DefinitionError without code."""
    found = resource_of(path, job)
    spec = found.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    run = (spec.get("runConfig") or {}, spec.get("opSelection") or (), spec.get("tags") or {})
    if spec.get("ops"):
        names = [str(op.get("name")) for op in spec["ops"] if isinstance(op, dict)]
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        raise DefinitionError(
            "NotLocal", f"{path.name} consists of container ops ({shown}), which run only in pods; run it in a cluster "
            f"with: podgraph job launch -f {path}"
        )  # fmt: skip
    code = cast(dict[str, Any], spec.get("code")) if isinstance(spec.get("code"), dict) else {}
    if code.get("module"):
        yield LocalJob(CodeRef(module=str(code["module"]), job=str(code.get("job") or "")), *run)
        return
    if not isinstance(code.get("source"), str):
        where = "a JobDefinition" if "definitionRef" in spec else "a ConfigMap in the cluster"
        raise DefinitionError(
            "NotLocal", f"the code of {path.name} is in {where}; run the Python file instead, or run this in a cluster "
            f"with: podgraph job launch -f {path}"
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "job.py"
        source.write_text(code["source"], encoding="utf-8")
        yield LocalJob(CodeRef(file=str(source), job=str(code.get("job") or "")), *run)
