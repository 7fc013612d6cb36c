"""Pod templates as users write them: a part of a Kubernetes Pod, as plain JSON values.

planning.manifests.pod_template merges them into the pods of a job and protects the fields that belong to podgraph.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.values import NotJsonError, to_json

__all__ = ["MAX_POD_TEMPLATE", "check_pod_template"]

MAX_POD_TEMPLATE = 65_536
"""Maximum size of one template, in bytes of JSON."""

_SECTIONS = {"metadata": ("labels", "annotations"), "spec": ()}


def check_pod_template(where: str, template: Any) -> str:
    """Return a pod template as compact JSON text, "" if it is empty.

    `where` names the owner of the template in errors. Raises DefinitionError (`InvalidPodTemplate`).

    >>> check_pod_template("op 'a'", {"spec": {"nodeSelector": {"disk": "ssd"}}})
    '{"spec":{"nodeSelector":{"disk":"ssd"}}}'
    """
    if template is None:
        return ""
    _mapping(where, "", template, tuple(_SECTIONS))
    given = {key: value for key, value in template.items() if value is not None}
    if "metadata" in given:
        _mapping(where, "metadata", given["metadata"], _SECTIONS["metadata"])
        given["metadata"] = {key: value for key, value in given["metadata"].items() if value is not None}
    try:
        text = to_json(given)
    except NotJsonError as error:
        raise _refusal(where, f"it must contain only JSON values, not {error}") from None
    for key, texts in given.get("metadata", {}).items():
        _mapping(where, f"metadata.{key}", texts)
        for name, value in texts.items():
            if value is not None and not isinstance(value, str):
                raise _refusal(where, f"metadata.{key}.{name} must be a string, not {value!r}"[:300])
    if "spec" in given:
        _mapping(where, "spec", given["spec"])
        _refuse_directives(where, given["spec"], "spec")
    size = len(text.encode())
    if size > MAX_POD_TEMPLATE:
        raise _refusal(where, f"it is {size:,} bytes of JSON; at most {MAX_POD_TEMPLATE:,} are allowed")
    return text if any(given.values()) else ""


def _mapping(where: str, path: str, value: Any, known: tuple[str, ...] = ()) -> None:
    if not isinstance(value, Mapping):
        raise _refusal(where, f"{path or 'it'} must be a mapping, not {type(value).__name__}")
    for key in value if known else ():
        if key not in known:
            allowed = " and ".join(known)
            hint = nearest(key, known).partition("; there")[0] if isinstance(key, str) else ""
            raise _refusal(where, f"{path or 'it'} contains {str(key)[:60]!r}; only {allowed} are allowed{hint}")


def _refuse_directives(where: str, value: Any, path: str) -> None:
    """Refuse `$patch` and other directives: null is the only way to remove a field."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key.startswith("$"):
                raise _refusal(
                    where,
                    f"{path} contains {key[:60]!r}; patch directives are not supported, use null to remove a field",
                )
            _refuse_directives(where, item, f"{path}.{key}")
    elif isinstance(value, list):
        for at, item in enumerate(value):
            _refuse_directives(where, item, f"{path}[{at}]")


def _refusal(where: str, what: str) -> DefinitionError:
    return DefinitionError("InvalidPodTemplate", f"{where}: {what}")
