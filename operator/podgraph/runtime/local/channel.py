"""Messages and values between the processes of a run.

A message is a pickled object after its length, on a socket between a run and a process that it started itself.
"""

from __future__ import annotations

import os
import pickle
import socket
import struct
import tempfile
from collections.abc import Iterator
from typing import Any, NamedTuple

from podgraph.protocol.step import StepError

__all__ = ["Inbox", "Stored", "load", "receive", "send", "store"]

_HEAD = struct.Struct("!Q")
_INLINE = 256 * 1024
_CHUNK = 1 << 20


class Stored(NamedTuple):
    """A pickled value: its bytes, or the path of a file with a large value. `size` is in bytes."""

    size: int
    data: bytes = b""
    path: str = ""


def store(value: Any, folder: str, what: str) -> Stored:
    """Pickle a value; a large value goes to a file in `folder`.

    Raises StepError (`OutputNotPicklable`) with `what` in the message.
    """
    try:
        data = pickle.dumps(value, protocol=pickle.HIGHEST_PROTOCOL)
    except Exception as error:  # noqa: BLE001  pickling runs the value's own code
        raise StepError(
            "OutputNotPicklable", f"{what} cannot be passed to another process: {type(error).__name__}: {error}"
        ) from None
    if len(data) <= _INLINE:
        return Stored(len(data), data)
    handle, path = tempfile.mkstemp(dir=folder)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    return Stored(len(data), path=path)


def load(stored: Stored, what: str) -> Any:
    """Return a stored value. Raises StepError (`InputNotReadable`) with `what` in the message."""
    try:
        if not stored.path:
            return pickle.loads(stored.data)
        with open(stored.path, "rb") as file:
            return pickle.load(file)
    except Exception as error:  # noqa: BLE001  unpickling runs the value's own code
        raise StepError("InputNotReadable", f"{what} cannot be read: {type(error).__name__}: {error}") from None


def send(to: socket.socket, message: Any) -> None:
    """Send one message."""
    data = pickle.dumps(message, protocol=pickle.HIGHEST_PROTOCOL)
    to.sendall(_HEAD.pack(len(data)) + data)


def receive(source: socket.socket) -> Any:
    """Wait for one message and return it. Raises EOFError if the connection is closed."""
    (size,) = _HEAD.unpack(_exactly(source, _HEAD.size))
    return pickle.loads(_exactly(source, size))


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        part = source.recv(min(size - len(data), _CHUNK))
        if not part:
            raise EOFError
        data += part
    return bytes(data)


class Inbox:
    """Reads messages from a socket without blocking."""

    def __init__(self, source: socket.socket) -> None:
        source.setblocking(False)
        self._source = source
        self._data = bytearray()
        self.ended = False

    def messages(self) -> Iterator[Any]:
        """Yield the complete messages so far; `ended` then says whether the connection is closed."""
        while not self.ended:
            try:
                part = self._source.recv(_CHUNK)
            except BlockingIOError:
                break
            except ConnectionError:
                part = b""
            self.ended = not part
            self._data += part
        while len(self._data) >= _HEAD.size:
            (size,) = _HEAD.unpack_from(self._data)
            end = _HEAD.size + size
            if len(self._data) < end:
                return
            message = pickle.loads(bytes(self._data[_HEAD.size : end]))
            del self._data[:end]
            yield message
