"""Run config as somebody types it on the page: what is refused, and that no text keeps the page busy for long."""

from __future__ import annotations

import time

import pytest

from podgraph.server.yaml_text import MOST_TEXT, read

HOSTILE = {
    "lists in lists": ("[" * MOST_TEXT, "nested deeper than 100 levels"),
    "mappings in mappings": ("{a: " * (MOST_TEXT // 4), "nested deeper than 100 levels"),
    "sequences in sequences": ("- " * (MOST_TEXT // 2), "nested deeper than 100 levels"),
    "keys of keys": ("? " * (MOST_TEXT // 2), "nested deeper than 100 levels"),
    "many values": (f"a: [{'1,' * (MOST_TEXT // 2 - 10)}]", "more than 30,000 keys and values"),
    "many keys": ("".join(f"k{n}:\n" for n in range(30_000)), "more than 30,000 keys and values"),
    "a long number": ("a: 1" + ":1" * (MOST_TEXT // 2 - 5), "a number has more than 1,000 characters"),
    "a bomb of aliases": ("a: &a [x]\nb: [*a, *a]", "aliases"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_no_text_keeps_the_page_busy(what: str) -> None:
    """One line of 20,000 brackets took two minutes."""
    text, problem = HOSTILE[what]
    begun = time.process_time()
    assert problem in read(text).error
    assert time.process_time() - begun < 10.0


@pytest.mark.parametrize(
    "value",
    ["!!timestamp x", "!!bool x", "!!float ''", "!!binary eA==", "!!set {b}", "!own x", "!!python/name:os.system x"],
)
def test_a_tag_is_refused_in_a_sentence(value: str) -> None:
    found = read(f"a: {value}")
    assert found.error.startswith("tags (")
    assert found.error.endswith(") are not allowed here; write the value without it")
    assert found.error_at[0] == 3
    assert found.value == {}


def test_what_people_write_is_read() -> None:
    text = "ops:\n  add:\n    config: {n: 1, s: 'x', l: [true, null, 1.5]}\n"
    found = read(text)
    assert found.error == ""
    assert found.value == {"ops": {"add": {"config": {"n": 1, "s": "x", "l": [True, None, 1.5]}}}}
