"""Templates of schedules and sensors."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from fuzz.bounds import bounded, corpus, fuzzed, json_values, long_texts
from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.templates import render

NAMES = {"tick.date": "2026-11-24", "": "nothing"}


@fuzzed
@given(json_values, long_texts())
def test_any_template(value: Any, text: str) -> None:
    for given_value in (value, text, [text, value]):
        with bounded(DefinitionError):
            render(given_value, NAMES, "runConfig")


@pytest.mark.parametrize("text", corpus("templates"), ids=len)
def test_the_corpus(text: str) -> None:
    with bounded(DefinitionError):
        render({"x": text}, NAMES, "runConfig")
