"""A direct connection of a pod to the operator, without the delays of the kubelet.

The kubelet checks containers once per second: until then the log of a new container cannot be followed, and the file
of an annotation is not updated. The link avoids both delays. Everything on it is also on standard output or in the
annotation of the pod, so that without a link (a network policy blocks it, or the operator has a new address) the same
happens, only later. Nothing waits long for the link.

Both directions carry lines of UTF-8 over TLS. The first line of the pod authenticates it with the key of its Job; the
marked lines of standard output follow, and finally :data:`GOODBYE`. The lines of the operator are assignments.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Any

from podgraph.protocol.link import GOODBYE, MAX_LINE, greeting
from podgraph.runtime.descriptors import identity, moved_up

if TYPE_CHECKING:
    import ssl

__all__ = ["Link"]


_ALL_WAIT_SECONDS = 0.25  # for the connection; in a cluster it takes a thousandth of that
_IO_SECONDS = 0.5


class Link:
    """The link to `where`: "HOST:PORT FINGERPRINT UID POD": address, SHA-256 of the certificate in hex, Job and pod.

    It starts to connect immediately. :meth:`open` completes the connection; so does the first :meth:`say`. The link is
    closed for forked children, and once the user's code has closed the descriptor.
    """

    def __init__(self, where: str, key: bytes = b"") -> None:
        self._fingerprint = self._words = ""
        self._plain: socket.socket | None = None
        self._again: tuple[str, int] | None = None
        self._tls: ssl.SSLSocket | None = None
        self._heard = b""
        self._pid, self._identity = os.getpid(), (0, 0)
        with contextlib.suppress(OSError, ValueError):
            address, self._fingerprint, uid, pod = where.split(" ")
            self._words = greeting(key, self._fingerprint, uid, pod)
            host, _, port = address.rpartition(":")
            self._again = host, int(port)
            self._begin(*self._again)

    def open(self) -> None:
        """Complete the connection. If it fails, the pod works without a link."""
        self._forget_lost()
        plain, self._plain = self._plain, None
        if plain is None:
            return
        try:
            self._tls = _secured(plain, self._fingerprint)
            self._tls.sendall(f"{self._words}\n".encode())
        except (OSError, ValueError, ImportError) as error:  # the Python of an image may have no ssl module
            self._drop(plain)
            again, self._again = self._again, None
            if again is not None and isinstance(error, OSError) and not isinstance(error, TimeoutError):
                # The operator waits only briefly for the first line, and loading the code may take longer.
                with contextlib.suppress(OSError, ValueError):
                    self._begin(*again)
                self.open()

    def say(self, line: str) -> None:
        """Send a line, if there is a link."""
        self.open()
        if self._tls is None:
            return
        try:
            self._tls.sendall(f"{line}\n".encode(errors="replace"))
        except OSError:
            self._drop(self._tls)

    def hear(self, seconds: float) -> str | None:
        """Wait for at most `seconds` and return a line of the operator; None if there is none."""
        self.open()
        if self._tls is None:
            time.sleep(seconds)
            return None
        try:
            if b"\n" not in self._heard and (self._tls.pending() or _is_ready(self._tls, select.POLLIN, seconds)):
                data = self._tls.recv(MAX_LINE)
                self._heard += data
                if not data:
                    self._drop(self._tls)
        except (OSError, ValueError):
            self._drop(self._tls)
        line, end, rest = self._heard.partition(b"\n")
        if not end:
            return None
        self._heard = rest
        return line.decode(errors="replace")

    def close(self) -> None:
        """Send :data:`GOODBYE` and close the connection."""
        self._forget_lost()
        if self._tls is not None:
            self.say(GOODBYE)
            self._drop(self._tls)
        elif self._plain is not None:
            self._drop(self._plain)

    def _begin(self, host: str, port: int) -> None:
        self._plain = _begin(host, port)
        self._identity = identity(self._plain.fileno()) or (0, 0)

    def _forget_lost(self) -> None:
        """Forget the connection, without closing it, in a forked child and if its number stands for another file."""
        there = self._tls or self._plain
        if there is not None and (os.getpid() != self._pid or identity(there.fileno()) != self._identity):
            there.detach()
            self._plain = self._tls = None

    def _drop(self, plain: socket.socket) -> None:
        self._plain = self._tls = None
        with contextlib.suppress(OSError):
            plain.close()


def _is_ready(plain: socket.socket, events: int, seconds: float) -> bool:
    """Wait for an event of a socket; select(2) takes no high descriptors."""
    poll = select.poll()
    poll.register(plain, events)
    return bool(poll.poll(seconds * 1000))


def _begin(host: str, port: int) -> socket.socket:
    """Start to connect, without waiting. Raises OSError, ValueError."""
    plain = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    plain = socket.socket(plain.family, plain.type, plain.proto, moved_up(plain.detach()))
    try:
        plain.setblocking(False)
        plain.connect_ex((host, port))
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError:
        plain.close()
        raise
    return plain


def _secured(plain: socket.socket, fingerprint: str) -> Any:
    """Return a TLS socket to the server with this certificate. Raises OSError, ValueError."""
    import ssl  # takes its time, and is not needed where there is no link

    if not _is_ready(plain, select.POLLOUT, _ALL_WAIT_SECONDS):
        raise TimeoutError
    plain.settimeout(_IO_SECONDS)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname, context.verify_mode = (
        False,
        ssl.CERT_NONE,
    )  # the fingerprint of the certificate is checked below
    tls = context.wrap_socket(plain)
    found = hashlib.sha256(tls.getpeercert(binary_form=True) or b"").hexdigest()
    if not hmac.compare_digest(found, fingerprint):
        tls.close()
        raise ValueError("the server is not the operator")
    return tls
