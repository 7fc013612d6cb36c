"""Names and labels: valid for Kubernetes whatever the Job and its ops are called, and never the same twice."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.planning.model.names import (
    code_config_map,
    label_value,
    nonce,
    resolve_pod,
    runtime_config_map,
    step_pod,
)

steady = settings(deadline=None, derandomize=True, max_examples=200)

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?")

HOSTILE = [
    "a",
    "",
    "-",
    "---",
    "_",
    "_a_",
    ".",
    "a.b.c",
    "a" * 253,
    "-" * 253,
    "a." * 126 + "a",
    "a-" * 126 + "a",
    "\u00e9\u4e00\U0001f600",
    "\u0130\u212a",  # capital letters whose small ones are two, or ASCII
    "\u0665\u00b2",
    "A_B-C",
    "x" * 24 + "-" + "y" * 40,
    "a b\nc",
    "src.add_two",
    "src-add-two",
    "resolve",
    "code",
]
names = st.sampled_from(HOSTILE) | st.text(max_size=80)


@steady
@given(names, st.text(max_size=40), names, st.integers(1, 10_000))
def test_all_names_are_host_names(job: str, uid: str, op: str, attempt: int) -> None:
    made = [
        step_pod(job, uid, op, attempt),
        resolve_pod(job, uid),
        code_config_map(job, uid),
        runtime_config_map("0123456789abcdef" * 4),
    ]
    assert all(len(name) <= 63 and LABEL.fullmatch(name) for name in made)
    assert len(set(made)) == len(made)
    assert made[0] == step_pod(job, uid, op, attempt)


@pytest.mark.parametrize("job", HOSTILE)
def test_names_are_unique(job: str) -> None:
    made = [step_pod(job, uid, op, attempt) for uid in ("u", "v") for op in HOSTILE for attempt in (1, 2, 11)]
    made += [make(job, uid) for make in (resolve_pod, code_config_map) for uid in ("u", "v")]
    assert len(set(made)) == len(made)


def test_a_name_tells_what_it_is_for() -> None:
    assert re.fullmatch("arithmetic-src-add-two-[a-z2-7]{10}", step_pod("arithmetic", "0", "src.add_two", 1))
    assert re.fullmatch("arithmetic-resolve-[a-z2-7]{10}", resolve_pod("arithmetic", "0"))
    assert re.fullmatch("arithmetic-code-[a-z2-7]{10}", code_config_map("arithmetic", "0"))
    assert runtime_config_map("ab" * 32) == "podgraph-runtime-abababababab"
    long = step_pod("j" * 100, "0", "o" * 100, 1)
    assert re.fullmatch("j{26}-o{25}-[a-z2-7]{10}", long)
    assert len(long) == 63


@steady
@given(names | st.text("ab._-", max_size=80))
def test_label_values(text: str) -> None:
    value = label_value(text)
    assert value
    assert len(value) <= 63
    assert LABEL_VALUE.fullmatch(value)
    if text and len(text) <= 63 and LABEL_VALUE.fullmatch(text):
        assert value == text


def test_label_values_stay_apart() -> None:
    texts = list(dict.fromkeys([*HOSTILE, "a" * 63, "a" * 64, "a" * 65, "_add", "add_", "a\n"]))
    assert len({label_value(text) for text in texts}) == len(texts)
    assert label_value("a" * 63) == "a" * 63


def test_nonces() -> None:
    made = {nonce(uid, op, attempt) for uid in ("u", "v") for op in ("", "a", "b") for attempt in (1, 2)}
    assert len(made) == 12
    assert all(re.fullmatch("[a-z2-7]{16}", one) for one in made)
    assert nonce("u", "a", 1) not in step_pod("j", "u", "a", 1)
