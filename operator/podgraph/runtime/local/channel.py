"""What the processes of a run say to each other, and how values cross between them.

A message is a pickled object behind its length, on a socket between a run and one process it made itself.
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
    """A pickled value: its bytes, or for a large one the file it is in. `size` is in bytes."""

    size: int
    data: bytes = b""
    path: str = ""


def store(value: Any, folder: str, what: str) -> Stored:
    """Pickle a value; a large one goes to a file in `folder`. Raises StepError (`OutputNotPicklable`) naming `what`."""
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
    """Return a stored value. Raises StepError (`InputNotReadable`) naming `what`."""
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
    """Wait for one message and return it. Raises EOFError when the other side is gone."""
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
    """Messages from a socket that is read as they come, without waiting."""

    def __init__(self, source: socket.socket) -> None:
        source.setblocking(False)
        self._source = source
        self._data = bytearray()
        self.ended = False

    def messages(self) -> Iterator[Any]:
        """Yield the messages that are there whole; `ended` then says whether the other side is gone."""
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
