"""What the page's tests and pictures show: every text in it is one that the operator's code writes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import podgraph
from podgraph.flow import TERMINAL
from podgraph.planning.model.names import OP_ANNOTATION
from web.scenes import busy_team
from web.serving import Served

OPERATOR = Path(podgraph.__file__).parent
FOLDERS = ("definition", "planning", "reconcile", "run_config", "scheduling")
FEWEST_LETTERS = 8
"""A pattern with fewer letters of its own says too little: f"{reason}: {message}" would take anything."""

BY_USERS = {"cannot allocate 4.2 GiB for the feature matrix", "connection refused", "'region'"}
"""What the code of the scenes raises."""

Obj = dict[str, Any]


def _pattern(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return re.escape(str(node.value))
    assert isinstance(node, ast.JoinedStr)
    return "".join(_pattern(part) if isinstance(part, ast.Constant) else "(?:.+?)" for part in node.values)


@cache
def _patterns() -> list[re.Pattern[str]]:
    """The texts that the operator's code can write, with anything where it puts in a value."""
    found = set()
    for folder in FOLDERS:
        for file in (OPERATOR / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str)):
                    pattern = _pattern(node)
                    if sum(map(str.isalpha, pattern.replace("(?:.+?)", ""))) >= FEWEST_LETTERS:
                        found.add(pattern)
    return [re.compile(pattern, re.DOTALL) for pattern in found]


def is_by_the_operator(text: str) -> bool:
    """Whether the operator's code writes a text that begins like this: it puts some together from several."""
    own = text.partition(" (attempt ")[0] in BY_USERS
    # A refusal and a failure name their reason before the sentence itself.
    sentences = (text, text.partition(": ")[2])
    counted = re.fullmatch(r"\d+ ops?|\d+ ops? will run", text) is not None
    return own or counted or any(pattern.match(part) for part in sentences for pattern in _patterns())


def _texts(obj: Any) -> Iterator[str]:
    """All messages in a status."""
    if isinstance(obj, dict):
        for key, value in obj.items():
            if key == "message" and isinstance(value, str) and value:
                yield value
            else:
                yield from _texts(value)
    elif isinstance(obj, list):
        for item in obj:
            yield from _texts(item)


@pytest.mark.parametrize(
    "text",
    [
        "step 'train_model' failed: MemoryError: cannot allocate",  # what the page once expected
        "step 'train_model' failed",
        "the Job of the tick before is not finished (concurrencyPolicy: Forbid)",
        "the first pods run",
        "it is Succeeded",
    ],
)
def test_a_made_up_text_is_found_out(text: str) -> None:
    assert not is_by_the_operator(text)


async def test_every_text_in_the_scenes_is_written_by_the_operator(served: Served) -> None:
    busy_team(served)
    kinds = ("jobs", "jobdefinitions", "jobschedules", "jobsensors")
    texts = {text for kind in kinds for found in served.fake.objects(kind) for text in _texts(found["status"])}
    texts |= {event["message"] for event in served.fake.objects("events")}
    assert len(texts) > 15
    assert [text for text in sorted(texts) if not is_by_the_operator(text)] == []


async def test_the_scenes_have_runs_of_all_states_and_events_of_steps(served: Served) -> None:
    busy_team(served)
    jobs = {job["metadata"]["name"]: job["status"] for job in served.fake.objects("jobs")}
    reasons = {c["reason"] for status in jobs.values() for c in status["conditions"] if c["type"] == "Succeeded"}
    assert reasons == {"Succeeded", "Failed", "Canceled", "Refused", "Running"}
    failed = jobs["daily-sales-7c1e"]["steps"]
    assert (failed["train_model"]["attempt"], failed["train_model"]["reason"]) == (3, "MemoryError")
    assert {step["state"] for step in failed.values()} <= TERMINAL
    live = jobs["daily-sales-live"]["steps"]
    assert (live["features.by_sku"]["state"], live["load_orders"]["attempt"]) == ("Running", 2)
    ops = {
        (e["reason"], e["metadata"].get("annotations", {}).get(OP_ANNOTATION)) for e in served.fake.objects("events")
    }
    assert ops >= {("StepFailed", "train_model"), ("StepRetried", "load_orders"), ("Accepted", None)}
