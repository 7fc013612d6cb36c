"""What functions of schedules and sensors may answer with, and what of it is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.requests import (
    Evaluation,
    RunRequest,
    SensorResult,
    SkipReason,
    call_with_context,
    read_answer,
)

ONE, TWO = RunRequest("1"), RunRequest("2")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (None, Evaluation()),
        (ONE, Evaluation((ONE,))),
        ([ONE, TWO], Evaluation((ONE, TWO))),
        (iter([ONE, None]), Evaluation((ONE,))),
        ([], Evaluation()),
        ({"ops": {}}, Evaluation((RunRequest(run_config={"ops": {}}),))),
        (SkipReason("nothing new"), Evaluation(skip="nothing new")),
        (iter([SkipReason("no")]), Evaluation(skip="no")),
        (SensorResult([ONE], cursor="5"), Evaluation((ONE,), cursor="5")),
        (SensorResult(skip_reason="no", cursor="5"), Evaluation(skip="no", cursor="5")),
        (SensorResult(skip_reason=SkipReason("no")), Evaluation(skip="no")),
        (iter([SensorResult([ONE])]), Evaluation((ONE,))),
    ],
)
def test_answers(answer: Any, expected: Evaluation) -> None:
    assert read_answer("sensor 's'", answer) == expected


@pytest.mark.parametrize(
    ("answer", "part"),
    [
        (5, "returned 5; it may return RunRequests"),
        ("text", "returned 'text'"),
        ([ONE, 5], "returned 5 among its requests"),
        ([ONE, SkipReason("no")], "run requests and a SkipReason"),
        ([SensorResult([ONE]), TWO], "a SensorResult together with other results"),
        (SensorResult([ONE], skip_reason="no"), "a SensorResult with run requests and a reason to skip"),
    ],
)
def test_what_is_no_answer(answer: Any, part: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        read_answer("sensor 's'", answer)
    assert refused.value.message.startswith("sensor 's' ")
    assert part in refused.value.message


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({"run_key": 7}, "the run_key '7' must be a string"),
        ({"run_key": "k" * 1_025}, "at most 1,024 characters"),
        ({"run_config": [1]}, "a RunRequest has the run_config [1]; it must be a dict"),
        ({"run_key": "a", "run_config": {"x": {1, 2}}}, "the run_config of the RunRequest 'a' must be JSON values"),
        ({"op_selection": "*a"}, "has the op_selection '*a'; it must be a list of clauses"),
        ({"op_selection": [1]}, "has the op_selection [1]"),
        ({"tags": {1: "x"}}, "has the tag 1; its key must be a string"),
    ],
)
def test_requests_of_which_no_run_can_be_made(fields: Any, part: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        RunRequest(**fields)
    assert part in refused.value.message


def test_tags_become_texts() -> None:
    assert RunRequest(tags={"n": 3, "team": "data"}).tags == {"n": "3", "team": "data"}  # type: ignore[dict-item]


def test_functions_take_a_context_or_nothing() -> None:
    assert call_with_context("f", lambda: 1)("context") == 1
    assert call_with_context("f", lambda context: context)("context") == "context"
    assert call_with_context("f", lambda context, more=2: (context, more))("context") == ("context", 2)

    async def waits(context: Any) -> None: ...

    wrong: list[tuple[Callable[..., Any], str]] = [
        (lambda a, b: 1, "must take no argument but context"), (waits, "is an async function")
    ]  # fmt: skip
    for fn, part in wrong:
        with pytest.raises(DefinitionError, match=part):
            call_with_context("f", fn)
