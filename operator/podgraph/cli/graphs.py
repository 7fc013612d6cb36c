"""Text and Mermaid output of a job's graph."""

from __future__ import annotations

from podgraph.definition.graph import Graph, Op

__all__ = ["mermaid", "print_tree"]


def print_tree(graph: Graph) -> None:
    """Print the graph: one line per op, indented under its graphs, with its inputs, outputs and dependencies."""
    from rich.text import Text
    from rich.tree import Tree

    from podgraph.cli.tree import full_width

    tree = Tree(Text.assemble((graph.name, "bold"), (f"  {len(graph.ops)} ops", "dim")))
    branches: dict[str, Tree] = {"": tree}
    for name in graph.order:
        parent = ""
        *graphs, last = name.split(".")
        for part in graphs:
            inner = f"{parent}{part}."
            if inner not in branches:
                branches[inner] = branches[parent].add(Text(part, "bold"))
            parent = inner
        line = Text.assemble((last, "cyan"), _signature(graph.ops[name]))
        if graph.upstream[name]:
            line.append(f" ← {', '.join(graph.upstream[name])}", "dim")
        branches[parent].add(line)
    full_width().print(tree)


def mermaid(graph: Graph) -> str:
    """Return the graph as a Mermaid flowchart, nested graphs as subgraphs; edges carry the names of the inputs.

    >>> from podgraph.definition.graph import Input, Op, OutputRef
    >>> print(mermaid(Graph.of("j", [Op("a"), Op("b", (Input("x", (OutputRef("a"),)),))])))
    flowchart TD
      n0["a"]
      n1["b"]
      n0 -->|x| n1
    """
    ids = {name: f"n{at}" for at, name in enumerate(graph.ops)}
    lines = ["flowchart TD"]
    opened: list[str] = []
    for name in sorted(graph.ops, key=lambda path: path.split(".")[:-1]):
        *graphs, last = name.split(".")
        same = next((at for at, pair in enumerate(zip(opened, graphs, strict=False)) if pair[0] != pair[1]), None)
        keep = min(len(opened), len(graphs)) if same is None else same
        while len(opened) > keep:
            opened.pop()
            lines.append(f"{'  ' * (len(opened) + 1)}end")
        for part in graphs[keep:]:
            path = ".".join([*opened, part])
            lines.append(f'{"  " * (len(opened) + 1)}subgraph g_{path.replace(".", "__")}["{part}"]')
            opened.append(part)
        lines.append(f'{"  " * (len(opened) + 1)}{ids[name]}["{last}"]')
    while opened:
        opened.pop()
        lines.append(f"{'  ' * (len(opened) + 1)}end")
    for name, op in graph.ops.items():
        for item in op.inputs:
            for ref in item.sources:
                arrow = f"-.->|{item.name}|" if item.ordering else f"-->|{item.name}|"
                lines.append(f"  {ids[ref.op]} {arrow} {ids[name]}")
        lines += [f"  {ids[up]} -.-> {ids[name]}" for up in op.after]
    return "\n".join(lines)


def _signature(op: Op) -> str:
    inputs = ", ".join(f"{i.name}: {i.type}" for i in op.inputs)
    outputs = ", ".join(o.name + ("" if o.required else "?") for o in op.outputs)
    return f"({inputs}) → {outputs}" if outputs else f"({inputs})"
