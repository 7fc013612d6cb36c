"""Results of steps that arrive by the link or the log of their pod, before the kubelet reports that the pod ended."""

from __future__ import annotations

from collections.abc import Iterable

from podgraph.planning.actions import Actions
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.shell_runner import ended_in
from podgraph.planning.steps.log_lines import KeptLines, script_lines
from podgraph.protocol.step import record_text_in

__all__ = ["LogResults"]


class LogResults:
    """Follows the logs of the pods of one Job, and keeps what they report until the next pass."""

    def __init__(self, maker: PodFactory) -> None:
        self._maker = maker
        self._followed: set[str] = set()
        self._results: dict[str, str] = {}
        self._lines: dict[str, KeptLines] = {}  # of a script op, until all of them have come

    def follow(self, pod_name: str, actions: Actions) -> None:
        """Request the log of a pod, once."""
        if pod_name not in self._followed:
            self._followed.add(pod_name)
            actions.follow.append(pod_name)

    def leave(self, pod_name: str, actions: Actions) -> None:
        """Stop following the log of a pod: its attempt is over."""
        if pod_name in self._followed:
            actions.leave.append(pod_name)
            self._lines.pop(pod_name, None)

    def take_lines(self, pod_name: str, step: str, attempt: int, lines: Iterable[str]) -> bool:
        """Take in lines of the pod of an attempt; return whether they complete its result."""
        if step in self._maker.containers:
            token = self._maker.token_of(step, attempt)
            kept = self._lines.setdefault(pod_name, script_lines(token))
            text = ended_in(kept.lines, token) if kept.take(lines) else None
        else:
            text = record_text_in(lines, self._maker.signer_of(step, attempt))
        if text is not None:
            self._results[pod_name] = text
        return text is not None

    def take_results(self) -> dict[str, str]:
        """Return the results by pod that have come since the last call."""
        results, self._results = self._results, {}
        return results
