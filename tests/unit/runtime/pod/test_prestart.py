"""A pod that was started ahead waits for its whole assignment."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from podgraph.protocol import step as protocol
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record, record_text_in
from podgraph.runtime.pod.link import Link
from podgraph.runtime.pod.prestart import whole_assignment

AHEAD = Assignment("add", "n1", "r1", file="job.py", ahead=30)
WHOLE = replace(AHEAD, ahead=0, inputs={"x": 1})


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "assignment"
    monkeypatch.setattr(protocol, "ASSIGNMENT_FILE", str(path))
    path.write_text(AHEAD.to_text())
    return path


def put(file: Path, text: str) -> None:
    """Replace the file at once, as the kubelet does."""
    new = file.with_name("new")
    new.write_text(text)
    os.replace(new, file)


def test_it_returns_what_takes_the_place_of_its_own(file: Path) -> None:
    def later() -> None:
        for text in ("", "{", replace(WHOLE, nonce="n2").to_text(), replace(WHOLE, op="other").to_text()):
            time.sleep(0.02)
            put(file, text)
        time.sleep(0.02)
        put(file, WHOLE.to_text())

    thread = threading.Thread(target=later)
    thread.start()
    assert whole_assignment(AHEAD, Link("")) == WHOLE
    thread.join()


def test_it_is_found_when_it_was_there_first(file: Path) -> None:
    put(file, WHOLE.to_text())
    assert whole_assignment(AHEAD, Link("")) == WHOLE


def test_a_pod_that_told_the_graph_takes_any_step_of_its_run(file: Path) -> None:
    resolve = replace(AHEAD, op="", nonce="n0")
    put(file, replace(WHOLE, run_id="r2").to_text())
    assert whole_assignment(replace(resolve, ahead=1), Link("")) is None
    put(file, WHOLE.to_text())
    assert whole_assignment(resolve, Link("")) == WHOLE
    put(file, replace(resolve, ahead=0).to_text())  # there is none: it is to end
    assert whole_assignment(resolve, Link("")) == replace(resolve, ahead=0)


def test_its_time_ends_also_without_any_file(file: Path) -> None:
    assert whole_assignment(replace(AHEAD, ahead=0), Link("")) is None
    file.unlink()
    assert whole_assignment(replace(AHEAD, ahead=1), Link("")) is None


def test_how_long_it_waits_is_part_of_the_assignment() -> None:
    assert Assignment.from_text(AHEAD.to_text()) == AHEAD
    assert "ahead" not in WHOLE.to_text()


@pytest.mark.parametrize(
    "line",
    [
        Record("n2", "Succeeded").to_line(),
        Signer("n1").line(protocol.RECORD_MARK, "{"),
        Signer("n1").line(protocol.RECORD_MARK, Record("n2", "Succeeded").to_text()),
        Record("n1", "Succeeded").to_line()[:-1],
        Signer("n1").line(protocol.RECORD_MARK, "{}"),
        Record("n1", "Succeeded").to_line(b"another key"),
    ],
)
def test_only_a_whole_record_with_the_nonce_counts(line: str) -> None:
    assert record_text_in(["words", line], Signer("n1")) is None
    right = Record("n1", "Failed", reason="OpFailed", message="a\nb\u2028c")
    text = record_text_in([line, "2026-01-01T00:00:00Z open line" + right.to_line()], Signer("n1"))
    assert Record.from_text(text or "") == right
