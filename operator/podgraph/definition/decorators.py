"""`@op`, `@graph` and `@job`: how a person writes a job in Python."""

from __future__ import annotations

import copy
import inspect
from typing import Any, Callable, overload

from podgraph.definition.compose import Parameter, call_graph, compose, composing, invoke, is_nothing
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, check_name, check_node_name
from podgraph.definition.values import In, NotJsonError, Out, to_json

__all__ = ["GraphDefinition", "JobDefinition", "OpDefinition", "graph", "job", "op"]

_CONTEXT_NAMES = ("context", "_context")


class OpDefinition:
    """A function made into an op by `@op`. Called inside a job's body it becomes a node; elsewhere it just runs.

    >>> @op
    ... def add_two(i: int) -> int:
    ...     return i + 2
    >>> add_two(1)
    3
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        ins: dict[str, In] | None = None,
        outs: dict[str, Out] | None = None,
        description: str | None = None,
    ) -> None:
        self.fn = fn
        self.name = name or fn.__name__
        check_node_name("op", self.name)
        self.outs = {"result": Out()} if outs is None else dict(outs)
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self.takes_context, self.params = _parameters(self.name, fn, ins or {})
        self._alias: str | None = None
        for kind, names in (("input", [p.name for p in self.params]), ("output", list(self.outs))):
            for value in names:
                check_name(kind, value)
        self.__doc__ = fn.__doc__
        self.__name__, self.__module__ = self.name, fn.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside a job's body: add a node and return a handle for each output. Elsewhere: call the function."""
        if composing() is None:
            return self.fn(*args, **kwargs)
        return invoke(self, self.name, self._alias, self.params, self.outs, args, kwargs)

    def alias(self, name: str) -> OpDefinition:
        """Return the same op under another name, for use inside a job's body: `add.alias("add_again")(x)`."""
        check_node_name("op", name)
        twin = copy.copy(self)
        twin._alias = name
        return twin


class GraphDefinition:
    """Ops grouped under a name by `@graph`; called inside a job, its ops become `name.op`."""

    def __init__(self, fn: Callable[..., Any], name: str | None = None, description: str | None = None) -> None:
        self.fn = fn
        self.name = name or fn.__name__
        check_node_name("graph", self.name)
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self._alias: str | None = None
        _no_variable_arguments("graph", self.name, fn)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Inside a job's body: add this graph's ops and return what its own body returns."""
        if composing() is None:
            raise DefinitionError(
                "InvalidGraph",
                f"graph {self.name!r} is called outside of a job; call it in the body of a @job",
            )
        return call_graph(self.fn, self.name, self._alias, args, kwargs)

    def alias(self, name: str) -> GraphDefinition:
        """Return the same graph under another name, for use inside a job's body."""
        check_node_name("graph", name)
        twin = copy.copy(self)
        twin._alias = name
        return twin


class JobDefinition:
    """A job made by `@job`: its graph as plain data, and the op behind each of the graph's names.

    Raises DefinitionError while it is made when its body draws no valid graph.
    """

    def __init__(self, fn: Callable[..., Any], name: str | None = None, description: str | None = None) -> None:
        self.name = name or fn.__name__
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        _no_variable_arguments("job", self.name, fn)
        made = compose(fn, self.name)
        self.graph = Graph.of(self.name, made.ops.values())
        self.ops: dict[str, OpDefinition] = made.definitions
        self.__doc__, self.__name__, self.__module__ = fn.__doc__, self.name, fn.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """A job cannot be called; the error says what to do instead."""
        raise DefinitionError(
            "InvalidGraph",
            f"job {self.name!r} cannot be called, also not in another job; put shared ops into a @graph",
        )


@overload
def op(fn: Callable[..., Any]) -> OpDefinition: ...
@overload
def op(
    *,
    name: str | None = ...,
    ins: dict[str, In] | None = ...,
    out: Out | dict[str, Out] | None = ...,
    description: str | None = ...,
) -> Callable[[Callable[..., Any]], OpDefinition]: ...


def op(
    fn: Callable[..., Any] | None = None,
    *,
    name: str | None = None,
    ins: dict[str, In] | None = None,
    out: Out | dict[str, Out] | None = None,
    description: str | None = None,
) -> Any:
    """Make a function an op.

    Its parameters are its inputs (a first parameter named `context` receives an OpContext instead), its return value
    its output `result`. `out={"a": Out(), "b": Out()}` names several: return a tuple in that order or yield
    `Output(value, "a")`. `ins={"start": In(Nothing)}` adds an input that only waits.

    Raises DefinitionError for a name that breaks the rules or a function with `*args` or `**kwargs`.
    """
    outs = {"result": out} if isinstance(out, Out) else out

    def make(inner: Callable[..., Any]) -> OpDefinition:
        return OpDefinition(inner, name, ins, outs, description)

    return make if fn is None else make(fn)


@overload
def graph(fn: Callable[..., Any]) -> GraphDefinition: ...
@overload
def graph(
    *, name: str | None = ..., description: str | None = ...
) -> Callable[[Callable[..., Any]], GraphDefinition]: ...


def graph(fn: Callable[..., Any] | None = None, *, name: str | None = None, description: str | None = None) -> Any:
    """Make a function a graph: ops under one name, for use in jobs and in other graphs."""
    return _made(GraphDefinition, fn, name, description)


@overload
def job(fn: Callable[..., Any]) -> JobDefinition: ...
@overload
def job(*, name: str | None = ..., description: str | None = ...) -> Callable[[Callable[..., Any]], JobDefinition]: ...


def job(fn: Callable[..., Any] | None = None, *, name: str | None = None, description: str | None = None) -> Any:
    """Make a function a job: its body calls ops and graphs, and each call becomes a step.

    >>> @op
    ... def one():
    ...     return 1
    >>> @op
    ... def add_two(i):
    ...     return i + 2
    >>> @job
    ... def my_job():
    ...     add_two(one())
    >>> my_job.graph.order
    ('one', 'add_two')
    """
    return _made(JobDefinition, fn, name, description)


def _made(kind: Any, fn: Callable[..., Any] | None, name: str | None, description: str | None) -> Any:
    def make(inner: Callable[..., Any]) -> Any:
        return kind(inner, name, description)

    return make if fn is None else make(fn)


def _parameters(name: str, fn: Callable[..., Any], ins: dict[str, In]) -> tuple[bool, tuple[Parameter, ...]]:
    _no_variable_arguments("op", name, fn)
    signature = list(inspect.signature(fn).parameters.values())
    takes_context = bool(signature) and signature[0].name in _CONTEXT_NAMES
    params = [_parameter(p, ins.get(p.name)) for p in signature[1 if takes_context else 0 :]]
    known = {p.name for p in params}
    for extra, item in ins.items():
        if extra in known:
            continue
        if not is_nothing(item.type):
            raise DefinitionError(
                "UnknownInput",
                f"op {name!r} declares input {extra!r}, but its function has no such parameter; "
                "only an In(Nothing) needs none",
            )
        params.append(Parameter(extra, "Nothing", ordering=True))
    return takes_context, tuple(params)


def _parameter(param: inspect.Parameter, item: In | None) -> Parameter:
    kind = item.type if item is not None and item.type is not None else param.annotation
    if kind is inspect.Parameter.empty:
        shown = "Any"
    else:
        shown = kind if isinstance(kind, str) else getattr(kind, "__name__", None) or str(kind)
    if param.default is inspect.Parameter.empty:
        return Parameter(param.name, shown, is_nothing(kind))
    try:
        default: str | None = to_json(param.default)
    except NotJsonError:
        default = None
    return Parameter(param.name, shown, is_nothing(kind), has_default=True, default=default)


def _no_variable_arguments(kind: str, name: str, fn: Callable[..., Any]) -> None:
    for param in inspect.signature(fn).parameters.values():
        if param.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.POSITIONAL_ONLY,
        ):
            raise DefinitionError(
                "InvalidGraph",
                f"{kind} {name!r} has the parameter {str(param)!r}; inputs must be plain named parameters",
            )
