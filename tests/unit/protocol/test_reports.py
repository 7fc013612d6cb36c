"""The lines by which a pod reports its steps, and what makes no report."""

from __future__ import annotations

import json

import pytest

from podgraph.protocol.reports import MARK, StepReport, fitting, pack_states, reports_in, unpack_states
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import MAX_OUTPUTS

SIGNER = Signer("n1")

WHOLE = StepReport(
    "src.add", "Failed", 2, "2026-01-01T00:00:00.000000Z", "2026-01-01T00:00:01.000000Z", reason="OpFailed",
    message="zażółć\n\x00",
)  # fmt: skip


@pytest.mark.parametrize(
    "report", [StepReport("a", "Running", 1), WHOLE, StepReport("a", "Succeeded", 1, outputs={"result": '"ü\\n"'})]
)
@pytest.mark.parametrize("before", ["", "2026-01-01T00:00:00.1Z ", "an open line "])
def test_a_report_comes_back_from_its_line(report: StepReport, before: str) -> None:
    line = report.to_line(SIGNER)
    assert "\n" not in line
    assert list(reports_in(["hello", before + line, "world"], SIGNER)) == [report]
    assert list(reports_in([line], Signer("n2"))) == []


@pytest.mark.parametrize(
    "text",
    ["", "{", '{"step":"a"}', '{"step":"a","state":"Sleeping"}', '{"step":1,"state":"Running"}', "[]", "[" * 100_000,
     '{"step":"a","state":"Succeeded","outputs":{"x":1}}', '{"step":"a","state":"Running","more":1}',
     '{"step":"a","state":"Running","attempt":"1"}', '{"step":"a","state":"Canceled"}'],
)  # fmt: skip
def test_what_is_cut_or_made_up_is_no_report(text: str) -> None:
    assert list(reports_in([SIGNER.line(MARK, text)], SIGNER)) == []


def test_a_cut_line_never_tells_a_lie() -> None:
    line = StepReport("a", "Succeeded", 12, outputs={"result": "12345"}).to_line(SIGNER)
    assert [list(reports_in([line[:at]], SIGNER)) for at in range(len(line))] == [[]] * len(line)


def test_a_report_behind_a_cut_one_is_read() -> None:
    cut = StepReport("a", "Running", 1).to_line(SIGNER)[:-3]
    whole = StepReport("b", "Running", 1)
    assert list(reports_in([cut + whole.to_line(SIGNER)], SIGNER)) == [whole]


def test_the_longest_line_is_not_split_by_a_container_runtime() -> None:
    outputs = fitting({"a": json.dumps('\\"' * (MAX_OUTPUTS // 4 - 1)), "b": "1" * 100})
    assert list(outputs) == ["a"]
    report = StepReport("x" * 253, "Succeeded", 1, outputs=outputs, message="\x00" * 9_000, reason="R" * 100)
    assert len(report.to_line(Signer("n" * 16)).encode()) < 16_384


def test_outputs_that_fit_are_told_beside_one_that_does_not() -> None:
    assert fitting({"large": "1" * MAX_OUTPUTS, "small": "1"}) == {"large": "1" * MAX_OUTPUTS}
    assert fitting({"large": "1" * (MAX_OUTPUTS + 1), "small": "1"}) == {"small": "1"}


def test_states_pack_into_few_bytes() -> None:
    states = ["Succeeded", "Failed", "Skipped", "UpstreamFailed"] * 1_250
    assert unpack_states(pack_states(states)) == states
    assert len(pack_states(["Succeeded"] * 5_000)) < 100
    assert pack_states(["Succeeded"] * 4_000_000) == ""
    for wrong in ("", "?", "AAAA", pack_states(states)[:-8], "é"):
        assert unpack_states(wrong) == []
