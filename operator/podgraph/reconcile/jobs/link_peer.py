"""One connection of a pod to the link server."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from typing import Protocol, cast

from podgraph.protocol.link import GOODBYE, MAX_LINE

__all__ = ["Key", "LinkPeer"]

_LOG = logging.getLogger(__name__)
_MOST_WORDS = 1_024
_MOST_SHAKING = 16_384  # bytes until a pod has proved which one it is: some hundred, and its first lines
_GREETING_SECONDS = 5.0
_LINE_SECONDS = 10.0  # the longest time that the rest of a line may take
_MOST_UNREAD = 1 << 20  # bytes sent to a pod that the pod has yet to read

Key = tuple[str, str]
"""A pod: the uid of its Job, and its name."""


class Links(Protocol):
    """What a connection needs of its server."""

    def opened(self, peer: LinkPeer, source: str) -> None:
        """Take in a new connection from an address."""

    def identify(self, peer: LinkPeer, greeting: str) -> Key | None:
        """Return the pod that a first line proves; None when it proves none, or when there is no room."""

    def take_lines(self, key: Key, lines: list[str]) -> None:
        """Take in what a pod has sent."""

    def owed(self, key: Key, size: int, lines: int) -> float:
        """Take in that a pod sent so many bytes and lines; return the seconds to wait before it is read further."""

    def closed(self, peer: LinkPeer, key: Key | None, complete: bool) -> None:
        """Take in that a connection is closed; `complete` says that the pod had sent all it wanted."""


class LinkPeer(asyncio.Protocol):
    """One connection. asyncio's own TLS keeps 256 KiB for each; this class keeps only what OpenSSL does."""

    def __init__(self, links: Links, context: ssl.SSLContext) -> None:
        self._links = links
        self._context = context
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls: ssl.SSLObject | None = None
        self._transport: asyncio.Transport | None = None
        self._shaken = self._done = False
        self._key: Key | None = None
        self._rest = b""
        self._taken = 0  # bytes before it has proved which pod it is
        self._lines = 0  # since the last look at its namespace's rate
        self._late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start the time within which the pod must prove which one it is."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's class does not derive from asyncio's
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a node may be lost
        self._late = asyncio.get_running_loop().call_later(_GREETING_SECONDS, self.abort)
        source = transport.get_extra_info("peername") or ("",)
        self._links.opened(self, str(source[0]))

    def data_received(self, data: bytes) -> None:
        """Decrypt and read what has arrived."""
        if self._tls is None:  # not before, so that a connection alone costs little
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
        """Report the end to the server."""
        self._clear_timer()
        self._links.closed(self, self._key, self._done)

    def write(self, text: str) -> None:
        """Send a line."""
        with contextlib.suppress(ssl.SSLError):
            if self._tls is not None:
                self._tls.write(f"{text}\n".encode())
                self._flush()

    def abort(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _read(self, tls: ssl.SSLObject) -> None:
        """Read all that has arrived. Raises SSLWantReadError at its end, SSLError, and ValueError for bad lines."""
        if not self._shaken:
            tls.do_handshake()
            self._shaken = True
        while data := tls.read(MAX_LINE):
            *lines, self._rest = (self._rest + data).split(b"\n")
            self._lines += len(lines)
            if self._key is None and len(lines[0] if lines else self._rest) > _MOST_WORDS:
                raise ValueError("its greeting is too long")
            if any(len(line) > MAX_LINE for line in (*lines, self._rest)):
                raise ValueError("a line is too long")
            self._take([line.decode(errors="replace") for line in lines])

    def _take(self, lines: list[str]) -> None:
        if lines and self._key is None:
            self._key = self._links.identify(self, lines.pop(0))
            if self._key is None:
                raise ValueError("it is not a pod of ours")
            self._clear_timer()
        if GOODBYE in lines:
            self._done = True
            lines = lines[: lines.index(GOODBYE)]
        if lines and self._key is not None:
            self._links.take_lines(self._key, lines)

    def _time_line(self) -> None:
        """Bound the time for the rest of a line, or of a TLS record."""
        if self._key is None:
            return
        if not (self._rest or self._in.pending):
            self._clear_timer()
        elif self._late is None:
            self._late = asyncio.get_running_loop().call_later(_LINE_SECONDS, self.abort)

    def _hold_back(self, size: int) -> None:
        """Read no further for a while, if the pod's namespace sends more than is good for others."""
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
