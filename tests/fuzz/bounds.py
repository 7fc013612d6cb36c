"""What every target is held to, and the inputs of the corpus."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

_CORPUS = Path(__file__).parent / "corpus"
_MANY = os.environ.get("PODGRAPH_FUZZ", "")
_SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]

SECONDS = 2.0
"""Of CPU, for any one input: what is not bounded takes minutes."""
LONGEST = 100_000
"""Characters of a message."""

fuzzed: Callable[[Any], Any] = settings(
    max_examples=int(_MANY or 60), derandomize=not _MANY, deadline=None, suppress_health_check=_SLOW, print_blob=True
)
"""How many examples: a few in each run of the tests, the same each time; PODGRAPH_FUZZ=10000 tries so many others."""

texts = st.text(max_size=200) | st.text("{}*+.: \t\n[]'\"$@/-_ab01", max_size=400)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=10), inner, max_size=5),
    max_leaves=30,
)


@st.composite
def long_texts(draw: st.DrawFn) -> str:
    """Texts in which short pieces come very often: what a backtracking reader is slow at."""
    pieces = draw(st.lists(st.tuples(texts, st.sampled_from([1, 2, 100, 3_000])), min_size=1, max_size=3))
    return "".join(piece[:10] * times for piece, times in pieces)


@contextlib.contextmanager
def bounded(*documented: type[Exception], seconds: float = SECONDS) -> Iterator[None]:
    """Hold what is done to its time and to the errors that are documented, with messages of a bounded length."""
    start, message = time.process_time(), ""
    try:
        yield
    except documented as error:
        message = str(error)
    assert len(message) < LONGEST, "the message is too long"
    assert time.process_time() - start < seconds, "it took too long"


def corpus(target: str) -> list[str]:
    """Return the texts of the corpus for a target."""
    found = [path.read_text() for path in sorted((_CORPUS / target).iterdir())]
    assert found
    return found
