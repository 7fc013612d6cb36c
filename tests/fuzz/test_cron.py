"""Cron expressions and time zones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, fuzzed, long_texts, texts
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.cron import due_ticks, read_cron

NOW = 1_795_478_400.0
parts = st.text("0123456789*/,-LW#", min_size=1, max_size=8) | st.sampled_from(
    ["*", "0", "29", "2", "L", "MON#5", "31"]
)
zones = st.sampled_from(["UTC", "Europe/Berlin", "America/Sao_Paulo", "Pacific/Apia"])


@fuzzed
@given(st.lists(parts, min_size=5, max_size=5).map(" ".join) | texts | long_texts(), zones | texts)
def test_any_expression(text: str, zone: str) -> None:
    with bounded(DefinitionError):
        timing = read_cron((text,), zone)
        after = timing.next_after(NOW)
        assert after is None or after > NOW
        assert len(due_ticks(timing, NOW - 86_400 * 365 * 10, NOW, 10)[0]) <= 10


@pytest.mark.parametrize(
    "text", ["0 0 30 2 *", "0 0 29 2 MON#5", "59 23 31 2,4,6,9,11 *", "0 0 29 2 1", "* * * * 8", "0 0 L 2 7#5"]
)
def test_times_that_are_rare_or_never_come(text: str) -> None:
    with bounded(DefinitionError):
        timing = read_cron((text,), "America/Sao_Paulo")
        due_ticks(timing, 0, NOW, 10)
