"""What `job logs` prints of a log."""

from __future__ import annotations

import pytest

from podgraph.cli.jobs import _print_lines
from podgraph.runtime.protocol import Record
from podgraph.runtime.reports import StepReport


@pytest.mark.parametrize("step", ["", "add"])
def test_what_a_pod_says_to_the_operator_is_left_out(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["one", Record("n", "Succeeded").to_line(), StepReport("add", "Running").to_line("n"), ""]
    lines.append("two, and no end of line" + Record("n", "Succeeded").to_line())
    _print_lines(lines, "add", step)
    printed = ["one", "", "two, and no end of line"]
    assert capsys.readouterr().out.splitlines() == (printed if step else [f"add | {line}" for line in printed])
