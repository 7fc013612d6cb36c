"""The operator's end of the direct links that pods have to it (see runtime.pod.link)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
import socket
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import cast

from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.link_token import LinkIssuer
from podgraph.protocol.link import GOODBYE, MAX_LINE
from podgraph.reconcile.jobs.link_certificate import certified
from podgraph.reconcile.jobs.link_settings import most_links, most_strangers, read_link
from podgraph.reconcile.jobs.link_strangers import Strangers
from podgraph.reconcile.log_follower import Pace

__all__ = ["LinkServer", "read_link"]

_LOG = logging.getLogger(__name__)
_MOST_WORDS = 1_024
_MOST_SHAKING = 16_384  # bytes until a pod has said who it is: some hundred, and its first lines
_GREETING_SECONDS = 5.0
_LINE_SECONDS = 10.0  # how long the rest of a line may take
_MOST_UNREAD = 1 << 20  # bytes that a pod has yet to read of what it was told
_LOG_SHARE = 4  # bytes by links that cost as much as one by a log
_LINE_COST = 200  # bytes that a line costs besides its own

Key = tuple[str, str]
Said = Callable[[str, str, list[str]], None]
Knows = Callable[[str, str], bool]


class LinkServer:
    """The links that there are, by the uid of their Job and the name of the pod; at most `most` at once.

    `error_text` is called with what a pod says as it comes: its Job's uid, its name, the lines. Who has not said yet
    who it is counts apart (see Strangers), and takes no room from those who have. `knows` tells whether a Job has a pod
    of a name, and `keys` hold what the pod must know; until they are set no pod is let in. `namespace_of` a Job's uid
    says who shares: when there is no room the namespace that has most gives way to one that has fewer, and the links of
    one namespace have a rate together, so that none can keep the operator from the others.
    """

    def __init__(self, said: Said | None = None, most: int | None = None) -> None:
        self.on_lines: Said = said or (lambda uid, pod, lines: None)
        self.knows: Knows = lambda uid, pod: False
        self.namespace_of: Callable[[str], str] = lambda uid: ""
        self.keys: Keys | None = None
        self.invitation: LinkIssuer | None = None
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._strangers: Strangers[_Peer] = Strangers(most_strangers(files))
        self._most = most_links(files) if most is None else most
        self._pace = Pace()
        self._open: set[_Peer] = set()
        self._known: dict[str, dict[str, _Peer]] = {}
        self._logs: dict[Key, tuple[Callable[[], None], Callable[[], None]]] = {}
        self._unheard: dict[Key, str] = {}

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
        keys = self.keys
        if self.invitation is None or keys is None:
            return None
        key = self.invitation.verify(words, lambda uid: keys.of(uid).pod)
        if key is not None and not self.knows(*key):
            key = None
        if key is not None and self.count >= self._most and key[1] not in self._known.get(key[0], {}):
            key = key if self._make_room(key[0]) else None
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

    def owed(self, key: Key, size: int, lines: int) -> float:
        """Take in that a pod said so many bytes and lines; return how many seconds to wait until it is read further."""
        return self._pace.owed(self.namespace_of(key[0]), (size + lines * _LINE_COST) / _LOG_SHARE)

    def _make_room(self, uid: str) -> bool:
        """End the latest link of the namespace that has most, if this Job's has fewer; return whether there is room."""
        counts = Counter[str]()
        for other, peers in self._known.items():
            counts[self.namespace_of(other)] += len(peers)
        largest, count = next(iter(counts.most_common(1)), ("", 0))
        if count <= counts[self.namespace_of(uid)] + 1:
            return False
        last = next(other for other in reversed(self._known) if self.namespace_of(other) == largest)
        pod, peer = next(reversed(self._known[last].items()))
        self.went(peer, (last, pod), False)
        peer.abort()
        return True

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
        self._lines = 0
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
        self._hold_back(len(data))

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
            self._lines += len(lines)
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
            self._links.on_lines(*self._key, lines)

    def _time_line(self) -> None:
        """See to it that what has begun comes to its end: a line, or what TLS has of one."""
        if self._key is None:
            return
        if not (self._rest or self._in.pending):
            self._clear_timer()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(_LINE_SECONDS, self.abort)

    def _hold_back(self, size: int) -> None:
        """Read no further for a while, if the pod's namespace says more than is good for others."""
        lines, self._lines = self._lines, 0
        if self._key is None or self._transport is None or self._transport.is_closing():
            return
        owed = self._links.owed(self._key, size, lines)
        if owed:
            self._transport.pause_reading()
            self._clear_timer()
            asyncio.get_running_loop().call_later(owed, self._go_on)

    def _go_on(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()
            self._time_line()

    def _clear_timer(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _flush(self) -> None:
        if self._transport is not None and (data := self._out.read()):
            self._transport.write(data)
            if self._transport.get_write_buffer_size() > _MOST_UNREAD:
                self.abort()
