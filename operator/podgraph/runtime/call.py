"""Calls one op with its inputs and collects its outputs. All executors use it."""

from __future__ import annotations

import inspect
from collections.abc import AsyncGenerator, Coroutine, Mapping
from typing import Any, Callable

from podgraph.definition.ops import OpDefinition
from podgraph.definition.values import NO_DEFAULT, Output
from podgraph.protocol.step import StepError
from podgraph.runtime.context import OpContext
from podgraph.runtime.own_process import only_own_process

__all__ = ["call_op"]

Emit = Callable[[str, "dict[str, Any]"], None]


def call_op(
    op: OpDefinition, path: str, inputs: Mapping[str, Any], context: Callable[[], OpContext], config: Any, emit: Emit
) -> dict[str, Any]:
    """Call the op `path` with `inputs` and return its outputs by name; both are checked against their types.

    `context` returns the context for an op that takes one; `emit` is called for each input and output. Raises StepError
    (`MissingInput`, `TypeCheckFailed`, `WrongOutputs`) and any exception of the function.
    """
    given = _inputs(op, path, inputs, emit)
    if op.takes_config:
        given["config"] = config
    with only_own_process():
        result = op.fn(context(), **given) if op.takes_context else op.fn(**given)
        if inspect.isgenerator(result):
            produced = [_yielded(path, item) for item in result]
        elif isinstance(result, (Coroutine, AsyncGenerator)):
            produced = _async(op, path, result)
        else:
            produced = _returned(op, path, result)
    return _outputs(op, path, produced, emit)


def _inputs(op: OpDefinition, path: str, inputs: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    given: dict[str, Any] = dict.fromkeys(op.nothings)
    checks = op.input_checks
    for param in op.params:
        name = param.name
        if param.ordering:
            continue
        if name in inputs:
            value = inputs[name]
        elif not param.has_default:
            raise StepError("MissingInput", f"input {name!r} of op {path!r} has no value")
        elif name in op.ins and op.ins[name].default_value is not NO_DEFAULT:
            value = op.ins[name].default_value
        else:
            continue  # the function's own default
        check = checks.get(name)
        wrong = check(value) if check is not None else None
        if wrong is not None:
            raise StepError("TypeCheckFailed", f"input {name!r} of op {path!r} has the wrong type: {wrong}")
        given[name] = value
        emit("STEP_INPUT", {"name": name})
    return given


def _returned(op: OpDefinition, path: str, result: Any) -> list[Output[Any]]:
    if isinstance(result, Output):
        return [result]
    if len(op.outs) == 1:
        return [Output(result, next(iter(op.outs)))]
    if not op.outs:
        return []
    if not isinstance(result, tuple) or len(result) != len(op.outs):
        names = ", ".join(op.outs)
        raise StepError(
            "WrongOutputs",
            f"op {path!r} must return a tuple of {len(op.outs)} values ({names}) or yield "
            f"Output(value, name) for each, but returned {_shown(result)}",
        )
    return [v if isinstance(v, Output) else Output(v, name) for name, v in zip(op.outs, result)]


def _async(op: OpDefinition, path: str, result: Any) -> list[Output[Any]]:
    """Run an `async def` op in a new event loop."""

    async def values() -> list[Any]:
        return [item async for item in result]

    if isinstance(result, AsyncGenerator):
        return [_yielded(path, item) for item in _run(values())]
    return _returned(op, path, _run(result))


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to completion; in a new thread if this one has a running loop, as in a notebook."""
    import asyncio  # needed by few ops, and slow to import

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, coroutine).result()


def _outputs(op: OpDefinition, path: str, produced: list[Output[Any]], emit: Emit) -> dict[str, Any]:
    values: dict[str, Any] = {}
    checks = op.output_checks
    for output in produced:
        name = output.output_name
        if name not in op.outs:
            listed = ", ".join(op.outs) or "none"
            raise StepError("WrongOutputs", f"op {path!r} produced output {name!r}, but its outputs are: {listed}")
        if name in values:
            raise StepError("WrongOutputs", f"op {path!r} produced output {name!r} twice")
        check = checks.get(name)
        wrong = check(output.value) if check is not None else None
        if wrong is not None:
            raise StepError("TypeCheckFailed", f"output {name!r} of op {path!r} has the wrong type: {wrong}")
        values[name] = output.value
        emit("STEP_OUTPUT", {"name": name})
    for wanted, out in op.outs.items():
        if wanted not in values and out.is_required:
            raise StepError("WrongOutputs", f"op {path!r} did not produce its output {wanted!r}, which is required")
    return values


def _yielded(path: str, item: Any) -> Output[Any]:
    if isinstance(item, Output):
        return item
    raise StepError(
        "WrongOutputs", f"op {path!r} yielded {_shown(item)}; an op that yields must yield Output(value, name)"
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
