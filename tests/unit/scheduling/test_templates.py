"""What `{{ name }}` stands for in a template, and the names that are refused."""

from __future__ import annotations

import time

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.templates import render

NAMES = {"tick.date": "2026-11-24", "tick.time": "2026-11-24T01:00:00Z"}


def test_texts_at_any_depth() -> None:
    value = {"a": [{"b": "{{tick.date}}/{{ tick.time }}"}, 3, None, True], "{{ tick.date }}": "plain }} {{"}
    assert render(value, NAMES, "x") == {
        "a": [{"b": "2026-11-24/2026-11-24T01:00:00Z"}, 3, None, True],
        "{{ tick.date }}": "plain }} {{",
    }


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("{{ tick.dat }}", "runConfig.ops[1] has {{ tick.dat }}, which is unknown; did you mean 'tick.date'?"),
        ("{{ 7 * 7 }}", "{{ 7 * 7 }}, which is unknown; there are: tick.date, tick.time"),
        ("{{}}", "{{  }}, which is unknown"),
    ],
)
def test_an_unknown_name_is_refused(text: str, hint: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        render({"ops": ["", text]}, NAMES, "runConfig")
    assert hint in refused.value.message


def test_what_a_name_stands_for_is_not_read_again() -> None:
    assert render("{{ a }}", {"a": "{{ a }}"}, "x") == "{{ a }}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{{" + " " * 200_000, ""),
        ("{{ " * 100_000, ""),
        ("{" * 200_000, ""),
        ("{{" + " " * 100_000 + "}" * 100_000, "x has {{  }}, which is unknown"),
        ("}}{{" * 50_000, "x has {{  }}, which is unknown"),
        ("{{" + "y" * 100_000 + "}}", "which is unknown"),
    ],
)
def test_a_hostile_text_takes_a_step_for_each_character(text: str, message: str) -> None:
    start = time.process_time()
    if message:
        with pytest.raises(DefinitionError, match=message) as caught:
            render(text, NAMES, "x")
        assert len(caught.value.message) < 1_000
    else:
        assert render(text, NAMES, "x") == text
    assert time.process_time() - start < 0.5  # with a backtracking expression 1,600 spaces took 13 s


def test_a_value_of_too_many_levels_is_refused() -> None:
    value: object = "{{ tick.date }}"
    for _ in range(500):
        value = [value]
    with pytest.raises(DefinitionError, match="is nested deeper than 100 levels"):
        render(value, NAMES, "runConfig")
