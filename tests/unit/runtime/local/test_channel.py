"""Messages between processes, whole or in pieces, and values small and large."""

from __future__ import annotations

import os
import pickle
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from podgraph.protocol.step import StepError
from podgraph.runtime.local.channel import Inbox, Stored, load, receive, send, store


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


@pytest.mark.parametrize("size", [0, 10, 256 * 1024 - 100])
def test_a_small_value_is_carried(tmp_path: Path, size: int) -> None:
    stored = store(b"x" * size, str(tmp_path), "it")
    assert (stored.size, stored.path) == (len(stored.data), "")
    assert load(stored, "it") == b"x" * size
    assert os.listdir(tmp_path) == []


def test_a_large_value_goes_to_a_file(tmp_path: Path) -> None:
    stored = store(b"x" * 256 * 1024, str(tmp_path), "it")
    assert stored.data == b""
    assert Path(stored.path).parent == tmp_path
    assert stored.size == Path(stored.path).stat().st_size > 256 * 1024
    assert load(stored, "it") == load(stored, "it") == b"x" * 256 * 1024


class Refuses:
    def __reduce__(self) -> Any:
        raise RuntimeError("not me")


class Reads:
    def __reduce__(self) -> Any:
        return int, ("x",)


def test_what_cannot_be_pickled(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        store(Refuses(), str(tmp_path), "output 'a' of op 'f'")
    assert (caught.value.reason, caught.value.message) == (
        "OutputNotPicklable",
        "output 'a' of op 'f' cannot be passed to another process: RuntimeError: not me",
    )


def test_what_cannot_be_unpickled(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        load(store(Reads(), str(tmp_path), "it"), "input 'x' of op 'g'")
    assert (caught.value.reason, caught.value.message) == (
        "InputNotReadable",
        "input 'x' of op 'g' cannot be read: ValueError: invalid literal for int() with base 10: 'x'",
    )
    with pytest.raises(StepError, match="input 'x' of op 'g' cannot be read: FileNotFoundError"):
        load(Stored(1, path=str(tmp_path / "gone")), "input 'x' of op 'g'")


def test_messages_one_by_one(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    for message in ("one", {"two": [2]}, None):
        send(ours, message)
    assert [receive(theirs) for _ in range(3)] == ["one", {"two": [2]}, None]


def test_a_message_larger_than_the_sockets_buffer(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    large = b"x" * 5_000_000
    sender = threading.Thread(target=send, args=(ours, large))
    sender.start()
    assert receive(theirs) == large
    sender.join()


@pytest.mark.parametrize("part", [b"", b"\0\0", struct.pack("!Q", 10) + b"x"])
def test_the_other_side_is_gone(pair: tuple[socket.socket, socket.socket], part: bytes) -> None:
    ours, theirs = pair
    ours.sendall(part)
    ours.close()
    with pytest.raises(EOFError):
        receive(theirs)


def test_an_inbox_takes_what_is_there_and_waits_for_nothing(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    inbox = Inbox(theirs)
    assert list(inbox.messages()) == []
    send(ours, 1)
    send(ours, 2)
    data = pickle.dumps("three")
    whole = struct.pack("!Q", len(data)) + data
    ours.sendall(whole[:9])
    assert list(inbox.messages()) == [1, 2]
    assert not inbox.ended
    ours.sendall(whole[9:])
    assert list(inbox.messages()) == ["three"]
    send(ours, 4)
    ours.close()
    assert list(inbox.messages()) == [4]
    assert inbox.ended
    assert list(inbox.messages()) == []


def test_an_inbox_of_one_that_was_killed_amid_a_message(pair: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = pair
    inbox = Inbox(theirs)
    ours.sendall(struct.pack("!Q", 100) + b"half")
    ours.close()
    assert list(inbox.messages()) == []
    assert inbox.ended
