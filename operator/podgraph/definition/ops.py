"""`@op`: turns a function into an op."""

from __future__ import annotations

import copy
import inspect
import json
import math
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Any, Callable, get_args, get_origin, overload

from podgraph.definition.arguments import refuse_unknown
from podgraph.definition.compose import Parameter, composing, invoke, is_nothing
from podgraph.definition.config_schema import schema_of
from podgraph.definition.config_types import is_config_class
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import check_name, check_node_name, check_pod_name
from podgraph.definition.hints import hints_of, type_name
from podgraph.definition.hooks import HookDefinition, check_hooks
from podgraph.definition.pod_templates import check_pod_template
from podgraph.definition.resources import check_keys
from podgraph.definition.retry import RetryPolicy, check_retry_policy
from podgraph.definition.typecheck import checker
from podgraph.definition.values import NO_DEFAULT, In, NotJsonError, Out, Output, to_json

__all__ = ["OpDefinition", "check_tags", "op", "refuse_variable_arguments"]

Check = Callable[[Any], "str | None"]

_CONTEXT_NAMES = ("context", "_context", "_", "__")
_CONFIG_NAME = "config"


class OpDefinition:
    """An op that `@op` created. A call in the body of a job adds a node; any other call runs the function.

    >>> @op
    ... def add_two(i: int) -> int:
    ...     return i + 2
    >>> add_two(1)
    3
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        ins: Mapping[str, In] | None = None,
        outs: Mapping[str, Out] | None = None,
        description: str | None = None,
        config_schema: Any = None,
        required_resource_keys: Iterable[str] = (),
        retry_policy: RetryPolicy | None = None,
        tags: Mapping[str, str] | None = None,
        timeout: float | None = None,
        pod_template: Mapping[str, Any] | None = None,
        pod: str | None = None,
    ) -> None:
        self.fn = fn
        self.name = name or fn.__name__
        check_node_name("op", self.name)
        self.ins = dict(ins or {})
        self.outs = {"result": Out()} if outs is None else dict(outs)
        self.description = description if description is not None else (inspect.getdoc(fn) or "")
        self.required_resource_keys = check_keys(f"op {self.name!r}", required_resource_keys)
        self.retry_policy = check_retry_policy(f"op {self.name!r}", retry_policy)
        self.tags = check_tags(f"op {self.name!r}", tags)
        self.timeout = _check_timeout(self.name, timeout)
        self.pod_template = check_pod_template(f"pod_template of op {self.name!r}", pod_template)
        if pod is not None:
            check_pod_name(self.name, pod)
        self.pod = pod or ""
        self.hooks: tuple[HookDefinition, ...] = ()
        self._alias: str | None = None
        refuse_variable_arguments("op", self.name, fn)
        hints = hints_of(fn)
        signature = list(inspect.signature(fn).parameters.values())
        self.takes_context = bool(signature) and signature[0].name in _CONTEXT_NAMES
        if self.takes_context:
            del signature[0]
        self.takes_config = _takes_config(signature, hints)
        if self.takes_config:
            if config_schema is not None:
                raise DefinitionError(
                    "InvalidConfigSchema",
                    f"op {self.name!r} declares its config twice: as its parameter 'config' and as config_schema",
                )
            config_schema = hints[_CONFIG_NAME]
            signature = [param for param in signature if param.name != _CONFIG_NAME]
        self.config_schema = config_schema
        self.config_json_schema = "" if config_schema is None else _to_text(schema_of(config_schema))
        self._hints = hints
        self.params = _parameters(self.name, signature, hints, self.ins)
        self.input_names = tuple(param.name for param in self.params if not param.ordering)
        # An input that only waits may also be a parameter of the function; it then receives None.
        self.nothings = tuple(
            p.name for p in self.params if p.ordering and not p.has_default and any(p.name == s.name for s in signature)
        )
        for kind, names in (("input", [p.name for p in self.params]), ("output", list(self.outs))):
            for value in names:
                check_name(kind, value)
        self.__doc__ = fn.__doc__
        self.__name__, self.__module__ = self.name, fn.__module__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """In the body of a job, add a node and return a handle for each output; elsewhere, call the function."""
        if composing() is None:
            return self.fn(*args, **kwargs)
        return invoke(self, self._alias, args, kwargs)

    def alias(self, name: str) -> OpDefinition:
        """Return the same op under another name, for a call in the body of a job: `add.alias("add_again")(x)`."""
        check_node_name("op", name)
        return self._twin(_alias=name)

    def with_hooks(self, hooks: Iterable[HookDefinition]) -> OpDefinition:
        """Return the same op with these hooks added, for one call: `add.with_hooks({notify})(x)`."""
        return self._twin(hooks=check_hooks(f"op {self.name!r}", {*self.hooks, *hooks}))

    def with_retry_policy(self, retry_policy: RetryPolicy) -> OpDefinition:
        """Return the same op with another retry policy, for one call."""
        return self._twin(retry_policy=check_retry_policy(f"op {self.name!r}", retry_policy))

    def tag(self, tags: Mapping[str, str]) -> OpDefinition:
        """Return the same op with these tags added, for one call."""
        return self._twin(tags={**self.tags, **check_tags(f"op {self.name!r}", tags)})

    @cached_property
    def input_hints(self) -> dict[str, Any]:
        """The type of each input with a value, `Any` if no type is declared."""
        return {
            name: _first(self.ins[name].type if name in self.ins else None, self._hints.get(name))
            for name in self.input_names
        }

    @cached_property
    def input_checks(self) -> dict[str, Check]:
        """The check of each input whose type can be checked (see typecheck.checker)."""
        checks = {name: checker(hint) for name, hint in self.input_hints.items()}
        return {name: check for name, check in checks.items() if check is not None}

    @cached_property
    def output_hints(self) -> dict[str, Any]:
        """The type of each output: from its Out, else from the annotation of the function."""
        declared = _returned(self._hints.get("return"), tuple(self.outs))
        return {name: _first(out.type, declared.get(name)) for name, out in self.outs.items()}

    @cached_property
    def output_checks(self) -> dict[str, Check]:
        """The check of each output whose type can be checked."""
        checks = {name: checker(hint) for name, hint in self.output_hints.items()}
        return {name: check for name, check in checks.items() if check is not None}

    def _twin(self, **changes: Any) -> OpDefinition:
        twin = copy.copy(self)
        twin.__dict__.update(changes)
        return twin


@overload
def op(name: Callable[..., Any]) -> OpDefinition: ...
@overload
def op(
    name: str | None = ...,
    *,
    ins: Mapping[str, In] | None = ...,
    out: Out | Mapping[str, Out] | None = ...,
    description: str | None = ...,
    config_schema: Any = ...,
    required_resource_keys: Iterable[str] = ...,
    retry_policy: RetryPolicy | None = ...,
    tags: Mapping[str, str] | None = ...,
    timeout: float | None = ...,
    pod_template: Mapping[str, Any] | None = ...,
    pod: str | None = ...,
) -> Callable[[Callable[..., Any]], OpDefinition]: ...


def op(
    name: Any = None,
    *,
    ins: Mapping[str, In] | None = None,
    out: Out | Mapping[str, Out] | None = None,
    description: str | None = None,
    config_schema: Any = None,
    required_resource_keys: Iterable[str] = (),
    retry_policy: RetryPolicy | None = None,
    tags: Mapping[str, str] | None = None,
    timeout: float | None = None,
    pod_template: Mapping[str, Any] | None = None,
    pod: str | None = None,
    **unknown: Any,
) -> Any:
    """Turn a function into an op.

    The parameters of the function are the inputs of the op, and its return value is the output `result`. A first
    parameter named `context` receives an OpContext. A parameter named `config` whose annotation is a dataclass,
    TypedDict or pydantic model receives the config of the op.

    `out={"a": Out(), "b": Out()}` declares several outputs: return a tuple in that order or yield `Output(value, "a")`.
    `ins={"start": In(Nothing)}` adds an input that only waits. `config_schema` is the type of `context.config`: a class
    as above, a dict of names and types, or a plain type. `required_resource_keys` are the names of the resources that
    the op uses. `retry_policy` sets the retries after a failure. `tags` are strings by name.

    `timeout` limits one attempt in a cluster, in seconds; at the limit its pod is stopped and the retry policy applies.
    `pod_template` is a part of a Kubernetes Pod that is merged into the pods of this op in a cluster; its container is
    named `step`: `{"spec": {"containers": [{"name": "step", "resources": {"requests": {"memory": "2Gi"}}}]}}`.
    Ops with the same `pod`, a short name, run in one pod, one after the other, and pass values in memory; `timeout` is
    not enforced there.

    Raises DefinitionError (`InvalidName`, `InvalidGraph`, `UnknownInput`, `InvalidConfigSchema`, `InvalidTimeout`,
    `InvalidRetryPolicy`, `InvalidPodTemplate`, `InvalidTags`, `InvalidResourceKeys`, `UnknownArgument`).



    >>> @op(config_schema={"factor": int}, tags={"team": "data"})
    ... def scale(context, i: int) -> int:
    ...     return i * context.config["factor"]
    """
    refuse_unknown("@op", unknown, inspect.getfullargspec(op).kwonlyargs if unknown else ())
    outs = {"result": out} if isinstance(out, Out) else out

    def make(fn: Callable[..., Any], own: str | None) -> OpDefinition:
        return OpDefinition(
            fn, own, ins, outs, description, config_schema, required_resource_keys, retry_policy, tags, timeout,
            pod_template,
            pod,
        )  # fmt: skip

    return make(name, None) if callable(name) else lambda fn: make(fn, name)


def refuse_variable_arguments(kind: str, name: str, fn: Callable[..., Any]) -> None:
    """Refuse a function with `*args`, `**kwargs` or positional-only parameters: inputs are passed by name."""
    for param in inspect.signature(fn).parameters.values():
        if param.kind in (
            inspect.Parameter.VAR_POSITIONAL,
            inspect.Parameter.VAR_KEYWORD,
            inspect.Parameter.POSITIONAL_ONLY,
        ):
            raise DefinitionError(
                "InvalidGraph",
                f"{kind} {name!r} has the parameter {str(param)!r}; inputs must be plain named parameters",
            )


def check_tags(where: str, tags: Mapping[str, str] | None) -> dict[str, str]:
    """Return tags with string values. A value that is not a string becomes its JSON text, as in Dagster.

    Raises DefinitionError (`InvalidTags`).
    """
    checked = {}
    for key, value in (tags or {}).items():
        if not isinstance(key, str):
            raise DefinitionError("InvalidTags", f"{where} has the tag {key!r}; its key must be a string")
        try:
            checked[key] = value if isinstance(value, str) else to_json(value)
        except NotJsonError as error:
            raise DefinitionError("InvalidTags", f"{where} has the tag {key!r}, whose value contains {error}") from None
    return checked


def _check_timeout(name: str, timeout: float | None) -> float | None:
    if timeout is None:
        return None
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not 0 < timeout < math.inf:
        raise DefinitionError(
            "InvalidTimeout", f"op {name!r} has the timeout {timeout!r}; it must be a number of seconds above 0"
        )
    return float(timeout)


def _parameters(
    name: str, signature: list[inspect.Parameter], hints: Mapping[str, Any], ins: Mapping[str, In]
) -> tuple[Parameter, ...]:
    params = [_parameter(p, hints.get(p.name, Any), ins.get(p.name) or In()) for p in signature]
    known = {p.name for p in params}
    for extra, item in ins.items():
        if extra in known:
            continue
        if not is_nothing(item.type):
            raise DefinitionError(
                "UnknownInput",
                f"op {name!r} declares input {extra!r}, but its function has no such parameter; "
                "only an In(Nothing) may omit the parameter",
            )
        params.append(Parameter(extra, "Nothing", ordering=True))
    return tuple(params)


def _parameter(param: inspect.Parameter, hint: Any, item: In) -> Parameter:
    kind = _first(item.type, hint)
    if is_nothing(kind) or is_nothing(param.annotation):
        has_default = param.default is not inspect.Parameter.empty
        return Parameter(param.name, "Nothing", ordering=True, has_default=has_default)
    shown, schema = type_name(kind), _schema_text(kind)
    value = item.default_value
    if value is NO_DEFAULT:
        value = param.default
        if value is inspect.Parameter.empty:
            return Parameter(param.name, shown, schema=schema)
    try:
        # The function supplies its own default if JSON cannot represent it.
        default: str | None = to_json(value)
    except NotJsonError:
        default = None
    return Parameter(param.name, shown, has_default=True, default=default, schema=schema)


def _schema_text(kind: Any) -> str:
    """Return the JSON Schema of the values of an input, "" if JSON cannot describe them or any value is allowed."""
    if kind is Any:
        return ""
    try:
        schema = schema_of(kind)
    except DefinitionError:
        return ""
    return _to_text(schema) if schema else ""


def _to_text(schema: Mapping[str, Any]) -> str:
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))


def _takes_config(signature: list[inspect.Parameter], hints: Mapping[str, Any]) -> bool:
    return any(param.name == _CONFIG_NAME for param in signature) and is_config_class(hints.get(_CONFIG_NAME))


def _first(*hints: Any) -> Any:
    """Return the first hint that is set, else Any."""
    return next((hint for hint in hints if hint is not None and hint is not inspect.Parameter.empty), Any)


def _returned(hint: Any, outs: tuple[str, ...]) -> dict[str, Any]:
    """Return the type of each output from the return annotation of a function; a generator declares no types."""
    if hint is None:
        return {}
    origin, args = get_origin(hint), get_args(hint)
    if len(outs) == 1:
        if hint is Output or (isinstance(origin, type) and issubclass(origin, (Iterator, AsyncIterator))):
            return {}
        return {outs[0]: args[0] if origin is Output else hint}
    if origin is tuple and len(args) == len(outs):
        return dict(zip(outs, args))
    return {}
