"""`@success_hook` and `@failure_hook`: what is called after a step has succeeded or failed for good."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.errors import DefinitionError
from podgraph.definition.resources import check_keys

__all__ = ["HookDefinition", "check_hooks", "failure_hook", "success_hook"]


class HookDefinition:
    """A function to call with a HookContext after a step; `on` is "Succeeded" or "Failed"."""

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
        """Call the function, as in a test of it."""
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
    """Make a function a hook for steps that succeed: `@job(hooks={tell})` or `my_op.with_hooks({tell})`.

    A hook that raises leaves its step as it was; the error is a HOOK_ERRORED event.

    >>> @success_hook
    ... def tell(context):
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
    """Make a function a hook for steps that fail, after their last retry; its `context.op_exception` says why."""
    refuse_unknown("@failure_hook", unknown, ("name", "required_resource_keys"))
    return _hook(fn, "Failed", name, required_resource_keys)


def check_hooks(where: str, hooks: Iterable[Any]) -> tuple[HookDefinition, ...]:
    """Return hooks in the order of their names, so that each run calls them alike. Raises DefinitionError."""
    found = list(hooks)
    for hook in found:
        if not isinstance(hook, HookDefinition):
            raise DefinitionError(
                "InvalidHook", f"{where} has the hook {hook!r}, which is none; make one with @success_hook"
            )
    return tuple(sorted(found, key=lambda hook: hook.name))


def _hook(fn: Callable[..., Any] | None, on: str, name: str | None, keys: Iterable[str]) -> Any:
    def make(inner: Callable[..., Any]) -> HookDefinition:
        return HookDefinition(inner, on, name, keys)

    return make if fn is None else make(fn)
