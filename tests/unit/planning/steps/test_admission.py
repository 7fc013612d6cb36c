"""Which ready steps start: order, limits, and what a limit does not hold back."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Op
from podgraph.planning.model.execution import ExecutionSpec
from podgraph.planning.steps.admission import Admission, check_priorities
from podgraph.run_config.execution import TagLimit


def make(spec: ExecutionSpec, **ops: dict[str, str]) -> Admission:
    made = Admission({name: Op(name, tags=tags) for name, tags in ops.items()}, spec)
    for name in ops:
        made.add(name)
    return made


def taken(admission: Admission) -> list[str]:
    found = []
    while (name := admission.take()) is not None:
        found.append(name)
    return found


def priority(value: int) -> dict[str, str]:
    return {"podgraph/priority": str(value)}


def test_without_limits_all_start_in_the_order_they_came() -> None:
    assert taken(make(ExecutionSpec(), b={}, a={}, c={})) == ["b", "a", "c"]


def test_a_higher_priority_goes_first() -> None:
    ops: dict[str, Any] = {"a": priority(-1), "b": {}, "c": priority(2), "d": priority(2)}
    assert taken(make(ExecutionSpec(), **ops)) == ["c", "d", "b", "a"]


def test_a_priority_must_be_a_whole_number() -> None:
    check_priorities([Op("a", tags=priority(3)), Op("b")])
    with pytest.raises(DefinitionError, match=r"op 'a' has the tag 'podgraph/priority': '1\.5'; it must be a whole"):
        check_priorities([Op("a", tags={"podgraph/priority": "1.5"})])


def test_the_number_of_all() -> None:
    admission = make(ExecutionSpec(max_concurrent=2), a={}, b={}, c={})
    assert taken(admission) == ["a", "b"]
    admission.give("a")
    admission.give("x")
    assert taken(admission) == ["c"]


def test_a_limit_for_a_tag_holds_back_no_other_step() -> None:
    spec = ExecutionSpec(max_concurrent=3, tag_limits=(TagLimit("db", 1),))
    admission = make(spec, a={"db": "x", **priority(5)}, b={"db": "y", **priority(4)}, c={}, d={}, e={})
    assert taken(admission) == ["a", "c", "d"]
    admission.give("c")
    assert taken(admission) == ["e"]
    admission.give("a")
    assert taken(admission) == ["b"]


def test_limits_for_one_value_and_for_each() -> None:
    spec = ExecutionSpec(tag_limits=(TagLimit("db", 1, per_value=True), TagLimit("team", 1, value="x")))
    ops = {
        "a": {"db": "p"},
        "b": {"db": "p"},
        "c": {"db": "q", "team": "x"},
        "d": {"team": "x"},
        "e": {"team": "y"},
        "f": {"team": "y"},
    }
    assert sorted(taken(make(spec, **ops))) == ["a", "c", "e", "f"]


def test_what_runs_already_counts_whatever_the_limit_says() -> None:
    admission = Admission({name: Op(name) for name in "abc"}, ExecutionSpec(max_concurrent=1))
    for name in "aab":
        admission.hold(name)
    admission.add("c")
    assert taken(admission) == []
    admission.give("a")
    assert taken(admission) == []
    admission.give("b")
    assert taken(admission) == ["c"]


def test_a_drop_forgets_all_that_wait() -> None:
    admission = make(ExecutionSpec(), a={}, b={})
    admission.drop()
    assert taken(admission) == []
