"""What ops, hooks and resources may know of their run, and the context for tests of an op."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph import op
from podgraph.runtime.context import HookContext, InitResourceContext, OpContext, Resources, build_op_context


def test_an_op_sees_the_resources_it_requires_alone() -> None:
    own = Resources({"db": 1, "web": 2}, "op 'f'", ("db",))
    assert own.db == 1
    with pytest.raises(AttributeError) as caught:
        _ = own.web
    assert str(caught.value) == "op 'f' does not require resource 'web' (it has: db); add it to required_resource_keys"
    with pytest.raises(AttributeError, match=r"op 'f' does not require resource 'x' \(it has: none\)"):
        _ = Resources({}, "op 'f'").x


def test_a_context_has_what_it_is_not_given() -> None:
    context = OpContext("src.add", "run-1")
    assert (context.op_name, context.run_id, context.job_name, context.config, context.retry_number) == (
        "src.add", "run-1", "", None, 0,
    )  # fmt: skip
    assert (context.tags, context.op_tags) == ({}, {})
    assert context.log.name == "podgraph.op.src.add"


def test_a_context_for_a_test_of_an_op() -> None:
    @op(config_schema={"n": int}, required_resource_keys={"db"})
    def f(context: Any, x: int) -> Any:
        return context.config["n"] + context.resources.db + x, context.op_config, context.retry_number, context.tags

    context = build_op_context({"n": 3}, {"db": 10}, retry_number=2, tags={"a": "b"})
    assert f(context, 1) == (14, {"n": 3}, 2, {"a": "b"})
    assert build_op_context(op_config=5).config == 5
    assert (build_op_context().op_name, build_op_context().run_id, build_op_context().job_name) == (
        "op",
        "test",
        "test",
    )


def test_a_hooks_context_tells_of_its_step() -> None:
    step = OpContext("g.f", "run-1", "j", config={"n": 1}, tags={"a": "b"})
    outputs, error = {"result": 1}, ValueError("x")
    context = HookContext(step, Resources({"db": 1}, "hook 'h'"), outputs, error)
    assert (context.op_name, context.step_key, context.run_id, context.job_name) == ("g.f", "g.f", "run-1", "j")
    assert (context.config, context.op_config, context.tags, context.resources.db) == (
        {"n": 1},
        {"n": 1},
        {"a": "b"},
        1,
    )
    assert (context.op_output_values, context.op_exception) == (outputs, error)
    context.op_output_values.clear()
    assert outputs == {"result": 1}
    assert context.log.name == "podgraph.op.g.f"


def test_a_resources_context() -> None:
    context = InitResourceContext("db", 5, Resources({}, "resource 'db'"), "run-1")
    assert (context.resource_name, context.resource_config, context.run_id) == ("db", 5, "run-1")
    assert context.log.name == "podgraph.resource.db"
