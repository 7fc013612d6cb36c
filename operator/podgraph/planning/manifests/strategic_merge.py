"""Strategic merge of parts of a pod, as Kubernetes does it: which lists are merged item by item, and by which key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["MergeError", "merge"]

_KEYS = {
    "containers": "name",
    "initContainers": "name",
    "volumes": "name",
    "imagePullSecrets": "name",
    "env": "name",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "ports": "containerPort",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "schedulingGates": "name",
    "resourceClaims": "name",
}
_APPENDED = ("tolerations", "envFrom")
"""Lists whose items have no name; a job's and an op's are wanted both."""
_ONE_OF = {"env": ("value", "valueFrom"), "volumes": None}
"""Items of which only one source may be set: in an item of `volumes` that is every field but its name."""


class MergeError(ValueError):
    """A part that cannot be merged: where, and why."""


def merge(below: Mapping[str, Any], above: Mapping[str, Any], path: str = "") -> dict[str, Any]:
    """Return `below` with `above` laid over it; neither is changed. Raises MergeError.

    Mappings are merged, lists by their items' keys where Kubernetes names one; tolerations and envFrom are appended,
    all else is replaced. A null removes what stands there.

    >>> pod = {"containers": [{"name": "step", "image": "a"}], "nodeSelector": {"disk": "ssd"}}
    >>> merge(pod, {"containers": [{"name": "step", "tty": True}, {"name": "b"}], "nodeSelector": {"zone": "x"}})
    {'containers': [{'name': 'step', 'image': 'a', 'tty': True}, {'name': 'b'}], 'nodeSelector': {...}}
    """
    merged = dict(below)
    for key, value in above.items():
        where = f"{path}.{key}" if path else key
        found = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif key in _KEYS and isinstance(value, list):
            merged[key] = _merge_items(found or [], value, key, where)
        elif isinstance(value, Mapping):
            if found is not None and not isinstance(found, Mapping):
                raise MergeError(f"{where} must not be a mapping")
            merged[key] = merge(found or {}, value, where)
        elif isinstance(found, list) or key in _KEYS or key in _APPENDED:
            if not isinstance(value, list):
                raise MergeError(f"{where} must be a list")
            merged[key] = [*(found or []), *_plain(value)] if key in _APPENDED else _plain(value)
        elif isinstance(found, Mapping):
            raise MergeError(f"{where} must be a mapping")
        else:
            merged[key] = _plain(value)
    return merged


def _merge_items(below: Any, above: list[Any], name: str, where: str) -> list[Any]:
    key = _KEYS[name]
    items = list(below)
    places = {item[key]: at for at, item in enumerate(items)}
    for at, item in enumerate(above):
        here = f"{where}[{at}]"
        if not isinstance(item, Mapping):
            raise MergeError(f"{here} must be a mapping")
        own = item.get(key)
        if not isinstance(own, (str, int)) or own == "":
            raise MergeError(f"{here} has no {key}, by which it is merged")
        if own not in places:
            places[own] = len(items)
            items.append(merge({}, item, here))
        else:
            items[places[own]] = merge(_without_others(items[places[own]], item, name), item, here)
    return items


def _without_others(below: Mapping[str, Any], above: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Leave out the source of an item when the one above has another, as both together would be refused."""
    if name not in _ONE_OF:
        return below
    fields = _ONE_OF[name] or (below.keys() | above.keys()) - {"name"}
    set_above = {field for field in fields if above.get(field) is not None}
    if not set_above:
        return below
    return {field: value for field, value in below.items() if field not in fields or field in set_above}


def _plain(value: Any) -> Any:
    """Return a value without the nulls in it, of which there is nothing left to remove."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value if item is not None]
    return value
