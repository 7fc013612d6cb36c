"""What is kept of one unfinished Job, or of a JobDefinition, between passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podgraph.planning.actions import Assign, Event
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.run import Run
from podgraph.planning.model.owner import Owner

__all__ = ["WRITE_SECONDS", "AnyRun", "JobState"]

WRITE_SECONDS = 1.0
"""How long after a write of a status the next comes, unless it is urgent or the API server is slow."""

AnyRun = Run | DefinitionRun


@dataclass
class JobState:
    """What was last seen of it, and what is to be done until it is done, whatever fails in between."""

    object: Mapping[str, Any]
    run: AnyRun | None = None
    next: DefinitionRun | None = None  # of a definition that came or was changed
    old_maps: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    to_create: dict[str, dict[str, Any]] = field(default_factory=dict)
    to_assign: dict[str, Assign] = field(default_factory=dict)
    to_delete: set[str] = field(default_factory=set)
    to_confirm: set[str] = field(default_factory=set)
    has_runtime: bool = False
    has_key: bool = False
    yielded: int = 0
    status: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    flush_status: bool = False
    written_at: float = float("-inf")
    write_seconds: float = WRITE_SECONDS
    version: str = ""
    current_at: float = float("-inf")  # by the clock of Standstill
    generation: int = 0

    @property
    def owner(self) -> Owner:
        """Whose pods are its."""
        meta, run = self.object["metadata"], self.run or self.next
        return Owner(meta["namespace"], run.ref.kind if run is not None else "Job", meta["uid"])
