"""The options of `podgraph job launch` that override fields of the Job's spec."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.planning.model.names import CONTAINER

__all__ = ["FIELDS", "MODES", "Overlay", "plain_yaml"]

MODES = ("PodPerStep", "InProcess", "Multiprocess")

FIELDS: Mapping[str, tuple[str, ...]] = {
    "activeDeadlineSeconds": (),
    "cancel": (),
    "code": ("configMapRef", "image", "job", "module", "source"),
    "definitionRef": ("name",),
    "execution": (
        "infrastructureRetries", "maxConcurrent", "maxPrestarted", "mode", "pendingTimeoutSeconds", "podRetention",
        "prestart", "startMethod", "tagConcurrencyLimits",
    ),
    "opSelection": (),
    "ops": (),
    "podTemplate": ("metadata", "spec"),
    "rerunOf": ("name", "steps", "uid"),
    "runConfig": ("execution", "inputs", "ops", "resources"),
    "storage": ("claimRef", "logs", "retain", "secretRef", "url"),
    "suspend": (),
    "tags": (),
    "ttlSecondsAfterFinished": (),
}  # fmt: skip
"""The fields of a Job's spec and their direct subfields. The API server checks deeper levels."""

_FREE = ("tags",)  # their keys are free
_MOST_ITEMS = 1_000
_STEP = re.compile(r"((?:[^.\[\]\\=]|\\.)+)|\[(\d{1,4})\]")
_DURATION = re.compile(r"(\d{1,9})([smhd]?)")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


class _Loader(yaml.SafeLoader):
    """Loads YAML with the types of JSON: a date stays a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
    for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def plain_yaml(text: str) -> list[Any]:
    """Read the documents of a YAML text; dates stay strings. Raises yaml.YAMLError."""
    return list(yaml.load_all(text, Loader=_Loader))


@dataclass(frozen=True)
class Overlay:
    """The options as given."""

    sets: Sequence[str] = ()
    execution: str = ""
    storage: str = ""
    ttl: str = ""
    env: Sequence[str] = ()
    service_account: str = ""

    def over(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Return a Job's spec with these options applied. Raises DefinitionError (`InvalidOption`)."""
        laid: dict[str, Any] = _copy(spec)
        if self.execution:
            _put(laid, ["execution", "mode"], _mode(self.execution), "--execution")
        if self.storage:
            is_url = "://" in self.storage
            laid["storage"] = {"url": self.storage} if is_url else {"claimRef": {"name": self.storage}}
        if self.ttl:
            laid["ttlSecondsAfterFinished"] = _duration(self.ttl)
        if self.service_account:
            _put(laid, ["podTemplate", "spec", "serviceAccountName"], self.service_account, "--service-account")
        for item in self.env:
            _set_env(laid, item)
        for item in self.sets:
            _set(laid, item)
        return laid


def _mode(text: str) -> str:
    """Return the mode for any spelling: in_process, in-process and InProcess are the same.

    >>> _mode("in_process")
    'InProcess'
    """
    found = {mode.lower(): mode for mode in MODES}.get(re.sub(r"[-_ ]", "", text).lower())
    if found is None:
        raise DefinitionError("InvalidOption", f"--execution: mode {text!r} does not exist{nearest(text, MODES)}")
    return found


def _duration(text: str) -> int:
    """Return seconds: 3600, 90s, 30m, 12h, 7d."""
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise DefinitionError(
            "InvalidOption", f"--ttl is {text!r}; it must be seconds, or a duration such as 30m, 12h or 7d"
        )
    return int(match[1]) * _SECONDS[match[2]]


def _set_env(spec: dict[str, Any], item: str) -> None:
    """Set an environment variable of the step container."""
    name, sign, value = item.partition("=")
    if not sign or not name or "\0" in item:
        raise DefinitionError("InvalidOption", f"--env is {item!r}; it must be NAME=value")
    _put(spec, ["podTemplate", "spec"], _at(spec, "podTemplate", "spec"), "--env")
    containers = spec["podTemplate"]["spec"].setdefault("containers", [])
    if not isinstance(containers, list):
        raise DefinitionError("InvalidOption", "--env: spec.podTemplate.spec.containers is not a list")
    step = next((c for c in containers if isinstance(c, dict) and c.get("name") == CONTAINER), None)
    if step is None:
        step = {"name": CONTAINER}
        containers.append(step)
    env = [e for e in step.get("env") or () if not (isinstance(e, dict) and e.get("name") == name)]
    step["env"] = [*env, {"name": name, "value": value}]


def _set(spec: dict[str, Any], item: str) -> None:
    path, sign, text = item.partition("=")
    while sign and path.endswith("\\"):  # an escaped character is part of the path
        more, sign, text = text.partition("=")
        path = f"{path}={more}"
    if not sign or not path:
        raise DefinitionError("InvalidOption", f"--set is {item!r}; it must be path=value, such as storage.logs=true")
    steps = _steps(path)
    _check(steps, path)
    try:
        value = (plain_yaml(text) or [None])[0]
    except yaml.YAMLError as error:
        raise DefinitionError("InvalidOption", f"--set {path}: {' '.join(str(error).split())}") from None
    except RecursionError:
        raise DefinitionError("InvalidOption", f"--set {path}: the value is nested too deeply") from None
    _put(spec, steps, value, f"--set {path}")


def _steps(path: str) -> list[str | int]:
    """Return the keys and numbers of a path.

    >>> _steps(r"podTemplate.spec.containers[0].env"), _steps(r"tags.a\\.b/c")
    (['podTemplate', 'spec', 'containers', 0, 'env'], ['tags', 'a.b/c'])
    """
    found: list[str | int] = []
    at = 0
    while at < len(path):
        match = _STEP.match(path, at + (path[at] == "." and at > 0))
        if match is None or (match[1] and at > 0 and path[at] != "."):
            raise DefinitionError(
                "InvalidOption", f"--set: {path!r} is not a valid path, such as podTemplate.spec.volumes[0].name"
            )
        found.append(int(match[2]) if match[2] else re.sub(r"\\(.)", r"\1", match[1]))
        at = match.end()
    if found and found[0] == "spec":
        found = found[1:]
    return found


def _check(steps: list[str | int], path: str) -> None:
    """Raise DefinitionError if a Job's spec does not have the first two names of the path."""
    if not steps or not isinstance(steps[0], str) or steps[0] not in FIELDS:
        name = str(steps[0]) if steps else ""
        raise DefinitionError("InvalidOption", f"--set: a Job's spec has no field {name!r}{nearest(name, FIELDS)}")
    below = FIELDS[steps[0]]
    if len(steps) < 2 or steps[0] in _FREE or (isinstance(steps[1], int) and not below):
        return
    if steps[1] not in below:
        hint = nearest(str(steps[1]), below) if below else "; it has no fields"
        raise DefinitionError("InvalidOption", f"--set {path}: {steps[0]} has no field {str(steps[1])!r}{hint}")


def _put(spec: dict[str, Any], steps: Sequence[str | int], value: Any, where: str) -> None:
    """Set the value at a path and create missing parents. An index may be one past the end of a list."""
    here: Any = spec
    for at, step in enumerate(steps):
        before = ".".join(map(str, ["spec", *steps[:at]]))
        if not isinstance(here, list if isinstance(step, int) else dict):
            noun = "a list" if isinstance(step, int) else "a mapping"
            raise DefinitionError("InvalidOption", f"{where}: {before} is not {noun}")
        here = _below(here, step, f"{where}: {before}", value, steps[at + 1 :])


def _below(here: Any, step: str | int, where: str, value: Any, rest: Sequence[str | int]) -> Any:
    """Return the value at one step of a path, creating it if missing. At the last step, set the value."""
    if isinstance(step, int):
        if step > len(here) or step >= _MOST_ITEMS:
            raise DefinitionError("InvalidOption", f"{where} has {len(here)} items; [{step}] is not the next index")
        if step == len(here):
            here.append(None)
    if not rest:
        here[step] = value
    elif (here[step] if isinstance(step, int) else here.get(step)) is None:
        here[step] = [] if isinstance(rest[0], int) else {}
    return here[step]


def _at(spec: Mapping[str, Any], *names: str) -> Any:
    here: Any = spec
    for name in names:
        here = here.get(name) if isinstance(here, Mapping) else None
    return {} if here is None else here


def _copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value
