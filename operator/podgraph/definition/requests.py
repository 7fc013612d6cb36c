"""Return values of the functions of schedules and sensors: runs to create, or the reason for none."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Callable

from podgraph.definition.errors import DefinitionError
from podgraph.definition.ops import check_tags
from podgraph.definition.values import NotJsonError, to_json

__all__ = ["Evaluation", "RunRequest", "SensorResult", "SkipReason", "call_with_context", "read_answer"]

MAX_RUN_KEY = 1_024


@dataclass(frozen=True)
class RunRequest:
    """A request to create one run. A sensor creates only one run for each `run_key`, ever.

    `run_config` and `tags` are merged over those of the sensor or schedule; `op_selection` replaces theirs.
    Raises DefinitionError (`InvalidRunRequest`, `InvalidTags`) for values that cannot be used.

    >>> RunRequest("2026-11-26", run_config={"ops": {"load": {"config": {"day": "2026-11-26"}}}}).run_key
    '2026-11-26'
    """

    run_key: str | None = None
    run_config: Mapping[str, Any] | None = None
    tags: Mapping[str, str] | None = None
    op_selection: Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.run_key is not None and (not isinstance(self.run_key, str) or len(self.run_key) > MAX_RUN_KEY):
            raise _invalid(
                f"the run_key {str(self.run_key)[:80]!r} must be a string of at most {MAX_RUN_KEY:,} characters"
            )
        where = f"the RunRequest {self.run_key!r}" if self.run_key else "a RunRequest"
        if self.run_config is not None and not isinstance(self.run_config, Mapping):
            raise _invalid(f"{where} has the run_config {self.run_config!r:.80}; it must be a dict")
        try:
            to_json(self.run_config)
        except NotJsonError as error:
            raise _invalid(f"the run_config of {where} must be JSON values, not {error}") from None
        if isinstance(self.op_selection, str) or not all(isinstance(clause, str) for clause in self.op_selection or ()):
            raise _invalid(f"{where} has the op_selection {self.op_selection!r:.80}; it must be a list of clauses")
        object.__setattr__(self, "tags", check_tags(where, self.tags))


@dataclass(frozen=True)
class SkipReason:
    """The reason why a function requests no run; it is shown in the history of ticks.

    >>> SkipReason("no new files").skip_message
    'no new files'
    """

    skip_message: str = ""


@dataclass(frozen=True)
class SensorResult:
    """The result of a sensor: run requests, or a reason to skip, and a new cursor (None keeps the cursor).

    >>> SensorResult([RunRequest("a")], cursor="7").cursor
    '7'
    """

    run_requests: Sequence[RunRequest] | None = None
    skip_reason: SkipReason | str | None = None
    cursor: str | None = None


@dataclass(frozen=True)
class Evaluation:
    """The result of one call of a function; `cursor` is None if it does not change."""

    requests: tuple[RunRequest, ...] = ()
    skip: str = ""
    cursor: str | None = None


def call_with_context(where: str, fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """Return a function of one argument, the context, that calls `fn`, which takes a context or nothing.

    Raises DefinitionError (`InvalidFunction`) for an async function and for one with more arguments.
    """
    if inspect.iscoroutinefunction(fn):
        raise DefinitionError("InvalidFunction", f"{where} is an async function; it must be an ordinary one")
    parameters = list(inspect.signature(fn).parameters.values())
    needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if len(needed) > 1:
        raise DefinitionError("InvalidFunction", f"{where} must take no argument but context")
    if not parameters:
        return lambda context: fn()
    return fn


def read_answer(where: str, answer: Any) -> Evaluation:
    """Return the result of the function of a schedule or sensor in one form.

    The function may return or yield RunRequests, or return a list of them, a SkipReason, a SensorResult, run config
    (a dict, for one run), or nothing. Raises DefinitionError (`InvalidAnswer`), and any exception of a generator.
    """
    if answer is None:
        return Evaluation()
    if isinstance(answer, SensorResult):
        reason = answer.skip_reason
        skip = reason.skip_message if isinstance(reason, SkipReason) else reason or ""
        found = read_answer(where, list(answer.run_requests or ()))
        if found.requests and reason is not None:
            raise _wrong(where, "a SensorResult with run requests and a reason to skip")
        return dataclasses.replace(found, skip=found.skip or skip, cursor=answer.cursor)
    if isinstance(answer, RunRequest):
        return Evaluation((answer,))
    if isinstance(answer, SkipReason):
        return Evaluation(skip=answer.skip_message)
    if isinstance(answer, Mapping):
        return Evaluation((RunRequest(run_config=answer),))
    if isinstance(answer, (str, bytes)) or not isinstance(answer, Iterable):
        raise _wrong(where, repr(answer)[:80])
    return _all_of(where, answer)


def _all_of(where: str, answers: Iterable[Any]) -> Evaluation:
    requests: list[RunRequest] = []
    skip: SkipReason | None = None
    whole: Evaluation | None = None
    for item in answers:
        if isinstance(item, RunRequest):
            requests.append(item)
        elif isinstance(item, SkipReason):
            skip = item
        elif isinstance(item, SensorResult) and whole is None:
            whole = read_answer(where, item)
        elif item is not None:
            raise _wrong(where, f"{item!r:.80} among its requests")
    if whole is not None and (requests or skip):
        raise _wrong(where, "a SensorResult together with other results")
    if requests and skip is not None:
        raise _wrong(where, "run requests and a SkipReason")
    return whole or Evaluation(tuple(requests), skip.skip_message if skip is not None else "")


def _wrong(where: str, what: str) -> DefinitionError:
    return DefinitionError(
        "InvalidAnswer",
        f"{where} returned {what}; it may return RunRequests, one SkipReason, one SensorResult, or nothing",
    )


def _invalid(message: str) -> DefinitionError:
    return DefinitionError("InvalidRunRequest", message)
