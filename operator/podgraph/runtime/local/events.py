"""What happens in a run, one event after the other, with Dagster's names for them."""

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
    "STEP_INPUT": "op {step} got its input {name}",
    "STEP_OUTPUT": "op {step} produced its output {name}",
    "STEP_SUCCESS": "op {step} succeeded",
    "STEP_FAILURE": "op {step} failed: {error}",
    "STEP_SKIPPED": "op {step} was skipped: {reason}",
    "STEP_UP_FOR_RETRY": "op {step} failed and is tried again in {seconds} s: {error}",
    "STEP_RESTARTED": "op {step} starts again",
    "RESOURCE_INIT_SUCCESS": "resource {name} is ready",
    "RESOURCE_INIT_FAILURE": "resource {name} cannot be made: {error}",
    "RESOURCE_TEARDOWN_FAILURE": "resource {name} could not be put away: {error}",
    "HOOK_COMPLETED": "hook {name} was called for op {step}",
    "HOOK_ERRORED": "hook {name} failed for op {step}: {error}",
}


class Event(NamedTuple):
    """One thing that happened: its `type`, the op it is about ("" for the run), and when (seconds since the epoch).

    `data` holds what the type of event has to say: `name` of an input, output, resource or hook, `error` and `reason`
    texts, `seconds` to wait, `attempt` from 1.

    >>> Event("STEP_OUTPUT", "add_two", 0.0, {"name": "result"}).message
    'op add_two produced its output result'
    """

    type: str
    step_key: str
    time: float
    data: Mapping[str, Any] = {}

    @property
    def event_type_value(self) -> str:
        """Dagster's name of `type`."""
        return self.type

    @property
    def node_name(self) -> str:
        """The op's own name, without the graphs it is in."""
        return self.step_key.rpartition(".")[2]

    @property
    def message(self) -> str:
        """The event as a sentence."""
        return _SENTENCES[self.type].format(step=self.step_key, **self.data)

    @property
    def is_step_event(self) -> bool:
        """Whether it is about one step's course."""
        return self.type.startswith("STEP_")

    @property
    def is_successful_output(self) -> bool:
        """Whether it tells of an output."""
        return self.type == "STEP_OUTPUT"

    @property
    def is_step_failure(self) -> bool:
        """Whether it tells that a step failed for good."""
        return self.type == "STEP_FAILURE"
