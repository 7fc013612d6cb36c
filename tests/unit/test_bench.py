"""What the bench decides; what it measures needs a cluster."""

from __future__ import annotations

import tomllib

from bench import schedules
from bench.process import Usage
from bench.scale import RANGES, figures, outside

ENTRY = {"ratio": 0.95, "cpu_ms_per_step": 1.0, "peak_mib": 80.0, "writes_per_step": 1.01}


def test_a_figure_outside_its_range_is_named() -> None:
    ranges = tomllib.loads(RANGES.read_text())["scale"]
    found = figures({"100": ENTRY, "1000": ENTRY, "2000": ENTRY})
    assert outside(found, ranges) == []
    assert set(found) == set(ranges)
    worse = figures({"100": ENTRY, "1000": {**ENTRY, "ratio": 0.3}, "2000": {**ENTRY, "cpu_ms_per_step": 1.5}})
    assert outside(worse, ranges) == ["steps a second beside bare pods", "CPU a step, largest beside smallest"]


def test_what_was_used_between_two_looks() -> None:
    before = Usage(1.0, 50.0, {"POST pods": 2, "GET pods": 1})
    used = Usage(1.5, 60.0, {"POST pods": 5, "GET pods": 1, "PATCH jobs/status": 2}).since(before)
    assert (used.cpu, used.peak_mib, used.writes) == (0.5, 60.0, 5)
    assert used.requests == {"POST pods": 3, "PATCH jobs/status": 2}


def test_what_schedules_come_to() -> None:
    found = {
        "schedules": 100,
        "burst_seconds": [n / 100 for n in range(100)],
        "idle_share": 0.004,
        "config_map_seconds": [0.1, 0.3],
        "job_seconds": [0.2],
    }
    told = {what: (value, bar) for what, value, _, bar in schedules.rows(found)}
    assert told["full minute of 100 schedules, tick to Job, p99"] == (0.98, "<= 1")
    assert told["100 schedules between ticks"] == (0.4, "<= 1")
    assert told["ConfigMap changed to Job, max"] == (0.3, "<= 0.5")
