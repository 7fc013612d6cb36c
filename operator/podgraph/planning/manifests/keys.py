"""The keys of Jobs: all follow from one that the operator keeps in a Secret of its own, so that none is ever read back.

A Job's pods get theirs from a Secret that belongs to the Job and is never changed. Its name follows from the key too:
that it exists already can only mean that an operator has made it.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from podgraph.planning.manifests.objects import JobRef, Manifest, secret
from podgraph.planning.manifests.shell_runner import is_shell
from podgraph.planning.model import names
from podgraph.planning.model.spec import ContainerSpec
from podgraph.protocol.signing import mac

__all__ = ["MASTER_BYTES", "JobKey", "Keys", "key_secret", "script_tokens"]

MASTER_BYTES = 32
POD_KEY = "key"
"""The entry of a Job's Secret that holds the key of its Python pods."""

_TOKENS = 3
"""For so many attempts at a script op the Secret has a token; the end of a later one is told by the pod's status."""
_MANY_SCRIPTS = 1_000


@dataclass(frozen=True)
class JobKey:
    """The key of one Job, or of a JobDefinition or JobSensor, and what follows from it."""

    own: bytes = field(repr=False)

    @property
    def pod(self) -> bytes:
        """What Python pods sign with, as they find it in their environment."""
        return self._derived("pod").encode()

    @property
    def name(self) -> str:
        """What makes the name of its Secret one that nobody can guess."""
        return self._derived("name")

    def token(self, op: str, attempt: int) -> str:
        """Return what a script op repeats in its lines: a shell cannot sign them."""
        return mac(self.own, "token", op, str(attempt))

    def _derived(self, purpose: str) -> str:
        return hmac.digest(self.own, purpose.encode(), "sha256").hex()


@dataclass(frozen=True)
class Keys:
    """The keys of all Jobs, which follow from `master`."""

    master: bytes = field(repr=False)

    def of(self, uid: str) -> JobKey:
        """Return the key of the Job, the JobDefinition or the JobSensor with this uid.

        >>> Keys(b"m").of("u1").pod == Keys(b"m").of("u2").pod
        False
        """
        return JobKey(hmac.digest(self.master, f"job/{uid}".encode(), "sha256"))


def key_secret(ref: JobRef, key: JobKey, python: bool, tokens: Mapping[str, str] | None = None) -> Manifest:
    """Return the Secret of a Job: with `python` it holds the key of Python pods, and `tokens` those of script ops."""
    data = {**({POD_KEY: key.pod.decode()} if python else {}), **(tokens or {})}
    return secret(ref, names.key_secret(ref.name, key.name), data)


def script_tokens(key: JobKey, containers: Mapping[str, ContainerSpec]) -> dict[str, str]:
    """Return the tokens of all script ops for a shell, by their entry in the Secret."""
    ops = [op for op, spec in containers.items() if is_shell(spec)]
    attempts: Iterable[int] = range(1, 2 if len(ops) > _MANY_SCRIPTS else _TOKENS + 1)
    return {names.token_entry(op, attempt): key.token(op, attempt) for attempt in attempts for op in ops}
