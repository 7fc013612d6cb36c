"""The `@schedule` functions that are asked what a tick makes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.protocol.answers import Answer
from podgraph.reconcile.automation.base import Automation
from podgraph.reconcile.evaluators.client import EvaluatorClient
from podgraph.reconcile.evaluators.pool import EvaluatorPool
from podgraph.scheduling.job_factory import Request
from podgraph.scheduling.schedule import ScheduleSpec, job_of_tick
from podgraph.scheduling.sources import FunctionRef

__all__ = ["TickFunctions", "tick_request"]


class TickFunctions:
    """The seats of all JobSchedules that have a function, at the pods that evaluate. `wake(uid)` is for an answer."""

    def __init__(self, evaluators: EvaluatorPool, wake: Callable[[str], None]) -> None:
        self._evaluators, self._wake = evaluators, wake
        self._seats: dict[str, EvaluatorClient] = {}
        self._asked: dict[str, float] = {}
        self._trials: dict[str, EvaluatorClient] = {}

    def forget(self, uid: str) -> None:
        """Take in that a schedule is gone, or another."""
        self._asked.pop(uid, None)
        for seats in (self._seats, self._trials):
            seat = seats.pop(uid, None)
            if seat is not None:
                self._evaluators.give_up(seat)

    def prepare(self, maker: Automation, function: FunctionRef, upcoming: float | None) -> tuple[str, str] | None:
        """Say when the next tick is; return what keeps the function from being asked."""
        seat = self._seat(maker, function)
        if upcoming is not None and upcoming != seat.needed_at:
            seat.need_at(upcoming)
        return seat.error

    def jobs_of(self, maker: Automation, spec: ScheduleSpec, tick: float) -> tuple[list[dict[str, Any]], str] | None:
        """Return the Jobs of a tick, or why it has none; None while the function has not answered.

        Raises DefinitionError for what went wrong there.
        """
        assert spec.function is not None
        seat = self._seat(maker, spec.function)
        if self._asked.get(maker.uid) != tick or not seat.is_asked:
            self._asked[maker.uid] = tick
            seat.ask(tick_request(spec, spec.function, tick))
        answer = seat.answer
        if answer is None:
            return None
        seat.done()
        return _jobs(maker, spec, tick, answer)

    def attempt(self, maker: Automation, spec: ScheduleSpec, tick: float) -> tuple[list[dict[str, Any]], str] | None:
        """Return the same of a tick that makes none. Raises DefinitionError, also for what keeps the answer."""
        assert spec.function is not None
        seat = self._trials.get(maker.uid)
        if seat is None:
            seat = self._trials[maker.uid] = self._open(maker, spec.function)
            seat.ask(tick_request(spec, spec.function, tick))
        answer, trouble = seat.answer, seat.error
        if answer is None and trouble is None:
            return None
        del self._trials[maker.uid]
        self._evaluators.give_up(seat)
        if answer is None:
            assert trouble is not None
            raise DefinitionError(*trouble)
        return _jobs(maker, spec, tick, answer)

    def _seat(self, maker: Automation, function: FunctionRef) -> EvaluatorClient:
        if maker.uid not in self._seats:
            self._seats[maker.uid] = self._open(maker, function)
        return self._seats[maker.uid]

    def _open(self, maker: Automation, function: FunctionRef) -> EvaluatorClient:
        return self._evaluators.at_definition(maker.namespace, function.definition, lambda: self._wake(maker.uid))


def _jobs(maker: Automation, spec: ScheduleSpec, tick: float, answer: Answer) -> tuple[list[dict[str, Any]], str]:
    """Return the Jobs that a function asks for at a tick, or why there are none. Raises DefinitionError."""
    if answer.reason:
        raise DefinitionError(answer.reason, answer.message)
    requests = [Request.of(data) for data in answer.requests]
    if len(requests) > 1 and len({request.run_key for request in requests} - {""}) < len(requests):
        raise DefinitionError(
            "InvalidAnswer", f"it asks for {len(requests)} runs at one tick; each of them must have its own run_key"
        )
    return [job_of_tick(maker.object, spec.zone, tick, request) for request in requests], answer.skip


def tick_request(spec: ScheduleSpec, function: FunctionRef, tick: float) -> dict[str, Any]:
    """Return what asks a function for a tick."""
    time = datetime.fromtimestamp(tick, UTC).isoformat()
    return {
        "kind": "schedule",
        "name": function.function,
        "time": time,
        "zone": spec.zone.key,
        "timeout": function.seconds,
    }
