"""The lines of a pod for the operator, on the original standard output even if the user's code replaces it."""

from __future__ import annotations

import contextlib
import os

from podgraph.runtime.descriptors import KeptOutput
from podgraph.runtime.pod.link import Link

__all__ = ["PodOutput", "keep_for_pod"]


_of_the_pod: list[KeptOutput] = []


def keep_for_pod(path: str) -> None:
    """Keep the current standard output for lines to the operator; the output of the step may be redirected later.

    `path` is another way to it.
    """
    _of_the_pod.append(KeptOutput(1, path))


class PodOutput:
    """Writes lines to the original standard output of the pod, even if ops replace it or `sys.stdout` later.

    The lines also go to the `link`, if there is one. A forked child writes none.
    """

    def __init__(self, link: Link | None = None) -> None:
        self._output = _of_the_pod[-1] if _of_the_pod else KeptOutput(1)
        self._link, self._pid = link, os.getpid()

    def __call__(self, line: str) -> None:
        """Write one line. If the write fails, the operator gets the same information from the status of the pod."""
        if os.getpid() != self._pid:
            return
        with contextlib.suppress(OSError):
            self._output.write(f"{line}\n".encode(errors="replace"))
        if self._link is not None:
            self._link.say(line)
