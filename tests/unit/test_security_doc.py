"""SECURITY.md: every guarantee and every attack names one test, and the tests that it names exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def section(title: str) -> str:
    return TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0]


GUARANTEES = re.split(r"\n(?=\d+\. )", section("Guarantees"))[1:]
ATTACKS = [line for line in section("Attacks tried").splitlines() if line.startswith("|")][2:]


def test_guarantees_are_numbered_in_order_and_each_has_one_test() -> None:
    assert len(GUARANTEES) > 40
    for number, text in enumerate(GUARANTEES, 1):
        assert text.startswith(f"{number}. ")
        assert len(TEST.findall(text)) == 1, text


def test_each_attack_has_one_test() -> None:
    assert len(ATTACKS) > 20
    assert [line for line in ATTACKS if len(TEST.findall(line)) != 1] == []


@pytest.mark.parametrize("path", sorted({path for path, _ in TEST.findall(TEXT)}))
def test_every_test_that_is_named_exists(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    there = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {test for found, test in TEST.findall(TEXT) if found == path} - there == set()


def test_it_can_be_read_in_one_sitting() -> None:
    assert len(TEXT.splitlines()) <= 250
