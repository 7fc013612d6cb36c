"""When a failed op is tried again: its policy, and what an op raises to say so itself."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from podgraph.definition.errors import DefinitionError

__all__ = ["Backoff", "Failure", "Jitter", "RetryPolicy", "RetryRequested", "check_retry_policy"]


class Backoff(enum.Enum):
    """How the delay grows: `LINEAR` is 1, 2, 3, ... times the delay, `EXPONENTIAL` 1, 3, 7, ... times."""

    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"


class Jitter(enum.Enum):
    """How chance changes the delay d: `FULL` takes a part of it, `PLUS_MINUS` adds or takes up to the base delay."""

    FULL = "FULL"
    PLUS_MINUS = "PLUS_MINUS"


@dataclass(frozen=True)
class RetryPolicy:
    """How often, and after how many seconds, a failed op is tried again (Dagster's fields and formulas).

    Raises DefinitionError (`InvalidRetryPolicy`) for numbers that make no sense, and for a backoff or a jitter
    without a delay, which they would have nothing to work on.

    >>> RetryPolicy(max_retries=3, delay=2, backoff=Backoff.EXPONENTIAL).seconds_before(3)
    14.0
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        if not _is_number(self.max_retries, int) or self.max_retries < 0:
            raise _invalid(f"max_retries is {self.max_retries!r}; it must be a whole number of at least 0")
        if self.delay is not None and not (_is_number(self.delay, int, float) and 0 <= self.delay < math.inf):
            raise _invalid(f"delay is {self.delay!r}; it must be a number of seconds of at least 0")
        if not isinstance(self.backoff, (Backoff, type(None))):
            raise _invalid(f"backoff is {self.backoff!r}; it must be Backoff.LINEAR or Backoff.EXPONENTIAL")
        if not isinstance(self.jitter, (Jitter, type(None))):
            raise _invalid(f"jitter is {self.jitter!r}; it must be Jitter.FULL or Jitter.PLUS_MINUS")
        for name in ("backoff", "jitter"):
            if getattr(self, name) is not None and self.delay is None:
                raise _invalid(f"{name} is set without a delay, so there is nothing for it to change")

    def seconds_before(self, retry: int, chance: Callable[[], float] | None = None) -> float:
        """Return how long to wait before the `retry`-th retry, counted from 1; `chance` gives numbers in [0, 1)."""
        draw = chance or _random
        base = float(self.delay or 0)
        seconds = base
        if self.backoff is Backoff.LINEAR:
            seconds = base * retry
        elif self.backoff is Backoff.EXPONENTIAL:
            seconds = base * (2.0 ** min(retry, 1000) - 1)
        if self.jitter is Jitter.FULL:
            seconds *= draw()
        elif self.jitter is Jitter.PLUS_MINUS:
            seconds += (2 * draw() - 1) * base
        return max(0.0, seconds)

    def to_dict(self) -> dict[str, Any]:
        """Return the policy as plain data; :meth:`from_dict` reads it back."""
        data: dict[str, Any] = {"max_retries": self.max_retries}
        if self.delay is not None:
            data["delay"] = self.delay
        for name in ("backoff", "jitter"):
            if getattr(self, name) is not None:
                data[name] = getattr(self, name).value
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RetryPolicy:
        """Read :meth:`to_dict`. Raises DefinitionError, or ValueError for an unknown backoff or jitter."""
        return cls(
            data["max_retries"],
            data.get("delay"),
            Backoff(data["backoff"]) if "backoff" in data else None,
            Jitter(data["jitter"]) if "jitter" in data else None,
        )


class RetryRequested(Exception):
    """Raise this in an op to have it tried again, at most `max_retries` times, each `seconds_to_wait` later.

    It counts instead of the op's own policy. `raise RetryRequested() from error` keeps the reason.
    """

    def __init__(self, max_retries: int = 1, seconds_to_wait: float | None = None) -> None:
        super().__init__("the op asks to be tried again")
        self.max_retries = max_retries
        self.seconds_to_wait = float(seconds_to_wait or 0)


class Failure(Exception):
    """Raise this in an op to fail it with a message of its own; `allow_retries=False` also ends its retries.

    >>> str(Failure("the table is empty", allow_retries=False))
    'the table is empty'
    """

    def __init__(
        self, description: str = "", metadata: Mapping[str, Any] | None = None, allow_retries: bool = True
    ) -> None:
        super().__init__(description)
        self.description = description
        self.metadata = dict(metadata or {})
        self.allow_retries = allow_retries


def check_retry_policy(where: str, policy: Any) -> RetryPolicy | None:
    """Return a retry policy or None. Raises DefinitionError for anything else."""
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise DefinitionError(
            "InvalidRetryPolicy",
            f"{where} has the retry policy {policy!r}, which is none; make one with RetryPolicy(max_retries=3)",
        )
    return policy


def _random() -> float:
    import random  # slow to import, and few jobs retry anything

    return random.random()


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _invalid(what: str) -> DefinitionError:
    return DefinitionError("InvalidRetryPolicy", f"retry policy: {what}")
