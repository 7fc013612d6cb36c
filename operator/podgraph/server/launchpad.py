"""The Launchpad: the sources of runs, the checks of a selection and run config, and the Job to create.

Graphs come only from statuses; the server never imports user code. While the graph of code is unknown, only the syntax
of the selection and of the YAML is checked; the operator checks the rest before it creates a step's pod.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from podgraph.api import Object, ready_of
from podgraph.definition.config_types import key_path
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.job import manifest
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.manifest import run_spec
from podgraph.planning.job.rerun_manifest import graph_of_job
from podgraph.planning.model.names import GROUP
from podgraph.protocol.graph_codec import unpack
from podgraph.run_config.binding import RunConfigError, merge
from podgraph.run_config.schema import run_config_schema
from podgraph.run_config.validate import Problem, example
from podgraph.selection import parse_clause, select
from podgraph.server import yaml_text
from podgraph.server.views import Checked, ConfigProblem, Slip

__all__ = ["MODES", "Source", "check", "check_labels", "job_manifest", "new_name", "of_code", "of_definition", "of_run"]

MODES = ("PodPerStep", "InProcess", "Multiprocess")

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_OF_ITS_OWN = ("cancel", "suspend", "rerunOf")
_MOST_TAGS = 32
_TAG_FORM = "allowed are up to 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends"


@dataclass(frozen=True)
class Source:
    """A source of runs: a `spec` without selection, run config and mode, whose defaults are fields of their own.

    `graph` is None while unknown; `why` explains it. `most` is the maximum number of concurrent steps, None without a
    limit. `below` is run config that the editor's overrides. `whole` is the spec merged with the definition's, as the
    operator sees it; None if it equals `spec`.
    """

    stem: str
    spec: dict[str, Any]
    graph: Graph | None = None
    why: str = ""
    selection: tuple[str, ...] = ()
    run_config: dict[str, Any] = field(default_factory=dict)
    mode: str = ""
    most: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    below: dict[str, Any] = field(default_factory=dict)
    whole: Object = field(default_factory=dict)


def of_run(job: Object) -> Source:
    """Return the source of an existing Job."""
    meta, spec = job["metadata"], {key: value for key, value in job["spec"].items() if key not in _OF_ITS_OWN}
    selection, run_config = spec.pop("opSelection", ()), spec.pop("runConfig", {})
    labels = meta.get("labels") or {}
    graph = graph_of_job(job)
    return Source(
        (meta.get("generateName") or meta["name"]).rstrip("-"),
        spec,
        graph,
        "" if graph else f"the graph of Job {meta['name']!r} is unknown: the operator has not read its code",
        tuple(selection),
        run_config,
        (spec.get("execution") or {}).get("mode") or "PodPerStep",
        (spec.get("execution") or {}).get("maxConcurrent"),
        {key: value for key, value in labels.items() if not _is_ours(key)},
    )


def of_definition(definition: Object) -> Source:
    """Return the source of a JobDefinition's Jobs."""
    meta, spec, status = definition["metadata"], definition["spec"], definition.get("status") or {}
    name = meta["name"]
    ready = ready_of(definition)
    graph, why = None, f"the operator has not read JobDefinition {name!r} yet"
    if ready.status == "False":
        why = f"JobDefinition {name!r} cannot be run: {ready.message}"
    elif ready.status == "True" and status.get("graph"):
        graph, why = unpack(status["graph"]), ""
    run_config = spec.get("runConfig") or {}
    return Source(
        name,
        {"definitionRef": {"name": name}},
        graph,
        why,
        tuple(spec.get("opSelection") or ()),
        run_config,
        (spec.get("execution") or {}).get("mode") or "PodPerStep",
        (spec.get("execution") or {}).get("maxConcurrent"),
        {},
        run_config,
        {key: value for key, value in spec.items() if key not in ("opSelection", "runConfig")},
    )


def of_code(source: str, image: str, job: str) -> Source:
    """Return the source for Python code entered into or uploaded to the page."""
    code = {"source": source, **({"image": image} if image else {}), **({"job": job} if job else {})}
    stem = re.sub(r"[^a-z0-9]+", "-", job.lower()).strip("-") or "job"
    return Source(stem, {"code": code}, None, "the operator reads the code when the run is launched", mode="PodPerStep")


def check(source: Source, selection: str, config: str, example_of: str = "") -> Checked:
    """Return all errors of a selection and run config, each with its place in the text.

    `example_of` requests example run config: with examples of `Missing` fields added, with examples of `All` fields, or
    with only `Known` fields left.
    """
    clauses, wrong = _clauses(selection, source.graph)
    text = yaml_text.read(config)
    found: Checked = {
        "graphKnown": source.graph is not None,
        "why": source.why,
        "selected": None,
        "selection": wrong,
        "config": [],
        "schema": None,
        "example": None,
    }
    if text.error:
        found["config"] = [_problem(Problem("", text.error), text.error_at)]
    if source.graph is None:
        return found
    chosen = select(source.graph, [] if wrong else clauses)
    found["selected"] = None if wrong else list(chosen)
    schema = run_config_schema(source.graph, chosen)
    found["schema"] = schema
    if text.error:
        return found
    for error in _acceptance_errors(source, list(chosen), merge(source.below, text.value)):
        if not isinstance(error, RunConfigError):  # about the selection, or not fixable by config
            found["selection"] = found["selection"] or _slip(error, 0, len(selection))
            continue
        found["config"] = [_problem(p, text.place(p.path)) for p in error.problems]
        if example_of == "Missing" and error.example:
            found["example"] = yaml_text.dump(merge(text.value, error.example))
        if example_of == "Known":
            extra = {problem.path for problem in error.problems if problem.extra}
            found["example"] = yaml_text.dump(_without(text.value, extra, ""))
    if example_of == "All":
        made = example({k: v for k, v in schema.items() if k != "execution"}, everything=True) or {}
        made.pop("execution", None)
        found["example"] = yaml_text.dump(merge(made, text.value))
    return found


def _acceptance_errors(source: Source, selection: list[str], run_config: dict[str, Any]) -> tuple[DefinitionError, ...]:
    """Return the errors for which the operator would refuse a Job with these ops and this run config."""
    spec = {**(source.whole or source.spec), "opSelection": selection, "runConfig": run_config}
    if (
        "ops" not in spec and "code" not in spec
    ):  # a run of a definition; the definition is not looked up here, but the graph is known
        del spec["definitionRef"]
        spec["code"] = {"module": "of_the_definition"}
    return check_spec(spec, source.graph).errors


def job_manifest(
    source: Source, namespace: str, name: str, selection: str, config: str, mode: str, tags: Mapping[str, str],
    most: int | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Return the Job to create. Raises DefinitionError for the errors that :func:`check` finds.

    `most` is the maximum number of concurrent steps: the source's when None, unlimited when 0.
    """
    found = check(source, selection, config)
    if found["selection"]:
        raise DefinitionError(found["selection"]["reason"], found["selection"]["message"])
    if found["config"]:
        raise DefinitionError("InvalidRunConfig", "; ".join(p["message"] for p in found["config"][:20]))
    if name and not _NAME.fullmatch(name):
        raise DefinitionError(
            "InvalidName",
            f"the name {name[:80]!r} is not allowed; allowed are up to 63 of a-z, 0-9 and '-' between them",
        )
    check_labels(tags)
    clauses, run_config = _clauses(selection, None)[0], yaml_text.read(config).value
    if source.selection and not clauses:
        clauses = ["*"]  # otherwise the definition's selection would apply
    spec = run_spec(source.spec, clauses, run_config)
    if mode and mode != source.mode:
        execution = {key: value for key, value in (spec.get("execution") or {}).items() if key != "startMethod"}
        spec["execution"] = {**execution, "mode": mode}
    if most is not None and most != (source.most or 0):
        execution = {key: value for key, value in (spec.get("execution") or {}).items() if key != "maxConcurrent"}
        spec["execution"] = {**execution, **({"maxConcurrent": most} if most else {})}
    meta = {"name": name or new_name(source.stem), "namespace": namespace, "labels": dict(tags)}
    return manifest.job_manifest(meta, spec)


def check_labels(tags: Mapping[str, str]) -> None:
    """Raise DefinitionError (`InvalidTags`) for tags that cannot be labels.

    The tags of the page are labels of the Job, which the list of runs selects by; those of code and `spec.tags` are any
    text (definition.ops.check_tags).
    """
    if len(tags) > _MOST_TAGS:
        raise DefinitionError("InvalidTags", f"a run has {len(tags)} tags; at most {_MOST_TAGS} are allowed")
    for key, value in tags.items():
        domain, slash, last = key.rpartition("/")
        if not _LABEL.fullmatch(last) or (slash and not _DOMAIN.fullmatch(domain)):
            raise DefinitionError(
                "InvalidTags",
                f"the tag {key[:80]!r} is not allowed; {_TAG_FORM}",
            )
        if _is_ours(key):
            raise DefinitionError("InvalidTags", f"the tag {key!r} is reserved for podgraph; choose another")
        if value and not _LABEL.fullmatch(value):
            raise DefinitionError(
                "InvalidTags",
                f"the value {value[:80]!r} of the tag {key!r} is not allowed; {_TAG_FORM}",
            )


def new_name(stem: str) -> str:
    """Return a unique name for a Job."""
    return f"{stem[:54].strip('-.') or 'job'}-{secrets.token_hex(4)}"


def _clauses(text: str, graph: Graph | None) -> tuple[list[str], Slip | None]:
    """Split a selection at its commas; return the clauses, and the error of the first invalid one."""
    if not text.strip():
        return [], None
    clauses: list[str] = []
    at = 0
    for number, part in enumerate(parts := text.split(","), 1):
        clause = part.strip()
        start = at + len(part) - len(part.lstrip()) if clause else at
        end = start + len(clause)
        try:
            if not clause:
                raise DefinitionError(
                    "InvalidSelection",
                    f"clause {number} of {len(parts)} in the selection is empty; leave out its comma",
                )
            parse_clause(clause)
            if graph is not None:
                select(graph, [clause])
        except DefinitionError as error:
            return clauses, _slip(error, start, max(end, start + 1))
        clauses.append(clause)
        at += len(part) + 1
    return clauses, None


def _slip(error: DefinitionError, start: int, end: int) -> Slip:
    return {"reason": error.reason, "message": error.message, "from": start, "to": end}


def _problem(problem: Problem, place: Sequence[int]) -> ConfigProblem:
    return {
        "path": problem.path,
        "message": problem.message,
        "missing": problem.missing,
        "extra": problem.extra,
        "from": place[0],
        "to": place[1],
    }


def _without(value: Any, paths: Collection[str], at: str) -> Any:
    """Return a value without these paths, and without the mappings that become empty."""
    if isinstance(value, list):
        return [_without(item, paths, at + key_path(number)) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    kept = {}
    for key, item in value.items():
        path = (at + key_path(key)).lstrip(".")
        if path not in paths:
            inner = _without(item, paths, path)
            if inner != {} or item == {}:
                kept[key] = inner
    return kept


def _is_ours(key: str) -> bool:
    return key.startswith((f"{GROUP}/", "app.kubernetes.io/"))
