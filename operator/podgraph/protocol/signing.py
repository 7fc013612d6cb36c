"""What a pod says is signed with the key of its Job, so that nobody who reads pods, Jobs and logs can say it instead.

The key comes as an environment variable out of the Job's Secret. It is taken out of the environment before the user's
code is loaded, so that no copy of the environment shows it and no child process inherits it. Where there is no key, as
in a local run, signing goes on with an empty one and protects nothing.
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
"""Most bytes of a signed line besides its text, where the text has less than 10,000 characters."""

_MAC_LENGTH = 32  # hex characters: 128 bits
_MAX_SIZE_DIGITS = 8

_taken: list[bytes] = []


def take_key() -> None:
    """Take the key out of the environment."""
    _taken[:] = [os.environ.pop(KEY_VARIABLE, "").encode()]


def pod_key() -> bytes:
    """Return the key that :func:`take_key` found, or an empty one."""
    return _taken[0] if _taken else b""


def mac(key: bytes, purpose: str, *parts: str) -> str:
    """Return the keyed digest (HMAC-SHA256, 128 bits in hex) of these parts; it holds for this purpose alone.

    >>> mac(b"k", "a", "bc") == mac(b"k", "a", "b", "c"), len(mac(b"k", "a"))
    (False, 32)
    """
    data = b"".join(b"%d:%b" % (len(part), part) for part in (text.encode(errors="replace") for text in parts))
    return hmac.digest(key, f"{purpose}\n".encode() + data, "sha256").hex()[:_MAC_LENGTH]


def value_mac(key: bytes, form: str, sha256: str, size: int) -> str:
    """Return what authenticates a value of `size` bytes with this SHA-256, in hex, in the format `form`."""
    return mac(key, "value", form, sha256, str(size))


def equal(one: str, other: str) -> bool:
    """Compare two digests in a time that tells nothing about them."""
    return hmac.compare_digest(one.encode(errors="replace"), other.encode(errors="replace"))


def data_mac(key: bytes, form: str, data: bytes) -> str:
    """Return :func:`value_mac` of these bytes."""
    return value_mac(key, form, hashlib.sha256(data).hexdigest(), len(data))


@dataclass(frozen=True)
class Signer:
    """Signs the lines of one pod, and reads them: `nonce` tells the attempt, so a line of another one does not count.

    The signature stands behind the text, with the text's length: what was printed before may have left the line open,
    and whatever marks that or the text holds, a line can be read in one way only.
    """

    nonce: str
    key: bytes = field(default=b"", repr=False)

    def line(self, mark: str, text: str) -> str:
        """Return the line for a text, without its end.

        >>> Signer("n").line("::x ", "text")
        '::x text::4:...'
        """
        return f"{mark}{text}::{len(text)}:{self._mac(mark, text)}"

    def read(self, mark: str, line: str) -> str | None:
        """Return the text of such a line; None for any other.

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
