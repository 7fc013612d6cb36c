"""What an op may know about the run it is in."""

from __future__ import annotations

import logging
from dataclasses import dataclass

__all__ = ["OpContext"]


@dataclass(frozen=True)
class OpContext:
    """Given to an op whose first parameter is named `context`.

    `op_name` is the op's path in the job; `run_id` is the same for all steps of one run (the Job resource's uid in a
    cluster); `log` is a logger named after the op.
    """

    op_name: str
    run_id: str

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.op.<op_name>`."""
        return logging.getLogger(f"podgraph.op.{self.op_name}")
