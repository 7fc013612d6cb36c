"""`@graph`: ops grouped under a name."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.compose import call_graph, composing
from podgraph.definition.errors import DefinitionError
from podgraph.definition.executors import ExecutorDefinition
from podgraph.definition.graph import check_node_name
from podgraph.definition.hooks import HookDefinition
from podgraph.definition.jobs import JobDefinition
from podgraph.definition.ops import refuse_variable_arguments
from podgraph.definition.retry import RetryPolicy
from podgraph.definition.values import GraphOut

__all__ = ["GraphDefinition", "graph"]


class GraphDefinition:
    """Ops grouped under a name by `@graph`. Called in the body of a job, its ops are named `name.op`."""

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        description: str | None = None,
        out: GraphOut | Mapping[str, GraphOut] | None = None,
    ) -> None:
        self.fn = fn
        self.name = name or fn.__name__
        check_node_name("graph", self.name)
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self.outs = {"result": out} if isinstance(out, GraphOut) else out and dict(out)
        self._alias: str | None = None
        refuse_variable_arguments("graph", self.name, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Add the ops of this graph to the job whose body runs, and return a handle for each output.

        Raises DefinitionError (`InvalidGraph`) outside of a job.
        """
        if composing() is None:
            raise DefinitionError(
                "InvalidGraph",
                f"graph {self.name!r} is called outside a job; call it in the body of a @job",
            )
        return call_graph(self.fn, self.name, self._alias, self.outs, args, kwargs)

    def alias(self, name: str) -> GraphDefinition:
        """Return the same graph under another name, for a call in the body of a job."""
        check_node_name("graph", name)
        twin = copy.copy(self)
        twin._alias = name
        return twin

    def to_job(
        self,
        name: str | None = None,
        description: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        hooks: Iterable[HookDefinition] = (),
        executor_def: ExecutorDefinition | None = None,
        op_retry_policy: RetryPolicy | None = None,
    ) -> JobDefinition:
        """Return a job that consists of this graph. Its ops have no graph prefix in their names (as in Dagster)."""
        return JobDefinition(
            self.fn, name or self.name, self.description if description is None else description, config, tags,
            resource_defs, hooks, executor_def, op_retry_policy, self.outs,
        )  # fmt: skip

    def execute_in_process(self, **options: Any) -> Any:
        """Run the graph as a job; see :meth:`JobDefinition.execute_in_process`.

        `resources` become the resources of that job, so that the ops may require them.
        """
        resources = options.pop("resources", None)
        return self.to_job(resource_defs=resources).execute_in_process(**options)


@overload
def graph(name: Callable[..., Any]) -> GraphDefinition: ...
@overload
def graph(
    name: str | None = ...,
    *,
    description: str | None = ...,
    out: GraphOut | Mapping[str, GraphOut] | None = ...,
) -> Callable[[Callable[..., Any]], GraphDefinition]: ...


def graph(
    name: Any = None, *, description: str | None = None, out: GraphOut | Mapping[str, GraphOut] | None = None,
    **unknown: Any,
) -> Any:  # fmt: skip
    """Turn a function into a graph: ops under one name, for use in jobs and in other graphs.

    The body returns the outputs of the graph: the output of one op becomes `result`; for several outputs it returns a
    dict by name, or a tuple in the order of `out`. Raises DefinitionError (`InvalidName`, `InvalidGraph`,
    `UnknownArgument`).

    >>> from podgraph import job, op
    >>> @op
    ... def one():
    ...     return 1
    >>> @op
    ... def add_two(i):
    ...     return i + 2
    >>> @graph
    ... def three():
    ...     return add_two(one())
    >>> @job
    ... def my_job():
    ...     three()
    >>> my_job.graph.order
    ('three.one', 'three.add_two')
    """
    refuse_unknown("@graph", unknown, ("description", "out"))
    if callable(name):
        return GraphDefinition(name)
    return lambda fn: GraphDefinition(fn, name, description, out)
