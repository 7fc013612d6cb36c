from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.link_token import LinkIssuer
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.model.names import ASSIGNMENT
from podgraph.planning.model.spec import CodeSpec
from podgraph.protocol.link import greeting
from podgraph.protocol.step import Assignment

OURS = LinkIssuer("10.0.0.1:7443", "f00d")
KEYS = Keys(b"master")


@given(st.text(), st.text())
def test_words_that_do_not_show_the_key_are_nobody_s(words: str, token: str) -> None:
    assert OURS.verify(words, key_of) is None
    assert OURS.verify(f"u1 a-1 {token}", key_of) is None


def key_of(uid: str) -> bytes:
    return KEYS.of(uid).pod


def test_words_hold_for_one_pod_of_one_job_at_one_server() -> None:
    words = greeting(key_of("u1"), "f00d", "u1", "a-1")
    assert OURS.verify(words, key_of) == ("u1", "a-1")
    for other in (words.replace("u1", "u2"), words.replace("a-1", "a-2"), words[:-1], words + "0"):
        assert OURS.verify(other, key_of) is None
    assert LinkIssuer("10.0.0.1:7443", "beef").verify(words, key_of) is None, "said to another server first"
    assert OURS.verify(words, lambda uid: Keys(b"another").of(uid).pod) is None
    assert OURS.verify(greeting(key_of("u2"), "f00d", "u1", "a-1"), key_of) is None, "the key of another Job"


def test_what_a_pod_is_told_is_no_secret() -> None:
    assert OURS.credential_for("u1", "a-1") == "10.0.0.1:7443 f00d u1 a-1"


@pytest.mark.parametrize("invitation", [None, OURS])
def test_each_pod_of_python_code_has_its_own(invitation: LinkIssuer | None) -> None:
    maker = PodFactory(
        JobRef("j", "default", "u1"), Settings("d", "r", invitation=invitation), CodeSpec("i", module="m")
    )

    def link(annotations: dict[str, Any]) -> str:
        return Assignment.from_text(annotations[ASSIGNMENT]).link

    made = [maker.resolve_pod(1), maker.run_pod(maker.run_assignment({})), maker.waiting_pod("w-1", "w", 1, 30)]
    links = [link(pod["metadata"]["annotations"]) for pod in made]
    expected = [invitation.credential_for("u1", pod["metadata"]["name"]) if invitation else "" for pod in made]
    assert links == expected
    assert link(maker.assignment("w-1", "w", 1, 0, {})) == links[2], "who reads only this still has it"
