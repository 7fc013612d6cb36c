"""What is kept of the lines of a pod's log: a pod may print whatever it likes, as much as it likes."""

from __future__ import annotations

from collections.abc import Iterable

from podgraph.planning.manifests.shell_runner import END_MARK, MAX_TOLD
from podgraph.protocol.graph_codec import GRAPH_MARK, MAX_GRAPH
from podgraph.protocol.reports import LAST_RANK, RANKS, StepReport
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import LINE_MARK

__all__ = ["KeptLines", "KeptReports", "graph_lines", "script_lines"]

_WORD = 32  # characters of a mark up to its nonce, which do not count
_MOST_REPORTS = 40  # of one step between two passes


class KeptLines:
    """The lines with a token, from the mark in front of it on; at most `most` bytes of them.

    A line costs its length once, and is forgotten if it has no part in the result. When there is more than fits, or
    a line with `end` came, nothing more is kept.
    """

    def __init__(self, token: str, most: int, end: str = "") -> None:
        self.lines: list[str] = []
        self.is_full = False
        self._mark, self._end = f"{token}::", end
        self._room = most

    def take(self, lines: Iterable[str]) -> bool:
        """Take in lines; return whether one with `end` is among them."""
        for line in lines:
            if self.is_full:
                return False
            kept, size = self._part(line)
            if not kept:
                continue
            self._room -= size
            if self._end and self._end in kept:
                self.is_full = True
                self.lines.append(kept)
                return True
            if self._room < 0:
                self.is_full = True
                self.lines.clear()
                return False
            self.lines.append(kept)
        return False

    def _part(self, line: str) -> tuple[str, int]:
        """Return what is kept of a line, empty for nothing, and the bytes of it that count."""
        at = line.find(self._mark)
        begin = line.rfind(LINE_MARK, 0, at) if at >= 0 else -1
        if begin < 0:
            return "", 0
        kept = line[begin:]
        return kept, len(kept.encode()) - min(at - begin, _WORD) - len(self._mark) + 1


class _SignedLines(KeptLines):
    """The lines of a graph that were signed by the pod."""

    def __init__(self, signer: Signer, most: int) -> None:
        super().__init__("", most)
        self._signer = signer

    def _part(self, line: str) -> tuple[str, int]:
        signed = self._signer.read(GRAPH_MARK, line) is not None
        return (line, len(line.encode())) if signed else ("", 0)


def script_lines(token: str) -> KeptLines:
    """Return what keeps the lines by which a script op reports its outputs."""
    return KeptLines(token, MAX_TOLD + 64, END_MARK)


def graph_lines(signer: Signer) -> KeptLines:
    """Return what keeps the lines by which a resolve pod reports a long graph."""
    return _SignedLines(signer, MAX_GRAPH)


class KeptReports:
    """What a pod said of its steps since the last pass: of each step a few reports, the last of each state."""

    def __init__(self, steps: Iterable[str]) -> None:
        self._kept: dict[str, dict[tuple[int, str], StepReport]] = {step: {} for step in steps}
        self._order: dict[tuple[str, int, str], None] = {}

    def take(self, reports: Iterable[StepReport]) -> bool:
        """Take in reports; return whether any is kept."""
        news = False
        for report in reports:
            kept = self._kept.get(report.step)
            if kept is None:
                continue
            key = report.attempt, report.state
            if key not in kept and len(kept) >= _MOST_REPORTS:
                lowest = min(kept, key=lambda key: (key[0], RANKS.get(key[1], LAST_RANK)))
                del kept[lowest], self._order[report.step, *lowest]
            kept[key] = report
            self._order[report.step, *key] = None
            news = True
        return news

    def pop(self) -> list[StepReport]:
        """Return what is kept, in the order it came, and forget it."""
        found = [self._kept[step][attempt, state] for step, attempt, state in self._order]
        for step in {step for step, _, _ in self._order}:
            self._kept[step].clear()
        self._order.clear()
        return found
