"""What of that which a sensor sees is new."""

from __future__ import annotations

import pytest

from podgraph.scheduling.cursor import Cursor
from podgraph.scheduling.job_factory import second
from podgraph.scheduling.sources import Observation


def test_what_is_dealt_with_is_not_seen_again() -> None:
    cursor = Cursor(time=second(100))
    seen = [
        Observation("old", "a", "v", second(100)),
        Observation("b", "b", "v", second(300)),
        Observation("a", "a", "v", second(200)),
    ]
    assert [s.key for s in cursor.fresh(seen)] == ["a", "b"]
    cursor.take(seen[2])
    again = Cursor.from_status(cursor.to_status())
    assert [s.key for s in again.fresh(seen)] == ["b"]


def test_few_keys_are_kept_and_nothing_is_seen_twice() -> None:
    cursor = Cursor(time=second(0))
    seen = [Observation(str(at), "j", "v", second(at)) for at in range(1, 501)]
    for item in cursor.fresh(seen):
        cursor.take(item)
    cursor.prune(seen)
    assert len(cursor.keys) == 200
    assert cursor.fresh(seen) == []
    assert [s.key for s in cursor.fresh([*seen, Observation("x", "j", "v", second(501))])] == ["x"]


def test_what_is_still_so_keeps_its_key() -> None:
    cursor = Cursor()
    live = [Observation(f"live{at}", "o", "v") for at in range(100)]
    for item in [*live, *(Observation(f"gone{at}", "o", "v") for at in range(400))]:
        cursor.take(item)
    cursor.prune(live)
    assert cursor.fresh(live) == []
    assert len(cursor.keys) == 300


def test_what_was_so_before_makes_no_job() -> None:
    cursor, field = Cursor(time=second(100)), Observation("f", "o", "v")
    cursor.begin([field, Observation("c", "o", "v", second(200))], is_http=False)
    assert [s.key for s in cursor.fresh([field, Observation("c", "o", "v", second(200))])] == ["c"]
    assert cursor.begun


@pytest.mark.parametrize(
    ("equals", "fires"),
    [(None, [False, True, True, False, True, True]), ("b", [False, True, False, False, False, True])],
)
def test_changes_of_a_web_page(equals: str | None, fires: list[bool]) -> None:
    cursor = Cursor()
    cursor.begin([Observation("a", "h", "a")], is_http=True)
    names = []
    for value, expected in zip(["a", "b", "c", "c", "a", "b"], fires, strict=True):
        seen = [Observation(value, "h", value)]
        new = cursor.turn(seen, equals)
        assert (new is not None) is expected, value
        if new is not None:
            names.append(new.key)
        cursor.turned(seen, made=new is not None)
    assert len(set(names)) == sum(fires)


def test_a_web_page_that_is_not_there_and_comes_back() -> None:
    cursor = Cursor()
    cursor.begin([], is_http=True)
    assert cursor.turn([], None) is None
    assert cursor.turn([Observation("a", "h", "a")], None) is not None
