"""The keys of Jobs, and the Secrets that hold them."""

from __future__ import annotations

import base64
import json

import pytest

from podgraph.planning.manifests.keys import Keys, key_secret, script_tokens
from podgraph.planning.manifests.objects import JobRef
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.model import names
from podgraph.planning.model.spec import CodeSpec, ContainerSpec

KEYS = Keys(b"master")
JOB = JobRef("j", "team", "u1")
SHELL, OTHER = ContainerSpec("x", script="true"), ContainerSpec("x", script="#!/usr/bin/env python3\n1")
PLAIN = ContainerSpec("x", command=("true",))


def test_all_that_follows_from_a_key_is_another_for_each_job_and_each_use() -> None:
    derived = set()
    for master in (b"master", b"other"):
        for uid in ("u1", "u2"):
            key = Keys(master).of(uid)
            tokens = {key.token(op, attempt) for op in ("a", "b", "a1") for attempt in (1, 2, 11)}
            derived |= {key.pod.decode(), key.name, key.own.hex(), *tokens}
    assert len(derived) == 4 * (3 + 9)
    assert KEYS.of("u1") == Keys(b"master").of("u1"), "after a restart it is the same"


def test_no_key_is_shown_by_accident() -> None:
    shown = f"{KEYS} {KEYS.of('u1')} {Settings('i', 'r', keys=KEYS)}"
    assert "master" not in shown
    assert KEYS.of("u1").own.hex() not in shown


def test_the_secret_belongs_to_the_job_and_is_never_changed() -> None:
    made = key_secret(JOB, KEYS.of("u1"), python=True, tokens={"t-x-1": "word"})
    assert (made["kind"], made["type"], made["immutable"]) == ("Secret", "Opaque", True)
    assert [owner["uid"] for owner in made["metadata"]["ownerReferences"]] == ["u1"]
    found = {key: base64.b64decode(text).decode() for key, text in made["data"].items()}
    assert found == {"key": KEYS.of("u1").pod.decode(), "t-x-1": "word"}
    name = made["metadata"]["name"]
    assert name.startswith("j-key-")
    assert name != key_secret(JOB, Keys(b"other").of("u1"), python=True)["metadata"]["name"], "nobody can guess it"


def test_scripts_for_a_shell_have_tokens_for_their_first_attempts() -> None:
    key = KEYS.of("u1")
    found = script_tokens(key, {"a": SHELL, "b": OTHER, "c": PLAIN})
    assert found == {names.token_entry("a", number): key.token("a", number) for number in (1, 2, 3)}
    many = script_tokens(key, {f"op{at}": SHELL for at in range(1_001)})
    assert len(many) == 1_001
    assert len(json.dumps(many)) < 200_000


@pytest.mark.parametrize(("code", "containers", "entries"), [
    (CodeSpec("i", module="m"), {}, 1), (None, {"a": PLAIN, "b": OTHER}, None), (None, {"a": SHELL, "b": PLAIN}, 3),
])  # fmt: skip
def test_only_jobs_whose_pods_sign_have_one(
    code: CodeSpec | None, containers: dict[str, ContainerSpec], entries: int | None
) -> None:
    maker = PodFactory(JOB, Settings("d", "r", keys=KEYS), code)
    maker.containers = containers
    made = maker.key_secret()
    assert (len(made["data"]) if made is not None else None) == entries
    without = PodFactory(JOB, Settings("d", "r"), code)
    assert without.key_secret() is None
