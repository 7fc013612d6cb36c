"""Op selection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fuzz.bounds import bounded, fuzzed, long_texts, texts
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Op
from podgraph.selection import parse_clause, select, split_clauses

GRAPH = Graph.of("j", [Op("a"), Op("b", after=("a",)), Op("g.c", after=("b",)), Op("g.h.d", after=("g.c",))])
CHAIN = Graph.of("j", [Op(f"o{at}", after=(f"o{at - 1}",) if at else ()) for at in range(1_000)])
clauses = texts | st.text("abgcdh.*+", max_size=30)


@fuzzed
@given(st.lists(clauses, max_size=8))
def test_any_clauses(found: list[str]) -> None:
    with bounded(DefinitionError):
        assert set(select(GRAPH, found)) <= set(GRAPH.ops)


@fuzzed
@given(long_texts())
def test_long_texts(text: str) -> None:
    with bounded(DefinitionError):
        parse_clause(text)
    with bounded(DefinitionError):
        select(GRAPH, split_clauses(text))


def test_huge_lists_and_long_clauses() -> None:
    for text in (
        "*" * 100_000,
        "a." * 50_000 + "a",
        "+" * 50_000 + "o5" + "+" * 50_000,
        "a" * 100_000,
        "a-" * 50_000 + "!",
    ):
        with bounded(DefinitionError):
            select(CHAIN, [text])
    with bounded(DefinitionError):
        assert len(select(CHAIN, [f"++o{at % 1_000}+*" for at in range(100)] or [])) >= 0
    with bounded(DefinitionError):
        assert len(select(CHAIN, [f"*o{at % 1_000}*" for at in range(10_000)])) == 1_000
