"""The processes of steps by themselves: what they print, and how their end is told."""

from __future__ import annotations

import os
import select
import socket
import threading
from collections.abc import Iterator

import pytest

from podgraph.runtime.local.processes import Worker, how_it_ended


@pytest.fixture
def worker() -> Iterator[tuple[Worker, int]]:
    ours, theirs = socket.socketpair()
    output, printed = os.pipe()
    made = Worker("f", ours, output)
    with theirs:
        yield made, printed
    made.close()


def test_lines_come_whole(worker: tuple[Worker, int]) -> None:
    made, printed = worker
    assert list(made.lines()) == []
    os.write(printed, b"one\ntw")
    assert list(made.lines()) == ["one"]
    os.write(printed, b"o\n\nopen")
    assert list(made.lines()) == ["two", ""]
    assert list(made.lines(last=True)) == ["open"]
    assert list(made.lines(last=True)) == []
    assert not made.is_mute
    os.close(printed)
    assert list(made.lines()) == []
    assert made.is_mute


def test_a_character_in_two_pieces(worker: tuple[Worker, int]) -> None:
    made, printed = worker
    os.write(printed, "ü".encode()[:1])
    assert list(made.lines()) == []
    os.write(printed, "ü".encode()[1:] + b"\n\xff")
    assert list(made.lines(last=True)) == ["ü", "\ufffd"]
    os.close(printed)


def test_one_that_prints_without_end_keeps_nobody_waiting(worker: tuple[Worker, int]) -> None:
    made, printed = worker
    stop = threading.Event()

    def print_on() -> None:
        while not stop.is_set():
            os.write(printed, b"y\n" * 1_000)
        os.close(printed)

    thread = threading.Thread(target=print_on)
    thread.start()
    assert select.select([made.output], [], [], 10)[0]  # the thread may take its time to begin
    found = sum(1 for _ in range(3) for _ in made.lines())
    found += sum(1 for _ in made.lines(last=True))
    stop.set()
    while thread.is_alive():
        list(made.lines())
    thread.join()
    assert found


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (0, "ended with exit code 0"),
        (3, "ended with exit code 3"),
        (-6, "was killed by SIGABRT"),
        (-9, "was killed by SIGKILL, perhaps because memory ran out"),
        (-11, "was killed by SIGSEGV"),
        (-250, "was killed by signal 250"),
    ],
)
def test_how_a_process_ended(status: int, said: str) -> None:
    assert how_it_ended(status) == said
