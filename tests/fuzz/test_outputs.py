"""The file to which a container op writes its outputs: the kubelet passes on up to 4,096 bytes of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, fuzzed, long_texts, texts
from podgraph.definition.graph import Op, Output
from podgraph.planning.pods.outcome import container_outcome
from podgraph.planning.pods.state import Phase, PodState

OPS = [
    Op("none"),
    Op("one", outputs=(Output("result"),)),
    Op("two", outputs=(Output("n"), Output("a", required=False))),
]
written = st.text('anresult=1[]{}:,"\\\n ', max_size=200) | texts | long_texts()


@fuzzed
@given(written, st.sampled_from(OPS))
def test_any_file(text: str, op: Op) -> None:
    with bounded():
        outcome = container_outcome(op, PodState(Phase.ENDED, text=text))
        assert len(outcome.message) < 10_000
        assert outcome.reason or set(outcome.outputs) <= {output.name for output in op.outputs}


def test_depth() -> None:
    for text in ("[" * 4_000, '{"result":' * 400, "result=" + "[" * 2_000 + "]" * 2_000):
        with bounded():
            assert container_outcome(OPS[1], PodState(Phase.ENDED, text=text)).reason
