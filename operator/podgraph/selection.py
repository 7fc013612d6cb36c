"""Op selection: converts a list of clauses such as `["*add_two", "load+"]` to the set of ops to run.

A clause is the name of an op or a graph with operators, as in Dagster's `op_selection`:

- `add` is the op itself, `src.add` the op `add` in the graph `src`, and `src` all ops of that graph;
- `*add` adds all ancestors, `add*` all descendants, each `+` one more hop: `++add` adds parents and grandparents;
- `*` alone is all ops. The selection is the union of its clauses; one invalid clause makes it invalid.

Operators precede a whole path or its last part (`*src.add` and `src.*add` are the same). Hops are counted at the level
of the clause: the graphs on its path are open, so each of their ops is a node, and every other graph is one node, one
hop long, whose ops are all selected.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import Graph

__all__ = ["Clause", "parse_clause", "select", "split_clauses"]

_Lists = Mapping[str, Sequence[str]]
_PART = r"[A-Za-z_][A-Za-z0-9_-]*"
_CLAUSE = re.compile(rf"([*+]*)(?:((?:{_PART}\.)+)([*+]*))?({_PART})([*+]*)")
_UP, _DOWN = re.compile(r"\*?\+*"), re.compile(r"\+*\*?")
_ALLOWED = "; allowed are name, *name, name*, a '+' for each hop on either side (++name, name+), graph.name, or just *"
_SLIPS = [
    ("^$", "is empty"),
    (":", "contains ':', but a clause has only a name"),
    (r"[\s,]", "contains a space or a comma; write one clause per op, with its operators next to its name"),
    (r"^\d+\+|\+\d+$", "counts hops with a number, but every '+' is one hop (and '*' means all)"),
    (r"^[*+]+$", "has operators but no name"),
    (r"\.[*+]+$", "has no name after its last '.'; the name of a graph alone means all its ops"),
    (r"[*+]\.|\.[*+]+[^*+.]+\.", "has operators inside its path; only the last part may have its own"),
    (r"^[*+][^*+]*\.[*+]", "has operators before its path and before its last part; only one of the two is allowed"),
    (r"\*\*", "repeats '*', but one '*' already means all"),
    (r"\+\*+[^*+]|\*\+(?![^*+])", "has its operators in the wrong order, and '*' already means all"),
]
_OTHER = (
    "is not a valid name; names contain letters, digits, '_' and '-', with '.' after a graph, and do not start with "
    "a digit"
)


@dataclass(frozen=True)
class Clause:
    """One parsed clause: the number of hops `up` and `down` from `name`; 0 is none, None is unlimited.

    `name` is the path without operators, or `*` for all ops.
    """

    text: str
    name: str
    up: int | None = 0
    down: int | None = 0


def parse_clause(text: str) -> Clause:
    """Parse one clause; whitespace around it is ignored. Raises DefinitionError (`InvalidSelection`).

    >>> parse_clause("*add_two+")
    Clause(text='*add_two+', name='add_two', up=None, down=1)
    >>> parse_clause("src.++add").name
    'src.add'
    """
    text = text.strip()
    if clause := _parsed(text):
        return clause
    why = next((why for slip, why in _SLIPS if re.search(slip, text)), _OTHER)
    fixed = _rewritten(text) if len(text) <= 200 else ""
    raise _invalid(f"selection clause {_shown(text)} {why}" + (f"; write {fixed!r}" if fixed else ""))


def split_clauses(text: str) -> list[str]:
    """Split an argument of the command line into clauses at its commas. A blank argument has no clauses: all ops.

    >>> split_clauses("*add_two, load+")
    ['*add_two', 'load+']
    >>> split_clauses(" ")
    []
    """
    clauses = [clause.strip() for clause in text.split(",")] if text.strip() else []
    if "" in clauses:
        at = clauses.index("") + 1
        raise _invalid(f"clause {at} of {len(clauses)} in the selection {_shown(text)} is empty; leave out its comma")
    return clauses


def select(graph: Graph, clauses: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the ops that `clauses` select, in run order; no clauses select all ops.

    Raises DefinitionError for the first invalid clause: `InvalidSelection` if it cannot be parsed, `UnknownOp` if its
    name does not exist.

    >>> from podgraph.definition.graph import Op
    >>> g = Graph.of("j", [Op("one"), Op("two", after=("one",)), Op("x.three", after=("two",)), Op("x.four")])
    >>> select(g, ["two+"])
    ('two', 'x.three', 'x.four')
    >>> select(g, ["x.*three"])
    ('one', 'two', 'x.three')
    """
    if isinstance(clauses, str):
        raise _invalid(f"the selection {_shown(clauses)} is a string; pass a list of clauses")
    if not clauses:
        return graph.order
    members = _members(graph)
    everything = len(graph.ops)  # more hops than any path can have
    walks: dict[str, tuple[dict[str, int], dict[str, int]]] = {}  # by the graph of a clause: hops up, hops down
    chosen: set[str] = set()
    for number, text in enumerate(clauses, 1):
        if not isinstance(text, str) or not text.strip():
            raise _invalid(f"selection clause {number} is {'empty' if isinstance(text, str) else 'not a string'}")
        clause = parse_clause(text)
        if clause.name == "*":
            chosen.update(graph.ops)
            continue
        if clause.name not in members:
            inside = [path for path in members if path.endswith("." + clause.name)]
            hint = f"; did you mean {inside[0]!r}?" if inside else nearest(clause.name[:128], members)
            raise DefinitionError("UnknownOp", f"selection clause {_shown(text)} names no op or graph of the job{hint}")
        walk = walks.setdefault(clause.name.rpartition(".")[0], ({}, {}))
        for starts, hops in zip(walk, (clause.up, clause.down)):
            most = everything if hops is None else min(hops, everything)
            starts[clause.name] = max(starts.get(clause.name, 0), most)
    top = {name: name.partition(".")[0] for name in graph.ops}
    for parent, (up, down) in walks.items():
        nodes = {**top, **{op: _node(op, parent) for op in members.get(parent.partition(".")[0], ())}}
        for starts, edges in ((up, graph.upstream), (down, graph.downstream)):
            for node in _reach(starts, edges, members, nodes):
                chosen.update(members[node])
    return tuple(name for name in graph.order if name in chosen)


def _reach(starts: Mapping[str, int], edges: _Lists, members: _Lists, nodes: Mapping[str, str]) -> set[str]:
    """Return the nodes within the hops of each start; `nodes` maps each op to its node.

    All starts advance together, those with the most hops left first, so each node is expanded only once.
    """
    queue = sorted((hops, name) for name, hops in starts.items())
    done, reached, left = set[str](), set[str](), 0
    while queue or reached:
        left = left if reached else queue[-1][0]
        while queue and queue[-1][0] == left:
            reached.add(queue.pop()[1])
        reached -= done
        done |= reached
        reached = {nodes[far] for near in reached for op in members[near] for far in edges[op]} if left else set()
        left -= 1
    return done


def _node(op: str, parent: str) -> str:
    """Return the node of `op` as seen from inside `parent`: its shortest prefix that is not an open graph."""
    parts, opened = op.split("."), parent.split(".")
    same = next((at for at, pair in enumerate(zip(parts, opened)) if pair[0] != pair[1]), len(opened))
    return ".".join(parts[: same + 1])


def _members(graph: Graph) -> dict[str, list[str]]:
    """Return the ops of each op and graph, by path."""
    members: dict[str, list[str]] = {}
    for name in graph.ops:
        end = len(name)
        while end > 0:
            members.setdefault(name[:end], []).append(name)
            end = name.rfind(".", 0, end)
    return members


def _parsed(text: str) -> Clause | None:
    found = _CLAUSE.fullmatch(text)
    if text == "*" or not found:
        return Clause(text, text) if text == "*" else None
    front, path, inner, last, down = found.groups(default="")
    up = front or inner
    if (front and inner) or not (_UP.fullmatch(up) and _DOWN.fullmatch(down)):
        return None
    return Clause(text, path + last, None if "*" in up else len(up), None if "*" in down else len(down))


def _rewritten(text: str) -> str:
    """Return the clause that a mistake most likely means, "" if there is none."""
    if ":" in text:  # Dagster's newer filter, where a bare '+' means all
        text = re.sub(r"^\+|\+$", "*", text)
    text = re.sub(r"\bname:\s*|[\"']", "", text)
    text = re.sub(r"(?<=[*+])\s+|\s+(?=[*+])", "", text)
    text = re.sub(r"^\d\+|\+\d$", lambda found: "+" * int(found[0].strip("+")), text)
    text = re.sub(r"[*+]*\*[*+]*", "*", re.sub(r"\.\*$", "", text))
    return text if _parsed(text) else ""


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _invalid(message: str) -> DefinitionError:
    return DefinitionError("InvalidSelection", message + _ALLOWED)
