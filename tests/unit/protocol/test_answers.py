"""Answers as lines of a log, which may be cut, doubled, or open."""

from __future__ import annotations

import pytest

from podgraph.protocol.answers import Answer, Answers
from podgraph.protocol.signing import Signer

SIGNER = Signer("n")

LARGE = Answer("a1", keys={f"folder/{n}-{n * 7919}": str(n * 104729) for n in range(3_000)}, base="a0")


def test_a_large_answer_comes_in_lines_that_a_pipe_takes_whole() -> None:
    lines = LARGE.to_lines(SIGNER)
    assert len(lines) > 3
    assert all(len(line.encode()) < 4_096 for line in lines)
    assert list(Answers(SIGNER).take(["words", *lines, *lines[:2]])) == [LARGE]


def test_lines_may_come_in_turns_and_more_than_once() -> None:
    other = Answer("b", [{"run_key": "k"}], cursor="5", skip="")
    first, *rest = LARGE.to_lines(SIGNER)
    reader = Answers(SIGNER)
    assert list(reader.take([first, "left open" + other.to_lines(SIGNER)[0]])) == [other]
    assert list(reader.take([first])) == []
    assert list(reader.take(rest)) == [LARGE]


@pytest.mark.parametrize(
    "line",
    [
        Answer("a", skip="x").to_lines(Signer("other"))[0],
        Answer("a", skip="x").to_lines(SIGNER)[0][:-9],
        SIGNER.line("::podgraph-answer ", "a/0/0::"),
        SIGNER.line("::podgraph-answer ", "a/1/1::"),
        SIGNER.line("::podgraph-answer ", "a/x/1::"),
        SIGNER.line("::podgraph-answer ", "a/0/99999999::"),
        SIGNER.line("::podgraph-answer ", "a/0/1::!!"),
        Answer("a", [1]).to_lines(SIGNER)[0],  # type: ignore[list-item]
        Answer("a", keys={"k": 1}).to_lines(SIGNER)[0],  # type: ignore[dict-item]
        Answer("a", skip="x").to_lines(SIGNER)[0].replace(" a/", " b/"),
    ],
)
def test_what_is_made_up_is_passed_over(line: str) -> None:
    assert list(Answers(SIGNER).take([line])) == []
