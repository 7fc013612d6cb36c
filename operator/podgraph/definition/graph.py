"""The graph of a job as plain data. Python definitions and YAML ops are both converted to it.

All other code (selection, planning, the page) reads only this. The name of an op is its path: `add` at the top level
of the job, `src.add` for the op `add` in the graph `src`.
"""

from __future__ import annotations

import heapq
import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.definition.pod_templates import check_pod_template
from podgraph.definition.retry import RetryPolicy
from podgraph.definition.values import NotJsonError, to_json

__all__ = ["Graph", "Input", "Op", "Output", "OutputRef", "check_name", "check_node_name", "check_pod_name"]

_OP_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_-]*)*")
_NODE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_VALUE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MOST_PARTS = 200_000
_POD_NAME = re.compile(r"[A-Za-z0-9_-]+")
_MAX_OP_NAME, _MAX_VALUE_NAME = 128, 63


@dataclass(frozen=True)
class OutputRef:
    """A reference of an input to the output `output` of the op `op`."""

    op: str
    output: str = "result"


@dataclass(frozen=True)
class Input:
    """One input of an op, and the source of its value.

    `sources` holds no reference (the value comes from `literal`, run config or a default), one reference, or with
    `fan_in` any number of references whose values arrive as one list in this order. An `ordering` input has no value:
    it only waits, and may name an output that the op does not have.
    `literal` and `default` are JSON texts. `has_default` with `default` None means that the function has a default
    that JSON cannot represent. `schema` is the JSON Schema of the values as JSON text, "" if any value is allowed.
    `job_input` is the name of the parameter of the job that supplies the value.
    """

    name: str
    sources: tuple[OutputRef, ...] = ()
    fan_in: bool = False
    ordering: bool = False
    literal: str | None = None
    default: str | None = None
    has_default: bool = False
    type: str = "Any"
    schema: str = ""
    job_input: str = ""


@dataclass(frozen=True)
class Output:
    """One output of an op. An op may omit an output that is not `required`; the steps that need it are then skipped."""

    name: str = "result"
    required: bool = True


@dataclass(frozen=True)
class Op:
    """One node of the graph: its path, inputs, outputs, and the ops that it only waits for (`after`).

    `config` is the JSON Schema of its config as JSON text, "" if it takes none. `resources` names the resources of the
    job that it uses. `retry` is its retry policy. `timeout` limits one attempt, in seconds. `pod_template` is the
    template of its pods as JSON text (see definition.pod_templates). Ops with the same `pod` share one pod; "" is an
    own pod.
    """

    name: str
    inputs: tuple[Input, ...] = ()
    outputs: tuple[Output, ...] = (Output(),)
    after: tuple[str, ...] = ()
    description: str = ""
    config: str = ""
    resources: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)
    retry: RetryPolicy | None = None
    timeout: float | None = None
    pod_template: str = ""
    pod: str = ""

    @cached_property
    def upstream(self) -> tuple[str, ...]:
        """Names of the ops that this op waits for, each once, in the order of the definition."""
        refs = [ref.op for i in self.inputs for ref in i.sources]
        return tuple(dict.fromkeys([*refs, *self.after]))


@dataclass(frozen=True)
class Graph:
    """The ops of one job by name, in the order of the definition.

    `resources` maps each resource of the job to the JSON Schema of its config as JSON text ("" if it takes none).
    `run_config` is the default run config as JSON text. `tags` apply to each run. Create a graph with :meth:`of`, which
    refuses duplicate and invalid names, references to ops or outputs that do not exist, and cycles.

    >>> g = Graph.of("j", [Op("a"), Op("b", (Input("x", (OutputRef("a"),)),))])
    >>> g.order
    ('a', 'b')
    >>> g.downstream["a"]
    ('b',)
    """

    name: str
    ops: Mapping[str, Op] = field(default_factory=dict)
    resources: Mapping[str, str] = field(default_factory=dict)
    run_config: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, name: str, ops: Iterable[Op], resources: Mapping[str, str] | None = None, run_config: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> Graph:  # fmt: skip
        """Check `ops` and return their graph. Raises DefinitionError for the first problem."""
        named: dict[str, Op] = {}
        for op in ops:
            check_name("op", op.name, _OP_NAME, _MAX_OP_NAME)
            if op.name in named:
                raise DefinitionError("DuplicateOp", f"two ops are named {op.name!r}; op names must be unique")
            _check_values(op)
            _check_texts(op)
            named[op.name] = op
        if not _is_unicode(name):
            raise DefinitionError("InvalidGraph", f"the job's name {_shown(name)} is not valid Unicode")
        if not named:
            raise DefinitionError("NoOps", f"job {_shown(name)} has no ops; it must have at least one")
        for path in named:
            for parent in _parents(path):
                if parent in named:
                    raise DefinitionError(
                        "InvalidName",
                        f"op {path!r} is inside {parent!r}, which is an op; only a graph can contain ops",
                    )
        graph = cls(name, named, dict(resources or {}), run_config, dict(tags or {}))
        graph._check_own()
        graph._check_references()
        graph.order  # noqa: B018  finds a cycle
        return graph

    @cached_property
    def upstream(self) -> Mapping[str, tuple[str, ...]]:
        """The ops that each op waits for."""
        return {name: op.upstream for name, op in self.ops.items()}

    @cached_property
    def downstream(self) -> Mapping[str, tuple[str, ...]]:
        """The ops that wait for each op, in the order of the graph."""
        down: dict[str, list[str]] = {name: [] for name in self.ops}
        for name, ups in self.upstream.items():
            for up in ups:
                down[up].append(name)
        return {name: tuple(names) for name, names in down.items()}

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Op names in topological order. Ops that are independent keep the order of the definition."""
        waiting = {name: len(ups) for name, ups in self.upstream.items()}
        names, written = list(self.ops), {name: at for at, name in enumerate(self.ops)}
        ready = [written[name] for name, count in waiting.items() if count == 0]  # ascending, and so a heap
        order: list[str] = []
        while ready:
            name = names[heapq.heappop(ready)]
            order.append(name)
            for down in self.downstream[name]:
                waiting[down] -= 1
                if waiting[down] == 0:
                    heapq.heappush(ready, written[down])
        if len(order) < len(self.ops):
            loop = _cycle(self.upstream, {name for name, count in waiting.items() if count})
            if len(loop) > 21:  # the message must fit into a Kubernetes condition
                loop = [*loop[:10], "...", *loop[-10:-1], f"{loop[-1]} ({len(loop) - 1} ops)"]
            raise DefinitionError("Cycle", "the ops wait for each other in a cycle: " + " -> ".join(loop))
        return tuple(order)

    def _check_own(self) -> None:
        """Check the resources, default run config and tags of the job."""
        for resource, schema in self.resources.items():
            check_name("resource", resource)
            _check_json(f"the config schema of resource {resource!r}", schema or None)
        _check_json("the job's run config", self.run_config or None)
        _check_tags("the job", self.tags)

    def _check_references(self) -> None:
        for op in self.ops.values():
            for item in op.inputs:
                for ref in item.sources:
                    where = f"input {item.name!r} of op {op.name!r}"
                    if ref.op not in self.ops:
                        hint = nearest(ref.op, self.ops)
                        raise DefinitionError(
                            "UnknownOp", f"{where} comes from op {_shown(ref.op)}, which does not exist{hint}"
                        )
                    outputs = [o.name for o in self.ops[ref.op].outputs]
                    if not item.ordering and ref.output not in outputs:
                        hint = nearest(ref.output, outputs)
                        raise DefinitionError(
                            "UnknownOutput",
                            f"{where} comes from output {_shown(ref.output)} of op {ref.op!r}, "
                            f"which has no such output{hint}",
                        )
            for key in op.resources:
                if key not in self.resources:
                    raise DefinitionError(
                        "UnknownResource",
                        f"op {op.name!r} requires resource {_shown(key)}, which the job does not define"
                        f"{nearest(key, self.resources)}",
                    )
            for name in op.after:
                if name not in self.ops:
                    hint = nearest(name, self.ops)
                    raise DefinitionError(
                        "UnknownOp", f"op {op.name!r} runs after op {_shown(name)}, which does not exist{hint}"
                    )

    def to_json(self) -> str:
        """Return the graph as compact JSON text; :meth:`from_json` reads it back."""
        data: dict[str, Any] = {"name": self.name, "ops": [_op_to_dict(op) for op in self.ops.values()]}
        for key in ("resources", "run_config", "tags"):
            if getattr(self, key):
                data[key] = getattr(self, key)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Graph:
        """Read the text that :meth:`to_json` wrote, and check it as :meth:`of` does.

        Raises DefinitionError (`InvalidGraph`) for any other text, and whatever :meth:`of` raises.
        """
        try:
            data = json.loads(text)
            _check_size(_is(list, data["ops"]))
            name, ops = _is(str, data["name"]), [_op_from_dict(item) for item in _is(list, data["ops"])]
            resources, tags = _texts(data.get("resources", {})), _texts(data.get("tags", {}))
            run_config = _is(str, data.get("run_config", ""))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise DefinitionError("InvalidGraph", f"the graph cannot be read: {repr(error)[:200]}") from error
        return cls.of(name, ops, resources, run_config, tags)


def check_name(kind: str, name: str, pattern: re.Pattern[str] = _VALUE_NAME, most: int = _MAX_VALUE_NAME) -> None:
    """Raise DefinitionError (`InvalidName`) for a name that is not valid for its `kind` ("op", "input", "output").

    >>> check_name("input", "2x")
    Traceback (most recent call last):
        ...
    podgraph.definition.errors.DefinitionError: input name '2x' must start with a letter or '_', ...
    """
    if len(name) <= most and pattern.fullmatch(name):
        return
    dotted = ", with '.' between a graph and its op" if pattern is _OP_NAME else ""
    allowed = "letters, digits and '_'" if pattern is _VALUE_NAME else f"letters, digits, '_' and '-'{dotted}"
    raise DefinitionError(
        "InvalidName",
        f"{kind} name {_shown(name)} must start with a letter or '_', contain only {allowed}, "
        f"and have at most {most} characters",
    )


def check_node_name(kind: str, name: str) -> None:
    """Raise DefinitionError (`InvalidName`) for an invalid name of an op or graph: one part of a path, without dots."""
    check_name(kind, name, _NODE_NAME, _MAX_OP_NAME)


def check_pod_name(op: str, name: str) -> None:
    """Raise DefinitionError (`InvalidName`) for an invalid name of a pod that ops share."""
    if not (isinstance(name, str) and len(name) <= _MAX_VALUE_NAME and _POD_NAME.fullmatch(name)):
        shown = repr(name) if len(repr(name)) <= _MAX_OP_NAME else f"{repr(name)[:57]}..."
        raise DefinitionError(
            "InvalidName",
            f"op {op!r} has the pod {shown}; its name must contain only letters, digits, '_' and '-', and have 1 to "
            f"{_MAX_VALUE_NAME} characters",
        )


def _check_values(op: Op) -> None:
    for kind, names in (("input", [i.name for i in op.inputs]), ("output", [o.name for o in op.outputs])):
        seen: set[str] = set()
        for name in names:
            check_name(kind, name)
            if name in seen:
                raise DefinitionError(
                    "InvalidName", f"op {op.name!r} has two {kind}s named {name!r}; they must be unique"
                )
            seen.add(name)


def _check_texts(op: Op) -> None:
    """Refuse texts that cannot be written and read again: a graph may come from the pod of a user."""
    if not _is_unicode(op.description):
        raise DefinitionError("InvalidGraph", f"the description of op {op.name!r} is not valid Unicode")
    for item in op.inputs:
        where = f"input {item.name!r} of op {op.name!r}"
        if len(item.sources) > 1 and not item.fan_in:
            raise DefinitionError("InvalidGraph", f"{where} has {len(item.sources)} sources but does not take a list")
        if item.sources and item.literal is not None:
            raise DefinitionError("InvalidGraph", f"{where} has a source and a value; it can have only one")
        for kind, text in (("value", item.literal), ("default", item.default), ("schema", item.schema or None)):
            _check_json(f"the {kind} of {where}", text)
        if not all(map(_is_unicode, (item.type, item.job_input, *(ref.output for ref in item.sources)))):
            raise DefinitionError("InvalidGraph", f"{where} contains text that is not valid Unicode")
    _check_json(f"the config schema of op {op.name!r}", op.config or None)
    if op.timeout is not None and not 0 < op.timeout < math.inf:
        raise DefinitionError("InvalidTimeout", f"op {op.name!r} has the timeout {op.timeout!r}; it must be above 0")
    if op.pod:
        check_pod_name(op.name, op.pod)
    _check_tags(f"op {op.name!r}", op.tags)
    if op.pod_template:
        _check_json(f"the podTemplate of op {op.name!r}", op.pod_template)
        check_pod_template(f"podTemplate of op {op.name!r}", json.loads(op.pod_template))


def _check_json(what: str, text: str | None) -> None:
    if text is not None and not _is_json(text):
        raise DefinitionError("InvalidGraph", f"{what} is not valid JSON: {_shown(text)}")


def _check_tags(where: str, tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        if not (isinstance(key, str) and isinstance(value, str) and _is_unicode(key + value)):
            raise DefinitionError(
                "InvalidTags", f"{where} has the tag {key!r}: {value!r}; keys and values must be strings"
            )


def _is_json(text: str) -> bool:
    try:
        to_json(json.loads(text))
    except (NotJsonError, ValueError, RecursionError):
        return False
    return _is_unicode(text)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_size(ops: list[Any]) -> None:
    """Refuse a graph that takes too long to read: it comes from a pod that runs code of users."""
    parts = len(ops)
    for op in ops[:_MOST_PARTS]:
        inputs = op.get("inputs", ())
        parts += sum(len(op.get(key, ())) for key in ("inputs", "outputs", "after", "resources", "tags"))
        parts += sum(len(item.get("sources", ())) for item in inputs)
    if parts > _MOST_PARTS:
        raise DefinitionError(
            "TooManyOps", f"the graph has {parts:,} ops, inputs, outputs and sources; at most {_MOST_PARTS:,} fit"
        )


def _shown(name: str) -> str:
    return repr(name if len(name) <= _MAX_OP_NAME else name[:57] + "...")


def _parents(path: str) -> list[str]:
    parts = path.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _cycle(upstream: Mapping[str, tuple[str, ...]], within: set[str]) -> list[str]:
    """Return a cycle in run order: walk upstream from any op of `within` until an op repeats."""
    name, seen = min(within), []
    while name not in seen:
        seen.append(name)
        name = next(up for up in upstream[name] if up in within)
    loop = seen[seen.index(name) :]
    return [name, *reversed(loop)]


def _op_to_dict(op: Op) -> dict[str, Any]:
    data: dict[str, Any] = {"name": op.name}
    if op.inputs:
        data["inputs"] = [_input_to_dict(i) for i in op.inputs]
    if op.outputs != (Output(),):
        data["outputs"] = [{"name": o.name} if o.required else {"name": o.name, "required": False} for o in op.outputs]
    if op.after:
        data["after"] = list(op.after)
    for key in ("description", "config", "tags", "pod_template"):
        if getattr(op, key):
            data[key] = getattr(op, key)
    if op.resources:
        data["resources"] = list(op.resources)
    if op.retry is not None:
        data["retry"] = op.retry.to_dict()
    if op.timeout is not None:
        data["timeout"] = op.timeout
    if op.pod:
        data["pod"] = op.pod
    return data


def _input_to_dict(item: Input) -> dict[str, Any]:
    data: dict[str, Any] = {"name": item.name}
    if item.sources:
        data["sources"] = [[ref.op, ref.output] for ref in item.sources]
    plain = Input(item.name)
    for key in _INPUT_TYPES:
        if getattr(item, key) != getattr(plain, key):
            data[key] = getattr(item, key)
    return data


def _op_from_dict(data: dict[str, Any]) -> Op:
    return Op(
        name=_is(str, data["name"]),
        inputs=tuple(_input_from_dict(i) for i in _is(list, data.get("inputs", []))),
        outputs=tuple(
            Output(_is(str, o["name"]), _is(bool, o.get("required", True)))
            for o in _is(list, data.get("outputs", [{"name": "result"}]))
        ),
        after=tuple(_is(str, name) for name in _is(list, data.get("after", []))),
        description=_is(str, data.get("description", "")),
        config=_is(str, data.get("config", "")),
        resources=tuple(_is(str, name) for name in _is(list, data.get("resources", []))),
        tags=_texts(data.get("tags", {})),
        retry=RetryPolicy.from_dict(data["retry"]) if "retry" in data else None,
        timeout=float(data["timeout"]) if "timeout" in data else None,
        pod_template=_is(str, data.get("pod_template", "")),
        pod=_is(str, data.get("pod", "")),
    )


_INPUT_TYPES = {
    "fan_in": bool,
    "ordering": bool,
    "literal": str,
    "default": str,
    "has_default": bool,
    "type": str,
    "schema": str,
    "job_input": str,
}


def _input_from_dict(data: dict[str, Any]) -> Input:
    refs = [_is(list, ref) for ref in _is(list, data.get("sources", []))]
    sources = tuple(OutputRef(_is(str, op), _is(str, output)) for op, output in refs)
    rest = {key: _is(kind, data[key]) for key, kind in _INPUT_TYPES.items() if key in data}
    return Input(name=_is(str, data["name"]), sources=sources, **rest)


def _texts(data: Any) -> dict[str, str]:
    return {_is(str, key): _is(str, value) for key, value in _is(dict, data).items()}


def _is(kind: type, value: Any) -> Any:
    if not isinstance(value, kind):
        raise TypeError(f"{value!r} is not {kind.__name__}")
    return value
