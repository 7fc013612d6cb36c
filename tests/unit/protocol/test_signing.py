"""Signed lines: which count, and which do not."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph.protocol import signing
from podgraph.protocol.signing import KEY_VARIABLE, Signer, mac, pod_key, take_key

OURS = Signer("n", b"key")
MARK = "::podgraph-record "
texts = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))


@given(texts, texts, texts)
def test_a_line_comes_back_whatever_was_printed_before(before: str, text: str, other: str) -> None:
    line = before + OURS.line(MARK, text)
    assert OURS.read(MARK, line) == OURS.read(MARK, line + "\r\n") == text
    assert Signer("n", other.encode() + b"x").read(MARK, line) is None


@given(texts, texts)
def test_no_text_holds_a_line_that_was_not_signed(before: str, text: str) -> None:
    for line in (text, f"{before}{MARK}{text}", f"{MARK}{text}::{len(text)}:{'0' * 32}", OURS.line(MARK, text) + "x"):
        assert OURS.read(MARK, line) is None


def test_a_line_holds_for_one_attempt_one_mark_and_one_key() -> None:
    line = OURS.line(MARK, "text")
    assert Signer("other attempt", b"key").read(MARK, line) is None
    assert Signer("n", b"other").read(MARK, line) is None
    assert Signer("n").read(MARK, line) is None
    assert OURS.read("::podgraph-step ", line.replace("record", "step")) is None
    assert OURS.read(MARK, line.replace("text", "test")) is None


def test_marks_in_what_is_told_do_not_hide_it() -> None:
    hostile = f'{{"message":"{OURS.line(MARK, "{}")}{MARK}::podgraph-step ::2:{"0" * 32}"}}'
    assert OURS.read(MARK, f"open {MARK}{OURS.line(MARK, 'x')}{OURS.line(MARK, hostile)}") == hostile


@pytest.mark.parametrize("line", ["::9999999999999999999:" + "0" * 32, "::²:" + "0" * 32, "::-1:" + "0" * 32, ":" * 80])
def test_odd_lengths_are_none(line: str) -> None:
    assert OURS.read(MARK, MARK + line) is None


def test_a_long_line_that_is_none_costs_its_length_once() -> None:
    hostile = (MARK + "::1:" + "0" * 32) * 100_000
    begun = time.monotonic()
    assert OURS.read(MARK, hostile) is None
    assert time.monotonic() - begun < 0.5


def test_parts_do_not_run_into_each_other() -> None:
    found = {
        mac(b"k", *parts)
        for parts in (("a",), ("a", ""), ("a", "b", "c"), ("a", "bc"), ("a", "b", "", "c"), ("ab", "c"))
    }
    assert len(found) == 6


def test_the_key_is_taken_once_and_is_in_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signing, "_taken", [])
    assert pod_key() == b""
    monkeypatch.setenv(KEY_VARIABLE, "secret")
    take_key()
    assert pod_key() == b"secret"
    assert KEY_VARIABLE not in signing.os.environ
