"""The process that evaluates: each evaluation apart from the others, each answered, none for ever."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from podgraph.protocol.answers import Answer, Answers
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment
from podgraph.runtime.pod.evaluator import Evaluator

CODE = """
import os, time
from podgraph import SkipReason, sensor

calls = []

@sensor
def look(context):
    calls.append(context.cursor)
    if context.cursor == "hang":
        time.sleep(60)
    if context.cursor == "crash":
        os.kill(os.getpid(), 9)
    print("the user's own words", end="")
    return SkipReason(f"{context.cursor} {len(calls)}")
"""


class Pod:
    def __init__(self, assignment: Assignment, module: ModuleType | None) -> None:
        self.told: list[str] = []
        self.evaluator = Evaluator(assignment, module, self.told.extend)

    def ask(self, **requests: dict[str, Any]) -> None:
        self.evaluator.ask({name: {"name": "look", **request} for name, request in requests.items()})

    def answers(self, count: int) -> dict[str, Answer]:
        end = time.monotonic() + 20
        while len(self.told) < count and time.monotonic() < end:
            self.evaluator.look(0.05)
        return {answer.id: answer for answer in Answers(Signer("n")).take(self.told)}


@pytest.fixture
def pod() -> Iterator[Pod]:
    module = ModuleType("my_job")
    exec(compile(CODE, "my_job.py", "exec"), vars(module))
    found = Pod(Assignment("", "n", "u"), module)
    yield found
    found.evaluator.ask({})


def test_evaluations_do_not_touch_each_other(pod: Pod) -> None:
    pod.ask(a={"kind": "sensor", "cursor": "1"}, b={"kind": "sensor", "cursor": "2"})
    found = pod.answers(2)
    assert {name: answer.skip for name, answer in found.items()} == {"a": "1 1", "b": "2 1"}


def test_what_hangs_is_ended_and_what_crashes_is_told(pod: Pod) -> None:
    hang = {"kind": "sensor", "cursor": "hang", "timeout": 0.2}
    pod.ask(a=hang, b={"kind": "sensor", "cursor": "crash"}, c={"kind": "sensor", "cursor": "1"})
    found = pod.answers(3)
    assert (found["a"].reason, found["b"].reason, found["c"].skip) == ("TimedOut", "Crashed", "1 1")
    assert found["a"].message == "it took longer than 0.2 seconds (timeoutSeconds) and was stopped"
    assert found["b"].message == "its process was killed by SIGKILL, perhaps because memory ran out"


def test_an_id_is_answered_once_and_forgotten_when_it_is_gone(pod: Pod) -> None:
    for count, ids in ((1, "a"), (1, "a"), (2, "ab"), (2, "b"), (3, "a")):
        pod.ask(**{name: {"kind": "sensor", "cursor": name} for name in ids})
        pod.answers(count)
        assert len(pod.told) == count


def test_keys_new_since_the_last_answer(tmp_path: Path) -> None:
    pod = Pod(Assignment("", "n", "u", storage=f"file://{tmp_path}"), None)
    (tmp_path / "a").write_text("1")
    for name, base in (("1", ""), ("2", "1"), ("3", "2"), ("4", "3")):
        pod.ask(**{name: {"kind": "keys", "base": base}})
        found = pod.answers(int(name))
        if name == "2":
            (tmp_path / "b").write_text("1")
    assert [(found[n].base, sorted(found[n].keys)) for n in "1234"] == [
        ("", []), ("1", ["a"]), ("2", []), ("3", ["b"])
    ]  # fmt: skip
    pod.ask(**{"5": {"kind": "keys", "base": "lost"}})
    assert sorted(pod.answers(5)["5"].keys) == ["a", "b"]
    pod.ask(**{"6": {"kind": "sensor", "name": "x"}})
    assert pod.answers(6)["6"].reason == "NoCode"
