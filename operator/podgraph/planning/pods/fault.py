"""Whose fault a failure is, by its reason."""

from __future__ import annotations

import re
from enum import Enum

__all__ = ["Fault", "fault_of"]

_INFRASTRUCTURE = frozenset(
    (
        "ContainerStatusUnknown",
        "Evicted",
        "NodeAffinity",
        "NodeLost",
        "NodeShutdown",
        "PendingTimeout",
        "PodDeleted",
        "Preempted",
        "Preempting",
        "Shutdown",
        "Terminated",
        "TopologyAffinityError",
        "UnexpectedAdmissionError",
    )
)
_OUT_OF = re.compile(r"OutOf[a-z].*")  # the kubelet had no room after all: OutOfcpu, OutOfmemory, OutOfpods


class Fault(Enum):
    """Whose fault a failure is: the op's, the cluster's, or one that no further attempt could mend."""

    APPLICATION = "Application"
    INFRASTRUCTURE = "Infrastructure"
    PERMANENT = "Lasting"


def fault_of(reason: str) -> Fault:
    """Return whose fault a failure with this reason is, where nothing more is known of it.

    >>> fault_of("Evicted"), fault_of("OOMKilled")
    (<Fault.INFRASTRUCTURE: 'Infrastructure'>, <Fault.APPLICATION: 'Application'>)
    """
    if reason in _INFRASTRUCTURE or _OUT_OF.fullmatch(reason):
        return Fault.INFRASTRUCTURE
    return Fault.APPLICATION
