"""What is kept of a pod's lines, however many it prints."""

from __future__ import annotations

import sys
import time

from podgraph.planning.manifests.shell_runner import END_MARK, OUTPUT_MARK, ended_in
from podgraph.planning.steps.log_lines import KeptReports, graph_lines, script_lines
from podgraph.protocol.graph_codec import GRAPH_MARK, MAX_GRAPH
from podgraph.protocol.reports import StepReport
from podgraph.protocol.signing import Signer

NOISE = [f"2026-11-24T00:00:00Z ::podgraph-x{at}" for at in range(1_000)]


def seconds_of(rounds: int) -> float:
    kept = script_lines("n")
    start = time.process_time()
    for _ in range(rounds):
        kept.take(NOISE)
    assert kept.lines == []
    return time.process_time() - start


def test_lines_without_end_cost_their_length_once() -> None:
    few, many = seconds_of(100), seconds_of(2_500)  # 100 MiB
    assert many < 5
    assert many < 25 * few * 4 + 0.5


def test_marked_lines_of_others_are_not_kept() -> None:
    kept = script_lines("n")
    assert not kept.take([*NOISE, f"{OUTPUT_MARK}other::a=1", "n::b", "plain"])
    assert kept.lines == []


def test_lines_with_the_right_nonce_are_kept_up_to_the_limit() -> None:
    kept = script_lines("n")
    for _ in range(1_000):
        kept.take([f"{'junk' * 50_000}{OUTPUT_MARK}n::{'x' * 100}"])
        assert sum(map(sys.getsizeof, kept.lines)) < 10_000
    assert kept.is_full
    assert kept.lines == []


def test_a_long_mark_is_not_kept() -> None:
    kept = script_lines("n")
    kept.take([f"::podgraph-{'y' * 100_000}n::x"])
    assert kept.lines == []


def test_a_result_at_the_limit_is_whole() -> None:
    for text in ("\n" * 4_094, "x=" + "1" * 4_093, "ä" * 2_000, "a=1\nb=2"):
        kept, lines = script_lines("n" * 32), text.split("\n")
        said = [f"12:00 open{OUTPUT_MARK}{'n' * 32}::{line}" for line in lines]
        assert not kept.take(said)
        assert kept.take([f"{END_MARK}{'n' * 32}::{len(lines)}", "more"])
        assert ended_in(kept.lines, "n" * 32) == text


def test_nothing_is_kept_after_the_end() -> None:
    kept = script_lines("n")
    assert kept.take([f"{END_MARK}n::0"])
    assert not kept.take([f"{OUTPUT_MARK}n::a"] * 10 + [f"{END_MARK}n::10"])
    assert len(kept.lines) == 1


def test_graph_lines_have_a_cap() -> None:
    signer = Signer("n")
    kept = graph_lines(signer)
    line = signer.line(GRAPH_MARK, "x" * 1_000_000)
    for _ in range(100):
        kept.take([line])
        assert len(kept.lines) <= MAX_GRAPH // 1_000_000
    assert kept.is_full


def test_of_each_step_few_reports_are_kept_and_the_last_of_them() -> None:
    kept = KeptReports(["a", "b"])
    assert not kept.take([StepReport("other", "Running", 1)])
    assert kept.take(StepReport("a", "Running", at) for at in range(10_000))
    assert kept.take([StepReport("b", "Running", 1), StepReport("b", "Succeeded", 1), StepReport("b", "Running", 1)])
    found = kept.pop()
    assert len(found) == 42
    assert [(r.step, r.state) for r in found[-2:]] == [("b", "Running"), ("b", "Succeeded")]
    assert found[39].attempt == 9_999
    assert kept.pop() == []
