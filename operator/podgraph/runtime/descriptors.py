"""File descriptors of the runtime that stay out of the way of the user's code.

The user's code may close descriptors that it did not open (`os.closerange(3, 256)`, as daemons do), and the system then
gives their numbers to the files that it opens next. So the runtime uses high numbers, and checks before each use that a
number still stands for its own file.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import resource

__all__ = ["KeptOutput", "identity", "moved_up"]

_HIGHEST = 4_096  # the kernel keeps a table up to the highest number
_ROOM = 64  # for the descriptors of the runtime below the limit
_STANDARD = (1, 2)


def moved_up(fd: int) -> int:
    """Close a descriptor and return a duplicate with a high number; `fd` itself if the system has no room for it."""
    try:
        high = _high_duplicate(fd)
    except OSError:
        return fd
    os.close(fd)
    return high


def identity(fd: int) -> tuple[int, int] | None:
    """Return what identifies the open file of a descriptor; None if the descriptor is closed."""
    try:
        status = os.fstat(fd)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class KeptOutput:
    """A duplicate of the descriptor `fd` for writing, which survives that the user's code closes it.

    `path` is another way to the same file. A standard stream that is still the same file is a way too.
    """

    def __init__(self, fd: int, path: str = "") -> None:
        self._identity, self._path = identity(fd), path
        try:
            self._fd = _high_duplicate(fd)
        except OSError:
            self._fd = os.dup(fd)

    def write(self, data: bytes) -> None:
        """Write all bytes. Raises OSError."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._open_fd(), view) :]

    def _open_fd(self) -> int:
        if identity(self._fd) != self._identity:
            self._fd = self._opened_again()
        return self._fd

    def _opened_again(self) -> int:
        for fd in _STANDARD:
            if identity(fd) == self._identity:
                return _high_duplicate(fd)
        if self._path:
            fd = moved_up(os.open(self._path, os.O_WRONLY | os.O_CLOEXEC))
            if identity(fd) == self._identity:
                return fd
            os.close(fd)
        raise OSError(errno.EBADF, "the output is closed")


def _high_duplicate(fd: int) -> int:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    lowest = _HIGHEST if soft == resource.RLIM_INFINITY else min(soft, _HIGHEST)
    with contextlib.suppress(OSError):
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, max(lowest - _ROOM, 3))
    return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)
