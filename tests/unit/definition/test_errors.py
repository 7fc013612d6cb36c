"""The one error of definitions, and its hint at the nearest name."""

from __future__ import annotations

import random
import time

import pytest

from podgraph.definition.errors import DefinitionError, nearest


def test_the_error_has_a_reason_and_a_message() -> None:
    error = DefinitionError("UnknownOp", "no op is named 'x'")
    assert (error.reason, error.message, str(error)) == ("UnknownOp", "no op is named 'x'", "no op is named 'x'")


@pytest.mark.parametrize(
    ("name", "known", "hint"),
    [
        ("ad_two", ["add_two", "return_one"], "; did you mean 'add_two'?"),
        ("ADD", ["sub", "add"], "; did you mean 'add'?"),
        ("x", [], "; there are none"),
        ("", ["a"], "; there are: a"),
        ("zzz", ["a", "b"], "; there are: a, b"),
        ("zzz", list("abcdefgh"), "; there are: a, b, c, d, e, f, g, h"),
        ("zzz", list("abcdefghij"), "; there are: a, b, c, d, e, f, g, h and 2 more"),
    ],
)
def test_hints(name: str, known: list[str], hint: str) -> None:
    assert nearest(name, known) == nearest(name, iter(known)) == nearest(name, dict.fromkeys(known)) == hint


def test_a_slip_is_found_among_thousands() -> None:
    rng = random.Random(1)
    words = ["load", "clean", "merge", "report", "train", "score"]
    known = [f"{rng.choice(words)}_{rng.choice(words)}_{i:04}" for i in range(5_000)]
    for right in rng.sample(known, 10):
        at = rng.randrange(1, len(right) - 1)
        for wrong in (right[:at] + right[at + 1 :], f"{right[:at]}x{right[at:]}", f"{right[:at]}x{right[at + 1 :]}"):
            if wrong not in known:
                assert nearest(wrong, known).startswith("; did you mean ")
    right = "a_name_unlike_all_others"
    swapped = "a_name_unliek_all_others"
    assert nearest(swapped, [*known, right]) == f"; did you mean {right!r}?"
    assert nearest(right.upper(), [*known, right]) == f"; did you mean {right!r}?"


@pytest.mark.parametrize("filler", ["x" * 123, "ab" * 61 + "c", "abcdefghij_" * 11 + "ab"])
@pytest.mark.parametrize("miss", ["", "y", "-" * 128, "x" * 123, "x" * 100_000])
def test_many_long_names_that_are_alike_are_compared_fast(filler: str, miss: str) -> None:
    known = [filler + f"{i:05}" for i in range(5_000)]
    start = time.process_time()
    assert nearest(miss or filler + "00x42", known)
    assert time.process_time() - start < 1  # of this process alone; all of them with difflib: half a minute
