"""Decide whether an existing object is the one that we tried to create, from an earlier attempt."""

from __future__ import annotations

from typing import Any

from podgraph.api import Object
from podgraph.planning.model.names import AHEAD_LABEL, GROUP, MANAGED_BY_LABEL, OP_LABEL

__all__ = ["KINDS", "difference"]

KINDS = {"pods": "Pod", "configmaps": "ConfigMap", "persistentvolumeclaims": "PersistentVolumeClaim"}
_LATER = (AHEAD_LABEL, OP_LABEL)  # they change when a pod receives its assignment
_CONTENT = ("data", "binaryData", "immutable")


def difference(plural: str, wanted: Object, found: Object, any_content: bool) -> str:
    """Return how `found` differs from what creating `wanted` would have created, "" if it does not.

    Our ConfigMaps are immutable. `any_content` means that the content copied into it may have been different then.
    """
    if _controller(wanted) != _controller(found):
        return "OtherController" if _controller(found) else "NoController"
    if plural in ("pods", "configmaps") and not _labels(wanted).items() <= _labels(found).items():
        return "OtherLabels"
    if plural == "configmaps":
        if bool(wanted.get("immutable")) and not found.get("immutable"):
            return "NotImmutable"
        if not any_content and any((wanted.get(key) or None) != (found.get(key) or None) for key in _CONTENT):
            return "OtherContent"
    return ""


def _controller(found: Object) -> tuple[Any, ...]:
    """Return the controller of an object; an owner that is not its controller does not count."""
    owners = found["metadata"].get("ownerReferences") or ()
    controller = next((owner for owner in owners if owner.get("controller")), None)
    if controller is None:
        return tuple(owner["uid"] for owner in owners)
    return controller["apiVersion"], controller["kind"], controller["uid"]


def _labels(found: Object) -> dict[str, str]:
    labels = found["metadata"].get("labels") or {}
    ours = {key: value for key, value in labels.items() if key.startswith(f"{GROUP}/") or key == MANAGED_BY_LABEL}
    return {key: value for key, value in ours.items() if key not in _LATER}
