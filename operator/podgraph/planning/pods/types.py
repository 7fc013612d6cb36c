"""The few fields of a Kubernetes pod that the planner reads. msgspec skips all the rest while it decodes."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from podgraph.planning.model.names import API_VERSION
from podgraph.planning.model.owner import Owner

__all__ = [
    "Condition",
    "ContainerState",
    "ContainerStatus",
    "Meta",
    "OwnerReference",
    "Pod",
    "PodStatus",
    "Running",
    "Terminated",
    "Waiting",
    "controller_of",
    "doubt",
    "Pods",
]


class _Part(msgspec.Struct, rename="camel", frozen=True, gc=False):
    """A part of a pod without reference cycles, so the garbage collector need not look at it."""


class OwnerReference(_Part, frozen=True):
    """One entry of `metadata.ownerReferences`."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class Meta(_Part, frozen=True):
    """`metadata`."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    labels: dict[str, str] = {}
    owner_references: list[OwnerReference] = []
    creation_timestamp: str | None = None
    deletion_timestamp: str | None = None


class Waiting(_Part, frozen=True):
    """A container that has not started, and why."""

    reason: str = ""
    message: str = ""


class Running(_Part, frozen=True):
    """A container that runs."""

    started_at: str | None = None


class Terminated(_Part, frozen=True):
    """A container that ended; `message` is its termination message. Times have whole seconds."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = None
    finished_at: str | None = None


class ContainerState(_Part, frozen=True):
    """Exactly one of the three is set."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(_Part, frozen=True):
    """One container's name and state."""

    name: str
    state: ContainerState = ContainerState()


class Condition(_Part, frozen=True):
    """One entry of `status.conditions`."""

    type: str
    status: str
    reason: str = ""
    message: str = ""


class PodStatus(_Part, frozen=True):
    """`status`."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    conditions: list[Condition] = []
    container_statuses: list[ContainerStatus] = []
    init_container_statuses: list[ContainerStatus] = []


class Pod(_Part, frozen=True):
    """A pod as the reflector keeps it. `gone` is set on the last state of a pod that was deleted."""

    metadata: Meta
    status: PodStatus = PodStatus()
    gone: bool = False


def controller_of(meta: Meta) -> OwnerReference | None:
    """Return the reference to the controller of an object, None when that is none of our resources."""
    for reference in meta.owner_references:
        if reference.controller:  # the API server allows one
            return reference if reference.api_version == API_VERSION else None
    return None


def doubt(meta: Meta, owner: Owner) -> str:
    """Return why an object is not this owner's, "" when it is.

    Labels and names do not count: everybody can compute them and put them on any object. An owner reference does not
    reach beyond its namespace.
    """
    if meta.namespace != owner.namespace:
        return "OtherNamespace"
    controller = controller_of(meta)
    if controller is None:
        return "NoController"
    return "" if (controller.kind, controller.uid) == (owner.kind, owner.uid) else "OtherController"


Pods = Mapping[str, Pod]
"""The pods that there are, by name."""
