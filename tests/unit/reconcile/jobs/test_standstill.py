from __future__ import annotations

from podgraph.reconcile.jobs.standstill import Standstill


def test_a_long_silence_is_a_standstill() -> None:
    now = [100.0]
    standstill = Standstill(lambda: now[0])
    for now[0] in (101.0, 102.5, 107.0):
        assert standstill.look() == float("-inf")
    now[0] = 113.0
    assert standstill.look() == 113.0
    now[0] = 114.0
    assert standstill.look() == 113.0
