"""The answers of an evaluator pod: one or more marked lines on standard output for each.

The assignment of the pod holds the requests by id. An answer repeats the id, and each line is signed (see
protocol.signing). A line is short enough for one atomic write, so that other output cannot split it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.protocol.graph_codec import deflate, inflate
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import LINE_MARK, shorten

__all__ = ["MAX_ANSWER", "Answer", "Answers"]

MAX_ANSWER = 1_048_576
"""Maximum size of the run requests of one evaluation, in bytes of JSON."""

_MARK = f"{LINE_MARK}answer "
_LINE = 3_000  # a pipe writes up to 4,096 bytes atomically
_MOST_PARTS = 10_000
_MAX_MESSAGE = 1_500


@dataclass(frozen=True)
class Answer:
    """The result of one evaluation.

    `requests` are run requests as plain data (`run_key`, `run_config`, `op_selection`, `tags`). `skip` is the reason
    for none. `cursor` is the new cursor of the sensor. For an object store `keys` holds versions by key: of all
    objects, or if `base` is the id of an earlier answer, of the objects that changed since. `reason` and `message`
    describe the error if the evaluation failed.
    """

    id: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    skip: str = ""
    cursor: str | None = None
    keys: dict[str, str] = field(default_factory=dict)
    base: str = ""
    reason: str = ""
    message: str = ""

    def to_lines(self, signer: Signer) -> list[str]:
        """Return the lines, without line ends."""
        data = {key: value for key, value in vars(self).items() if value not in ("", [], {}, None)}
        if self.message:
            data["message"] = shorten(self.message, _MAX_MESSAGE)
        text = deflate(json.dumps(data, ensure_ascii=False, separators=(",", ":")))
        parts = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
        return [signer.line(_MARK, f"{self.id}/{at}/{len(parts)}::{part}") for at, part in enumerate(parts)]


class Answers:
    """Assembles the answers of one pod from the lines of its log. A line may arrive more than once."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._parts: dict[str, dict[int, str]] = {}

    def take(self, lines: Iterable[str]) -> Iterator[Answer]:
        """Yield the answers that these lines complete; incomplete and forged lines are ignored.

        >>> list(Answers(Signer("n")).take(Answer("a", skip="no").to_lines(Signer("n"))))[0].skip
        'no'
        """
        for line in lines:
            text = self._signer.read(_MARK, line)
            if text is None:
                continue
            head, _, part = text.partition("::")
            name, _, place = head.partition("/")
            at, _, count = place.partition("/")
            if not (at.isdecimal() and count.isdecimal() and int(at) < int(count) <= _MOST_PARTS):
                continue
            parts = self._parts.setdefault(name, {})
            parts[int(at)] = part
            if len(parts) == int(count):
                del self._parts[name]
                answer = _read("".join(parts[index] for index in sorted(parts)))
                if answer is not None and answer.id == name:
                    yield answer


def _read(text: str) -> Answer | None:
    try:
        data = json.loads(inflate(text))
        answer = Answer(**data)
    except (DefinitionError, ValueError, TypeError, RecursionError):
        return None
    kinds: dict[str, type] = {"requests": list, "keys": dict}
    right = all(isinstance(value, kinds.get(key, str)) for key, value in data.items())
    right = right and all(isinstance(item, dict) for item in answer.requests)
    return answer if right and all(isinstance(value, str) for value in answer.keys.values()) else None
