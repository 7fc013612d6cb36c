"""Retries of failed ops: the policy of an op, and the exceptions that an op raises to request or prevent a retry."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Callable

from podgraph.definition.errors import DefinitionError

__all__ = ["Backoff", "Failure", "Jitter", "RetryPolicy", "RetryRequested", "check_retry_policy"]


class Backoff(enum.Enum):
    """How the delay grows: `LINEAR` is 1, 2, 3, ... times the delay, `EXPONENTIAL` is 1, 3, 7, ... times."""

    LINEAR = "LINEAR"
    EXPONENTIAL = "EXPONENTIAL"


class Jitter(enum.Enum):
    """Random variation of a delay: `FULL` is 0 to the delay, `PLUS_MINUS` adds or subtracts up to the base delay."""

    FULL = "FULL"
    PLUS_MINUS = "PLUS_MINUS"


@dataclass(frozen=True)
class RetryPolicy:
    """How often a failed op is retried, and after how many seconds (Dagster's fields and formulas).

    `max_retries` is the maximum number of retries after the first attempt; `delay` is in seconds (default: no delay).
    Raises DefinitionError (`InvalidRetryPolicy`) for numbers out of range, and for a backoff or a jitter without a
    delay.

    >>> RetryPolicy(max_retries=3, delay=2, backoff=Backoff.EXPONENTIAL).seconds_before(3)
    14.0
    """

    max_retries: int = 1
    delay: float | None = None
    backoff: Backoff | None = None
    jitter: Jitter | None = None

    def __post_init__(self) -> None:
        if not _is_number(self.max_retries, int) or self.max_retries < 0:
            raise _invalid(f"max_retries is {self.max_retries!r}; it must be an integer of at least 0")
        if self.delay is not None and not (_is_number(self.delay, int, float) and 0 <= self.delay < math.inf):
            raise _invalid(f"delay is {self.delay!r}; it must be a number of seconds of at least 0")
        if not isinstance(self.backoff, (Backoff, type(None))):
            raise _invalid(f"backoff is {self.backoff!r}; it must be Backoff.LINEAR or Backoff.EXPONENTIAL")
        if not isinstance(self.jitter, (Jitter, type(None))):
            raise _invalid(f"jitter is {self.jitter!r}; it must be Jitter.FULL or Jitter.PLUS_MINUS")
        for name in ("backoff", "jitter"):
            if getattr(self, name) is not None and self.delay is None:
                raise _invalid(f"{name} is set without a delay; set delay too")

    def seconds_before(self, retry: int, chance: Callable[[], float] | None = None) -> float:
        """Return the seconds before the `retry`-th retry, counted from 1. `chance` returns numbers in [0, 1)."""
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
    """Raise this in an op to request a retry, at most `max_retries` times, each after `seconds_to_wait` seconds.

    It overrides the retry policy of the op. `raise RetryRequested() from error` keeps the cause.

    >>> RetryRequested(max_retries=3, seconds_to_wait=10).seconds_to_wait
    10.0
    """

    def __init__(self, max_retries: int = 1, seconds_to_wait: float | None = None) -> None:
        super().__init__("the op requested a retry")
        self.max_retries = max_retries
        self.seconds_to_wait = float(seconds_to_wait or 0)


class Failure(Exception):
    """Raise this in an op to fail it with a message; `allow_retries=False` prevents further retries.

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
    """Return a retry policy or None. Raises DefinitionError (`InvalidRetryPolicy`) for anything else."""
    if policy is not None and not isinstance(policy, RetryPolicy):
        raise DefinitionError(
            "InvalidRetryPolicy",
            f"{where} has the retry policy {policy!r}, which is not a RetryPolicy; use RetryPolicy(max_retries=3)",
        )
    return policy


def _random() -> float:
    import random  # slow to import, and few jobs retry anything

    return random.random()


def _is_number(value: Any, *kinds: type) -> bool:
    return isinstance(value, kinds) and not isinstance(value, bool)


def _invalid(what: str) -> DefinitionError:
    return DefinitionError("InvalidRetryPolicy", f"retry policy: {what}")
