"""Connections of which it is not known whose they are: how many there may be, and which go."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from podgraph.reconcile.jobs.link_strangers import Strangers


def test_the_oldest_of_the_address_with_the_most_goes() -> None:
    strangers: Strangers[int] = Strangers(most=4, of_one=3)
    for number, source in enumerate("aaab"):
        assert list(strangers.add(number, source)) == []
    assert list(strangers.add(4, "b")) == [0], "there are too many in all"
    assert list(strangers.add(5, "b")) == [3], "of b there are the most by now"
    for number in (1, 2, 4, 5, 5):
        strangers.remove(number)
    assert len(strangers) == 0


def test_one_address_takes_no_more_than_its_share() -> None:
    strangers: Strangers[int] = Strangers(most=100, of_one=2)
    assert list(strangers.add(-1, "pod")) == []
    gone = [other for number in range(50) for other in strangers.add(number, "attacker")]
    assert gone == list(range(48))
    assert len(strangers) == 3


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans())))
def test_there_are_never_too_many_and_the_new_one_stays(events: list[tuple[str, bool]]) -> None:
    strangers: Strangers[int] = Strangers(most=5, of_one=2)
    there: set[int] = set()
    for number, (source, leaves) in enumerate(events):
        gone = set(strangers.add(number, source))
        assert number not in gone
        there = (there | {number}) - gone
        if leaves:
            strangers.remove(min(there))
            there.discard(min(there))
        assert len(strangers) == len(there) <= 5
