"""What a connection to the operator says before it is known."""

from __future__ import annotations

from hypothesis import given

from fuzz.bounds import bounded, fuzzed, long_texts, texts
from podgraph.planning.manifests.link_token import LinkIssuer

OURS = LinkIssuer("10.0.0.1:7443", "f00d")


@fuzzed
@given(texts | long_texts())
def test_any_words(text: str) -> None:
    with bounded():
        assert OURS.verify(text, lambda uid: b"key") is None
