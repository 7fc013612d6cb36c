"""What a pod's process says to the operator on standard output, whatever the user's code does to that."""

from __future__ import annotations

import contextlib
import os

from podgraph.runtime.pod.link import Link

__all__ = ["PodOutput", "keep_for_pod"]


_of_the_pod: list[int] = []


def keep_for_pod() -> None:
    """Let lines go to what is standard output now, also when the step's own words go elsewhere from here on."""
    _of_the_pod.append(os.dup(1))


class PodOutput:
    """Writes lines to what is the pod's standard output, whatever ops do to it and to `sys.stdout` later.

    They are also said on the `link`, if there is one.
    """

    def __init__(self, link: Link | None = None) -> None:
        self._file = os.dup(_of_the_pod[-1] if _of_the_pod else 1)
        self._link = link

    def __call__(self, line: str) -> None:
        """Write one line. Where nobody takes it the operator learns the same from the pod's status."""
        data = f"{line}\n".encode(errors="replace")
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(self._file, data) :]
        if self._link is not None:
            self._link.say(line)
