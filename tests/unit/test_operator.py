"""What tells the operator's parts of objects."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from podgraph.operator import telling


def test_an_object_that_one_cannot_take_stops_no_other(caplog: pytest.LogCaptureFixture) -> None:
    """Where namespaces are watched one at a time, such an error ended the operator."""
    taken: list[tuple[str | None, str]] = []

    def fails(kind: str | None, found: Any) -> None:
        raise ValueError("not this one")

    tell = telling(fails, lambda kind, found: taken.append((kind, found["metadata"]["name"])))
    with caplog.at_level(logging.ERROR):
        tell("ADDED", {"kind": "Job", "metadata": {"namespace": "evil", "name": "bad"}})
        tell(None, {"kind": "Job", "metadata": {"namespace": "good", "name": "fine"}})
    assert taken == [("ADDED", "bad"), (None, "fine")]
    assert "Job evil/bad: unexpected" in caplog.text
