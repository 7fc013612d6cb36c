"""The pod settings of one op in run config: the resources of its container, as in Kubernetes.

They apply if the op has its own pod. If the op runs in a process, they are checked and have no effect.
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
    "description": "settings of the op's pod in a cluster",
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
