from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph.planning.actions import Settings
from podgraph.planning.invitation import Invitation
from podgraph.planning.making import PodMaker
from podgraph.planning.manifests import JobRef
from podgraph.planning.names import ASSIGNMENT
from podgraph.planning.spec import CodeSpec
from podgraph.runtime.protocol import Assignment

OURS = Invitation("10.0.0.1:7443", "f00d", b"secret")


@given(st.text(), st.text())
def test_words_that_were_told_to_nobody_are_nobody_s(words: str, token: str) -> None:
    assert OURS.guest(words) is None
    assert OURS.guest(f"u1 a-1 {token}") is None


def test_another_operator_told_other_words() -> None:
    words = OURS.to("u1", "a-1").split(" ", 2)[2]
    assert OURS.guest(words) == ("u1", "a-1")
    assert Invitation("10.0.0.1:7443", "f00d", b"other").guest(words) is None


@pytest.mark.parametrize("invitation", [None, OURS])
def test_each_pod_of_python_code_has_its_own(invitation: Invitation | None) -> None:
    maker = PodMaker(JobRef("j", "default", "u1"), Settings("d", "r", invitation=invitation), CodeSpec("i", module="m"))

    def link(annotations: dict[str, Any]) -> str:
        return Assignment.from_text(annotations[ASSIGNMENT]).link

    made = [maker.resolve_pod(1), maker.run_pod(maker.run_assignment({})), maker.waiting_pod("w-1", "w", 1, 30)]
    links = [link(pod["metadata"]["annotations"]) for pod in made]
    expected = [invitation.to("u1", pod["metadata"]["name"]) if invitation else "" for pod in made]
    assert links == expected
    assert link(maker.assignment("w-1", "w", 1, 0, {})) == links[2], "who reads only this still has it"
