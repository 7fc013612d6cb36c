"""`@success_hook` and `@failure_hook` as they are written; what they see and when is tested where steps run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from podgraph import DefinitionError, HookDefinition, failure_hook, job, op, success_hook
from podgraph.definition.hooks import check_hooks

one = op(name="one")(lambda: 1)


def tell(context: Any) -> Any:
    """Tell it."""
    return context


def refusal(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        make()
    return caught.value.reason, caught.value.message


@pytest.mark.parametrize(("decorator", "on"), [(success_hook, "Succeeded"), (failure_hook, "Failed")])
def test_bare_and_with_arguments(decorator: Any, on: str) -> None:
    bare = decorator(tell)
    named = decorator(name="call", required_resource_keys={"b", "a"})(tell)
    assert isinstance(bare, HookDefinition)
    assert (bare.name, bare.on, bare.required_resource_keys, bare.__doc__) == ("tell", on, (), "Tell it.")
    assert (named.name, named.on, named.required_resource_keys) == ("call", on, ("a", "b"))
    assert bare("context") == "context"


@pytest.mark.parametrize("fn", [lambda: 1, lambda context, event: 1])
def test_a_hook_takes_the_context_alone(fn: Callable[..., Any]) -> None:
    assert refusal(lambda: success_hook(name="h")(fn)) == (
        "InvalidHook",
        "hook 'h' must take exactly one argument, context",
    )


def test_hooks_stand_in_the_order_of_their_names() -> None:
    b, a = success_hook(name="b")(tell), failure_hook(name="a")(tell)
    assert check_hooks("here", {b, a}) == (a, b)
    assert job(name="j", hooks={b, a})(lambda: one()).hooks == (a, b)
    twin = one.with_hooks({b}).with_hooks({a})
    assert (one.hooks, twin.hooks) == ((), (a, b))


def test_what_is_no_hook() -> None:
    told = f"has the hook {tell!r}, which is not a hook; create one with @success_hook"
    assert refusal(lambda: one.with_hooks({tell})) == ("InvalidHook", f"op 'one' {told}")  # type: ignore[arg-type]
    assert refusal(lambda: job(name="j", hooks={tell})(lambda: one())) == (  # type: ignore[call-overload]
        "InvalidHook",
        f"job 'j' {told}",
    )


def test_the_resources_of_hooks_are_the_steps() -> None:
    hook = success_hook(name="h", required_resource_keys={"db"})(tell)
    other = success_hook(name="o", required_resource_keys={"web"})(tell)

    def body() -> None:
        one()
        one.with_hooks({hook}).alias("two")()

    made = job(name="j", hooks={other}, resource_defs={"db": 1, "web": 2})(body)
    assert {name: node.resources for name, node in made.graph.ops.items()} == {"one": ("web",), "two": ("db", "web")}
    assert refusal(lambda: job(name="j", hooks={hook})(body)) == (
        "UnknownResource",
        "op 'one' requires resource 'db', which the job does not define; there are none",
    )


def test_a_text_is_no_set_of_resources() -> None:
    assert refusal(lambda: success_hook(name="h", required_resource_keys="db")(tell)) == (
        "InvalidResourceKeys",
        "hook 'h' has required_resource_keys='db'; it must be a set, as in {'db'}",
    )
