"""Signatures of the lines of a pod, with the key of its Job. Reading pods, Jobs and logs is not enough to forge a line.

The key is in the Secret of the Job and reaches the pod as an environment variable. The runtime removes it from the
environment before it loads the user's code, so that no copy of the environment shows it and no child process inherits
it. Without a key, as in a local run, lines are signed with an empty key, which protects nothing.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass, field

__all__ = [
    "KEY_VARIABLE",
    "SIGNATURE_ROOM",
    "Signer",
    "data_mac",
    "equal",
    "mac",
    "pod_key",
    "take_key",
    "value_mac",
]

KEY_VARIABLE = "PODGRAPH_KEY"
SIGNATURE_ROOM = 60
"""Maximum overhead of a signed line in bytes, for a text of less than 10,000 characters."""

_MAC_LENGTH = 32  # hex characters: 128 bits
_MAX_SIZE_DIGITS = 8

_taken: list[bytes] = []


def take_key() -> None:
    """Remove the key from the environment and keep it."""
    _taken[:] = [os.environ.pop(KEY_VARIABLE, "").encode()]


def pod_key() -> bytes:
    """Return the key that :func:`take_key` found, or an empty key."""
    return _taken[0] if _taken else b""


def mac(key: bytes, purpose: str, *parts: str) -> str:
    """Return the keyed digest (HMAC-SHA256, 128 bits in hex) of these parts; it is valid for this purpose only.

    >>> mac(b"k", "a", "bc") == mac(b"k", "a", "b", "c"), len(mac(b"k", "a"))
    (False, 32)
    """
    data = b"".join(b"%d:%b" % (len(part), part) for part in (text.encode(errors="replace") for text in parts))
    return hmac.digest(key, f"{purpose}\n".encode() + data, "sha256").hex()[:_MAC_LENGTH]


def value_mac(key: bytes, form: str, sha256: str, size: int) -> str:
    """Return the digest that authenticates a value of `size` bytes with this SHA-256 (in hex), in the format `form`."""
    return mac(key, "value", form, sha256, str(size))


def equal(one: str, other: str) -> bool:
    """Return whether two digests are equal, in constant time."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def data_mac(key: bytes, form: str, data: bytes) -> str:
    """Return :func:`value_mac` of these bytes."""
    return value_mac(key, form, hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True)
class Signer:
    """Signs and reads the lines of one pod. `nonce` identifies the attempt; lines of other attempts are not valid.

    The signature follows the text and includes its length. Earlier output may have left the line open: with the length
    there is only one way to read a line, whatever marks that output or the text contains.
    """

    nonce: str
    key: bytes = field(default=b"", repr=False)

    def line(self, mark: str, text: str) -> str:
        """Return the line for a text, without line end.

        >>> Signer("n").line("::x ", "text")
        '::x text::4:...'
        """
        return f"{mark}{text}::{len(text)}:{self._mac(mark, text)}"

    def read(self, mark: str, line: str) -> str | None:
        """Return the text of a signed line; None for any other line.

        >>> Signer("n").read("::x ", "open line" + Signer("n").line("::x ", "text"))
        'text'
        """
        rest, _, found = line.rstrip("\r\n").rpartition(":")
        rest, colons, size = rest.rpartition("::")
        if not colons or len(found) != _MAC_LENGTH or not (size.isdigit() and size.isascii()):
            return None
        at = len(rest) - int(size) if len(size) <= _MAX_SIZE_DIGITS else -1
        if at < 0 or not rest.endswith(mark, 0, at):
            return None
        text = rest[at:]
        return text if equal(found, self._mac(mark, text)) else None

    def _mac(self, mark: str, text: str) -> str:
        return mac(self.key, "line", mark, self.nonce, text)
