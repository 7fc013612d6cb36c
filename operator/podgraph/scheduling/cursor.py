"""What a sensor has dealt with: its cursor, kept in the status."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from podgraph.api import Object
from podgraph.planning.model.status import seconds_of
from podgraph.scheduling.sources import Observation

__all__ = ["Cursor", "key_digest"]

_KEPT = 200


@dataclass
class Cursor:
    """What a sensor has dealt with: all up to `time`, and what `keys` name, those with a time behind an `@`.

    Of an http source it is `value`, the digest of its last value, and `count`, how many Jobs it has made. Of an object
    store and of run keys the rest of the keys is in `blocks` (see scheduling.dedup_store). What a `@sensor` function
    has left is `text`, and `run_key` the last that it asked for; `count` is then how many times it did. `begun` says
    that what was so already when the sensor began to look is taken in.
    """

    time: str = ""
    keys: list[str] = field(default_factory=list)
    value: str = ""
    count: int = 0
    begun: bool = False
    blocks: list[str] = field(default_factory=list)
    text: str | None = None
    run_key: str = ""

    @classmethod
    def from_status(cls, data: Object) -> Cursor:
        """Read what :meth:`to_status` wrote."""
        return cls(
            data.get("time") or "",
            list(data.get("keys") or ()),
            data.get("value") or "",
            data.get("count") or 0,
            bool(data.get("begun")),
            list(data.get("blocks") or ()),
            data.get("text"),
            data.get("runKey") or "",
        )

    def to_status(self) -> dict[str, Any]:
        """Return the cursor as the status has it; what is empty is null."""
        return {
            "time": self.time or None,
            "keys": self.keys or None,
            "value": self.value or None,
            "count": self.count or None,
            "begun": self.begun or None,
            "blocks": self.blocks or None,
            "text": self.text,
            "runKey": self.run_key or None,
        }

    def fresh(self, seen: Iterable[Observation]) -> list[Observation]:
        """Return what is not dealt with, the oldest first."""
        known, since = {key.partition("@")[0] for key in self.keys}, seconds_of(self.time) if self.time else 0.0
        found = [s for s in seen if key_digest(s.key) not in known and not (s.time and seconds_of(s.time) <= since)]
        return sorted(found, key=lambda s: (seconds_of(s.time) if s.time else 0.0, s.name))

    def begin(self, seen: Iterable[Observation], is_http: bool) -> None:
        """Take in what is so already when the sensor begins to look: it makes no Job."""
        self.begun = True
        if is_http:
            self.value = _state(list(seen))
            return
        for item in seen:
            if not item.time:
                self.take(item)

    def turn(self, seen: list[Observation], equals: str | None) -> Observation | None:
        """Return what an http source has come to, if that makes a Job; :meth:`turned` says that it is dealt with.

        A value that comes again makes another Job, so its key counts the Jobs too.
        """
        if _state(seen) == self.value or not seen or (equals is not None and seen[0].value != equals):
            return None
        return Observation(f"{self.count}/{seen[0].key}", seen[0].name, seen[0].value)

    def turned(self, seen: list[Observation], made: bool) -> None:
        """Take in the value that an http source has come to, and whether that was a Job."""
        self.value = _state(seen)
        self.count += made

    def take(self, seen: Observation) -> None:
        """Take in that a Job was made, or is not to be made, for this."""
        self.keys.append(f"{key_digest(seen.key)}@{seen.time}" if seen.time else key_digest(seen.key))

    def prune(self, live: Iterable[Observation]) -> None:
        """Keep few keys: of those with a time the latest, all else being up to `time`; of the others those of `live`
        and the latest.
        """
        timed = sorted((k for k in self.keys if "@" in k), key=lambda k: seconds_of(k.partition("@")[2]))
        if len(timed) > _KEPT:
            dropped, timed = timed[:-_KEPT], timed[-_KEPT:]
            self.time = dropped[-1].partition("@")[2]
        plain = [key for key in self.keys if "@" not in key]
        if len(plain) > _KEPT:
            alive = {key_digest(s.key) for s in live}
            surplus = len(plain) - _KEPT
            plain = [key for at, key in enumerate(plain) if at >= surplus or key in alive]
        self.keys = plain + timed


def _state(seen: list[Observation]) -> str:
    return key_digest(seen[0].key) if seen else "Absent"


def key_digest(key: str) -> str:
    """Return a key as the cursor and a Job's name have it."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
