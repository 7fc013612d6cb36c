"""Whose turn it is when a pod has ended."""

from __future__ import annotations

from functools import partial

import msgspec
import pytest

from podgraph.planning.pods.types import Pod
from podgraph.reconcile.jobs.room_queue import RoomQueue


def pod(namespace: str, phase: str) -> Pod:
    return msgspec.convert(
        {"metadata": {"name": "x", "namespace": namespace, "uid": "u"}, "status": {"phase": phase}}, Pod
    )


def test_the_first_of_the_namespace_are_woken_once() -> None:
    woken: list[str] = []
    queue = RoomQueue(lambda namespace: None)
    for uid in "abcde":
        queue.wait("n", uid, partial(woken.append, uid))
    queue.wait("other", "f", partial(woken.append, "f"))
    queue.wait("n", "a", partial(woken.append, "a"))  # it tried in vain
    queue.leave("c")
    queue.leave("never there")
    queue.pod_changed(pod("n", "Running"))
    assert not woken
    queue.pod_changed(pod("n", "Succeeded"))
    assert woken == ["b", "d", "e"]
    queue.pod_changed(pod("n", "Failed"))
    queue.pod_changed(pod("n", "Failed"))
    assert woken == ["b", "d", "e", "a"]


@pytest.mark.parametrize("gone", [True, False])
def test_a_pod_that_is_gone_takes_no_room(gone: bool) -> None:
    woken: list[str] = []
    queue = RoomQueue(lambda namespace: None)
    queue.wait("n", "a", partial(woken.append, "a"))
    queue.pod_changed(msgspec.structs.replace(pod("n", "Running"), gone=gone))
    assert woken == (["a"] if gone else [])
