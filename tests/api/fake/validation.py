"""What the API server refuses: names, labels, sizes, owner references, and a little of each kind's own."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import bad_request, invalid
from .resources import Resource

Obj = dict[str, Any]
Causes = list[tuple[str, str]]

_POD_FIELDS = frozenset({
    "activeDeadlineSeconds", "affinity", "automountServiceAccountToken", "containers", "enableServiceLinks",
    "imagePullSecrets", "initContainers", "nodeSelector", "priorityClassName", "restartPolicy", "runtimeClassName",
    "schedulingGates", "securityContext", "serviceAccountName", "terminationGracePeriodSeconds", "tolerations",
    "volumes",
})  # fmt: skip
_CONTAINER_FIELDS = frozenset({
    "args", "command", "env", "envFrom", "image", "imagePullPolicy", "lifecycle", "name", "ports", "resources",
    "restartPolicy", "securityContext", "terminationMessagePath", "terminationMessagePolicy", "tty", "volumeMounts",
    "workingDir",
})  # fmt: skip
ANNOTATIONS_LIMIT = 262144
CONFIG_MAP_LIMIT = 1048576

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_PART = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_CONFIG_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', "
    "and must start and end with an alphanumeric character"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', "
    "and must start and end with an alphanumeric character"
)
_KEY_TEXT = "name part must consist of alphanumeric characters, '-', '_' or '.'"
_VALUE_TEXT = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.'"


def check(resource: Resource, obj: Obj, old: Obj | None) -> None:
    """Raise the 422 the server would, for an object about to be stored."""
    meta = obj["metadata"]
    causes = _name(resource, meta["name"]) if old is None else []
    causes += _own(resource, obj, old)
    causes += _labels(meta.get("labels") or {})
    causes += _annotations(meta.get("annotations") or {})
    causes += _owners(meta.get("ownerReferences") or [])
    if old is not None and old["metadata"].get("deletionTimestamp"):
        added = [f for f in meta.get("finalizers") or [] if f not in (old["metadata"].get("finalizers") or [])]
        if added:
            text = f"no new finalizers can be added if the object is being deleted, found {json.dumps(added)}"
            causes.append(("metadata.finalizers", f"Forbidden: {text}"))
    if causes:
        raise invalid(resource, meta["name"], *causes)


def check_fields(resource: Resource, body: Obj) -> None:
    """Refuse unknown fields of a pod, as strict field validation does; only those at the places that tests use."""
    if resource.plural != "pods":
        return
    spec = body.get("spec") or {}
    unknown = [f"spec.{key}" for key in spec if key not in _POD_FIELDS]
    for at, container in enumerate(spec.get("containers") or ()):
        unknown += [f"spec.containers[{at}].{key}" for key in container if key not in _CONTAINER_FIELDS]
    if unknown:
        listed = ", ".join(f'unknown field "{field}"' for field in unknown)
        raise bad_request(f'Pod in version "v1" cannot be handled as a Pod: strict decoding error: {listed}')


def _name(resource: Resource, name: str) -> Causes:
    short = resource.plural == "namespaces"
    pattern, text, limit = (_LABEL, _LABEL_TEXT, 63) if short else (_SUBDOMAIN, _SUBDOMAIN_TEXT, 253)
    if len(name) > limit:
        return [("metadata.name", f'Invalid value: "{name}": must be no more than {limit} bytes')]
    if not pattern.fullmatch(name):
        return [("metadata.name", f'Invalid value: "{name}": {text}')]
    return []


def _labels(labels: dict[str, Any]) -> Causes:
    causes = []
    for key, value in labels.items():
        causes += _key("metadata.labels", key)
        if not isinstance(value, str):
            causes.append(("metadata.labels", f"Invalid value: {json.dumps(value)}: must be a string"))
        elif len(value) > 63:
            causes.append(("metadata.labels", f'Invalid value: "{value}": must be no more than 63 bytes'))
        elif value and not _NAME_PART.fullmatch(value):
            causes.append(("metadata.labels", f'Invalid value: "{value}": {_VALUE_TEXT}'))
    return causes


def _key(field: str, key: str) -> Causes:
    prefix, _, name = key.rpartition("/")
    if len(name) > 63 or len(prefix) > 253:
        return [(field, f'Invalid value: "{key}": name part must be no more than 63 bytes')]
    if not _NAME_PART.fullmatch(name) or (prefix and not _SUBDOMAIN.fullmatch(prefix)):
        return [(field, f'Invalid value: "{key}": {_KEY_TEXT}')]
    return []


def _annotations(annotations: dict[str, str]) -> Causes:
    causes = [cause for key in annotations for cause in _key("metadata.annotations", key.lower())]
    total = sum(len(key.encode()) + len(value.encode()) for key, value in annotations.items())
    if total > ANNOTATIONS_LIMIT:
        causes.append(("metadata.annotations", f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes"))
    return causes


def _owners(owners: list[Obj]) -> Causes:
    causes = []
    for owner in owners:
        for field in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(field):
                causes.append((f"metadata.ownerReferences.{field}", 'Invalid value: "": must not be empty'))
    if sum(bool(owner.get("controller")) for owner in owners) > 1:
        text = "Only one reference can have Controller set to true"
        causes.append(("metadata.ownerReferences", f"Invalid value: {json.dumps(owners)}: {text}"))
    return causes


def _own(resource: Resource, obj: Obj, old: Obj | None) -> Causes:
    if resource.group == "" and resource.plural == "pods":
        return _pod(obj, old)
    if resource.group == "" and resource.plural == "configmaps":
        return _config_map(obj, old)
    return []


def _pod(obj: Obj, old: Obj | None) -> Causes:
    spec = obj.get("spec") or {}
    if not spec.get("containers"):
        return [("spec.containers", "Required value")]
    causes: Causes = []
    for index, container in enumerate(spec["containers"]):
        name = container.get("name")
        if not name:
            causes.append((f"spec.containers[{index}].name", "Required value"))
        elif len(name) > 63 or not _LABEL.fullmatch(name):
            causes.append((f"spec.containers[{index}].name", f'Invalid value: "{name}": {_LABEL_TEXT}'))
        if not container.get("image"):
            causes.append((f"spec.containers[{index}].image", "Required value"))
    if old is not None and _fixed(spec) != _fixed(old["spec"]):
        text = (
            "pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations`"
        )
        causes.append(("spec", f"Forbidden: {text}"))
    return causes


def _fixed(spec: Obj) -> Obj:
    """A pod spec without the fields that may change."""
    open_fields = ("activeDeadlineSeconds", "tolerations", "containers", "initContainers", "schedulingGates")
    fixed = {key: value for key, value in spec.items() if key not in open_fields}
    for key in ("containers", "initContainers"):
        fixed[key] = [{**container, "image": ""} for container in spec.get(key) or []]
    return fixed


def _config_map(obj: Obj, old: Obj | None) -> Causes:
    data, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    causes: Causes = []
    for field, values in (("data", data), ("binaryData", binary)):
        for key in values:
            if not _CONFIG_KEY.fullmatch(key):
                causes.append((f"{field}[{key}]", f'Invalid value: "{key}": a valid config key must match'))
    size = sum(len(value.encode()) for value in data.values()) + sum(len(v) * 3 // 4 for v in binary.values())
    if size > CONFIG_MAP_LIMIT:
        causes.append(("[]", f"Too long: may not be more than {CONFIG_MAP_LIMIT} bytes"))
    if old is not None and old.get("immutable"):
        for field in ("immutable", "data", "binaryData"):
            if obj.get(field) != old.get(field):
                causes.append((field, "Forbidden: field is immutable when `immutable` is set"))
    return causes
