"""Builds a graph from the body of a `@job` or `@graph`: the body runs once, and each op called in it adds a node.

A graph inside a job is flattened while its body runs: its ops are named `graph.op`, and they receive the handles that
were passed to the graph, so no mapping is needed afterwards.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Callable

from podgraph.definition import graph as data
from podgraph.definition.errors import DefinitionError
from podgraph.definition.handles import OutputHandle, Unconnected
from podgraph.definition.values import Nothing, NotJsonError, to_json

if TYPE_CHECKING:
    from podgraph.definition.ops import OpDefinition

__all__ = ["Composition", "OutputHandle", "Parameter", "call_graph", "compose", "composing", "invoke"]


@dataclass(frozen=True)
class Parameter:
    """One input of an op, as its function declares it."""

    name: str
    type: str = "Any"
    ordering: bool = False
    has_default: bool = False
    default: str | None = None
    schema: str = ""


@dataclass
class Composition:
    """The nodes so far, the op behind each node, the outputs of each graph, and the path of the current graph."""

    outputs: dict[str, dict[str, OutputHandle]] = field(default_factory=dict)
    ops: dict[str, data.Op] = field(default_factory=dict)
    definitions: dict[str, Any] = field(default_factory=dict)
    prefix: str = ""
    names: dict[str, int] = field(default_factory=dict)  # each used name, and the last number that was appended to it

    def unique(self, name: str, alias: str | None) -> str:
        """Return an unused name at this level: the alias, else `name`, `name_2`, `name_3` (as in Dagster).

        Raises DefinitionError (`DuplicateOp`) for an alias that is in use.
        """
        if alias is not None and alias in self.names:
            raise DefinitionError("DuplicateOp", f"two ops are named {self.prefix + alias!r}; op names must be unique")
        chosen = name if alias is None else alias
        count = self.names.get(chosen, 1)
        while chosen in self.names:
            count += 1
            chosen = f"{name}_{count}"
        if count > 1:
            self.names[name] = count
        self.names[chosen] = 1
        return chosen

    @contextlib.contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """Enter the graph `name`: ops that are called in the block get its name as prefix."""
        before = self.prefix, self.names
        self.prefix, self.names = f"{self.prefix}{name}.", {}
        try:
            yield
        finally:
            self.prefix, self.names = before


_open: list[Composition] = []


def composing() -> Composition | None:
    """Return the composition whose body runs now, or None outside of jobs and graphs."""
    return _open[-1] if _open else None


def compose(fn: Callable[..., Any], name: str, outs: Mapping[str, Any] | None = None) -> Composition:
    """Run the body of a job once and return its composition.

    Raises DefinitionError if the body does not build a valid graph.
    """
    composition = Composition()
    _open.append(composition)
    try:
        given = _unconnected(inspect.signature(fn), ())
        returned = fn(**{key: Unconnected(key) for key in given})
        composition.outputs[""] = _outputs(f"job {name!r}", returned, outs)
    finally:
        _open.pop()
    if not composition.ops:
        raise DefinitionError("NoOps", f"job {name!r} calls no op; it must call at least one")
    return composition


def invoke(definition: OpDefinition, alias: str | None, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Add a node for one call of an op in the body of a job, and return a handle for each output."""
    composition = _open[-1]
    path = composition.prefix + composition.unique(definition.name, alias)
    given = _bind(path, definition.params, args, kwargs)
    composition.ops[path] = data.Op(
        path,
        inputs=tuple(_input(path, p, given.get(p.name, Unconnected())) for p in definition.params),
        outputs=tuple(data.Output(n, out.is_required) for n, out in definition.outs.items()),
        description=definition.description,
        config=definition.config_json_schema,
        resources=definition.required_resource_keys,
        tags=definition.tags,
        retry=definition.retry_policy,
        timeout=definition.timeout,
        pod_template=definition.pod_template,
        pod=definition.pod,
    )
    composition.definitions[path] = definition
    # An op without outputs also returns a handle, so that an In(Nothing) can wait for the op.
    return _handles({n: OutputHandle(path, n) for n in definition.outs or ("result",)})


def call_graph(
    fn: Callable[..., Any], name: str, alias: str | None, outs: Mapping[str, Any] | None, args: tuple[Any, ...],
    kwargs: dict[str, Any],
) -> Any:  # fmt: skip
    """Run the body of a nested graph in the current composition.

    Returns the handles of `outs`, or without `outs` the return value of the body.
    """
    composition = _open[-1]
    path = composition.unique(name, alias)
    try:
        bound = inspect.signature(fn).bind_partial(*args, **kwargs)
    except TypeError as error:
        raise DefinitionError(
            "InvalidGraph", f"graph {composition.prefix + path!r} is called with the wrong arguments: {error}"
        ) from None
    whole = composition.prefix + path
    with composition.inside(path):
        returned = fn(**bound.arguments, **_unconnected(bound.signature, bound.arguments))
    outputs = _outputs(f"graph {whole!r}", returned, outs)
    composition.outputs[whole] = outputs
    return _handles(outputs) if outs else returned


class Outputs(tuple):  # type: ignore[type-arg]
    """The handles of an op or graph with several outputs: unpack them in order, or access one by name."""

    names: tuple[str, ...]

    def __new__(cls, handles: Mapping[str, OutputHandle]) -> Outputs:
        made = super().__new__(cls, handles.values())
        made.__dict__.update(
            names=tuple(handles), **handles
        )  # in __dict__, so that an output named `count` hides the method of tuple
        return made

    def __getattr__(self, name: str) -> OutputHandle:
        raise AttributeError(f"no output is named {name!r}; there are: {', '.join(self.names)}")


def _handles(outputs: Mapping[str, OutputHandle]) -> OutputHandle | Outputs:
    return next(iter(outputs.values())) if len(outputs) == 1 else Outputs(outputs)


def _outputs(where: str, returned: Any, outs: Mapping[str, Any] | None) -> dict[str, OutputHandle]:
    """Return the outputs that the body of a graph or job returned, by name. Other returned values are ignored."""
    if isinstance(returned, OutputHandle):
        found = {"result" if not outs or len(outs) != 1 else next(iter(outs)): returned}
    elif isinstance(returned, Mapping):
        found = {name: handle for name, handle in returned.items() if isinstance(handle, OutputHandle)}
    elif isinstance(returned, tuple) and all(isinstance(handle, OutputHandle) for handle in returned):
        names = tuple(outs) if outs else getattr(returned, "names", ())
        found = dict(zip(names, returned)) if len(names) == len(returned) else {}
    else:
        found = {}
    if outs is not None and set(found) != set(outs):
        raise DefinitionError(
            "InvalidGraph",
            f"{where} must return its outputs {', '.join(outs)}, each an op's output: as a dict by name, or as a tuple",
        )
    return found


def _unconnected(signature: inspect.Signature, given: Collection[str]) -> dict[str, Any]:
    """Return a placeholder for each parameter that is not `given` and has no default."""
    own = {name for name, param in signature.parameters.items() if param.default is not param.empty}
    return {name: Unconnected() for name in signature.parameters if name not in given and name not in own}


def _bind(path: str, params: tuple[Parameter, ...], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    names = [p.name for p in params]
    if len(args) > len(names):
        count = f"{len(names)} input{'' if len(names) == 1 else 's'}" if names else "no inputs"
        listed = f"; its inputs are: {', '.join(names)}" if names else "; an op that only waits has an In(Nothing)"
        raise DefinitionError("UnknownInput", f"op {path!r} takes {count} but receives {len(args)}{listed}")
    given = dict(zip(names, args))
    for key, value in kwargs.items():
        if key not in names:
            listed = ", ".join(names) or "none"
            raise DefinitionError("UnknownInput", f"op {path!r} has no input {key!r}; it has: {listed}")
        if key in given:
            raise DefinitionError("InvalidGraph", f"input {key!r} of op {path!r} is set twice")
        given[key] = value
    return given


def _input(path: str, param: Parameter, value: Any) -> data.Input:
    sources: tuple[data.OutputRef, ...] = ()
    fan_in, literal = False, None
    if isinstance(value, OutputHandle):
        sources = (data.OutputRef(value.op, value.output),)
    elif isinstance(value, (list, tuple)) and value and all(isinstance(v, OutputHandle) for v in value):
        if isinstance(value, Outputs) and not param.ordering:
            raise DefinitionError(
                "InvalidGraph",
                f"input {param.name!r} of op {path!r} receives all outputs of op {value[0].op!r} at once; select one, "
                f"as in .{value[0].output}, or pass a list of them",
            )
        sources, fan_in = tuple(data.OutputRef(v.op, v.output) for v in value), True
    elif not isinstance(value, Unconnected):
        literal = _literal(path, param, value)
    return data.Input(
        name=param.name,
        sources=sources,
        fan_in=fan_in,
        ordering=param.ordering,
        literal=literal,
        default=param.default,
        has_default=param.has_default,
        type=param.type,
        schema=param.schema,
        job_input=value.job_input if isinstance(value, Unconnected) else "",
    )


def _literal(path: str, param: Parameter, value: Any) -> str:
    where = f"input {param.name!r} of op {path!r}"
    if param.ordering:
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
        raise DefinitionError("InvalidGraph", f"{where} only waits (Nothing), so it takes an op's output, not {shown}")
    try:
        return to_json(value)
    except NotJsonError as error:
        raise DefinitionError(
            "InvalidGraph",
            f"{where} must be another op's output, a list of outputs, or a JSON value, not {error}",
        ) from None


def is_nothing(kind: Any) -> bool:
    """Return whether a declared type is :class:`Nothing`: the class, or under future annotations its name."""
    return kind is Nothing or (isinstance(kind, str) and kind.strip("'\"").rpartition(".")[2] == "Nothing")
