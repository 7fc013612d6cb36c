"""`@job`: turns a function into a job."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.compose import OutputHandle, compose
from podgraph.definition.errors import DefinitionError
from podgraph.definition.executors import ExecutorDefinition
from podgraph.definition.graph import Graph
from podgraph.definition.hooks import HookDefinition, check_hooks
from podgraph.definition.ops import OpDefinition, check_tags, refuse_variable_arguments
from podgraph.definition.resources import ResourceDefinition, all_needed, with_dependencies
from podgraph.definition.retry import RetryPolicy, check_retry_policy
from podgraph.definition.values import NotJsonError, to_json

if TYPE_CHECKING:
    from podgraph.runtime.local.result import ExecuteInProcessResult

__all__ = ["JobDefinition", "job"]


class JobDefinition:
    """A job that `@job` created: its graph as plain data, and the op behind each name in the graph.

    `outputs` maps each graph in the job (the job itself is "") to its outputs. Raises DefinitionError if the body of
    the job does not build a valid graph.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        description: str | None = None,
        config: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        resource_defs: Mapping[str, Any] | None = None,
        hooks: Iterable[HookDefinition] = (),
        executor_def: ExecutorDefinition | None = None,
        op_retry_policy: RetryPolicy | None = None,
        outs: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = name or fn.__name__
        where = f"job {self.name!r}"
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        refuse_variable_arguments("job", self.name, fn)
        self.resource_defs: dict[str, ResourceDefinition] = with_dependencies(resource_defs or {})
        self.hooks = check_hooks(where, hooks)
        check_retry_policy(where, op_retry_policy)
        made = compose(fn, self.name, outs)
        self.ops: dict[str, OpDefinition] = made.definitions
        self.outputs: dict[str, dict[str, OutputHandle]] = made.outputs
        self.graph = Graph.of(
            self.name,
            [self._complete(op, op_retry_policy) for op in made.ops.values()],
            {key: "" if r.schema is None else to_json(r.schema) for key, r in self.resource_defs.items()},
            _run_config(where, config, executor_def),
            check_tags(where, tags),
        )
        self.__doc__, self.__name__, self.__module__ = fn.__doc__, self.name, fn.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Raise DefinitionError (`InvalidGraph`): a job cannot be called."""
        raise DefinitionError(
            "InvalidGraph",
            f"job {self.name!r} cannot be called, not even in another job; put shared ops into a @graph",
        )

    @property
    def tags(self) -> Mapping[str, str]:
        """The tags of each run of the job."""
        return self.graph.tags

    def execute_in_process(
        self,
        run_config: Mapping[str, Any] | None = None,
        op_selection: Sequence[str] | None = None,
        input_values: Mapping[str, Any] | None = None,
        resources: Mapping[str, Any] | None = None,
        tags: Mapping[str, str] | None = None,
        raise_on_error: bool = True,
    ) -> ExecuteInProcessResult:
        """Run the job in this process, one step after the other, and return the result.

        `run_config` is merged over the default run config of the job. `op_selection` is a list of clauses such as
        `["*add_two"]`. `input_values` sets the parameters of the job, to any Python values. `resources` replaces
        resources by name, with definitions or plain values. `tags` are added to the tags of the job. The executor in
        run config is not used.

        Raises DefinitionError before any op runs if an argument is not valid: for run config a RunConfigError with all
        problems. With `raise_on_error` it raises the exception of the first failed op at the end of the run; without,
        check `success` of the result.

        >>> from podgraph import job, op
        >>> @op
        ... def one() -> int:
        ...     return 1
        >>> @job
        ... def my_job():
        ...     one()
        >>> my_job.execute_in_process().output_for_node("one")
        1
        """
        # The only import of an upper layer: this method leads from a definition to the code that runs it.
        from podgraph.runtime.local.in_process import execute_in_process

        return execute_in_process(
            self, run_config or {}, op_selection or (), input_values or {}, resources or {}, tags or {}, raise_on_error
        )

    def resources_of(self, name: str, resources: Mapping[str, ResourceDefinition]) -> tuple[str, ...]:
        """Return the names of the `resources` that an op, its hooks, and these resources in turn require."""
        op = self.ops[name]
        keys = list(op.required_resource_keys)
        for hook in (*self.hooks, *op.hooks):
            keys += hook.required_resource_keys
        return all_needed(keys, resources) if keys else ()

    def _complete(self, node: Any, retry: RetryPolicy | None) -> Any:
        """Add to a node all resources that it and its hooks require, and the retry policy of the job."""
        keys = self.resources_of(node.name, self.resource_defs)
        if not keys and (retry is None or node.retry is not None):
            return node
        return dataclasses.replace(node, resources=keys, retry=node.retry or retry)


@overload
def job(name: Callable[..., Any]) -> JobDefinition: ...
@overload
def job(
    name: str | None = ...,
    *,
    description: str | None = ...,
    config: Mapping[str, Any] | None = ...,
    tags: Mapping[str, str] | None = ...,
    resource_defs: Mapping[str, Any] | None = ...,
    hooks: Iterable[HookDefinition] = ...,
    executor_def: ExecutorDefinition | None = ...,
    op_retry_policy: RetryPolicy | None = ...,
) -> Callable[[Callable[..., Any]], JobDefinition]: ...


def job(
    name: Any = None,
    *,
    description: str | None = None,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    resource_defs: Mapping[str, Any] | None = None,
    hooks: Iterable[HookDefinition] = (),
    executor_def: ExecutorDefinition | None = None,
    op_retry_policy: RetryPolicy | None = None,
    **unknown: Any,
) -> Any:
    """Turn a function into a job: its body calls ops and graphs, and each call becomes a step.

    `config` is the default run config; `tags` are strings by name; `resource_defs` are the resources by name,
    definitions or plain values; `hooks` are called for each step; `executor_def` is the default executor;
    `op_retry_policy` applies to ops without a retry policy. The parameters of the body are the inputs of the job, and
    its return value holds the outputs.

    Raises DefinitionError for an argument that is not valid and for a body that does not build a valid graph
    (`InvalidGraph`, `NoOps`, `UnknownResource`, `InvalidHook`, `InvalidExecutor`, `InvalidRunConfig`, ...).

    >>> from podgraph import op
    >>> @op
    ... def one():
    ...     return 1
    >>> @op
    ... def add_two(i):
    ...     return i + 2
    >>> @job(tags={"team": "data"})
    ... def my_job():
    ...     add_two(one())
    >>> my_job.graph.order
    ('one', 'add_two')
    """
    refuse_unknown("@job", unknown, inspect.getfullargspec(job).kwonlyargs if unknown else ())
    if callable(name):
        return JobDefinition(name)

    def make(fn: Callable[..., Any]) -> JobDefinition:
        return JobDefinition(
            fn, name, description, config, tags, resource_defs, hooks, executor_def, op_retry_policy
        )  # fmt: skip

    return make


def _run_config(where: str, config: Mapping[str, Any] | None, executor: ExecutorDefinition | None) -> str:
    """Return the default run config as JSON text, "" if there is none."""
    if executor is not None and not isinstance(executor, ExecutorDefinition):
        raise DefinitionError(
            "InvalidExecutor",
            f"{where} has the executor {executor!r}; it must be in_process_executor or multiprocess_executor",
        )
    whole = dict(config or {})
    if executor is not None:
        if "execution" in whole:
            raise DefinitionError("InvalidExecutor", f"{where} sets its executor in executor_def and in config")
        whole.update(executor.run_config())
    if not whole:
        return ""
    try:
        return to_json(whole)
    except NotJsonError as error:
        raise DefinitionError("InvalidRunConfig", f"the config of {where} must be JSON values, not {error}") from None
