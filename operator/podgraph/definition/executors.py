"""The default executor of a job, set in its definition: `@job(executor_def=in_process_executor)`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["ExecutorDefinition", "in_process_executor", "multiprocess_executor"]


@dataclass(frozen=True)
class ExecutorDefinition:
    """An executor and its settings, with the names that run config uses in `execution.config`.

    >>> multiprocess_executor.configured({"max_concurrent": 4}).name
    'multiprocess'
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)

    def configured(self, settings: Mapping[str, Any]) -> ExecutorDefinition:
        """Return the executor with other settings: `multiprocess_executor.configured({"max_concurrent": 4})`."""
        return ExecutorDefinition(self.name, dict(settings))

    def run_config(self) -> dict[str, Any]:
        """Return the run config that selects this executor.

        >>> in_process_executor.run_config()
        {'execution': {'config': {'in_process': {}}}}
        """
        return {"execution": {"config": {self.name: dict(self.settings)}}}


in_process_executor = ExecutorDefinition("in_process")
"""Runs all steps one after the other in the process that runs the job."""

multiprocess_executor = ExecutorDefinition("multiprocess")
"""Runs each step in its own process."""
