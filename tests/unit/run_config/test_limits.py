"""How many steps run at once, against a count by hand."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.run_config.execution import TagLimit
from podgraph.run_config.limits import Limits

steady = settings(deadline=None, derandomize=True, max_examples=200)


def test_a_number_of_all() -> None:
    limits = Limits(2)
    assert [limits.take(name, {}) for name in "abc"] == [True, True, False]
    assert limits.is_full
    limits.give("a")
    assert not limits.is_full
    assert limits.take("c", {})


def test_one_that_was_not_counted_does_not_matter() -> None:
    limits = Limits(1, [TagLimit("db", 1)])
    limits.give("a")
    assert limits.take("a", {"db": "x"})
    limits.give("b")
    assert not limits.take("b", {})


@pytest.mark.parametrize(
    ("limit", "taken"),
    [
        (TagLimit("db", 1), ["one", "other", "few"]),
        (TagLimit("db", 2), ["one", "two", "other", "few"]),
        (TagLimit("db", 1, "x"), ["one", "three", "other", "few"]),
        (TagLimit("db", 1, ""), ["one", "two", "three", "other", "few"]),
        (TagLimit("db", 1, per_value=True), ["one", "three", "other", "few"]),
        (TagLimit("no", 1), ["one", "two", "three", "other", "few"]),
    ],
    ids=str,
)
def test_limits_of_a_tag(limit: TagLimit, taken: list[str]) -> None:
    steps = {"one": {"db": "x"}, "two": {"db": "x"}, "three": {"db": "y"}, "other": {"team": "x"}, "few": {}}
    limits = Limits(10, [limit])
    assert [name for name, tags in steps.items() if limits.take(name, tags)] == taken


def test_a_step_counts_under_each_of_its_limits() -> None:
    limits = Limits(10, [TagLimit("db", 2), TagLimit("db", 1, "x"), TagLimit("gpu", 1)])
    assert limits.take("a", {"db": "x"})
    assert not limits.take("b", {"db": "x", "gpu": "1"})  # and it uses up nothing of the others
    assert limits.take("c", {"db": "y", "gpu": "1"})
    assert not limits.take("d", {"db": "z"})
    assert not limits.take("e", {"gpu": "2"})
    limits.give("c")
    assert limits.take("e", {"gpu": "2"})
    assert limits.take("d", {"db": "z"})


tags = st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["x", "y", ""]))
tag_limits = st.builds(
    TagLimit,
    st.sampled_from(["a", "b", "c"]),
    st.integers(1, 3),
    st.none() | st.sampled_from(["x", "y", ""]),
) | st.builds(TagLimit, st.sampled_from(["a", "b"]), st.integers(1, 3), per_value=st.just(True))
moves = st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=40)


def fits(limit: TagLimit, running: list[dict[str, str]]) -> bool:
    """Count by hand whether steps with these tags may run together."""
    values = [step[limit.key] for step in running if limit.key in step]
    if limit.value is not None:
        return values.count(limit.value) <= limit.limit
    if limit.per_value:
        return all(values.count(value) <= limit.limit for value in values)
    return len(values) <= limit.limit


@steady
@given(st.integers(1, 4), st.lists(tag_limits, max_size=3), st.lists(tags, min_size=8, max_size=8), moves)
def test_no_limit_is_ever_passed_and_none_holds_back_too_much(
    most: int, limited: list[TagLimit], steps: list[dict[str, str]], drawn: list[tuple[bool, int]]
) -> None:
    limits, running = Limits(most, limited), dict[int, dict[str, str]]()
    for starts, at in drawn:
        if starts and at not in running:
            together = [*running.values(), steps[at]]
            may = len(together) <= most and all(fits(limit, together) for limit in limited)
            assert limits.take(str(at), steps[at]) == may
            if may:
                running[at] = steps[at]
        elif not starts:
            limits.give(str(at))
            running.pop(at, None)
        assert limits.is_full == (len(running) == most)
