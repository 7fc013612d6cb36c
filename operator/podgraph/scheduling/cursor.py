"""The cursor of a sensor: what it has processed. The status of the sensor stores it."""

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
    """What a sensor has processed: everything up to `time`, and the `keys`, some with a time after an `@`.

    For an http source `value` is the digest of the last value, and `count` the number of Jobs. For an object store and
    for run keys, `blocks` holds the rest of the keys (see scheduling.dedup_store). For a `@sensor` function, `text` is
    its cursor, `run_key` the last run key that it requested, and `count` the number of its requests. `begun` means that
    the state before the first tick is recorded.
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
        """Read the data of :meth:`to_status`."""
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
        """Return the cursor for the status; empty fields are null."""
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
        """Return the observations that are not processed, the oldest first."""
        known, since = {key.partition("@")[0] for key in self.keys}, seconds_of(self.time) if self.time else 0.0
        found = [s for s in seen if key_digest(s.key) not in known and not (s.time and seconds_of(s.time) <= since)]
        return sorted(found, key=lambda s: (seconds_of(s.time) if s.time else 0.0, s.name))

    def begin(self, seen: Iterable[Observation], is_http: bool) -> None:
        """Record the state before the first tick; it creates no Job."""
        self.begun = True
        if is_http:
            self.value = _state(list(seen))
            return
        for item in seen:
            if not item.time:
                self.take(item)

    def turn(self, seen: list[Observation], equals: str | None) -> Observation | None:
        """Return the new value of an http source if it creates a Job; then call :meth:`turned`.

        A value that recurs creates another Job, so its key includes the number of Jobs.
        """
        if _state(seen) == self.value or not seen or (equals is not None and seen[0].value != equals):
            return None
        return Observation(f"{self.count}/{seen[0].key}", seen[0].name, seen[0].value)

    def turned(self, seen: list[Observation], made: bool) -> None:
        """Record the new value of an http source, and whether it created a Job."""
        self.value = _state(seen)
        self.count += made

    def take(self, seen: Observation) -> None:
        """Record an observation as processed: its Job was created, or it gets none."""
        self.keys.append(f"{key_digest(seen.key)}@{seen.time}" if seen.time else key_digest(seen.key))

    def prune(self, live: Iterable[Observation]) -> None:
        """Drop old keys.

        It keeps the latest keys with a time (`time` covers the rest), and of the others those in `live` and the latest.
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
    """Return the digest of a key, for the cursor and for the name of a Job."""
    return hashlib.sha256(key.encode()).hexdigest()[:16]
