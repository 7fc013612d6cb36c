"""The result of `execute_in_process`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Callable

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.jobs import JobDefinition
from podgraph.protocol.errors import ErrorInfo
from podgraph.runtime.local.events import Event
from podgraph.runtime.local.steps import LocalStep

__all__ = ["ExecuteInProcessResult"]


class ExecuteInProcessResult:
    """The result of a run: its events, and the state and outputs of each op.

    A node is identified by its path (`add`, `src.add`). All methods with a `node` raise DefinitionError (`UnknownOp`)
    for a name that the job does not have.

    >>> from podgraph import job, op
    >>> @op
    ... def one() -> int:
    ...     return 1
    >>> @job
    ... def my_job():
    ...     one()
    >>> result = my_job.execute_in_process()
    >>> result.success, result.output_for_node("one")
    (True, 1)
    """

    def __init__(
        self, job_def: JobDefinition, run_id: str, tags: Mapping[str, str], events: list[Event],
        steps: Mapping[str, LocalStep],
    ) -> None:  # fmt: skip
        self.job_def, self.run_id, self.tags = job_def, run_id, dict(tags)
        self.all_events = events
        self._steps = steps

    def __repr__(self) -> str:
        counts: dict[str, int] = {}
        for step in self._steps.values():
            counts[step.state] = counts.get(step.state, 0) + 1
        listed = ", ".join(f"{count} {state}" for state, count in counts.items())
        return f"<ExecuteInProcessResult of {self.job_def.name!r}: {listed}>"

    @property
    def success(self) -> bool:
        """Whether every step succeeded or was skipped. If a resource cannot be created, no step runs."""
        return all(step.state in ("Succeeded", "Skipped") for step in self._steps.values())

    def output_for_node(self, node: str, output_name: str = "result") -> Any:
        """Return the value of an output of an op, or of a graph in the job.

        Raises DefinitionError: `UnknownOp` (also for an op that was not selected), `UnknownOutput`, and `NoOutput` if
        the op did not produce it.
        """
        outputs = self.job_def.outputs.get(node) if node else None
        if outputs is not None:
            return self._mapped(f"graph {node!r}", outputs, output_name)
        self._check(node)
        if node not in self._steps:
            raise DefinitionError("UnknownOp", f"op {node!r} was not selected, so it produced nothing")
        step, known = self._steps[node], self.job_def.ops[node].outs
        if output_name not in known:
            raise DefinitionError(
                "UnknownOutput", f"op {node!r} has no output {output_name!r}{nearest(output_name, known)}"
            )
        if output_name not in step.outputs:
            why = f" ({step.message})" if step.message else ""
            raise DefinitionError("NoOutput", f"op {node!r} {step.state} without its output {output_name!r}{why}")
        return step.outputs[output_name]

    def output_value(self, output_name: str = "result") -> Any:
        """Return the value of an output of the job. Raises DefinitionError as :meth:`output_for_node` does."""
        return self._mapped(f"job {self.job_def.name!r}", self.job_def.outputs[""], output_name)

    def is_node_success(self, node: str) -> bool:
        """Return whether an op, or all selected ops of a graph, succeeded."""
        states = self._states(node)
        return bool(states) and all(state == "Succeeded" for state in states)

    def is_node_failed(self, node: str) -> bool:
        """Return whether an op, or any op of a graph, failed itself."""
        return "Failed" in self._states(node)

    def is_node_skipped(self, node: str) -> bool:
        """Return whether an op, or all ops of a graph, were skipped because an optional output was not produced."""
        states = self._states(node)
        return bool(states) and all(state == "Skipped" for state in states)

    def is_node_untouched(self, node: str) -> bool:
        """Return whether no op of a node ran: it was not selected, or an upstream op failed."""
        return all(state in ("Pending", "UpstreamFailed") for state in self._states(node))

    def failure_data_for_node(self, node: str) -> ErrorInfo | None:
        """Return the error of a failed op, None if it did not fail."""
        self._check(node)
        return self._steps[node].error if node in self._steps else None

    def retry_attempts_for_node(self, node: str) -> int:
        """Return the number of retries of an op."""
        return sum(event.type == "STEP_RESTARTED" for event in self.events_for_node(node))

    def get_failed_step_keys(self) -> set[str]:
        """Return the names of the ops that failed themselves."""
        return {name for name, step in self._steps.items() if step.state == "Failed"}

    @property
    def all_node_events(self) -> list[Event]:
        """The events of ops, without those of the run."""
        return self.filter_events(lambda event: bool(event.step_key))

    def filter_events(self, event_filter: Callable[[Event], bool]) -> list[Event]:
        """Return the events for which `event_filter` is true."""
        return [event for event in self.all_events if event_filter(event)]

    def events_for_node(self, node: str) -> list[Event]:
        """Return the events of an op, or of all ops of a graph."""
        paths = self._paths(node)
        return self.filter_events(lambda event: event.step_key in paths)

    def get_step_success_events(self) -> list[Event]:
        """Return the STEP_SUCCESS events."""
        return self._of_type("STEP_SUCCESS")

    def get_step_failure_events(self) -> list[Event]:
        """Return the STEP_FAILURE events."""
        return self._of_type("STEP_FAILURE")

    def get_step_skipped_events(self) -> list[Event]:
        """Return the STEP_SKIPPED events."""
        return self._of_type("STEP_SKIPPED")

    def get_run_success_event(self) -> Event:
        """Return the RUN_SUCCESS event. Raises DefinitionError (`NoEvent`) if the run failed."""
        return self._only("RUN_SUCCESS", "failed")

    def get_run_failure_event(self) -> Event:
        """Return the RUN_FAILURE event. Raises DefinitionError (`NoEvent`) if the run succeeded."""
        return self._only("RUN_FAILURE", "succeeded")

    def _of_type(self, kind: str) -> list[Event]:
        return [event for event in self.all_events if event.type == kind]

    def _only(self, kind: str, instead: str) -> Event:
        found = self._of_type(kind)
        if not found:
            raise DefinitionError("NoEvent", f"the run {instead}, so it has no {kind} event")
        return found[0]

    def _mapped(self, where: str, outputs: Mapping[str, Any], name: str) -> Any:
        if name not in outputs:
            raise DefinitionError("UnknownOutput", f"{where} has no output {name!r}{nearest(name, outputs)}")
        return self.output_for_node(outputs[name].op, outputs[name].output)

    def _states(self, node: str) -> list[str]:
        return [self._steps[path].state for path in self._paths(node) if path in self._steps]

    def _paths(self, node: str) -> set[str]:
        self._check(node)
        if node in self.job_def.ops:
            return {node}
        return {path for path in self.job_def.ops if path.startswith(f"{node}.")}

    def _check(self, node: str) -> None:
        if node not in self.job_def.ops and (not node or node not in self.job_def.outputs):
            known = [*self.job_def.ops, *filter(None, self.job_def.outputs)]
            raise DefinitionError(
                "UnknownOp", f"job {self.job_def.name!r} has no op or graph {node!r}{nearest(node, known)}"
            )
