"""How a pod is told where it reaches the operator directly, and by what words it is known there."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass

__all__ = ["Invitation"]


@dataclass(frozen=True)
class Invitation:
    """Where the operator listens: "HOST:PORT", the SHA-256 of its certificate in hex, and a secret of its own.

    Only the pod that was told the words can say them: nothing in them can be found out without the secret.
    """

    address: str
    fingerprint: str
    secret: bytes

    def to(self, uid: str, pod: str) -> str:
        """Return what runtime.link.Link takes, for this pod of the Job with this uid."""
        return f"{self.address} {self.fingerprint} {uid} {pod} {self._token(uid, pod)}"

    def guest(self, words: str) -> tuple[str, str] | None:
        """Return the uid and the pod of who says these words; None when they were told to nobody.

        >>> ours = Invitation("10.0.0.1:7443", "f00d", b"secret")
        >>> words = ours.to("u1", "add-x1").split(" ", 2)[2]
        >>> ours.guest(words), ours.guest(words.replace("add", "sub"))
        (('u1', 'add-x1'), None)
        """
        uid, _, rest = words.partition(" ")
        pod, _, token = rest.partition(" ")
        right = hmac.compare_digest(token.encode(errors="replace"), self._token(uid, pod).encode())
        return (uid, pod) if right else None

    def _token(self, uid: str, pod: str) -> str:
        return hmac.new(self.secret, f"{uid} {pod}".encode(errors="replace"), hashlib.sha256).hexdigest()[:32]
