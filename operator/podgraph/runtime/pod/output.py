"""The lines of a pod for the operator, on the original standard output even if the user's code replaces it."""

from __future__ import annotations

import contextlib
import os

from podgraph.runtime.pod.link import Link

__all__ = ["PodOutput", "keep_for_pod"]


_of_the_pod: list[int] = []


def keep_for_pod() -> None:
    """Keep the current standard output for lines to the operator; the output of the step may be redirected later."""
    _of_the_pod.append(os.dup(1))


class PodOutput:
    """Writes lines to the original standard output of the pod, even if ops replace it or `sys.stdout` later.

    The lines also go to the `link`, if there is one.
    """

    def __init__(self, link: Link | None = None) -> None:
        self._file = os.dup(_of_the_pod[-1] if _of_the_pod else 1)
        self._link = link

    def __call__(self, line: str) -> None:
        """Write one line. If the write fails, the operator gets the same information from the status of the pod."""
        data = f"{line}\n".encode(errors="replace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._file, data) :]
        if self._link is not None:
            self._link.say(line)
