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
from podgraph.runtime.descriptors import identity

__all__ = ["Inbox", "Outbox", "Stored", "left_messages", "load", "receive", "send", "store"]

_HEAD = struct.Struct("!Q")
_INLINE = 256 * 1024
_CHUNK = 1 << 20
_LEFT = "left-"


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


class Outbox:
    """Sends messages of a worker. After the user's code has closed the descriptor, they are left in a file of `folder`.

    :func:`left_messages` reads them once the worker has exited.
    """

    def __init__(self, to: socket.socket) -> None:
        self.folder = ""
        self._to, self._identity = to, identity(to.fileno())
        self._left: list[Any] = []

    def send(self, message: Any) -> None:
        """Send or keep one message."""
        if not self._left and identity(self._to.fileno()) == self._identity:
            send(self._to, message)
        else:
            self._left.append(message)

    def close(self) -> None:
        """Write the kept messages."""
        if self._left:
            with open(f"{self.folder}/{_LEFT}{os.getpid()}", "wb") as file:
                pickle.dump(self._left, file, protocol=pickle.HIGHEST_PROTOCOL)


def left_messages(folder: str, pid: int) -> list[Any]:
    """Return the messages that the worker `pid` could not send, and delete them."""
    path = f"{folder}/{_LEFT}{pid}"
    try:
        with open(path, "rb") as file:
            found: list[Any] = pickle.load(file)
    except (OSError, EOFError, pickle.UnpicklingError):
        return []
    os.unlink(path)
    return found


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
