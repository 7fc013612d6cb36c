"""When pods that found no room are tried again."""

from __future__ import annotations

from podgraph.planning.pods.room import Room


def refuse(room: Room, now: float) -> float:
    room.refused("QuotaExceeded", "full", now, lambda: 1.0)
    return room.due - now


def test_the_pauses_double_up_to_fifteen_seconds() -> None:
    room, now, pauses = Room(), 100.0, []
    for _ in range(6):
        pauses.append(refuse(room, now))
        assert (room.most(now), room.next(now)) == (0, room.due)
        now = room.due
        assert (room.most(now), room.next(now)) == (1, None)
    assert pauses == [1, 2, 4, 8, 15, 15]


def test_pods_that_were_refused_together_count_once() -> None:
    room = Room()
    assert [refuse(room, 100.0) for _ in range(50)] == [1.0] * 50
    assert refuse(room, 101.0) == 2.0


def test_after_a_pod_was_created_twice_as_many_are_tried() -> None:
    room, found = Room(), []
    refuse(room, 100.0)
    while (most := room.most(101.0)) is not None:
        found.append(most)
        room.created()
    assert found == [1, 2, 4, 8, 16, 32, 64]
    assert room.trouble == ""


def test_what_was_made_room_for_is_tried_at_once_and_from_the_first_pause_on() -> None:
    room = Room()
    for now in (100.0, 101.0, 103.0):
        refuse(room, now)
    room.made(104.0)
    assert room.most(104.0) == 1
    assert refuse(room, 104.0) == 1.0
    room.clear()
    assert (room.most(104.0), room.next(104.0), room.trouble) == (None, None, "")
