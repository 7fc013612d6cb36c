"""What a multiprocess run and the process of a step give each other; apart, so that both name its classes alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from podgraph.protocol.errors import ErrorInfo
from podgraph.runtime.attempt import RunInfo
from podgraph.runtime.local.channel import Stored

__all__ = ["Done", "Task"]


@dataclass(frozen=True)
class Task:
    """One attempt of one step, as the run gives it to a process.

    `inputs` holds values that no selected op gives, `stored` those that ops gave (a list for a fan-in); `config` and
    `resources` are as run config holds them; large outputs go to files in `folder`.
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
    """How the attempt ended, as the process tells the run."""

    outputs: dict[str, Stored] = field(default_factory=dict)
    error: ErrorInfo | None = None
    retry_after: float | None = None
