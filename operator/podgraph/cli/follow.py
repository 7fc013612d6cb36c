"""Watch Jobs until they are finished, across broken connections to the cluster."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from podgraph.api import is_finished
from podgraph.backoff import ExponentialBackoff
from podgraph.cli.cluster import Cluster
from podgraph.definition.errors import DefinitionError

__all__ = ["Patience", "follow"]

T = TypeVar("T")

_BACKOFF = ExponentialBackoff(0.5, 10.0)
_FIRST_SECONDS = 10.0  # how long to try a cluster that has never answered
_WATCH_SECONDS = 60
_POLL_SECONDS = 1.0


class Patience:
    """Retries requests that the cluster does not answer, with growing pauses, until a deadline. Reports it once."""

    def __init__(self, seconds: float) -> None:
        self._deadline = time.monotonic() + seconds
        self._first = time.monotonic() + min(seconds, _FIRST_SECONDS)
        self._has_answered = self._has_told = False
        self._breaks = 0

    @property
    def left(self) -> float:
        """The seconds left until the deadline."""
        return self._deadline - time.monotonic()

    def ask(self, question: Callable[[], T]) -> T:
        """Return the answer to a request. Raises DefinitionError (`NoCluster`) if there is none until the deadline."""
        while True:
            try:
                answer = question()
            except DefinitionError as error:
                if not self.broke(error):
                    raise
            else:
                self.answered()
                return answer

    def answered(self) -> None:
        """Record that the cluster answers: the next pause is short again."""
        self._has_answered, self._breaks = True, 0

    def broke(self, error: DefinitionError) -> bool:
        """Pause after an error and return True; return False at once if a retry cannot help or it is too late."""
        end = self._deadline if self._has_answered else self._first
        if error.reason != "NoCluster" or time.monotonic() >= end:
            return False
        if not self._has_told:
            self._has_told = True
            print(f"{error.message}; retrying", file=sys.stderr, flush=True)
        time.sleep(max(0.0, min(_BACKOFF.seconds(self._breaks), end - time.monotonic())))
        self._breaks += 1
        return True


def follow(cluster: Cluster, names: Sequence[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield the current state and all changes of the named Jobs, until each has been yielded finished.

    Raises TimeoutError with the unfinished Jobs after `seconds`. Raises DefinitionError when the cluster refuses a
    request or cannot be reached until then, and (`JobDeleted`) when one of the Jobs is deleted.
    """
    left, patience = list(names), Patience(seconds)
    versions: dict[str, str] = {}
    while True:
        for name in list(left):
            try:
                job = patience.ask(lambda name=name: cluster.get(name))  # type: ignore[misc]
            except DefinitionError as error:
                if error.reason == "NotFound" and name in versions:
                    raise _deleted(name) from None
                raise
            if versions.get(name) != job["metadata"]["resourceVersion"]:
                versions[name] = job["metadata"]["resourceVersion"]
                yield job
            if is_finished(job):
                left.remove(name)
        if not left:
            return
        if patience.left <= 0:
            raise TimeoutError(f"after {seconds:.0f} s not finished: {', '.join(sorted(left))}")
        yield from _watched(cluster, left, versions, patience)
        if not left:
            return


def _watched(
    cluster: Cluster, left: list[str], versions: dict[str, str], patience: Patience
) -> Iterator[dict[str, Any]]:
    """Yield changes until the watch ends for any reason. The next list finds what was missed."""
    # A watch lasts whole seconds; sleep for the remaining fraction.
    limit = min(int(patience.left), _WATCH_SECONDS)
    if limit < 1:
        time.sleep(max(0.0, min(patience.left, _POLL_SECONDS)))
        return
    try:
        for event in cluster.changes(left, versions[left[0]] if len(left) == 1 else "", limit):
            job = event["object"]
            name = job["metadata"]["name"]
            if name not in left:
                continue
            patience.answered()
            if event["type"] == "DELETED":
                raise _deleted(name)
            versions[name] = job["metadata"]["resourceVersion"]
            yield job
            if is_finished(job):
                left.remove(name)
            if not left:
                return
    except DefinitionError as error:
        if error.reason in ("NotFound", "JobDeleted", "NotInstalled"):
            raise
        if error.reason == "NoCluster":
            patience.broke(error)
        else:  # a version that is too old (Gone), or no permission to watch: poll instead
            time.sleep(max(0.0, min(patience.left, _POLL_SECONDS)))


def _deleted(name: str) -> DefinitionError:
    return DefinitionError("JobDeleted", f"Job {name!r} was deleted before it finished")
