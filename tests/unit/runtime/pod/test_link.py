"""A pod goes on as if nothing were when its link does not come about (what it says when it does: see test_links)."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from podgraph.protocol.link import greeting
from podgraph.runtime.pod.link import Link


def rest_of_a_line_is_quiet(link: Link) -> None:
    link.open()
    link.say("a line")
    assert link.hear(0.001) is None
    link.close()
    link.say("after the end")


@pytest.mark.parametrize(
    "where",
    ["", "nonsense", "127.0.0.1:x f00d u p",
     "127.0.0.1:1 f00d u p", "::1:1 f00d u p"],
)  # fmt: skip
def test_there_is_nobody(where: str) -> None:
    rest_of_a_line_is_quiet(Link(where))


def test_one_that_does_not_answer_is_waited_for_a_moment() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(0)
        address = silent.getsockname()
        with socket.create_connection(address):  # no more fit
            link = Link(f"127.0.0.1:{address[1]} f00d u p")
            rest_of_a_line_is_quiet(link)


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b""])
def test_one_that_is_not_the_operator_is_told_nothing(answer: bytes) -> None:
    got = []
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()

        def serve() -> None:
            connection, _ = other.accept()
            with connection:
                got.append(connection.recv(4096))
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        key = b"secret"
        rest_of_a_line_is_quiet(Link(f"127.0.0.1:{other.getsockname()[1]} f00d u p", key))
        thread.join(timeout=30)
    [said] = got
    assert said, "the pod has begun a handshake"
    for secret in (key, *greeting(key, "f00d", "u", "p").encode().split()[2:]):
        assert secret not in said


def test_to_wait_on_no_link_takes_its_time() -> None:
    begun = time.monotonic()
    assert Link("").hear(0.05) is None
    assert time.monotonic() - begun >= 0.05
