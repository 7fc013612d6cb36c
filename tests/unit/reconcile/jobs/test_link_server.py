"""Both ends of direct links: pods' by runtime.pod.link in threads, as pods are other processes."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.keys import Keys
from podgraph.protocol.link import GOODBYE, MAX_LINE, greeting
from podgraph.reconcile import log_follower
from podgraph.reconcile.jobs import link_peer as module
from podgraph.reconcile.jobs.link_server import LinkServer, read_link
from podgraph.reconcile.jobs.link_strangers import MOST_OF_ONE
from podgraph.runtime.pod.link import Link

ADDRESS = "127.0.0.1:0"
Said = list[tuple[str, str, list[str]]]


@pytest.fixture
def said() -> Said:
    return []


@pytest.fixture
async def links(said: Said) -> AsyncIterator[LinkServer]:
    found = known(LinkServer(most=3), said)
    async with found.serving(ADDRESS):
        yield found


KEYS = Keys(b"master")


def known(links: LinkServer, said: Said | None = None) -> LinkServer:
    """Let in all pods but "never-made"; `said` takes what they send."""
    taken = [] if said is None else said
    links.connect(KEYS, lambda uid, pod: pod != "never-made", lambda *what: taken.append(what))
    return links


def words_of(links: LinkServer, uid: str = "u1", pod: str = "a-1", key: bytes | None = None) -> str:
    """What a pod says first."""
    assert links.invitation is not None
    return greeting(KEYS.of(uid).pod if key is None else key, links.invitation.fingerprint, uid, pod)


def pod_link(links: LinkServer, uid: str = "u1", pod: str = "a-1") -> Link:
    return Link(invited(links, uid, pod), KEYS.of(uid).pod)


def invited(links: LinkServer, uid: str = "u1", pod: str = "a-1") -> str:
    assert links.invitation is not None
    return links.invitation.credential_for(uid, pod)


async def linked(links: LinkServer, uid: str = "u1", pod: str = "a-1") -> Link:
    """Link a pod and wait until the operator knows of it."""
    count = links.count
    link = pod_link(links, uid, pod)
    await asyncio.to_thread(link.open)
    await until(lambda: links.count > count)
    return link


async def until(true: Callable[[], object]) -> None:
    for _ in range(1_000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise TimeoutError


async def raw(links: LinkServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection of somebody who knows TLS, and the address."""
    host, _, port = invited(links).split(" ")[0].rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return await asyncio.open_connection(host, int(port), ssl=context)


async def ended(reader: asyncio.StreamReader) -> bool:
    try:
        return await asyncio.wait_for(reader.read(), 5) == b""
    except ConnectionError:
        return True


async def test_what_a_pod_says_is_heard_at_once_and_in_order(links: LinkServer, said: Said) -> None:
    link = await linked(links)
    for line in ("::podgraph-record n::{}", "ünïcode \ud800", "x" * 10_000):
        await asyncio.to_thread(link.say, line)
    await until(lambda: sum(len(lines) for *_, lines in said) == 3)
    assert {(uid, pod) for uid, pod, _ in said} == {("u1", "a-1")}
    assert [line for *_, lines in said for line in lines] == ["::podgraph-record n::{}", "ünïcode ?", "x" * 10_000]


async def test_what_is_said_just_before_the_end_is_heard(links: LinkServer, said: Said) -> None:
    def pod() -> None:
        link = pod_link(links)
        link.say("the only line")
        link.close()

    await asyncio.to_thread(pod)
    await until(lambda: said and not links.count)
    assert said == [("u1", "a-1", ["the only line"])]


async def test_a_pod_is_told_when_it_is_there_or_comes(links: LinkServer) -> None:
    links.tell("u1", "a-1", "before")
    link = await linked(links)
    links.tell("u1", "a-1", "after")
    assert [await asyncio.to_thread(link.hear, 5) for _ in range(2)] == ["before", "after"]
    assert await asyncio.to_thread(link.hear, 0.001) is None
    links.tell("u1", "other", "not this one")
    assert await asyncio.to_thread(link.hear, 0.05) is None


async def test_what_was_for_a_pod_that_is_left_is_not_told(links: LinkServer) -> None:
    links.tell("u1", "a-1", "for nobody")
    links.leave("u1", "a-1")
    link = await linked(links)
    assert await asyncio.to_thread(link.hear, 0.05) is None


async def test_a_log_is_followed_while_there_is_no_link(links: LinkServer) -> None:
    calls: list[str] = []
    links.hear("u1", "a-1", lambda: calls.append("follow"), lambda: calls.append("leave"))
    assert calls == ["follow"]
    link = await linked(links)
    assert calls == ["follow", "leave"]
    link._drop(link._tls)  # type: ignore[arg-type]  the pod is killed
    await until(lambda: len(calls) == 3)
    assert calls[2] == "follow"
    again = await linked(links)
    await asyncio.to_thread(again.close)
    await until(lambda: not links.count)
    assert calls == ["follow", "leave", "follow", "leave"], "one that said goodbye has said all"


async def test_none_is_followed_of_a_pod_that_is_left_or_has_a_link(links: LinkServer) -> None:
    calls: list[str] = []
    link = await linked(links)
    links.hear("u1", "a-1", lambda: calls.append("follow"), lambda: calls.append("leave"))
    assert calls == []
    links.leave("u1", "a-1")
    link._drop(link._tls)  # type: ignore[arg-type]
    await until(lambda: not links.count)
    assert calls == []


async def test_a_job_that_is_forgotten_has_no_links(links: LinkServer) -> None:
    link, other = await linked(links), await linked(links, "u2")
    links.tell("u1", "late", "x")
    links.hear("u1", "late", lambda: None, lambda: None)
    links.forget("u1")
    await until(lambda: links.count == 1)
    assert not links._logs
    assert not links._unheard
    assert await asyncio.to_thread(link.hear, 1) is None
    await asyncio.to_thread(other.say, "still here")


async def test_a_pod_has_one_link(links: LinkServer, said: Said) -> None:
    first, second = await linked(links), pod_link(links)
    await asyncio.to_thread(second.say, "from the second")
    await until(lambda: said)
    assert links.count == 1
    assert await asyncio.to_thread(first.hear, 5) is None
    links.tell("u1", "a-1", "to the second")
    assert await asyncio.to_thread(second.hear, 5) == "to the second"


async def test_there_is_room_for_so_many(links: LinkServer) -> None:
    kept = [await linked(links, pod=f"p-{n}") for n in range(3)]
    late = pod_link(links, pod="late")
    await asyncio.to_thread(late.say, "is not heard")
    assert await asyncio.to_thread(late.hear, 5) is None
    assert late._tls is None
    assert links.count == 3
    await asyncio.to_thread(kept[0].close)
    await until(lambda: links.count == 2)
    await linked(links, pod="late")


async def test_the_namespace_with_most_links_gives_way(links: LinkServer) -> None:
    """Who had 2,000 pods in one namespace kept those of all others from the link."""
    links._namespace_of = lambda uid: uid[0]
    logs: list[str] = []
    kept = [await linked(links, uid=f"a{n}") for n in range(3)]
    links.hear("a2", "a-1", lambda: logs.append("followed"), lambda: None)
    link = pod_link(links, uid="b1", pod="p-1")
    await asyncio.to_thread(link.open)
    await until(lambda: "b1" in links._known)
    assert {uid: list(pods) for uid, pods in links._known.items()} == {"a0": ["a-1"], "a1": ["a-1"], "b1": ["p-1"]}
    assert logs == ["followed"]
    late = pod_link(links, uid="b2")
    await asyncio.to_thread(late.say, "is not heard")
    assert await asyncio.to_thread(late.hear, 5) is None
    assert links.count == 3
    for one in kept:
        await asyncio.to_thread(one.close)


async def test_one_that_says_without_end_holds_up_no_other(
    links: LinkServer, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A step's own code knows its key: it could keep the operator busy by the link alone."""
    monkeypatch.setattr(log_follower, "_RATE", 16 * 1024)
    monkeypatch.setattr(log_follower, "_BURST", 64 * 1024)
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.2)
    links._namespace_of = lambda uid: uid[0]
    _, writer = await raw(links)
    writer.write(f"{words_of(links)}\n".encode() + b"x\n" * 2_000_000)
    other = await linked(links, uid="v1")
    await asyncio.to_thread(other.say, "heard at once")
    await until(lambda: ("v1", "a-1", ["heard at once"]) in said)
    before = sum(len(lines) for *_, lines in said)
    assert before < 200_000
    await asyncio.sleep(0.5)
    assert sum(len(lines) for *_, lines in said) < 200_000
    assert links.count == 2, "it is heard on, later"
    writer.close()


@pytest.mark.parametrize(
    "other",
    ["other pod", "other job", "other token", "no key", "another server's", "no pod of the job", "nothing", "too much",
     "a long line"],
)  # fmt: skip
async def test_who_was_not_invited_is_not_heard(links: LinkServer, said: Said, other: str) -> None:
    words = words_of(links)
    reader, writer = await raw(links)
    changed = {
        "other pod": words.replace("a-1", "b-1"),
        "other job": words.replace("u1", "u2"),
        "other token": words[:-1] + ("0" if words[-1] != "0" else "1"),
        "no key": words_of(links, key=b""),
        "another server's": greeting(KEYS.of("u1").pod, "f00d", "u1", "a-1"),
        "no pod of the job": words_of(links, pod="never-made"),
        "nothing": "",
        "too much": "x" * 2_000,
        "a long line": words + " " * 1_024,
    }[other]
    writer.write(changed.encode() + (b"" if other == "too much" else b"\na line\n"))
    assert await ended(reader)
    assert not links.count
    assert not said
    writer.close()


async def test_an_endless_line_ends_the_link(links: LinkServer, said: Said) -> None:
    reader, writer = await raw(links)
    writer.write(words_of(links).encode() + b"\n" + b"x" * (2 * MAX_LINE))
    assert await ended(reader)
    assert not links.count
    assert not said
    writer.close()


async def test_nothing_counts_after_the_goodbye(links: LinkServer, said: Said) -> None:
    _, writer = await raw(links)
    writer.write(f"{words_of(links)}\none\n{GOODBYE}\ntwo\n".encode())
    await until(lambda: said)
    assert said == [("u1", "a-1", ["one"])]
    writer.close()


async def test_who_says_nothing_is_not_waited_for(
    links: LinkServer, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(module, "_GREETING_SECONDS", 0.1)
    host, _, port = invited(links).split(" ")[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    assert await ended(reader)
    writer.close()
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    assert await asyncio.wait_for(reader.read(), 5) != b"HTTP"
    writer.close()


async def test_who_connects_and_says_nothing_keeps_no_pod_out(links: LinkServer, said: Said) -> None:
    host, _, port = invited(links).split(" ")[0].rpartition(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(MOST_OF_ONE + 20)]
    link = await linked(links)
    await asyncio.to_thread(link.say, "heard all the same")
    await until(lambda: said)
    gone = [await ended(reader) for reader, _ in idle[:20]]
    assert all(gone), "the oldest go for those that come"
    assert len(links._strangers) <= MOST_OF_ONE
    for _, writer in idle:
        writer.close()


async def test_idle_connections_take_no_room_from_pods_that_are_known(links: LinkServer) -> None:
    host, _, port = invited(links).split(" ")[0].rpartition(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(10)]  # more than there may be links
    kept = [await linked(links, pod=f"p-{n}") for n in range(3)]
    links.tell("u1", "p-0", "x")
    assert await asyncio.to_thread(kept[0].hear, 5) == "x"
    for _, writer in idle:
        writer.close()


async def test_a_handshake_has_no_end_of_bytes(links: LinkServer) -> None:
    host, _, port = invited(links).split(" ")[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    # A TLS record of the handshake that tells of 4 MiB to come.
    writer.write(b"\x16\x03\x01\x40\x00" + b"\x01\x3f\xff\xff" + b"x" * 16_380)
    writer.write((b"\x16\x03\x03\x40\x00" + b"x" * 16_384) * 8)
    assert await ended(reader)
    assert not links._open
    writer.close()


async def test_a_line_that_never_ends_ends_the_link(
    links: LinkServer, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.2)
    reader, writer = await raw(links)
    writer.write(words_of(links).encode() + b"\nwhole\npart")
    await until(lambda: said)
    assert await ended(reader)
    assert said == [("u1", "a-1", ["whole"])]
    writer.close()


async def test_a_line_may_come_in_parts(links: LinkServer, said: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LINE_SECONDS", 0.3)
    _, writer = await raw(links)
    writer.write(words_of(links).encode() + b"\n")
    for part in (b"a li", b"ne\n", b"other\n"):
        writer.write(part)
        await asyncio.sleep(0.2)
    await asyncio.sleep(0.3)
    assert [line for *_, lines in said for line in lines] == ["a line", "other"]
    assert links.count == 1
    writer.close()


async def test_one_that_reads_nothing_is_left(links: LinkServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_UNREAD", 100_000)
    await linked(links)
    for _ in range(400):
        links.tell("u1", "a-1", "x" * 60_000)
    await until(lambda: not links.count)


async def test_code_that_takes_long_to_load_costs_no_link(
    links: LinkServer, said: Said, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_GREETING_SECONDS", 0.1)
    link = pod_link(links)
    await asyncio.sleep(0.3)  # its connection was ended meanwhile
    assert not links._open
    monkeypatch.setattr(module, "_GREETING_SECONDS", 5.0)
    await asyncio.to_thread(link.say, "late")
    await until(lambda: said)


async def test_each_operator_has_a_certificate_of_its_own(links: LinkServer, said: Said) -> None:
    other = known(LinkServer())
    async with other.serving(ADDRESS):
        where, fingerprint, words = invited(other).split(" ", 2)
        mixed = f"{where} {invited(links).split(' ')[1]} {words}"  # another has its address by now
        link = Link(mixed, KEYS.of("u1").pod)
        await asyncio.to_thread(link.say, "x")
        assert link._tls is None
        assert not other.count
        assert fingerprint != invited(links).split(" ")[1]


async def test_pods_notice_that_the_operator_is_gone() -> None:
    links = known(LinkServer())
    async with links.serving(ADDRESS):
        link = await linked(links)
    assert links.invitation is None
    links.tell("u1", "a-1", "too late")
    begun = time.monotonic()
    for _ in range(3):
        assert await asyncio.to_thread(link.hear, 0.05) is None
    assert time.monotonic() - begun >= 0.1
    await asyncio.to_thread(link.say, "x")


async def test_ipv6(said: Said) -> None:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    links = known(LinkServer(), said)
    async with links.serving("::1:0"):
        link = await linked(links)
        await asyncio.to_thread(link.say, "x")
        await until(lambda: said)


@pytest.mark.parametrize("text", ["10.1.2.3", "10.1.2.3:", "10.1.2.3:70000", "podgraph:7443", ":7443", "10.1.2:1"])
def test_a_bad_address_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(DefinitionError, match=r"^PODGRAPH_LINK is '.*'; it must be an IP address, a colon and a port"):
        read_link(text)
    assert read_link("") == ""
