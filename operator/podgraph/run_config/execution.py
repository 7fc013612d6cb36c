"""The `execution` section of run config: the executor of a job and its settings.

It has the form of Dagster's default executor: `execution: {config: {in_process: {}}}` or `{multiprocess: {...}}`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["EXECUTION_SCHEMA", "EXECUTORS", "Execution", "TagLimit", "read_execution"]

EXECUTORS = ("in_process", "multiprocess")


@dataclass(frozen=True)
class TagLimit:
    """At most `limit` steps run at once whose tag `key` has the value `value`; None is any value.

    With `per_value` the limit applies to each value of the tag separately.
    """

    key: str
    limit: int
    value: str | None = None
    per_value: bool = False


@dataclass(frozen=True)
class Execution:
    """The executor and its settings. `max_concurrent` is the maximum number of concurrent steps, at least 1."""

    executor: str = "in_process"
    start_method: str = ""
    max_concurrent: int = 1
    tag_limits: tuple[TagLimit, ...] = ()
    retries: bool = True


def read_execution(config: Mapping[str, Any] | None, default: str) -> Execution:
    """Read the section after its check against :data:`EXECUTION_SCHEMA`. An empty section selects `default`.

    >>> read_execution({"config": {"multiprocess": {"max_concurrent": 4}}}, "in_process").max_concurrent
    4
    """
    chosen = dict((config or {}).get("config") or {default: {}})
    executor = next(iter(chosen))
    settings = chosen[executor] or {}
    retries = "disabled" not in (settings.get("retries") or {})
    if executor == "in_process":
        return Execution(retries=retries)
    return Execution(
        executor=executor,
        start_method=next(iter(settings.get("start_method") or {}), "") or _start_method(),
        max_concurrent=settings.get("max_concurrent") or os.cpu_count() or 1,
        tag_limits=tuple(_tag_limit(item) for item in settings.get("tag_concurrency_limits") or ()),
        retries=retries,
    )


def _start_method() -> str:
    """Return "forkserver" on platforms with fork, "spawn" elsewhere."""
    return "forkserver" if hasattr(os, "fork") else "spawn"


def _tag_limit(item: Mapping[str, Any]) -> TagLimit:
    value = item.get("value")
    if isinstance(value, Mapping):
        return TagLimit(item["key"], item["limit"], per_value=bool(value["applyLimitPerUniqueValue"]))
    return TagLimit(item["key"], item["limit"], value)


def _object(description: str = "", **properties: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    if description:
        schema["description"] = description
    return schema


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Return the schema with null allowed: YAML reads a name without a value as null."""
    return {**schema, "type": [schema["type"], "null"]}


_RETRIES = {
    **_or_null(_object("whether retry policies apply", enabled=_or_null(_object()), disabled=_or_null(_object()))),
    "maxProperties": 1,
}

_TAG_LIMIT = {
    **_object(
        key={"type": "string"},
        value={
            "anyOf": [
                {"type": "string"},
                {**_object(applyLimitPerUniqueValue={"type": "boolean"}), "required": ["applyLimitPerUniqueValue"]},
            ]
        },
        limit={"type": "integer", "minimum": 1},
    ),
    "required": ["key", "limit"],
}

_START_METHOD = {
    **_or_null(
        _object(
            "how the process of a step is started",
            forkserver=_or_null(_object("fork it from a process that has loaded the code")),
            spawn=_or_null(_object("start a new interpreter for each step")),
        )
    ),
    "minProperties": 1,
    "maxProperties": 1,
}

_MULTIPROCESS = _object(
    "runs each step in its own process",
    max_concurrent=_or_null(
        {"type": "integer", "minimum": 0, "description": "maximum number of concurrent steps; 0: one per CPU"}
    ),
    start_method=_START_METHOD,
    tag_concurrency_limits=_or_null(
        {"type": "array", "description": "limits for steps that have a tag", "items": _TAG_LIMIT}
    ),
    retries=_RETRIES,
)

EXECUTION_SCHEMA: dict[str, Any] = _object(
    "how the steps run",
    config={
        **_or_null(
            _object(
                "one executor and its settings",
                in_process=_or_null(_object("runs all steps one after the other in one process", retries=_RETRIES)),
                multiprocess=_or_null(_MULTIPROCESS),
            )
        ),
        "maxProperties": 1,
    },
)
"""JSON Schema of the `execution` section."""
