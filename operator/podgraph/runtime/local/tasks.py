"""The messages between a multiprocess run and a worker. A separate module, so that both pickle the same classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from podgraph.protocol.errors import ErrorInfo
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.local.channel import Stored

__all__ = ["Done", "Task"]


@dataclass(frozen=True)
class Task:
    """One attempt of one step, for a worker.

    `inputs` holds values that no selected op produces, `stored` the outputs of ops (a list for a fan-in). `config` and
    `resources` are from run config. Large outputs go to files in `folder`.
    """

    op: str
    number: int
    run: RunInfo
    folder: str
    inputs: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, Stored | list[Stored]] = field(default_factory=dict)
    config: Any = None
    resources: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Done:
    """The result of the attempt, from the worker."""

    outputs: dict[str, Stored] = field(default_factory=dict)
    error: ErrorInfo | None = None
    retry_after: float | None = None
