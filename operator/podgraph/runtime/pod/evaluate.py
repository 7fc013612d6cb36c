"""One evaluation of the function of a schedule or sensor, in its own process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import datetime
from types import ModuleType
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.requests import Evaluation, RunRequest
from podgraph.definition.schedules import ScheduleDefinition, ScheduleEvaluationContext
from podgraph.definition.sensors import SensorDefinition, SensorEvaluationContext
from podgraph.definition.values import to_json
from podgraph.protocol.answers import MAX_ANSWER, Answer
from podgraph.runtime.errors import error_info

__all__ = ["evaluate", "find_function"]

_MAX_SKIP = 1_000
_KINDS: dict[str, Any] = {"schedule": ScheduleDefinition, "sensor": SensorDefinition}


def evaluate(module: ModuleType, name: str, request: Mapping[str, Any]) -> Answer:
    """Call the function of a request and return the answer with this id; an exception becomes an answer too.

    A request has a `kind` (schedule or sensor), the `name` of the function, and the values of its context: `time` and
    `zone`, or `cursor`, `lastRunKey` and `lastTime`.
    """
    try:
        definition = find_function(module, str(request["kind"]), str(request["name"]))
        found = _call(definition, request)
        requests = [_plain(item, definition.tags) for item in found.requests]
        answer = Answer(name, requests, str(found.skip)[:_MAX_SKIP], found.cursor)
        size = len(to_json(answer.requests).encode())
        if size > MAX_ANSWER:
            message = f"its run requests are {size:,} bytes of JSON; at most {MAX_ANSWER:,} are allowed"
            return Answer(name, reason="TooLarge", message=message)
    except DefinitionError as error:
        return Answer(name, reason=error.reason, message=error.message)
    except (Exception, SystemExit) as error:  # noqa: BLE001  the user's own code
        info = error_info(error)
        print(info.stack, file=sys.stderr, end="")
        what = f"{request['kind']} {request['name'] or 'function'}"
        return Answer(name, reason="FunctionFailed", message=f"{what} raised {info.message}")
    return answer


def find_function(module: ModuleType, kind: str, name: str) -> Any:
    """Return the schedule or sensor of this name, or the only one. Raises DefinitionError."""
    found = {item.name: item for item in vars(module).values() if isinstance(item, _KINDS[kind])}
    if name in found:
        return found[name]
    if name or not found:
        raise DefinitionError("UnknownFunction", f"the code has no @{kind} named {name!r}{nearest(name, found)}")
    if len(found) > 1:
        raise DefinitionError(
            "UnknownFunction", f"the code has {len(found)} @{kind} functions ({', '.join(found)}); select one by name"
        )
    return next(iter(found.values()))


def _call(definition: Any, request: Mapping[str, Any]) -> Evaluation:
    if isinstance(definition, ScheduleDefinition):
        time = _in_zone(datetime.fromisoformat(request["time"]), str(request.get("zone", "UTC")))
        return definition.evaluate_tick(ScheduleEvaluationContext(time, definition.name))
    context = SensorEvaluationContext(
        request.get("cursor"), request.get("lastRunKey"), request.get("lastTime"), definition.name
    )
    found: Evaluation = definition.evaluate_tick(context)
    return found


def _in_zone(time: datetime, zone: str) -> datetime:
    """Return the time in a time zone; unchanged if the image has no time zone data."""
    from zoneinfo import ZoneInfo

    try:
        return time.astimezone(ZoneInfo(zone))
    except (OSError, ValueError, KeyError):
        return time


def _plain(item: RunRequest, tags: Mapping[str, str]) -> dict[str, Any]:
    data: dict[str, Any] = {
        "run_key": item.run_key,
        "run_config": dict(item.run_config or {}),
        "op_selection": list(item.op_selection or ()),
        "tags": {**tags, **(item.tags or {})},
    }
    return {key: value for key, value in data.items() if value}
