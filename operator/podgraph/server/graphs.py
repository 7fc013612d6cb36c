"""A graph for the page: plain JSON, without the code it came from."""

from __future__ import annotations

import json
from typing import Any

from podgraph.definition.graph import Graph, Op
from podgraph.server.views import Graph as GraphView
from podgraph.server.views import Op as OpView

__all__ = ["graph_view"]


def graph_view(graph: Graph) -> GraphView:
    """Return the ops in run order, with their inputs, outputs, dependencies and resources."""
    return {
        "name": graph.name,
        "tags": dict(graph.tags),
        "resources": {name: _schema(text) for name, text in graph.resources.items()},
        "ops": [_op(graph.ops[name]) for name in graph.order],
    }


def _op(op: Op) -> OpView:
    return {
        "name": op.name,
        "description": op.description,
        "inputs": [
            {
                "name": item.name,
                "type": item.type,
                "sources": [{"op": ref.op, "output": ref.output} for ref in item.sources],
                "fanIn": item.fan_in,
                "ordering": item.ordering,
                "literal": item.literal,
                "default": item.default,
                "jobInput": item.job_input,
            }
            for item in op.inputs
        ],
        "outputs": [{"name": output.name, "required": output.required} for output in op.outputs],
        "upstream": list(op.upstream),
        "config": _schema(op.config),
        "resources": list(op.resources),
        "tags": dict(op.tags),
        "maxRetries": op.retry.max_retries if op.retry else 0,
        "timeout": op.timeout,
    }


def _schema(text: str) -> Any:
    return json.loads(text) if text else None
