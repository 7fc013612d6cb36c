"""Read a Job's spec: its ops as a graph, or where its Python code is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.definition.ops import check_tags
from podgraph.definition.pod_templates import check_pod_template
from podgraph.definition.retry import Backoff, Jitter, RetryPolicy
from podgraph.definition.values import NotJsonError, to_json
from podgraph.planning.model.execution import ExecutionSpec, one_pod_section, read_execution_spec
from podgraph.planning.model.kube_names import CONFIG_KEY, IMAGE, check_field

__all__ = ["CodeSpec", "ContainerSpec", "JobSpec", "graph_of_ops", "read_spec"]

Object = Mapping[str, Any]

_BACKOFF = {"Linear": "LINEAR", "Exponential": "EXPONENTIAL"}
_JITTER = {"Full": "FULL", "PlusMinus": "PLUS_MINUS"}


@dataclass(frozen=True)
class ContainerSpec:
    """What one container or script op runs."""

    image: str
    script: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class CodeSpec:
    """Where a Job's Python code is: `source` text, a key of a ConfigMap, or a module in the image."""

    image: str
    source: str = ""
    config_map: tuple[str, str] | None = None
    module: str = ""
    job: str = ""


@dataclass(frozen=True)
class JobSpec:
    """A Job's spec, but for what may change. Exactly one of `ops` and `code` is set; `deadline` is in seconds.

    `pod_template` is JSON text (see definition.pod_templates); `tags` are laid over the job's own.
    """

    ops: tuple[Object, ...] | None
    code: CodeSpec | None
    selection: tuple[str, ...]
    run_config: Object
    storage: Object | None = None
    execution: ExecutionSpec = field(default_factory=ExecutionSpec)
    deadline: int | None = None
    pod_template: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    def group(self, section: Mapping[str, Any]) -> dict[str, Any]:
        """Return what one pod that runs all steps is told, by the `section` of run config that says how."""
        config = {key: value for key, value in self.run_config.items() if key != "execution"}
        group = {"selection": list(self.selection), "runConfig": config, "execution": dict(section)}
        group["tags"] = dict(self.tags)
        return {key: value for key, value in group.items() if value}


def read_spec(spec: Object, default_image: str) -> JobSpec:
    """Read what the API server has checked against the schema.

    Raises DefinitionError (`InvalidSpec`, `InvalidName`) for what a schema of another version might have let through.
    """
    ops, code = spec.get("ops"), spec.get("code")
    if "definitionRef" in spec:
        raise DefinitionError("InvalidSpec", "spec.definitionRef names a JobDefinition, which only the cluster has")
    if (ops is None) == (code is None):
        raise DefinitionError("InvalidSpec", "exactly one of spec.ops and spec.code must be set")
    execution, run_config = read_execution_spec(spec.get("execution") or {}), spec.get("runConfig") or {}
    if code is None and one_pod_section(execution, run_config):
        raise DefinitionError(
            "InvalidSpec",
            "the modes InProcess and Multiprocess (spec.execution.mode or runConfig.execution.config) are for Python "
            "ops (spec.code); container and script ops have a pod per step",
        )
    if spec.get("storage") is not None and code is None:
        raise DefinitionError("InvalidSpec", "spec.storage is for Python ops (spec.code); container ops cannot use it")
    return JobSpec(
        ops=None if ops is None else tuple(ops),
        code=None if code is None else _code(code, default_image),
        selection=tuple(spec.get("opSelection") or ()),
        run_config=run_config,
        execution=execution,
        storage=spec.get("storage"),
        deadline=spec.get("activeDeadlineSeconds"),
        pod_template=check_pod_template("spec.podTemplate", spec.get("podTemplate")),
        tags=check_tags("spec.tags", spec.get("tags")),
    )


def graph_of_ops(name: str, ops: tuple[Object, ...]) -> tuple[Graph, dict[str, ContainerSpec]]:
    """Return the graph of `spec.ops` and what each op runs. Raises DefinitionError for what cannot run."""
    graph = Graph.of(name, [_op(item) for item in ops])
    return graph, {item["name"]: _container(item) for item in ops}


def _code(code: Object, default_image: str) -> CodeSpec:
    ref = code.get("configMapRef")
    if [bool(code.get("source")), bool(ref), bool(code.get("module"))].count(True) != 1:
        raise DefinitionError("InvalidSpec", "exactly one of source, configMapRef and module must be set in spec.code")
    where = "spec.code.configMapRef"
    return CodeSpec(
        image=check_field("spec.code", code, "image", IMAGE, default_image),
        source=code.get("source", ""),
        config_map=(check_field(where, ref), check_field(where, ref, "key", CONFIG_KEY)) if ref else None,
        module=code.get("module", ""),
        job=code.get("job", ""),
    )


def _op(item: Object) -> Op:
    return Op(
        name=item["name"],
        inputs=tuple(_input(item["name"], i) for i in item.get("inputs", ())),
        outputs=tuple(Output(o["name"], not o.get("optional", False)) for o in item.get("outputs", ())),
        after=tuple(item.get("after", ())),
        tags=item.get("tags") or {},
        retry=_retry(item["name"], item["retryPolicy"]) if "retryPolicy" in item else None,
        timeout=float(item["timeoutSeconds"]) if "timeoutSeconds" in item else None,
        pod_template=check_pod_template(f"podTemplate of op {item['name']!r}", item.get("podTemplate")),
        pod=item.get("pod", ""),
    )


def _retry(op: str, item: Object) -> RetryPolicy:
    backoff, jitter = item.get("backoff"), item.get("jitter")
    try:
        return RetryPolicy(
            item.get("maxRetries", 1),
            item.get("delaySeconds"),
            Backoff[_BACKOFF[backoff]] if backoff else None,
            Jitter[_JITTER[jitter]] if jitter else None,
        )
    except DefinitionError as error:
        raise DefinitionError(error.reason, f"op {op!r}: {error.message}") from None


def _input(op: str, item: Object) -> Input:
    where = f"input {item['name']!r} of op {op!r}"
    given = [key for key in ("value", "from", "fromList") if key in item]
    if len(given) > 1:
        raise DefinitionError("InvalidInput", f"{where} sets {' and '.join(given)}; at most one of them is allowed")
    if "value" in item and "default" in item:
        raise DefinitionError("InvalidInput", f"{where} sets value and default; a value needs no default")
    refs = item.get("fromList") or ([item["from"]] if "from" in item else [])
    return Input(
        name=item["name"],
        sources=tuple(OutputRef(ref["op"], ref.get("output") or "result") for ref in refs),
        fan_in="fromList" in item,
        literal=_json(item, "value", where),
        default=_json(item, "default", where),
        has_default="default" in item,
    )


def _json(item: Object, key: str, where: str) -> str | None:
    try:
        return to_json(item[key]) if key in item else None
    except NotJsonError as error:
        raise DefinitionError("InvalidInput", f"the {key} of {where} must be a JSON value, not {error}") from None


def _container(item: Object) -> ContainerSpec:
    if item.get("script") and item.get("command"):
        raise DefinitionError("InvalidOp", f"op {item['name']!r} sets script and command; only one of them is allowed")
    first, end, _ = item.get("script", "").partition("\n")
    if end and first.startswith("#!") and first.endswith("\r"):
        raise DefinitionError(
            "InvalidOp",
            f"the script of op {item['name']!r} has CR LF line ends, so no image has its interpreter {first[2:]!r}; "
            "save it with LF line ends",
        )
    seen: dict[str, str] = {}
    for name in (i["name"] for i in item.get("inputs", ())):
        if name.upper() in seen:
            raise DefinitionError(
                "InvalidName",
                f"inputs {seen[name.upper()]!r} and {name!r} of op {item['name']!r} would both be INPUT_{name.upper()}",
            )
        seen[name.upper()] = name
    return ContainerSpec(
        image=check_field(f"op {item['name']!r}", item, "image", IMAGE),
        script=item.get("script", ""),
        command=tuple(item.get("command", ())),
        args=tuple(item.get("args", ())),
        env=tuple((e["name"], e["value"]) for e in item.get("env", ())),
    )
