"""The words of a pod's direct link to the operator."""

from __future__ import annotations

from podgraph.protocol.signing import mac

__all__ = ["GOODBYE", "MAX_LINE", "greeting"]

GOODBYE = "::podgraph-end"
"""What a pod says last; a link that ends without it broke."""
MAX_LINE = 64 * 1024
"""Most bytes of a line that the operator takes."""


def greeting(key: bytes, fingerprint: str, uid: str, pod: str) -> str:
    """Return what a pod says first.

    It holds for a server with this certificate alone: who has been connected to in place of the operator cannot use it.
    """
    return f"{uid} {pod} {mac(key, 'link', fingerprint, uid, pod)}"
