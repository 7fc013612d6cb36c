"""How a pod is told where it reaches the operator directly, and how it is known there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from podgraph.protocol.link import greeting
from podgraph.protocol.signing import equal

__all__ = ["LinkIssuer"]


@dataclass(frozen=True)
class LinkIssuer:
    """Where the operator listens: "HOST:PORT", and the SHA-256 of its certificate in hex.

    That is no secret, and neither is the rest of what a pod is told. It shows who it is by the key of its Job.
    """

    address: str
    fingerprint: str

    def credential_for(self, uid: str, pod: str) -> str:
        """Return what runtime.pod.link.Link takes, for this pod of the Job with this uid."""
        return f"{self.address} {self.fingerprint} {uid} {pod}"

    def verify(self, words: str, key_of: Callable[[str], bytes]) -> tuple[str, str] | None:
        """Return the uid and the pod of who says these words; None when it has not the key of the Job.

        `key_of` tells the key of the pods of the Job with a uid.

        >>> words = greeting(b"key", "f00d", "u1", "add-x1")
        >>> ours = LinkIssuer("10.0.0.1:7443", "f00d")
        >>> ours.verify(words, lambda uid: b"key"), ours.verify(words, lambda uid: b"other")
        (('u1', 'add-x1'), None)
        """
        uid, _, rest = words.partition(" ")
        pod, _, _ = rest.partition(" ")
        return (uid, pod) if equal(words, greeting(key_of(uid), self.fingerprint, uid, pod)) else None
