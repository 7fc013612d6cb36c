"""The messages between the operator and a step.

The operator writes the **assignment** of a step (its op and inputs) to an annotation of the pod; the pod reads it as a
file. The step returns one **record**, as a signed line (see protocol.signing), in the termination message of its
container, which Kubernetes stores in the status of the pod (at most 4,096 bytes). The kubelet updates the status a
second or two later, so the step also writes the line to standard output, where a reader of the log sees it at once. The
line is signed in both places, because the kubelet uses the end of the log as the termination message of a failed
container.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from podgraph.definition.values import to_json
from podgraph.protocol.signing import SIGNATURE_ROOM, Signer

__all__ = [
    "ASSIGNMENT_FILE",
    "CODE_DIR",
    "LINE_MARK",
    "MAX_OUTPUTS",
    "NOT_ASSIGNED",
    "RECORD_MARK",
    "RUNTIME_FILE",
    "STORE_HINT",
    "Assignment",
    "ProtocolError",
    "Record",
    "StepError",
    "TERMINATION_FILE",
    "check_outputs",
    "record_text_in",
    "stored_below",
]

MOUNT = "/podgraph"
ASSIGNMENT_FILE = f"{MOUNT}/in/assignment"
CODE_DIR = f"{MOUNT}/code"
RUNTIME_FILE = f"{MOUNT}/runtime.pyz"
TERMINATION_FILE = "/dev/termination-log"

MAX_OUTPUTS = 3_072
"""Maximum total size of the outputs of one step, in bytes of JSON. They must fit into a termination message together
with the rest of the record."""

NOT_ASSIGNED = "NotAssigned"
"""The reason in the record of a prestarted pod that received no assignment."""

LINE_MARK = "::podgraph-"
"""The common prefix of the marks of all lines for the operator."""
RECORD_MARK = f"{LINE_MARK}record "
"""The mark of the line with the record on standard output."""

_MAX_RECORD = 4_096 - SIGNATURE_ROOM
_MAX_MESSAGE, _MAX_REASON = 1_500, 100
_MAX_NAMED_OUTPUTS = MAX_OUTPUTS + 640  # the room beside the other fields of a record
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ProtocolError(ValueError):
    """A text is not a valid assignment or record."""


class StepError(Exception):
    """A step failed. `reason` is one CamelCase word, `message` one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Assignment:
    """The work of one pod: run `op` with `inputs`, or with an empty `op` report the graph of the code.

    `nonce` identifies the attempt and is part of every line of the pod; it is not secret. The code is the file `file`
    in the code folder, or the importable `module`; `job` is the name of its @job, "" for the only one. `config` and
    `resources` (config by name) are from run config; `configured` names the inputs that run config sets. `attempt`
    counts from 1; `lost` earlier attempts failed for reasons outside the op.

    `storage` is the URL of the storage of large values, and `prefix` the key prefix of this pod. `stored` holds the
    inputs that are references (see runtime.pod.values). With `keep_log` the pod also stores its output there. With
    `clean` the pod only deletes everything below `prefix`. With `show` it only prints the stored logs of these
    attempts, by op.

    `ahead` (seconds): the pod is prestarted. It loads the code and waits this long for its final assignment. With an
    empty `op` it first reports the graph, and may then be assigned any step of the run. `link` is the address of the
    operator for a direct connection (see runtime.pod.link).

    An evaluator pod has `evaluate` instead: `requests` by id, which change while it runs (see runtime.pod.evaluator).
    A pod that runs all steps has a `group`: `selection`, `runConfig` and `execution` (see runtime.pod.all_steps). The
    pod of a pod group has `shared` (see runtime.pod.pod_group).
    """

    op: str
    nonce: str
    run_id: str
    attempt: int = 1
    file: str = ""
    module: str = ""
    job: str = ""
    inputs: dict[str, Any] = field(default_factory=dict)
    configured: list[str] = field(default_factory=list)
    config: Any = None
    resources: dict[str, Any] = field(default_factory=dict)
    tags: dict[str, Any] = field(default_factory=dict)
    lost: int = 0
    group: dict[str, Any] = field(default_factory=dict)
    storage: str = ""
    prefix: str = ""
    stored: dict[str, Any] = field(default_factory=dict)
    keep_log: bool = False
    clean: bool = False
    ahead: int = 0
    link: str = ""
    show: dict[str, Any] = field(default_factory=dict)
    shared: dict[str, Any] = field(default_factory=dict)
    evaluate: dict[str, Any] = field(default_factory=dict)

    def to_text(self) -> str:
        """Return the assignment as compact JSON."""
        always = ("op", "nonce", "run_id")
        data = {key: value for key, value in vars(self).items() if value not in ("", [], {}, None) or key in always}
        for key in ("ahead", "clean", "keep_log", "lost"):
            if not data[key]:
                del data[key]
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_text(cls, text: str) -> Assignment:
        """Read the text of :meth:`to_text`. Raises ProtocolError."""
        return cls(**_fields(cls, text))


@dataclass(frozen=True)
class Record:
    """The result of one pod, as the pod reports it.

    `outcome` is "Succeeded" or "Failed"; times are RFC 3339 in UTC with microseconds. `outputs` maps each output to its
    value; `stored` maps it to a reference if it is not a small JSON value (see runtime.pod.values). A resolve pod
    returns `graph`, the packed graph, or `graph_digest` if the graph is too long for a termination message and is in
    the log of the pod (see runtime.pod.resolve). `retry` is the retry setting of the exception of the op:
    `{"allow": false}`, or `{"max": retries, "seconds": to wait}`. `summary` holds the final states of the steps of a
    pod that ran all steps (see protocol.reports).
    """

    nonce: str
    outcome: str
    start_time: str = ""
    completion_time: str = ""
    outputs: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    message: str = ""
    graph: str = ""
    graph_digest: str = ""
    stored: dict[str, Any] = field(default_factory=dict)
    retry: dict[str, Any] = field(default_factory=dict)
    summary: str = ""

    def to_text(self) -> str:
        """Return the record as compact JSON of at most 4,036 bytes; the middle of a long message is cut."""
        data = {key: value for key, value in vars(self).items() if value or key in ("nonce", "outcome")}
        data["reason"], data["message"] = shorten(self.reason, _MAX_REASON), ""
        room = _MAX_RECORD - len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
        data["message"] = shorten(self.message, min(room, _MAX_MESSAGE))
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    def to_line(self, key: bytes = b"") -> str:
        """Return the record as a line of at most 4,096 bytes, signed with a key, without line end."""
        return Signer(self.nonce, key).line(RECORD_MARK, self.to_text())

    @classmethod
    def from_text(cls, text: str) -> Record:
        """Read :meth:`to_text`. Raises ProtocolError."""
        record = cls(**_fields(cls, text))
        if record.outcome not in ("Succeeded", "Failed"):
            raise ProtocolError(f"the outcome is {record.outcome[:80]!r}; it must be 'Succeeded' or 'Failed'")
        if not re.fullmatch(r"[A-Za-z0-9_]*", record.reason) or len(record.reason) > _MAX_REASON:
            raise ProtocolError(f"the reason {record.reason[:80]!r} is not a valid word")
        for time in (record.start_time, record.completion_time):
            if time and not _is_time(time):
                raise ProtocolError(f"{time[:80]!r} is not a valid time")
        if not _is_retry(record.retry):
            raise ProtocolError(f"{str(record.retry)[:80]} is not a valid retry setting")
        return record


def record_text_in(lines: Iterable[str], signer: Signer) -> str | None:
    """Return the text of the record in the lines of a log; None if no line is complete and signed for this attempt.

    >>> record_text_in(["hello", "open line" + Record("n", "Succeeded").to_line()], Signer("n"))
    '{"nonce":"n","outcome":"Succeeded","reason":"","message":""}'
    """
    for line in lines:
        text = signer.read(RECORD_MARK, line)
        if text is None:
            continue
        try:
            if Record.from_text(text).nonce == signer.nonce:
                return text
        except ProtocolError:
            continue
    return None


STORE_HINT = "; set spec.storage to pass larger values"


def check_outputs(op: str, texts: Mapping[str, str], hint: str = "", forms: Mapping[str, str] | None = None) -> None:
    """Refuse outputs (texts by name) that together exceed the room in a record.

    `hint` is added to the message; `forms` describes the text of an output that is not the JSON of its value.
    Raises StepError (`OutputTooLarge`). The message names the largest output, its size and the limit, or the number of
    outputs if their names do not fit.
    """
    sizes = {name: len(text.encode()) for name, text in texts.items()}
    total = sum(sizes.values())
    if total > MAX_OUTPUTS:
        largest = max(sizes, key=lambda name: sizes[name])
        others = "" if len(sizes) == 1 else f" (all outputs of the step: {total:,} bytes)"
        form = (forms or {}).get(largest, "of JSON")
        raise StepError(
            "OutputTooLarge",
            f"output {largest!r} of op {op!r} is {sizes[largest]:,} bytes {form}{others}; the outputs of one step may "
            f"have at most {MAX_OUTPUTS:,} bytes together{hint}",
        )
    named = total + sum(len(name.encode()) + 4 for name in texts)  # "name":value,
    if named > _MAX_NAMED_OUTPUTS:
        raise StepError(
            "OutputTooLarge",
            f"the {len(texts)} outputs of op {op!r} are {named:,} bytes of JSON with their names; the outputs of one "
            f"step may have at most {_MAX_NAMED_OUTPUTS:,} bytes together with their names{hint}",
        )


def stored_below(prefix: str, op: str, attempt: int) -> str:
    """Return the key prefix of the outputs of a step in a pod group; `prefix` is the prefix of the pod."""
    return f"{prefix}/ops/{op}/{attempt}"


def shorten(text: str, most: int) -> str:
    """Return `text` with its middle cut so that it has at most `most` bytes as UTF-8 inside JSON.

    Half surrogate pairs, which UTF-8 cannot encode, become '?'.

    >>> shorten("abcdefghij", 9)
    'a ... hij'
    """
    text = text.encode(errors="replace").decode()
    if len(to_json_text(text).encode()) <= most:
        return text
    keep = min(most, len(text))
    while keep > 0:
        head = max(0, (keep - 5) // 3)
        short = text[:head] + " ... " + text[len(text) - max(0, keep - 5 - head) :]
        if len(to_json_text(short).encode()) <= most:
            return short
        keep -= max(1, keep // 10)
    return ""


def to_json_text(text: str) -> str:
    """Return `text` as a JSON string without the quotes."""
    return to_json(text)[1:-1]


def _is_retry(setting: dict[str, Any]) -> bool:
    if not setting or setting == {"allow": False}:
        return True
    most, seconds = setting.get("max"), setting.get("seconds")
    return setting.keys() == {"max", "seconds"} and isinstance(most, int) and isinstance(seconds, (int, float))


def _is_time(text: str) -> bool:
    try:
        return datetime.strptime(text, _TIME).strftime(_TIME) == text
    except ValueError:
        return False


def _fields(cls: type[Any], text: str) -> dict[str, Any]:
    """Read a JSON object and check its keys and the types of its values against the fields of the dataclass."""
    try:
        data = json.loads(text)
        to_json(data)  # json.loads also accepts NaN and half surrogate pairs
    except (ValueError, RecursionError):
        raise ProtocolError(f"not valid JSON: {text[:80]!r}") from None
    if not isinstance(data, dict):
        raise ProtocolError(f"not a JSON object: {text[:80]!r}")
    kinds = {"bool": bool, "int": int, "str": str, "dict[str, Any]": dict, "list[str]": list, "Any": object}
    known = {name: kinds[item.type] for name, item in cls.__dataclass_fields__.items()}
    for key, value in data.items():
        if key not in known or not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is int):
            raise ProtocolError(f"{key[:80]!r} is unknown or has the wrong type")
    try:
        cls(**data)
    except TypeError as error:
        raise ProtocolError(str(error)) from None
    return data
