"""What ops, hooks and resources may know about the run they are in."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["HookContext", "InitResourceContext", "OpContext", "Resources", "build_op_context"]


class Resources:
    """The resources that one op, hook or resource asked for, as attributes: `context.resources.db`."""

    def __init__(self, values: Mapping[str, Any], owner: str, keys: tuple[str, ...] | None = None) -> None:
        self.__dict__.update(values if keys is None else {key: values[key] for key in keys})
        self.__dict__["_owner"] = owner

    def __getattr__(self, name: str) -> Any:
        own = ", ".join(key for key in self.__dict__ if key != "_owner") or "none"
        raise AttributeError(
            f"{self.__dict__.get('_owner')} asked for no resource {name!r} (it has: {own}); "
            "name it in required_resource_keys"
        )


class OpContext:
    """Given to an op whose first parameter is named `context`.

    `op_name` is the op's path in the job; `run_id` is the same for all steps of one run (the Job resource's uid in a
    cluster); `config` is the op's config (`op_config` is Dagster's name of it), `resources` holds those that the op
    requires, `retry_number` counts the retries so far (0 in the first attempt), `tags` are the run's, `op_tags` the
    op's own.
    """

    __slots__ = ("config", "job_name", "op_name", "op_tags", "resources", "retry_number", "run_id", "tags")

    def __init__(
        self, op_name: str, run_id: str, job_name: str = "", config: Any = None, resources: Resources | None = None,
        retry_number: int = 0, tags: Mapping[str, str] | None = None, op_tags: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        self.op_name, self.run_id, self.job_name = op_name, run_id, job_name
        self.config = config
        self.resources = resources if resources is not None else Resources({}, f"op {op_name!r}")
        self.retry_number = retry_number
        self.tags: Mapping[str, str] = tags or {}
        self.op_tags: Mapping[str, str] = op_tags or {}

    @property
    def op_config(self) -> Any:
        """The same as `config`."""
        return self.config

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.op.<op_name>`."""
        return logging.getLogger(f"podgraph.op.{self.op_name}")


def build_op_context(
    config: Any = None, resources: Mapping[str, Any] | None = None, op_name: str = "op", run_id: str = "test",
    retry_number: int = 0, tags: Mapping[str, str] | None = None, *, op_config: Any = None,
) -> OpContext:  # fmt: skip
    """Return a context to call an op with in a test of it: `my_op(build_op_context(config={"n": 3}), 1)`.

    >>> build_op_context(resources={"db": [1]}).resources.db
    [1]
    """
    own = Resources(resources or {}, f"op {op_name!r}")
    return OpContext(op_name, run_id, "test", op_config if config is None else config, own, retry_number, tags)


class HookContext:
    """Given to a hook: the step it is called for, what the step produced, and the error it failed with.

    `op_output_values` holds the outputs of a step that succeeded, by name; `op_exception` what a failed one raised.
    """

    def __init__(
        self, op: OpContext, resources: Resources, outputs: Mapping[str, Any], exception: BaseException | None
    ) -> None:
        self.op_name, self.step_key, self.run_id, self.job_name = op.op_name, op.op_name, op.run_id, op.job_name
        self.config, self.tags = op.config, op.tags
        self.resources = resources
        self.op_output_values = dict(outputs)
        self.op_exception = exception

    @property
    def op_config(self) -> Any:
        """The same as `config`."""
        return self.config

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.op.<op_name>`, as the op itself has it."""
        return logging.getLogger(f"podgraph.op.{self.op_name}")


class InitResourceContext:
    """Given to a resource's function: its config and the resources it requires itself."""

    def __init__(self, name: str, config: Any, resources: Resources, run_id: str) -> None:
        self.resource_name, self.resource_config = name, config
        self.resources, self.run_id = resources, run_id

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.resource.<name>`."""
        return logging.getLogger(f"podgraph.resource.{self.resource_name}")
