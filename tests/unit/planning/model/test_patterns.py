"""Patterns of users in linear time."""

from __future__ import annotations

import time

import pytest

import podgraph.planning
from podgraph.planning.model.patterns import linear
from podgraph.run_config import patterns
from podgraph.run_config.patterns import InvalidPattern, backtracking


def test_whoever_plans_uses_the_linear_engine() -> None:
    assert podgraph.planning
    assert patterns._engine is linear


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("^a+$", "aaa", True),
        ("^a+$", "aab", False),
        (r"^\d{3}-[A-Z]{2}$", "123-AB", True),
        ("b", "abc", True),
        ("(?i)ABC", "xabcx", True),
    ],
)
def test_both_engines_find_the_same(pattern: str, text: str, found: bool) -> None:
    assert linear(pattern)(text) is backtracking(pattern)(text) is found


@pytest.mark.parametrize("pattern", ["(?=a)b", r"(a)\1", "(?<!a)b", "a{1,5000}", "x" * 2_000, "\ud800", r"\Z", "a++"])
def test_what_it_cannot_do_is_left_to_the_pod(pattern: str) -> None:
    assert linear(pattern)("text") is None


@pytest.mark.parametrize("pattern", ["(", ")", "[", "*a", "[z-a]", "\\"])
def test_what_is_no_expression_is_said(pattern: str) -> None:
    with pytest.raises(InvalidPattern):
        linear(pattern)
    assert backtracking(pattern)("text") is None


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a*)*b", "(.*a){20}", "((a{1,30}){1,30})$"])
def test_no_text_takes_long(pattern: str) -> None:
    start = time.process_time()
    for text in ("a" * 40 + "!", "a" * 100_000 + "!", "\ud800"):
        linear(pattern)(text)
    assert time.process_time() - start < 1
