"""`@success_hook` and `@failure_hook`: functions that run after a step succeeded, or failed after its last retry."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.errors import DefinitionError
from podgraph.definition.resources import check_keys

__all__ = ["HookDefinition", "check_hooks", "failure_hook", "success_hook"]


class HookDefinition:
    """A function that is called with a HookContext after a step; `on` is "Succeeded" or "Failed".

    Raises DefinitionError (`InvalidHook`) for a function that does not take exactly one argument.
    """

    def __init__(
        self, fn: Callable[..., Any], on: str, name: str | None = None, required_resource_keys: Iterable[str] = ()
    ) -> None:
        self.fn = fn
        self.on = on
        self.name = name or fn.__name__
        self.required_resource_keys = check_keys(f"hook {self.name!r}", required_resource_keys)
        self.__doc__ = fn.__doc__
        if len(inspect.signature(fn).parameters) != 1:
            raise DefinitionError("InvalidHook", f"hook {self.name!r} must take exactly one argument, context")

    def __call__(self, context: Any) -> Any:
        """Call the function directly, for example in a test."""
        return self.fn(context)


@overload
def success_hook(fn: Callable[..., Any]) -> HookDefinition: ...
@overload
def success_hook(
    *, name: str | None = ..., required_resource_keys: Iterable[str] = ...
) -> Callable[[Callable[..., Any]], HookDefinition]: ...


def success_hook(
    fn: Callable[..., Any] | None = None, *, name: str | None = None, required_resource_keys: Iterable[str] = (),
    **unknown: Any,
) -> Any:  # fmt: skip
    """Turn a function into a hook for steps that succeed: `@job(hooks={notify})` or `my_op.with_hooks({notify})`.

    The function takes one argument, a HookContext. An exception in a hook does not change the result of the step; it
    becomes a HOOK_ERRORED event. `required_resource_keys` are the names of the resources that the hook uses.
    Raises DefinitionError (`InvalidHook`, `InvalidResourceKeys`, `UnknownArgument`).

    >>> @success_hook
    ... def notify(context):
    ...     print(context.op_name, "is done")
    """
    refuse_unknown("@success_hook", unknown, ("name", "required_resource_keys"))
    return _hook(fn, "Succeeded", name, required_resource_keys)


@overload
def failure_hook(fn: Callable[..., Any]) -> HookDefinition: ...
@overload
def failure_hook(
    *, name: str | None = ..., required_resource_keys: Iterable[str] = ...
) -> Callable[[Callable[..., Any]], HookDefinition]: ...


def failure_hook(
    fn: Callable[..., Any] | None = None, *, name: str | None = None, required_resource_keys: Iterable[str] = (),
    **unknown: Any,
) -> Any:  # fmt: skip
    """Turn a function into a hook for steps that fail, called after their last retry.

    The function takes one argument, a HookContext; `context.op_exception` is the exception of the op. Otherwise it
    works as :func:`success_hook` does.

    >>> @failure_hook
    ... def alert(context):
    ...     print(context.op_name, "failed:", context.op_exception)
    """
    refuse_unknown("@failure_hook", unknown, ("name", "required_resource_keys"))
    return _hook(fn, "Failed", name, required_resource_keys)


def check_hooks(where: str, hooks: Iterable[Any]) -> tuple[HookDefinition, ...]:
    """Return hooks sorted by name, so that each run calls them in the same order. Raises DefinitionError."""
    found = list(hooks)
    for hook in found:
        if not isinstance(hook, HookDefinition):
            raise DefinitionError(
                "InvalidHook", f"{where} has the hook {hook!r}, which is not a hook; create one with @success_hook"
            )
    return tuple(sorted(found, key=lambda hook: hook.name))


def _hook(fn: Callable[..., Any] | None, on: str, name: str | None, keys: Iterable[str]) -> Any:
    def make(inner: Callable[..., Any]) -> HookDefinition:
        return HookDefinition(inner, on, name, keys)

    return make if fn is None else make(fn)
