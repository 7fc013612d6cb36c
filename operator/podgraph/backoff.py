"""Pauses that double with each failure in a row. Pure: the caller draws the jitter."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ExponentialBackoff"]


@dataclass(frozen=True)
class ExponentialBackoff:
    """The pause before a try that follows so many failures: `first` seconds, doubled each time, at most `longest`.

    Jitter spreads clients that failed together: a pause is multiplied by a number between the two of `jitter`.
    """

    first: float
    longest: float
    jitter: tuple[float, float] = (1.0, 1.0)

    def seconds(self, doublings: int, draw: float = 0.0) -> float:
        """Return the pause after `doublings` earlier ones; `draw` is a random number in [0, 1).

        >>> [ExponentialBackoff(5, 60).seconds(n) for n in range(5)]
        [5.0, 10.0, 20.0, 40.0, 60.0]
        """
        pause = min(self.longest, self.first * 2.0 ** min(doublings, 100))
        low, high = self.jitter
        return pause * (low + (high - low) * draw)
