"""What the operator and a step say to each other.

The operator writes the step's **assignment** (which op, with which inputs) as an annotation on its pod; the pod reads
it as a file. The step answers with one **record**, as a signed line (see protocol.signing), in its container's
termination message, which Kubernetes keeps in the pod's status (at most 4,096 bytes). The kubelet tells of that a
second or two later, so the line also goes to standard output, where it is at once for whoever follows the log. It is
signed in both places: of a container that fails the kubelet takes the end of its log for its termination message.
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
"""Most bytes of JSON that all outputs of one step may have together: with the rest of the record they must fit into
a termination message."""

NOT_ASSIGNED = "NotAssigned"
"""The reason in the record of a pod that was started ahead and has waited for nothing."""

LINE_MARK = "::podgraph-"
"""What all lines hold that a pod of ours writes for the operator."""
RECORD_MARK = f"{LINE_MARK}record "
"""What the line holds by which a step's pod also tells its record on standard output."""

_MAX_RECORD = 4_096 - SIGNATURE_ROOM
_MAX_MESSAGE, _MAX_REASON = 1_500, 100
_MAX_NAMED_OUTPUTS = MAX_OUTPUTS + 640  # what is left for it beside a record's other fields
_TIME = "%Y-%m-%dT%H:%M:%S.%fZ"


class ProtocolError(ValueError):
    """A text that is no assignment or record."""


class StepError(Exception):
    """Why a step failed: one CamelCase word and one sentence."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason, self.message = reason, message


@dataclass(frozen=True)
class Assignment:
    """What one pod is to do: run `op` with `inputs`, or, when `op` is empty, tell the graph of the code.

    `nonce` tells the attempt, and comes back in all that the pod says; it is not secret. The code is the file
    `file` below the code folder, or the importable `module`; `job` names the @job in it, empty for the only one.
    `config` and `resources` (config by name) are as run config holds them; `configured` names the inputs whose values
    run config gave. `attempt` counts from 1; `lost` of those before it ended for reasons that were not the op's.
    `storage` is the URL where large values lie and `prefix` the key below which this pod's go; `stored` holds the
    inputs that come as references (see runtime.pod.values). With `keep_log` what the step prints goes there too; with
    `clean` the pod is to delete all that is below `prefix`, and nothing else; with `show` to print the kept logs of
    these attempts, by op, and nothing else. `ahead` is set for a pod that is started before its inputs exist: it loads
    the code, and waits for at most so many seconds for the whole assignment to take this one's place. Without an `op`
    it tells the graph before, and whatever step of the run comes then is its own.
    `link` is where the operator hears the pod directly (see runtime.pod.link).
    A pod that answers for schedules and sensors has instead `evaluate`: `requests` by id, which change while it runs
    (see runtime.pod.evaluator). A pod that runs all steps has instead a `group`: `selection`, `runConfig` and
    `execution` (see runtime.pod.all_steps); one that some steps share has `shared` (see runtime.pod.pod_group).
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
        """Read :meth:`to_text`. Raises ProtocolError."""
        return cls(**_fields(cls, text))


@dataclass(frozen=True)
class Record:
    """How one pod's work ended, in its own words.

    `outcome` is "Succeeded" or "Failed"; times are RFC 3339 in UTC with microseconds; `outputs` maps each output to
    its value, or `stored` to a reference where it is no small JSON value (see runtime.pod.values). A pod that resolves
    a graph answers with `graph`, the packed graph, or with `graph_digest` when the graph is too long for a termination
    message and stands in the pod's log (see runtime.pod.resolve). `retry` is what the op itself said about another
    attempt: `{"allow": false}`, or `{"max": retries, "seconds": to wait}`. A pod that ran all steps tells in `summary`
    how each ended (see protocol.reports).
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
        """Return the record as compact JSON of at most 4,036 bytes; a long message loses its middle."""
        data = {key: value for key, value in vars(self).items() if value or key in ("nonce", "outcome")}
        data["reason"], data["message"] = shorten(self.reason, _MAX_REASON), ""
        room = _MAX_RECORD - len(json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode())
        data["message"] = shorten(self.message, min(room, _MAX_MESSAGE))
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    def to_line(self, key: bytes = b"") -> str:
        """Return the line, without its end, that tells the record, signed with a key; it has at most 4,096 bytes."""
        return Signer(self.nonce, key).line(RECORD_MARK, self.to_text())

    @classmethod
    def from_text(cls, text: str) -> Record:
        """Read :meth:`to_text`. Raises ProtocolError."""
        record = cls(**_fields(cls, text))
        if record.outcome not in ("Succeeded", "Failed"):
            raise ProtocolError(f"the outcome is {record.outcome[:80]!r}; it must be 'Succeeded' or 'Failed'")
        if not re.fullmatch(r"[A-Za-z0-9_]*", record.reason) or len(record.reason) > _MAX_REASON:
            raise ProtocolError(f"the reason {record.reason[:80]!r} is no word")
        for time in (record.start_time, record.completion_time):
            if time and not _is_time(time):
                raise ProtocolError(f"{time[:80]!r} is no time")
        if not _is_retry(record.retry):
            raise ProtocolError(f"{str(record.retry)[:80]} says nothing about another attempt")
        return record


def record_text_in(lines: Iterable[str], signer: Signer) -> str | None:
    """Return the text of the record that a log's lines hold; None when none is whole and signed for this attempt.

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


STORE_HINT = "; with spec.storage larger values pass"


def check_outputs(op: str, texts: Mapping[str, str], hint: str = "", forms: Mapping[str, str] | None = None) -> None:
    """Refuse outputs (texts by name) that are together larger than a record can carry.

    `hint` says what would help; `forms` says of an output what its text is where it is not the value's JSON.

    Raises StepError (`OutputTooLarge`) that names the largest output, its size and the limit, or says that there are
    too many when it is their names that do not fit.
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
    """Return the key below which a step in a pod that others share stores its outputs; `prefix` is the pod's."""
    return f"{prefix}/ops/{op}/{attempt}"


def shorten(text: str, most: int) -> str:
    """Return `text` with its middle left out so that it has at most `most` bytes as UTF-8 inside JSON.

    Half surrogate pairs, which UTF-8 cannot hold, become '?'.

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
    """Return the inside of `text` as a JSON string."""
    return to_json(text)[1:-1]


def _is_retry(said: dict[str, Any]) -> bool:
    if not said or said == {"allow": False}:
        return True
    most, seconds = said.get("max"), said.get("seconds")
    return said.keys() == {"max", "seconds"} and isinstance(most, int) and isinstance(seconds, (int, float))


def _is_time(text: str) -> bool:
    try:
        return datetime.strptime(text, _TIME).strftime(_TIME) == text
    except ValueError:
        return False


def _fields(cls: type[Any], text: str) -> dict[str, Any]:
    """Read a JSON object and hold each key against the dataclass's fields and the types of their values."""
    try:
        data = json.loads(text)
        to_json(data)  # Python's reader also takes NaN and half surrogate pairs
    except (ValueError, RecursionError):
        raise ProtocolError(f"no JSON: {text[:80]!r}") from None
    if not isinstance(data, dict):
        raise ProtocolError(f"no JSON object: {text[:80]!r}")
    kinds = {"bool": bool, "int": int, "str": str, "dict[str, Any]": dict, "list[str]": list, "Any": object}
    known = {name: kinds[item.type] for name, item in cls.__dataclass_fields__.items()}
    for key, value in data.items():
        if key not in known or not isinstance(value, known[key]) or (isinstance(value, bool) and known[key] is int):
            raise ProtocolError(f"{key[:80]!r} is unknown or of the wrong type")
    try:
        cls(**data)
    except TypeError as error:
        raise ProtocolError(str(error)) from None
    return data
