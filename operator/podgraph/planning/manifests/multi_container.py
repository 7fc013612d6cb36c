"""One pod out of the pods that single container ops would have: a container for each op beside the others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import VOLUME, Manifest
from podgraph.planning.model import names

__all__ = ["inputs_key", "join"]

_OWN = (names.SCRIPT, names.START, names.INPUTS)
"""The annotations that each op has for itself."""


def inputs_key(at: int) -> str:
    """Return the annotation for the inputs of the op that is the pod's number `at`."""
    return f"{names.INPUTS}-{at}"


def join(pod: str, name: str, singles: Mapping[str, tuple[int, Manifest]]) -> Manifest:
    """Return the pod `name` that the ops of `pod` share, made of the pods that they would have alone.

    Each op comes with its number in the pod. What is said of the pod as a whole, as by a podTemplate, is brought
    together: what one op says holds for all. Raises DefinitionError (`InvalidPodTemplate`) where two differ.
    """
    joined: Manifest = {}
    first = ""
    for op, (at, single) in singles.items():
        part = _numbered(op, at, single)
        try:
            joined = _united(joined, part, "") if joined else part
        except _Differ as differ:
            raise DefinitionError(
                "InvalidPodTemplate",
                f"ops {first!r} and {op!r} share pod {pod!r}, but their pods differ in {differ}; what is said of the "
                "whole pod must be the same",
            ) from None
        first = first or op
    joined["metadata"]["name"] = name
    joined["metadata"]["labels"][names.POD_LABEL] = names.label_value(pod)
    return joined


class _Differ(Exception):
    """Where two pods differ that must not."""


def _numbered(op: str, at: int, single: Manifest) -> Manifest:
    """Return an op's pod with what is its own named by op or number."""
    metadata, spec = single["metadata"], single["spec"]
    notes = {f"{key}-{at}" if key in _OWN else key: text for key, text in metadata["annotations"].items()}
    notes.pop(names.OP_ANNOTATION)
    labels = {key: text for key, text in metadata["labels"].items() if key != names.OP_LABEL}
    volumes = [_own_volume(volume, at) if volume["name"] == VOLUME else volume for volume in spec["volumes"]]
    containers = [_own_container(c, op, at) if c["name"] == names.CONTAINER else c for c in spec["containers"]]
    return {
        **single,
        "metadata": {**metadata, "name": "", "labels": labels, "annotations": notes},
        "spec": {**spec, "volumes": volumes, "containers": containers},
    }


def _own_volume(volume: Manifest, at: int) -> Manifest:
    sources = []
    for source in volume["projected"]["sources"]:
        items = []
        for item in source["downwardAPI"]["items"]:
            path = item["fieldRef"]["fieldPath"].removesuffix("']") + f"-{at}']"
            items.append({**item, "fieldRef": {"fieldPath": path}})
        sources.append({"downwardAPI": {"items": items}})
    return {"name": f"{VOLUME}-{at}", "projected": {"sources": sources}}


def _own_container(container: Manifest, op: str, at: int) -> Manifest:
    mounts = [
        {**mount, "name": f"{VOLUME}-{at}"} if mount["name"] == VOLUME else mount for mount in container["volumeMounts"]
    ]
    return {**container, "name": names.step_container(op), "volumeMounts": mounts}


def _united(one: Any, other: Any, path: str) -> Any:
    if isinstance(one, dict) and isinstance(other, dict):
        merged = dict(one)
        for key, value in other.items():
            merged[key] = _united(merged[key], value, f"{path}.{key}".lstrip(".")) if key in merged else value
        return merged
    if isinstance(one, list) and isinstance(other, list):
        return _united_lists(one, other, path)
    if one != other:
        raise _Differ(path)
    return one


def _united_lists(one: list[Any], other: list[Any], path: str) -> list[Any]:
    """Bring lists together whose items have names; other items are there once each."""
    named = {item["name"]: item for item in one if isinstance(item, dict) and "name" in item}
    merged = list(one)
    for item in other:
        same = named.get(item["name"]) if isinstance(item, dict) and "name" in item else None
        if same is None:
            if item not in merged:
                merged.append(item)
        elif same != item:
            raise _Differ(f"{path}[{item['name']}]")
    return merged
