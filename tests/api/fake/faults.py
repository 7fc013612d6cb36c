"""Faults: rules that match requests, so many times, and spoil their answers."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Literal

from .errors import ApiError

MESSAGES = {
    429: "the server has received too many requests and has asked us to try again later",
    500: 'an error on the server ("") has prevented the request from succeeding',
    503: "the server is currently unable to handle the request",
    504: "the server was unable to return a response in the time allotted",
}


class Fault:
    """One rule. What it does is done `before` the request is handled, or `after` (the change is made then).

    `status` answers with that code (and Retry-After); `drop` breaks the connection; `delay` waits so many
    seconds; `hold` waits for `release()`; `cut_after` breaks a watch in the middle of the event after so many.
    `skip` lets the first matching requests pass, `times` is how many are spoilt (None: all).
    """

    def __init__(
        self,
        method: str = ".*",
        path: str = "",
        *,
        status: int | None = None,
        retry_after: int | None = None,
        message: str = "",
        reason: str | None = None,
        drop: bool = False,
        delay: float = 0.0,
        hold: bool = False,
        cut_after: int | None = None,
        when: Literal["before", "after"] = "before",
        watch: bool | None = None,
        times: int | None = 1,
        skip: int = 0,
    ) -> None:
        self.method, self.path = re.compile(method), re.compile(path)
        self.status, self.retry_after = status, retry_after
        self.message, self.reason = message, reason
        self.drop, self.delay, self.cut_after = drop, delay, cut_after
        self.when, self.watch = when, watch
        self.times, self.skip = times, skip
        self.hits = 0
        self.waiting = 0  # requests being held now
        self._gate = asyncio.Event()
        if not hold:
            self._gate.set()

    def matches(self, method: str, path: str, watch: bool) -> bool:
        """Whether to spoil this request; counts it."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.watch not in (None, watch) or not self.method.fullmatch(method) or not self.path.search(path):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.hits += 1
        return True

    def release(self) -> None:
        """Let the held requests go on, and later ones pass without being held."""
        self._gate.set()

    async def strike(self, when: str) -> bool:
        """Do it, at its moment: wait, raise the error answer; True to break the connection."""
        if when != self.when:
            return False
        self.waiting += 1
        try:
            if self.delay:
                await asyncio.sleep(self.delay)
            await self._gate.wait()
        finally:
            self.waiting -= 1
        if self.status is not None:
            raise self.error(self.status)
        return self.drop

    def error(self, code: int) -> ApiError:
        message = self.message or MESSAGES.get(code, f"the server answered {code} on a test's behalf")
        details: dict[str, Any] | None = {} if self.retry_after is not None else None
        return ApiError(code, message, reason=self.reason, details=details, retry_after=self.retry_after)


class Faults:
    """The rules in force, the first that matches a request strikes."""

    def __init__(self) -> None:
        self.rules: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        self.rules.append(fault)
        return fault

    def match(self, method: str, path: str, watch: bool) -> Fault | None:
        return next((rule for rule in self.rules if rule.matches(method, path, watch)), None)

    def clear(self) -> None:
        """Remove all rules, letting go what they hold."""
        for rule in self.rules:
            rule.release()
        self.rules.clear()
