"""What the bench decides; what it measures needs a cluster."""

from __future__ import annotations

import tomllib

from bench import page
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


def test_each_figure_of_the_page_has_a_bar() -> None:
    told = page.rows({"first_paint": 0.5, "list_update": 0.1, "run_update": 0.2, "graph": 1.0, "scripts_kb": 170.0,
                      "server_mib": 110.0})  # fmt: skip
    assert [(value, bar) for _, value, _, bar in told] == [
        (0.5, "<= 1.0"), (0.1, "<= 0.3"), (0.2, "<= 0.3"), (1.0, "<= 1.5"), (170.0, "<= 500"), (110.0, "<= 150"),
    ]  # fmt: skip
