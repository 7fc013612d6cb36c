"""The operator's end of the direct links that pods have to it (see runtime.pod.link)."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import resource
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from typing import cast

from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.link_token import LinkIssuer
from podgraph.protocol.link import GOODBYE, MAX_LINE
from podgraph.reconcile.jobs.link_certificate import certified
from podgraph.reconcile.jobs.link_strangers import MOST, Strangers

__all__ = ["LinkServer", "read_link"]

_LOG = logging.getLogger(__name__)
_MOST = 2_000
_MOST_WORDS = 1_024
_MOST_SHAKING = 16_384  # bytes until a pod has said who it is: some hundred, and its first lines
_GREETING_SECONDS = 5.0
_LINE_SECONDS = 10.0  # how long the rest of a line may take
_MOST_UNREAD = 1 << 20  # bytes that a pod has yet to read of what it was told

Key = tuple[str, str]
OnLines = Callable[[str, str, list[str]], None]
HasPod = Callable[[str, str], bool]


def read_link(text: str) -> str:
    """Check where pods are to reach the operator, "HOST:PORT" or nothing. Raises DefinitionError.

    >>> read_link("10.1.2.3:7443"), read_link("fd00::2:7443")
    ('10.1.2.3:7443', 'fd00::2:7443')
    """
    host, _, port = text.rpartition(":")
    try:
        if text:
            ipaddress.ip_address(host)
            if not 0 <= int(port) < 65_536:
                raise ValueError
    except ValueError:
        allowed = "an IP address, a colon and a port, as in 10.1.2.3:7443"
        raise DefinitionError("BadLink", f"PODGRAPH_LINK is {text!r}; it must be {allowed}") from None
    return text


def most_links(files: int) -> int:
    """Return how many links there may be where a process may have so many open files; -1 is without a limit.

    >>> most_links(1_024), most_links(1_048_576), most_links(-1)
    (512, 2000, 2000)
    """
    return _MOST if files < 0 else min(_MOST, files // 2)  # the rest is for the API server


def most_strangers(files: int) -> int:
    """Return how many connections there may be besides, of which it is not known whose they are.

    >>> most_strangers(1_024), most_strangers(1_048_576), most_strangers(-1)
    (256, 512, 512)
    """
    return MOST if files < 0 else min(MOST, files // 4)


class LinkServer:
    """The links that there are, by the uid of their Job and the name of the pod; at most `most` at once.

    A connection that has not yet proved which pod it is counts apart (see Strangers), and takes no room from those that
    have. No pod is let in before :meth:`connect`.
    """

    def __init__(self, most: int | None = None) -> None:
        self._keys: Keys | None = None
        self._has_pod: HasPod = lambda uid, pod: False
        self._on_lines: OnLines = lambda uid, pod, lines: None
        self.invitation: LinkIssuer | None = None
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._strangers: Strangers[_Peer] = Strangers(most_strangers(files))
        self._most = most_links(files) if most is None else most
        self._open: set[_Peer] = set()
        self._known: dict[str, dict[str, _Peer]] = {}
        self._logs: dict[Key, tuple[Callable[[], None], Callable[[], None]]] = {}
        self._unheard: dict[Key, str] = {}

    def connect(self, keys: Keys, has_pod: HasPod, on_lines: OnLines) -> None:
        """Let pods in from now on.

        A pod must know its part of `keys`, and `has_pod(job_uid, pod_name)` must be true. `on_lines(job_uid, pod_name,
        lines)` is called with what a pod sends, as it arrives.
        """
        self._keys, self._has_pod, self._on_lines = keys, has_pod, on_lines

    @contextlib.asynccontextmanager
    async def serving(self, address: str) -> AsyncIterator[None]:
        """Take links for as long as the block runs, at "HOST:PORT" as pods reach it; port 0 is any that is free."""
        host, _, port = address.rpartition(":")
        context, fingerprint = certified()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Peer(self, context), "::" if ":" in host else "0.0.0.0", int(port))
        found = f"{host}:{server.sockets[0].getsockname()[1]}"
        self.invitation = LinkIssuer(found, fingerprint)
        _LOG.info("pods reach it directly at %s", found)
        try:
            yield
        finally:
            self.invitation = None
            self._logs.clear()
            server.close()
            for peer in list(self._open):
                peer.abort()

    @property
    def count(self) -> int:
        """How many links there are."""
        return sum(map(len, self._known.values()))

    def tell(self, uid: str, pod: str, text: str) -> None:
        """Say a line to a pod, now or when it comes."""
        peer = self._known.get(uid, {}).get(pod)
        if peer is not None:
            peer.write(text)
        elif self.invitation is not None:
            self._unheard[uid, pod] = text

    def hear(self, uid: str, pod: str, follow: Callable[[], None], leave: Callable[[], None]) -> None:
        """Have a pod heard: by its link, or while it has none by its log, which `follow` and `leave` begin and end."""
        self._logs[uid, pod] = follow, leave
        if pod not in self._known.get(uid, {}):
            follow()

    def leave(self, uid: str, pod: str) -> None:
        """Say that nothing is to be heard of a pod any more, nor to be told to it."""
        self._logs.pop((uid, pod), None)
        self._unheard.pop((uid, pod), None)

    def forget(self, uid: str) -> None:
        """Say so of all the Job's pods, and end their links."""
        for key in [key for key in (*self._logs, *self._unheard) if key[0] == uid]:
            self.leave(*key)
        for peer in self._known.pop(uid, {}).values():
            peer.abort()

    # --- for its peers

    def came(self, peer: _Peer, source: str) -> None:
        """Take in a connection from this address."""
        self._open.add(peer)
        for other in self._strangers.add(peer, source):
            other.abort()

    def greeted(self, peer: _Peer, words: str) -> Key | None:
        """Take in the words by which a pod says who it is; None when they are nobody's, or there is no room."""
        keys = self._keys
        if self.invitation is None or keys is None:
            return None
        key = self.invitation.verify(words, lambda uid: keys.of(uid).pod)
        if key is not None and not self._has_pod(*key):
            key = None
        if key is not None and self.count >= self._most and key[1] not in self._known.get(key[0], {}):
            key = None
        self._strangers.remove(peer)
        if key is not None:
            uid, pod = key
            before = self._known.setdefault(uid, {}).get(pod)
            self._known[uid][pod] = peer
            if before is not None:  # each has one: no pod is to take the room of others
                before.abort()
            if key in self._logs:
                self._logs[key][1]()
            if text := self._unheard.pop(key, ""):
                peer.write(text)
        return key

    def take_lines(self, uid: str, pod: str, lines: list[str]) -> None:
        """Take in what a pod has sent."""
        self._on_lines(uid, pod, lines)

    def went(self, peer: _Peer, key: Key | None, done: bool) -> None:
        """Take in that a connection is gone; `done` says that the pod had said all."""
        self._open.discard(peer)
        self._strangers.remove(peer)
        if key is None:
            return
        uid, pod = key
        of_job = self._known.get(uid, {})
        if of_job.get(pod) is not peer:
            return
        del of_job[pod]
        if not of_job:
            del self._known[uid]
        if not done and key in self._logs:
            self._logs[key][0]()


class _Peer(asyncio.Protocol):
    """One connection. asyncio's own TLS keeps 256 KiB for each; this keeps what OpenSSL does."""

    def __init__(self, links: LinkServer, context: ssl.SSLContext) -> None:
        self._links = links
        self._context = context
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._transport: asyncio.Transport | None = None
        self._shaken = self._done = False
        self._key: Key | None = None
        self._rest = b""
        self._taken = 0  # bytes before it had said who it is
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none of asyncio's classes
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a node may be lost
        self._late = asyncio.get_running_loop().call_later(_GREETING_SECONDS, self.abort)
        source = transport.get_extra_info("peername") or ("",)
        self._links.came(self, str(source[0]))

    def data_received(self, data: bytes) -> None:
        if self._tls is None:  # not before: one who only connects is to cost little
            self._tls = self._context.wrap_bio(self._in, self._out, server_side=True)
        self._in.write(data)
        try:
            self._read(self._tls)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError) as error:
            _LOG.debug("a link was ended: %s", error)
            self.abort()
        if self._key is None:
            self._taken += len(data)
            if self._taken > _MOST_SHAKING:
                self.abort()
        self._flush()
        self._time_line()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_timer()
        self._links.went(self, self._key, self._done)

    def write(self, text: str) -> None:
        """Say a line."""
        with contextlib.suppress(ssl.SSLError):
            if self._tls is not None:
                self._tls.write(f"{text}\n".encode())
                self._flush()

    def abort(self) -> None:
        """End it."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self, tls: ssl.SSLObject) -> None:
        """Take what is there. Raises SSLWantReadError when that is all, SSLError, ValueError."""
        if not self._shaken:
            tls.do_handshake()
            self._shaken = True
        while data := tls.read(MAX_LINE):
            *lines, self._rest = (self._rest + data).split(b"\n")
            if self._key is None and len(lines[0] if lines else self._rest) > _MOST_WORDS:
                raise ValueError("it says too much to say who it is")
            if any(len(line) > MAX_LINE for line in (*lines, self._rest)):
                raise ValueError("a line is too long")
            self._take([line.decode(errors="replace") for line in lines])

    def _take(self, lines: list[str]) -> None:
        if lines and self._key is None:
            self._key = self._links.greeted(self, lines.pop(0))
            if self._key is None:
                raise ValueError("it is no pod that was made")
            self._clear_timer()
        if GOODBYE in lines:
            self._done = True
            lines = lines[: lines.index(GOODBYE)]
        if lines and self._key is not None:
            self._links.take_lines(*self._key, lines)

    def _time_line(self) -> None:
        """See to it that what has begun comes to its end: a line, or what TLS has of one."""
        if self._key is None:
            return
        if not (self._rest or self._in.pending):
            self._clear_timer()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(_LINE_SECONDS, self.abort)

    def _clear_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _flush(self) -> None:
        if self._transport is not None and (data := self._out.read()):
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > _MOST_UNREAD:
                self.abort()
