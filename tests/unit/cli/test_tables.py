"""Tables as the commands print them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from podgraph.cli.tables import age, print_table


def test_columns_are_as_wide_as_their_longest_text(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("NAME", "READY", "AGE"), ("a", "True", "5m"), ("longest", "", "")])
    assert capsys.readouterr().out == "NAME      READY   AGE\na         True    5m\nlongest\n"


def test_a_table_of_its_head_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([("NAME", "AGE")])
    assert capsys.readouterr().out == "NAME   AGE\n"


def test_the_age_is_counted_from_a_kubernetes_time() -> None:
    made = datetime.now(UTC) - timedelta(minutes=5, seconds=1)
    assert age(made.strftime("%Y-%m-%dT%H:%M:%SZ")).startswith("5m")
