"""The messages on a pod's direct connection to the operator."""

from __future__ import annotations

from podgraph.protocol.signing import mac

__all__ = ["GOODBYE", "MAX_LINE", "greeting"]

GOODBYE = "::podgraph-end"
"""The last line of a pod; a link that ends without it is broken."""
MAX_LINE = 64 * 1024
"""Maximum length of a line that the operator accepts, in bytes."""


def greeting(key: bytes, fingerprint: str, uid: str, pod: str) -> str:
    """Return the first line of a pod.

    It is valid only for the server with this certificate, so a server that impersonates the operator cannot reuse it.
    """
    return f"{uid} {pod} {mac(key, 'link', fingerprint, uid, pod)}"
