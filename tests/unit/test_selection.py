"""Op selection: every clause form, every refusal, and a brute-force evaluation to compare with."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, OutputRef
from podgraph.planning.model.limits import MAX_OPS
from podgraph.selection import Clause, parse_clause, select, split_clauses

ALLOWED = "; allowed are name, *name, name*, a '+' for each hop on either side (++name, name+), graph.name, or just *"
steady = settings(deadline=None, derandomize=True, max_examples=150)


def job(**upstream: str) -> Graph:
    """Build a graph from `op="its upstream ops"`; `__` in a name is the dot of a path."""
    ops = [Op(name.replace("__", "."), after=tuple(ups.split())) for name, ups in upstream.items()]
    return Graph.of("j", ops)


def refusal(graph: Graph, clauses: object) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        select(graph, clauses)  # type: ignore[arg-type]
    return caught.value.reason, caught.value.message


SEED = job(return_one="", add_two="return_one", multi_three="add_two")

# a1 -> a2 -> a3 -> some_op -> b1 -> b2 -> b3 -> b4, with `side` beside it all and `in2` -> b2 as a second way in.
LINE = job(a1="", a2="a1", a3="a2", some_op="a3", in2="", b1="some_op", b2="b1 in2", b3="b2", b4="b3", side="")

# root -> src.one -> src.deep.x -> src.deep.y -> src.two -> mid.m -> src.three ; root -> far
NEST = job(
    root="",
    src__one="root",
    src__deep__x="src.one",
    src__deep__y="src.deep.x",
    src__two="src.deep.y",
    mid__m="src.two",
    mid__n="",
    src__three="mid.m",
    far="root",
)


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        ("some_op", "some_op"),
        ("*some_op", "a1 a2 a3 some_op"),
        ("some_op*", "some_op b1 b2 b3 b4"),
        ("*some_op*", "a1 a2 a3 some_op b1 b2 b3 b4"),
        ("+some_op", "a3 some_op"),
        ("++some_op", "a2 a3 some_op"),
        ("some_op+", "some_op b1"),
        ("some_op+++", "some_op b1 b2 b3"),
        ("+some_op+", "a3 some_op b1"),
        ("++some_op*", "a2 a3 some_op b1 b2 b3 b4"),
        ("*some_op++", "a1 a2 a3 some_op b1 b2"),
        ("*+some_op", "a1 a2 a3 some_op"),
        ("*++some_op+*", "a1 a2 a3 some_op b1 b2 b3 b4"),
        ("some_op+++++++++++++++", "some_op b1 b2 b3 b4"),
        ("+b2", "in2 b1 b2"),
        ("*side*", "side"),
        ("some_op side", "some_op side"),
        ("side some_op side", "some_op side"),
        ("+some_op b4 in2", "in2 a3 some_op b4"),
        ("some_op+ *some_op+++", "a1 a2 a3 some_op b1 b2 b3"),
        ("b1+ some_op+++", "some_op b1 b2 b3"),
        ("*", "a1 a2 a3 some_op b1 in2 b2 b3 b4 side"),
        ("* side", "a1 a2 a3 some_op b1 in2 b2 b3 b4 side"),
        ("side *", "a1 a2 a3 some_op b1 in2 b2 b3 b4 side"),
    ],
)
def test_clause_forms(clauses: str, expected: str) -> None:
    chosen = select(LINE, clauses.split())
    assert sorted(chosen) == sorted(expected.split())
    assert chosen == tuple(name for name in LINE.order if name in chosen)


def test_the_seed_job() -> None:
    assert select(SEED, ["*add_two"]) == ("return_one", "add_two")
    assert select(SEED, ["add_two*"]) == ("add_two", "multi_three")
    assert select(SEED, ["multi_three", "return_one"]) == ("return_one", "multi_three")


def test_no_clauses_select_everything() -> None:
    assert select(SEED, []) == select(SEED, ()) == select(SEED, ["*"]) == SEED.order


@pytest.mark.parametrize("text", [" *add_two", "*add_two\n", "\t*add_two "])
def test_white_space_around_a_clause_does_not_count(text: str) -> None:
    assert select(SEED, [text]) == ("return_one", "add_two")


@pytest.mark.parametrize("text", [" * ", "*\n"])
def test_white_space_around_a_lone_star_does_not_count(text: str) -> None:
    assert select(SEED, [text, "add_two"]) == SEED.order


def test_every_kind_of_edge_counts() -> None:
    graph = Graph.of(
        "j",
        [
            *(Op(name) for name in "abcd"),
            Op(
                "e",
                (
                    Input("value", (OutputRef("a"),)),
                    Input("many", (OutputRef("b"), OutputRef("c")), fan_in=True),
                    Input("wait", (OutputRef("d"),), ordering=True),
                ),
            ),
            Op("f", after=("e",)),
        ],
    )
    assert select(graph, ["++f"]) == ("a", "b", "c", "d", "e", "f")
    assert select(graph, ["c*"]) == ("c", "e", "f")


@pytest.mark.parametrize(
    ("clauses", "expected"),
    [
        ("src.one", "src.one"),
        ("src", "src.one src.two src.three src.deep.x src.deep.y"),
        ("src.deep", "src.deep.x src.deep.y"),
        ("src.deep.x", "src.deep.x"),
        # src is open: src.deep is one node and one hop, everything outside of src is top level
        ("src.one+", "src.one src.deep.x src.deep.y"),
        ("src.one++", "src.one src.deep.x src.deep.y src.two"),
        ("src.one+++", "src.one src.deep.x src.deep.y src.two mid.m mid.n"),
        ("src.one*", "src.one src.deep.x src.deep.y src.two mid.m mid.n src.three"),
        ("+src.one", "root src.one"),
        ("src.+one", "root src.one"),
        ("src.*two", "root src.one src.deep.x src.deep.y src.two"),
        ("*src.two", "root src.one src.deep.x src.deep.y src.two"),
        ("src.+two", "src.deep.x src.deep.y src.two"),
        ("src.+two+", "src.deep.x src.deep.y src.two mid.m mid.n"),
        ("+src.three", "mid.m mid.n src.three"),
        # a graph inside a graph, as a whole and opened too
        ("src.deep+", "src.deep.x src.deep.y src.two"),
        ("src.+deep", "src.one src.deep.x src.deep.y"),
        ("+src.deep.y", "src.deep.x src.deep.y"),
        ("src.deep.++y", "src.one src.deep.x src.deep.y"),
        ("src.deep.x++", "src.deep.x src.deep.y src.two"),
        # a top-level clause opens nothing: src is one hop
        ("root+", "root far src.one src.two src.three src.deep.x src.deep.y"),
        ("root++", "root far src.one src.two src.three src.deep.x src.deep.y mid.m mid.n"),
        ("src+", "src.one src.two src.three src.deep.x src.deep.y mid.m mid.n"),
        ("+src", "root mid.m mid.n src.one src.two src.three src.deep.x src.deep.y"),
        ("*mid", "root mid.m mid.n src.one src.two src.three src.deep.x src.deep.y"),
        # mid is open: m alone, but its upstream src comes whole
        ("+mid.m", "mid.m src.one src.two src.three src.deep.x src.deep.y"),
        ("*mid.n*", "mid.n"),
        ("far src.deep.x", "far src.deep.x"),
        # clauses of different levels each keep their own view
        ("src.one+ +mid.n", "src.one src.deep.x src.deep.y mid.n"),
        ("+src.one +far", "root src.one far"),
    ],
)
def test_nested_paths(clauses: str, expected: str) -> None:
    assert sorted(select(NEST, clauses.split())) == sorted(expected.split())


def test_names_that_begin_alike_are_different() -> None:
    graph = job(a="", ab="a", a_b="ab", src__x="a", src2__x="ab", srcx="")
    assert select(graph, ["a"]) == ("a",)
    assert select(graph, ["src"]) == ("src.x",)
    assert select(graph, ["+src2.x"]) == ("ab", "src2.x")


def test_parsed_clauses() -> None:
    assert parse_clause(" ++src.a-b* ") == Clause(text="++src.a-b*", name="src.a-b", up=2, down=None)
    assert parse_clause("src.*+a") == Clause(text="src.*+a", name="src.a", up=None, down=0)
    assert parse_clause("a") == Clause("a", "a", 0, 0)
    assert parse_clause(" * ") == Clause("*", "*")


PLACES = "has operators before its path and before its last part; only one of the two is allowed"
INSIDE = "has operators inside its path; only the last part may have its own"
NO_NAME = "has operators but no name"
TWICE = "repeats '*', but one '*' already means all"
ORDER = "has its operators in the wrong order, and '*' already means all"
COUNT = "counts hops with a number, but every '+' is one hop (and '*' means all)"
SPACE = "contains a space or a comma; write one clause per op, with its operators next to its name"
COLON = "contains ':', but a clause has only a name"
NO_LAST = "has no name after its last '.'; the name of a graph alone means all its ops"
OTHER = (
    "is not a valid name; names contain letters, digits, '_' and '-', with '.' after a graph, and do not start with "
    "a digit"
)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("**a", f"{TWICE}; write '*a'"),
        ("a**", f"{TWICE}; write 'a*'"),
        ("src.**a", f"{TWICE}; write 'src.*a'"),
        ("a*+", f"{ORDER}; write 'a*'"),
        ("a+*+", f"{ORDER}; write 'a*'"),
        ("+*a", f"{ORDER}; write '*a'"),
        ("*+*a", f"{ORDER}; write '*a'"),
        ("src.+*a", f"{ORDER}; write 'src.*a'"),
        ("+*a*+", f"{ORDER}; write '*a*'"),
        ("2+a", f"{COUNT}; write '++a'"),
        ("a+1", f"{COUNT}; write 'a+'"),
        ("2+a+3", f"{COUNT}; write '++a+++'"),
        ("2+a+", f"{COUNT}; write '++a+'"),
        ("0+a", f"{COUNT}; write 'a'"),
        ("12+a", COUNT),
        ("a b", SPACE),
        ("a and b", SPACE),
        ("a, b", SPACE),
        ("* a", f"{SPACE}; write '*a'"),
        ("a  +", f"{SPACE}; write 'a+'"),
        ("name:x", f"{COLON}; write 'x'"),
        ('name: "x"', f"{COLON}; write 'x'"),
        ('+name:"x2"+', f"{COLON}; write '*x2*'"),
        ("2+name:x", f"{COLON}; write '++x'"),
        ("tag:x", COLON),
        ("**", f"{NO_NAME}; write '*'"),
        ("*+", f"{NO_NAME}; write '*'"),
        ("+", NO_NAME),
        ("src.*", f"{NO_LAST}; write 'src'"),
        ("+src.*", f"{NO_LAST}; write '+src'"),
        ("src.+", NO_LAST),
        ("*src.*a", PLACES),
        ("+src.deep.+a", PLACES),
        ("src.*deep.a", INSIDE),
        ("src*.a", INSIDE),
        ("'a'", f"{OTHER}; write 'a'"),
        ("2a", OTHER),
        ("-a", OTHER),
        ("a[1]", OTHER),
        ("a/b", OTHER),
        ("a+b", OTHER),
        ("\u00e9", OTHER),
        ("src.", OTHER),
        (".a", OTHER),
        ("a..b", OTHER),
        ("", "is empty"),
    ],
)
def test_a_clause_that_does_not_parse(text: str, why: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        parse_clause(f" {text} ")
    assert caught.value.reason == "InvalidSelection"
    assert caught.value.message == f"selection clause {text!r} {why}{ALLOWED}"


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("ad_two", "; did you mean 'add_two'?"),
        ("*ADD_TWO+", "; did you mean 'add_two'?"),
        ("Return_one", "; did you mean 'return_one'?"),
        ("zzz", "; there are: return_one, add_two, multi_three"),
        ("add_two.x", "; did you mean 'add_two'?"),
        ("\u2028zzz ", "; there are: return_one, add_two, multi_three"),
    ],
)
def test_a_clause_that_names_nothing(text: str, hint: str) -> None:
    expected = f"selection clause {text!r} names no op or graph of the job{hint}"
    assert refusal(SEED, ["return_one", text, "**also bad"]) == ("UnknownOp", expected)


def test_a_graph_or_the_whole_path_is_offered() -> None:
    assert refusal(NEST, ["*x"])[1].endswith("; did you mean 'src.deep.x'?")
    assert refusal(NEST, ["srcc"])[1].endswith("; did you mean 'src'?")
    assert refusal(NEST, ["src.dep"])[1].endswith("; did you mean 'src.deep'?")


@pytest.mark.parametrize("bad", ["a*+", "nope", "", 3, None])
def test_one_bad_clause_refuses_the_whole_selection(bad: object) -> None:
    for clauses in ([bad, "*"], ["*", bad], ["some_op", bad, "side"]):
        assert refusal(LINE, clauses)[0] == ("UnknownOp" if bad == "nope" else "InvalidSelection")


def test_what_is_no_list_of_texts() -> None:
    assert refusal(SEED, ["add_two", " "]) == ("InvalidSelection", "selection clause 2 is empty" + ALLOWED)
    assert refusal(SEED, ["add_two", 3]) == ("InvalidSelection", "selection clause 2 is not a string" + ALLOWED)
    text = "the selection '*add_two' is a string; pass a list of clauses" + ALLOWED
    assert refusal(SEED, "*add_two") == ("InvalidSelection", text)


@pytest.mark.parametrize(
    "text", ["x" * 100_000, "x" * 100_000 + "!", "+" * 100_000 + "!", "a." * 50_000, ".+" * 50_000]
)
def test_messages_stay_short(text: str) -> None:
    message = refusal(SEED, [text])[1]
    assert repr(text[:57] + "...") in message
    assert len(message) < 500


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("", []),
        (" \n", []),
        ("a", ["a"]),
        ("*a, b+ ,\tc", ["*a", "b+", "c"]),
        ("a b", ["a b"]),
    ],
)
def test_splitting_a_command_line(text: str, clauses: list[str]) -> None:
    assert split_clauses(text) == clauses


@pytest.mark.parametrize(("text", "at"), [("a,,b", "2 of 3"), ("a,", "2 of 2"), (", a", "1 of 2"), (",", "1 of 2")])
def test_splitting_refuses_an_empty_clause(text: str, at: str) -> None:
    with pytest.raises(DefinitionError) as caught:
        split_clauses(text)
    assert caught.value.reason == "InvalidSelection"
    assert caught.value.message == f"clause {at} in the selection {text!r} is empty; leave out its comma{ALLOWED}"


def test_a_large_graph_with_many_clauses() -> None:
    names = [f"g{i // 50}.o{i}" if i % 2 else f"o{i}" for i in range(MAX_OPS)]
    named = [(name, names[max(0, i - 3) : i]) for i, name in enumerate(names)]
    graph = Graph.of("j", [Op(name, after=tuple(up)) for name, up in named])
    assert select(graph, [f"*{name}*" for name in names[::5]]) == graph.order
    assert set(select(graph, names[:1000])) == set(names[:1000])


# --- properties ---------------------------------------------------------------------------------------------------

PLACES_FOR_OPS = ["", "", "g.", "g.", "h.", "g.k.", "g.k.n.", "h.k."]


@dataclass(frozen=True)
class Wanted:
    """A clause as its parts, before it becomes text: None hops are without limit."""

    name: str
    up: int | None
    down: int | None
    inner: bool

    @property
    def text(self) -> str:
        up = "*" if self.up is None else "+" * self.up
        down = "*" if self.down is None else "+" * self.down
        path, dot, last = self.name.rpartition(".")
        return f"{path}{dot}{up}{last}{down}" if self.inner else f"{up}{self.name}{down}"


def prefixes(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 9))
    names = [draw(st.sampled_from(PLACES_FOR_OPS)) + f"o{i}" for i in range(count)]
    ops = []
    for i, name in enumerate(names):
        ups = draw(st.lists(st.sampled_from(names[:i]), unique=True, max_size=3)) if i else []
        if draw(st.booleans()):
            ops.append(Op(name, after=tuple(ups)))
        else:
            ops.append(Op(name, (Input("many", tuple(OutputRef(up) for up in ups), fan_in=True),)))
    return Graph.of("j", draw(st.permutations(ops)))


def hops() -> st.SearchStrategy[int | None]:
    return st.one_of(st.none(), st.integers(0, 4))


@st.composite
def wanted(draw: st.DrawFn, graph: Graph) -> Wanted:
    known = sorted({prefix for name in graph.ops for prefix in prefixes(name)})
    return Wanted(draw(st.sampled_from(known)), draw(hops()), draw(hops()), draw(st.booleans()))


@st.composite
def cases(draw: st.DrawFn, most: int = 4) -> tuple[Graph, list[Wanted]]:
    graph = draw(graphs())
    return graph, draw(st.lists(wanted(graph), min_size=1, max_size=most))


def brute(graph: Graph, want: Wanted) -> set[str]:
    """Evaluate one clause with powers of the adjacency matrix of what the clause sees."""
    opened = set(prefixes(want.name)[:-1])
    sees = {op: next(p for p in prefixes(op) if p not in opened) for op in graph.ops}
    nodes = sorted(set(sees.values()))
    size = len(nodes)
    up = [[False] * size for _ in nodes]
    for op, ups in graph.upstream.items():
        for other in ups:
            up[nodes.index(sees[op])][nodes.index(sees[other])] = True

    def row(matrix: list[list[bool]], hops: int) -> set[str]:
        power = [[i == j for j in range(size)] for i in range(size)]
        step = [[matrix[i][j] or i == j for j in range(size)] for i in range(size)]
        for _ in range(hops):
            power = [[any(power[i][k] and step[k][j] for k in range(size)) for j in range(size)] for i in range(size)]
        return {nodes[j] for j in range(size) if power[nodes.index(want.name)][j]}

    down = [[up[j][i] for j in range(size)] for i in range(size)]
    far = row(up, size if want.up is None else want.up) | row(down, size if want.down is None else want.down)
    return {op for op in graph.ops if sees[op] in far}


@steady
@given(cases())
def test_the_selection_is_what_brute_force_finds(case: tuple[Graph, list[Wanted]]) -> None:
    graph, wants = case
    chosen = select(graph, [want.text for want in wants])
    assert set(chosen) == set().union(*(brute(graph, want) for want in wants))
    assert chosen == tuple(name for name in graph.order if name in set(chosen))


@steady
@given(cases(), st.data())
def test_union_order_and_repetition(case: tuple[Graph, list[Wanted]], data: st.DataObject) -> None:
    graph, wants = case
    texts = [want.text for want in wants]
    chosen = select(graph, texts)
    assert set(chosen) == {name for text in texts for name in select(graph, [text])}
    assert select(graph, data.draw(st.permutations(texts + texts[:2]))) == chosen
    assert select(graph, chosen) == chosen
    assert select(graph, [*texts, "*"]) == graph.order
    assert split_clauses(" , ".join(texts)) == texts


@steady
@given(cases())
def test_the_result_is_in_run_order(case: tuple[Graph, list[Wanted]]) -> None:
    graph, wants = case
    chosen = select(graph, [want.text for want in wants])
    assert len(set(chosen)) == len(chosen)
    for at, name in enumerate(chosen):
        assert not set(graph.upstream[name]) & set(chosen[at:])


@steady
@given(cases(most=1))
def test_both_sides_are_the_union_of_each(case: tuple[Graph, list[Wanted]]) -> None:
    graph, [want] = case
    name = want.name
    up, down = set(select(graph, [f"*{name}"])), set(select(graph, [f"{name}*"]))
    assert set(select(graph, [f"*{name}*"])) == up | down
    assert up & down >= set(select(graph, [name]))
    steps = [set(select(graph, ["+" * hops + name])) for hops in range(11)]
    assert all(steps[hops] <= steps[hops + 1] for hops in range(10))
    assert steps[-1] == up


@steady
@given(st.text(alphabet="ab.*+_-1 ,:'\n[/", max_size=9))
def test_any_text_is_a_clause_or_a_clean_refusal(text: str) -> None:
    form = r"\s*(\*|\*?\+*[ab_][ab1_-]*(\.[ab_][ab1_-]*)*\+*\*?|([ab_][ab1_-]*\.)+\*?\+*[ab_][ab1_-]*\+*\*?)\s*"
    if re.fullmatch(form, text):
        clause = parse_clause(text)
        assert clause.text == text.strip()
        assert clause.name == (clause.text.replace("*", "").replace("+", "") or "*")
        return
    with pytest.raises(DefinitionError) as caught:
        parse_clause(text)
    assert caught.value.reason == "InvalidSelection"
    assert caught.value.message.endswith(ALLOWED)
    advice = re.search(r"; write '(.*?)'; allowed", caught.value.message)
    if advice:
        parse_clause(advice[1])
