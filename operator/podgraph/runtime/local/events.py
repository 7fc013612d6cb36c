"""The events of a run, with Dagster's names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

__all__ = ["Event"]

_SENTENCES = {
    "RUN_START": "the run starts",
    "RUN_SUCCESS": "the run succeeded",
    "RUN_FAILURE": "the run failed",
    "RUN_CANCELED": "the run was canceled",
    "STEP_START": "op {step} starts",
    "STEP_INPUT": "op {step} received its input {name}",
    "STEP_OUTPUT": "op {step} produced its output {name}",
    "STEP_SUCCESS": "op {step} succeeded",
    "STEP_FAILURE": "op {step} failed: {error}",
    "STEP_SKIPPED": "op {step} was skipped: {reason}",
    "STEP_UP_FOR_RETRY": "op {step} failed and will be retried in {seconds} s: {error}",
    "STEP_RESTARTED": "op {step} starts again",
    "RESOURCE_INIT_SUCCESS": "resource {name} is ready",
    "RESOURCE_INIT_FAILURE": "resource {name} cannot be created: {error}",
    "RESOURCE_TEARDOWN_FAILURE": "resource {name} could not be cleaned up: {error}",
    "HOOK_COMPLETED": "hook {name} was called for op {step}",
    "HOOK_ERRORED": "hook {name} failed for op {step}: {error}",
}


class Event(NamedTuple):
    """One event: its `type`, its op ("" for the run), and its time in seconds since the epoch.

    `data` depends on the type: the `name` of an input, output, resource or hook, the `error` and `reason`, the
    `seconds` to wait, the `attempt` from 1.

    >>> Event("STEP_OUTPUT", "add_two", 0.0, {"name": "result"}).message
    'op add_two produced its output result'
    """

    type: str
    step_key: str
    time: float
    data: Mapping[str, Any] = {}

    @property
    def event_type_value(self) -> str:
        """The same as `type` (Dagster's name)."""
        return self.type

    @property
    def node_name(self) -> str:
        """The name of the op, without the graphs that contain it."""
        return self.step_key.rpartition(".")[2]

    @property
    def message(self) -> str:
        """The event as a sentence."""
        return _SENTENCES[self.type].format(step=self.step_key, **self.data)

    @property
    def is_step_event(self) -> bool:
        """Whether the event is about one step."""
        return self.type.startswith("STEP_")

    @property
    def is_successful_output(self) -> bool:
        """Whether the event reports an output."""
        return self.type == "STEP_OUTPUT"

    @property
    def is_step_failure(self) -> bool:
        """Whether the event reports that a step failed after its last retry."""
        return self.type == "STEP_FAILURE"
