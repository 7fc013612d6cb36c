"""The contexts that ops, hooks and resources receive."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

__all__ = ["HookContext", "InitResourceContext", "OpContext", "Resources", "build_op_context"]


class Resources:
    """The resources that an op, hook or resource requires, as attributes: `context.resources.db`."""

    def __init__(self, values: Mapping[str, Any], owner: str, keys: tuple[str, ...] | None = None) -> None:
        self.__dict__.update(values if keys is None else {key: values[key] for key in keys})
        self.__dict__["_owner"] = owner

    def __getattr__(self, name: str) -> Any:
        own = ", ".join(key for key in self.__dict__ if key != "_owner") or "none"
        raise AttributeError(
            f"{self.__dict__.get('_owner')} does not require resource {name!r} (it has: {own}); "
            "add it to required_resource_keys"
        )


class OpContext:
    """The first argument of an op whose first parameter is named `context`.

    `op_name` is the path of the op in the job. `run_id` identifies the run (in a cluster the uid of the Job). `config`
    is the config of the op (Dagster's name is `op_config`). `resources` holds the resources that the op requires.
    `retry_number` is the number of retries so far, 0 in the first attempt. `tags` are the tags of the run, `op_tags`
    those of the op.
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
    """Return a context to call an op in a test: `my_op(build_op_context(config={"n": 3}), 1)`.

    `resources` are plain values by name. `op_config` is the same as `config` (Dagster's name).

    >>> build_op_context(resources={"db": [1]}).resources.db
    [1]
    """
    own = Resources(resources or {}, f"op {op_name!r}")
    return OpContext(op_name, run_id, "test", op_config if config is None else config, own, retry_number, tags)


class HookContext:
    """The argument of a hook: the step, its outputs, and its error.

    `op_output_values` holds the outputs of a successful step by name. `op_exception` is the exception of a failed step.
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
        """The logger `podgraph.op.<op_name>`, the same as in the op."""
        return logging.getLogger(f"podgraph.op.{self.op_name}")


class InitResourceContext:
    """The argument of the function of a resource: its config and the resources that it requires."""

    def __init__(self, name: str, config: Any, resources: Resources, run_id: str) -> None:
        self.resource_name, self.resource_config = name, config
        self.resources, self.run_id = resources, run_id

    @property
    def log(self) -> logging.Logger:
        """The logger `podgraph.resource.<name>`."""
        return logging.getLogger(f"podgraph.resource.{self.resource_name}")
