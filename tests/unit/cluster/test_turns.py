from __future__ import annotations

from podgraph.cluster.turns import Turns


def test_groups_take_turns_and_in_each_the_keys() -> None:
    turns = Turns[str]()
    for at in range(3):
        turns.add("large", "j1", f"a{at}")
    turns.add("large", "j2", "b0")
    turns.add("small", "j3", "c0")
    assert list(turns.groups()) == ["large", "small"]
    assert [turns.pop() for _ in range(len(turns))] == ["a0", "c0", "b0", "a1", "a2"]
    assert len(turns) == 0


def test_one_group_may_be_taken_before_its_turn() -> None:
    turns = Turns[int]()
    turns.add("a", "", 1)
    turns.add("b", "", 2)
    turns.add("a", "", 3)
    assert [turns.pop("b"), turns.pop(), turns.pop()] == [2, 1, 3]
