"""What stands for a value inside a job, and what it says to those who take it for one; names that only Dagster has."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import podgraph
from podgraph import DefinitionError, graph, job, op


@op
def one() -> int:
    return 1


@op
def use(x: int) -> int:
    return x


TAKEN: list[tuple[Callable[[Any], Any], str]] = [
    (lambda y: y > 3, "compared with >"),
    (lambda y: y <= 3, "compared with <="),
    (lambda y: y == 3, "compared with =="),
    (lambda y: y is None or y != "x", "compared with =="),
    (lambda y: y + 1, "used with +"),
    (lambda y: "a" + y, "used with +"),
    (lambda y: y % 2, "used with %"),
    (lambda y: 1 if y else 2, "tested for truth"),
    (lambda y: not y, "tested for truth"),
    (list, "unpacked or looped over"),
    (lambda y: [*y], "unpacked or looped over"),
    (lambda y: y[0], "indexed"),
    (lambda y: y(), "called"),
    (lambda y: y.upper(), "accessed with .upper"),
    (lambda y: len(y), "measured with len()"),
    (lambda y: f"s3://{y}", "formatted into a string"),
    (int, "used in arithmetic"),
    (lambda y: -y, "used in arithmetic"),
    (lambda y: math.floor(y), "used in arithmetic"),
    (lambda y: 3 in y, "used in arithmetic"),
]


@pytest.mark.parametrize(("take", "said"), TAKEN)
def test_what_takes_a_value_is_refused(take: Callable[[Any], Any], said: str) -> None:
    def body() -> None:
        take(one())

    with pytest.raises(DefinitionError) as caught:
        job(body)
    assert caught.value.message.startswith(f"output 'result' of op 'one' cannot be {said}")
    assert "its value exists only when the job runs; " in caught.value.message

    def with_input(x: int) -> None:
        use(x)
        take(x)

    with pytest.raises(DefinitionError, match=r"^input 'x' of the job cannot be "):
        job(with_input)


def test_handles_are_compared_with_each_other() -> None:
    @graph
    def inner(x):  # type: ignore[no-untyped-def]
        return use(x)

    @job
    def whole() -> None:
        first, second = one(), one()
        assert first != second
        assert len({first, second, first}) == 2
        inner(first)

    assert whole.graph.order == ("one", "one_2", "inner.use")


@pytest.mark.parametrize("calls", [lambda: use(1, 2), lambda: one(1)])
def test_too_many_inputs(calls: Callable[[], Any]) -> None:
    with pytest.raises(DefinitionError) as caught:
        job(name="j")(calls)
    assert caught.value.message in (
        "op 'use' takes 1 input but receives 2; its inputs are: x",
        "op 'one' takes no inputs but receives 1; an op that only waits has an In(Nothing)",
    )


def test_names_of_dagster() -> None:
    with pytest.raises(AttributeError, match="no attribute 'asset', which is Dagster's: podgraph has ops and jobs"):
        podgraph.asset  # noqa: B018
    assert not hasattr(podgraph, "no_such_name")
