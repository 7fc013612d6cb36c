"""What the controllers keep of one object between passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from podgraph.planning.actions import Actions, Assign, Event
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.run import Run
from podgraph.planning.model.owner import Owner

__all__ = ["WRITE_SECONDS", "AnyRun", "DefinitionState", "JobState", "ObjectState"]

WRITE_SECONDS = 1.0
"""The pause between two writes of a status, unless the second is urgent or the API server is slow."""

AnyRun = Run | DefinitionRun


@dataclass
class ObjectState:
    """What was last seen of an object, and what is still to be done for it.

    What is to be done stays until it is done, whatever fails in between.
    """

    object: Mapping[str, Any]
    generation: int = 0
    version: str = ""
    to_create: dict[str, dict[str, Any]] = field(default_factory=dict)
    to_delete: set[str] = field(default_factory=set)
    has_runtime: bool = False
    has_key: bool = False
    status: dict[str, Any] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    flush_status: bool = False
    written_at: float = float("-inf")
    write_seconds: float = WRITE_SECONDS

    @property
    def namespace(self) -> str:
        """The object's namespace."""
        return str(self.object["metadata"]["namespace"])

    def remember(self, actions: Actions) -> None:
        """Keep the actions until they are done."""
        self.to_create.update({pod["metadata"]["name"]: pod for pod in actions.creates})
        self.to_delete.update(actions.deletes)
        for name in actions.deletes:  # the API server may not have accepted the pod yet
            self.to_create.pop(name, None)
        self.status.update(actions.status)
        self.events.extend(actions.events)
        self.flush_status = self.flush_status or actions.flush_status


@dataclass
class JobState(ObjectState):
    """The state of an unfinished Job. `current_at` is a time of the clock of :class:`Standstill`."""

    run: Run | None = None
    changed: set[str] = field(default_factory=set)
    to_assign: dict[str, Assign] = field(default_factory=dict)
    to_confirm: set[str] = field(default_factory=set)
    yielded: int = 0
    current_at: float = float("-inf")

    @property
    def owner(self) -> Owner:
        """The owner that the Job's pods must have."""
        return Owner(self.namespace, "Job", self.object["metadata"]["uid"])

    def remember(self, actions: Actions) -> None:
        """Keep the actions until they are done."""
        super().remember(actions)
        for name in actions.deletes:
            self.to_assign.pop(name, None)
        self.to_assign.update({item.pod: item for item in actions.assigns})
        self.to_confirm.update(actions.confirm)


@dataclass(kw_only=True)
class DefinitionState(ObjectState):
    """The state of a JobDefinition. Passes work on `run`; the next pass replaces it with `latest`.

    `outdated_copies` are the names of the ConfigMaps with the code of earlier generations.
    """

    latest: DefinitionRun
    run: DefinitionRun | None = None
    outdated_copies: set[str] = field(default_factory=set)

    @property
    def owner(self) -> Owner:
        """The owner that the definition's pods must have."""
        return Owner(self.namespace, "JobDefinition", self.object["metadata"]["uid"])
