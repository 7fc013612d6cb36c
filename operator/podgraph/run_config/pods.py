"""What run config may say of the pod of one op: the resources of its container, as Kubernetes has them.

It counts where the op has a pod of its own; where it runs in a process it is checked and has no effect.
"""

from __future__ import annotations

from typing import Any

__all__ = ["POD_SCHEMA"]

_QUANTITY = {
    "type": ["string", "number"],
    "minimum": 0,
    "format": "quantity",
    "pattern": r"^([0-9]+(\.[0-9]*)?|\.[0-9]+)([numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?$",
    "maxLength": 32,
}
_AMOUNTS = {
    "type": "object",
    "properties": {"cpu": _QUANTITY, "memory": _QUANTITY},
    "additionalProperties": False,
}
POD_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "what the op's pod has in a cluster",
    "properties": {
        "resources": {
            "type": "object",
            "properties": {"requests": _AMOUNTS, "limits": _AMOUNTS},
            "additionalProperties": False,
        }
    },
    "additionalProperties": False,
    "default": {},
}
