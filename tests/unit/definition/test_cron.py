"""What is a cron expression, without cronsim; and that cronsim agrees."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest
from cronsim import CronSim, CronSimError

from podgraph import job, op, schedule
from podgraph.definition.cron import check_cron
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cron import read_cron


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("61 * * * *", "'61 * * * *' is not a valid cron expression: its minute is wrong: '61'; it goes from 0 to 59"),
        ("0 24 * * *", "its hour is wrong: '24'"),
        ("0 0 0 * *", "its day-of-month is wrong: '0'"),
        ("0 0 * 13 *", "its month is wrong: '13'"),
        ("0 0 * * 8", "its day-of-week is wrong: '8'"),
        ("0 0 * * MOO", "its day-of-week is wrong: 'MOO'"),
        ("5-1 * * * *", "its minute is wrong: '5-1'"),
        ("*/0 * * * *", "its minute is wrong: '0'"),
        ("1? * * * *", "its minute is wrong"),
        ("\u0661 * * * *", "its minute is wrong"),
        ("* * * *", "must have five fields"),
        ("0 * * * * *", "not 6"),
        ("", "not 0"),
        ("@dayly", "did you mean '@daily'?"),
        ("0 0 31 2 *", "selects a date that never occurs: none of its months has 31 days"),
        ("0 0 31 4,6 ?", "selects a date that never occurs"),
        ("9" * 5_000 + " * * * *", "more than 1,024 characters"),
        ("9" * 900 + " * * * *", "its minute is wrong"),
        ("1," * 500 + "x * * * *", "its minute is wrong: 'X'"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        check_cron(text)
    assert said in caught.value.message
    assert len(caught.value.message) < 400
    with pytest.raises(DefinitionError, match="load_times"):
        schedule(cron_schedule=text or " ", job_name="load")(load_times)


def load_times() -> None:
    """A schedule's function."""


RIGHT = [
    "0 12 ? * MON-FRI", "0 0 L * *", "0 0 LW * *", "*/5 * * * 5L", "0 0 * * MON#2", "0 0 31 2 MON", "@hourly",
    "0 0 1,L * *", "0-59/7 1-5 * jan,Dec *", "?/5 * * * *",
]  # fmt: skip


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_one_ticks(text: str) -> None:
    assert schedule(cron_schedule=text, job_name="load")(load_times).cron_schedules == (text,)
    assert read_cron((text,), "UTC").next_after(0) is not None


def test_cronsim_takes_the_same() -> None:
    chosen = random.Random(7)
    for _ in range(3_000):
        text = " ".join("".join(chosen.choices("*059,-/L#WM", k=chosen.randint(1, 4))) for _ in range(5))
        try:
            CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
            good = True
        except (CronSimError, ValueError, AssertionError, TypeError):
            good = False
        try:
            check_cron(text)
            ours = True
        except DefinitionError:
            ours = False
        assert ours == good, text


def test_a_schedule_without_an_expression() -> None:
    with pytest.raises(DefinitionError, match="must have a cron expression"):
        schedule(load_times)  # type: ignore[arg-type]


@op
def one() -> int:
    return 1


@job
def whole() -> None:
    one()


@pytest.mark.parametrize(
    ("decorate", "said"),
    [
        (lambda: op(retries=3), "@op has no argument 'retries'; write retry_policy=RetryPolicy(max_retries=3)"),
        (lambda: op(timeout_seconds=5), "write timeout=5"),
        (lambda: op(memory="1Gi"), "write pod_template={"),
        (lambda: op(deps=[one]), "In(Nothing)"),
        (lambda: op(descripton="x"), "did you mean 'description'?"),
        (lambda: job(retries=3), "@job has no argument 'retries'; write op_retry_policy"),
        (lambda: job(cron="@daily"), "write a schedule beside the job: @schedule(cron_schedule='@daily'"),
        (lambda: schedule(cron="@daily", job=whole), "write cron_schedule='@daily'"),
    ],
)
def test_an_argument_that_is_not_there(decorate: object, said: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        decorate()  # type: ignore[operator]
    assert said in caught.value.message
