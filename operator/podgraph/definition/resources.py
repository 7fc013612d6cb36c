"""`@resource`: an object that ops share. It is created once per process and always cleaned up."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterable, Mapping
from typing import Any, Callable, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.config_read import ConfigError, read_config
from podgraph.definition.config_schema import schema_of
from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.graph import check_name

__all__ = ["ResourceDefinition", "all_needed", "check_keys", "resource", "with_dependencies"]


class ResourceDefinition:
    """How to create a resource: a function that returns it, or yields it once and cleans up after the `yield`.

    The function takes nothing or an InitResourceContext with `resource_config`, `resources` (the resources named in
    `required_resource_keys`), `log` and `run_id`. Raises DefinitionError (`InvalidGraph`, `InvalidResourceKeys`,
    `InvalidConfigSchema`).
    """

    def __init__(
        self, fn: Callable[..., Any], config_schema: Any = None, description: str | None = None,
        required_resource_keys: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.fn = fn
        self.config_schema = config_schema
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self.required_resource_keys = check_keys("a resource", required_resource_keys)
        self.schema = None if config_schema is None else schema_of(config_schema)
        self.fixed: Any = None
        self.is_fixed = False
        self.takes_context = _takes_one("resource", fn)

    def configured(self, config: Any) -> ResourceDefinition:
        """Return the same resource with this config; run config cannot change it.

        Raises DefinitionError (`InvalidConfig`) for config that its schema does not allow.
        """
        if self.config_schema is not None:
            try:
                read_config(self.config_schema, config)
            except ConfigError as error:
                raise DefinitionError("InvalidConfig", f"the config of a resource is not valid: {error}") from None
        twin = copy.copy(self)
        twin.fixed, twin.is_fixed, twin.schema = config, True, None
        return twin

    @classmethod
    def hardcoded_resource(cls, value: Any, description: str = "") -> ResourceDefinition:
        """Return a resource whose object is `value`."""
        return cls(lambda: value, description=description)


@overload
def resource(config_schema: Callable[..., Any]) -> ResourceDefinition: ...
@overload
def resource(
    config_schema: Any = ...,
    *,
    description: str | None = ...,
    required_resource_keys: Iterable[str] = ...,
) -> Callable[[Callable[..., Any]], ResourceDefinition]: ...


def resource(
    config_schema: Any = None, *, description: str | None = None, required_resource_keys: Iterable[str] = (),
    **unknown: Any,
) -> Any:  # fmt: skip
    """Turn a function into a resource.

    The function returns the object, or yields it once and cleans up after the `yield`. `config_schema` is the type of
    `context.resource_config` (see :func:`op`); `required_resource_keys` are the names of the resources that it uses.
    Raises DefinitionError (`InvalidGraph`, `InvalidConfigSchema`, `InvalidResourceKeys`, `UnknownArgument`).



    >>> @resource(config_schema={"url": str})
    ... def db(context):
    ...     connection = ["connected to", context.resource_config["url"]]
    ...     yield connection
    ...     connection.clear()
    >>> db.schema["required"]
    ['url']
    """
    refuse_unknown("@resource", unknown, ("config_schema", "description", "required_resource_keys"))
    if inspect.isfunction(config_schema):
        return ResourceDefinition(config_schema)

    def make(fn: Callable[..., Any]) -> ResourceDefinition:
        return ResourceDefinition(fn, config_schema, description, required_resource_keys)

    return make


def check_keys(where: str, keys: Iterable[str]) -> tuple[str, ...]:
    """Return resource keys, sorted. Raises DefinitionError for a string, which would be read letter by letter."""
    if isinstance(keys, str):
        raise DefinitionError(
            "InvalidResourceKeys", f"{where} has required_resource_keys={keys!r}; it must be a set, as in {{{keys!r}}}"
        )
    return tuple(sorted(keys))


def all_needed(keys: Iterable[str], resources: Mapping[str, ResourceDefinition]) -> tuple[str, ...]:
    """Return `keys` and the keys that those resources require in turn, sorted. Unknown keys are kept."""
    found = list(keys)
    for key in found:  # grows while it is read
        if key in resources:
            found += [need for need in resources[key].required_resource_keys if need not in found]
    return tuple(sorted(set(found)))


def with_dependencies(resources: Mapping[str, Any]) -> dict[str, ResourceDefinition]:
    """Return resource definitions by name, each after the resources that it requires. Plain values become resources.

    Raises DefinitionError (`UnknownResource`, `Cycle`, `InvalidName`).
    """
    made = {}
    for key, value in resources.items():
        check_name("resource", key)
        made[key] = value if isinstance(value, ResourceDefinition) else ResourceDefinition.hardcoded_resource(value)
    ordered: dict[str, ResourceDefinition] = {}
    for key in made:
        _place(key, made, ordered, ())
    return ordered


def _place(
    key: str, made: Mapping[str, ResourceDefinition], ordered: dict[str, ResourceDefinition], path: tuple[str, ...]
) -> None:
    if key in ordered:
        return
    if key in path:
        circle = " -> ".join([*path[path.index(key) :], key])
        raise DefinitionError("Cycle", f"the resources require each other in a cycle: {circle}")
    for need in made[key].required_resource_keys:
        if need not in made:
            raise DefinitionError(
                "UnknownResource", f"resource {key!r} requires resource {need!r}, which the job does not define"
                f"{nearest(need, made)}"
            )  # fmt: skip
        _place(need, made, ordered, (*path, key))
    ordered[key] = made[key]


def _takes_one(kind: str, fn: Callable[..., Any]) -> bool:
    """Return whether a function takes one argument, not none. Raises DefinitionError for any other number."""
    params = [p for p in inspect.signature(fn).parameters.values() if p.default is p.empty]
    if len(params) > 1:
        name = getattr(fn, "__name__", "?")
        raise DefinitionError(
            "InvalidGraph", f"{kind} {name!r} takes {len(params)} arguments; it may take only context"
        )
    return len(params) == 1
