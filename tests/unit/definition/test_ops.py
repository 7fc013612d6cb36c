"""`@op`, `@graph` and `@job` as a person writes them, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import podgraph
from podgraph import (
    DefinitionError,
    GraphDefinition,
    In,
    JobDefinition,
    Nothing,
    OpDefinition,
    Out,
    Output,
    graph,
    job,
    op,
)
from podgraph.definition.compose import Parameter
from podgraph.definition.graph import Graph, Op


def refusal(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        make()
    return caught.value.reason, caught.value.message


def one() -> int:
    """Return one."""
    return 1


def test_the_seed() -> None:
    @op
    def return_one() -> int:
        return 1

    @op
    def add_two(i: int) -> int:
        return i + 2

    @op
    def multi_three(i: int) -> int:
        return i * 3

    @job
    def my_job() -> None:
        multi_three(add_two(return_one()))

    assert isinstance(my_job, JobDefinition)
    assert my_job.name == my_job.graph.name == "my_job"
    assert my_job.graph.order == ("return_one", "add_two", "multi_three")
    assert my_job.graph.upstream["multi_three"] == ("add_two",)
    assert my_job.ops == {"return_one": return_one, "add_two": add_two, "multi_three": multi_three}
    assert multi_three(add_two(return_one())) == 9


def test_bare_and_with_arguments() -> None:
    bare, empty = op(one), op()(one)
    named = op(name="uno", out=Out(is_required=False), description="One.")(one)
    for made in (bare, empty, named):
        assert isinstance(made, OpDefinition)
        assert made.fn is one
        assert made() == 1
        assert made.__doc__ == "Return one."
    assert (bare.name, bare.description, bare.outs) == ("one", "Return one.", {"result": Out()})
    assert (named.name, named.description, named.outs) == ("uno", "One.", {"result": Out(is_required=False)})
    assert (named.__name__, named.__module__) == ("uno", one.__module__)
    assert op(description="")(one).description == ""

    def body() -> None:
        """Do it."""
        bare()

    for made_graph in (graph(body), graph()(body), graph(name="body", description="Do it.")(body)):
        assert isinstance(made_graph, GraphDefinition)
        assert (made_graph.name, made_graph.description) == ("body", "Do it.")
    for made_job in (job(body), job()(body), job(name="body", description="Do it.")(body)):
        assert (made_job.name, made_job.description, made_job.__doc__) == ("body", "Do it.", "Do it.")
        assert made_job.graph.order == ("one",)
    assert job(name="A job, whatever!")(body).graph.name == "A job, whatever!"


def test_parameters() -> None:
    marker = object()

    @op(ins={"b": In(str), "start": In(Nothing)})
    def many(context, a, b, c: int = 3, d=None, e=marker, f=(1,), *, g: list[int]): ...  # type: ignore

    assert many.takes_context
    assert many.params == (
        Parameter("a"),
        Parameter("b", "str", schema='{"type":"string"}'),
        Parameter("c", "int", has_default=True, default="3", schema='{"type":"integer"}'),
        Parameter("d", has_default=True, default="null"),
        Parameter("e", has_default=True),
        Parameter("f", has_default=True),
        Parameter("g", "list[int]", schema='{"type":"array","items":{"type":"integer"}}'),
        Parameter("start", "Nothing", ordering=True),
    )


def test_annotations_of_nothing_and_of_other_kinds() -> None:
    def waits(start, after, then, x, y, z):  # type: ignore[no-untyped-def]
        ...

    waits.__annotations__ = {"start": Nothing, "after": "'Nothing'", "then": "podgraph.Nothing"}
    waits.__annotations__ |= {"x": dict, "y": list[Nothing], "z": "list[Nothing]"}
    params = {p.name: p for p in op(waits).params}
    assert [params[name].ordering for name in ("start", "after", "then", "x", "y", "z")] == [True] * 3 + [False] * 3
    assert params["x"].type == "dict"


@pytest.mark.parametrize("name", ["context", "_context"])
def test_only_a_first_parameter_is_the_context(name: str) -> None:
    names: dict[str, Any] = {}
    exec(f"def first({name}, x): return {name}, x\ndef second(x, {name}): ...", names)
    first, second = op(names["first"]), op(names["second"])
    assert first.takes_context
    assert [p.name for p in first.params] == ["x"]
    assert not second.takes_context
    assert [p.name for p in second.params] == ["x", name]
    assert first("ctx", 1) == ("ctx", 1)


def test_outputs() -> None:
    assert list(op(out={"a": Out(), "b": Out(is_required=False)})(one).outs) == ["a", "b"]
    assert op(out={})(one).outs == {}


def test_an_alias_is_the_same_op() -> None:
    base = op(one)
    twin = base.alias("uno")
    assert twin is not base
    assert twin() == 1
    assert twin.fn is one
    assert base._alias is None


BAD_NAMES = ["2x", "a b", "a.b", "-a", "\u00e9", "a\n", "<lambda>", "x" * 129, "\ud800"]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_invalid_names(name: str) -> None:
    def body() -> None: ...

    for kind, make in (
        ("op", lambda: op(name=name)(one)),
        ("op", lambda: op(one).alias(name)),
        ("graph", lambda: graph(name=name)(body)),
        ("graph", lambda: graph(body).alias(name)),
    ):
        reason, message = refusal(make)
        assert reason == "InvalidName"
        assert message.startswith(f"{kind} name {name[:20]!r}"[:-1])
        assert message.endswith("contain only letters, digits, '_' and '-', and have at most 128 characters")
    for out in ({name: Out()}, {"a-b": Out()}):
        reason, message = refusal(lambda out=out: op(out=out)(one))  # type: ignore[misc]
        assert reason == "InvalidName"
        assert message.startswith("output name ")
        assert message.endswith("contain only letters, digits and '_', and have at most 63 characters")


def test_an_empty_alias() -> None:
    assert refusal(lambda: op(one).alias(""))[0] == "InvalidName"


def test_input_names() -> None:
    names: dict[str, Any] = {}
    exec(f"def accent(\u00e9): ...\ndef long({'x' * 64}): ...", names)
    for fn in ("accent", "long"):
        assert refusal(lambda fn=fn: op(names[fn]))[0] == "InvalidName"  # type: ignore[misc]
    assert refusal(lambda: op(ins={"a-b": In(Nothing)})(one))[0] == "InvalidName"


def test_variable_arguments() -> None:
    def several(*args: Any) -> None: ...
    def named(**kwargs: Any) -> None: ...
    def positional(a: Any, /) -> None: ...

    for kind, make in (("op", op), ("graph", graph), ("job", job)):
        for fn, shown in ((several, "*args: 'Any'"), (named, "**kwargs: 'Any'"), (positional, "a: 'Any'")):
            assert refusal(lambda make=make, fn=fn: make(fn)) == (  # type: ignore[misc]
                "InvalidGraph",
                f'{kind} {fn.__name__!r} has the parameter "{shown}"; inputs must be plain named parameters',
            )


def test_a_declared_input_without_a_parameter() -> None:
    assert refusal(lambda: op(ins={"x": In(int)})(one)) == (
        "UnknownInput",
        "op 'one' declares input 'x', but its function has no such parameter; "
        "only an In(Nothing) may omit the parameter",
    )


def test_graphs_and_jobs_are_not_called_like_functions() -> None:
    made, step = graph(name="g")(lambda: None), op(one)
    assert refusal(made) == (
        "InvalidGraph",
        "graph 'g' is called outside a job; call it in the body of a @job",
    )
    inner = job(name="inner")(lambda: step())
    told = ("InvalidGraph", "job 'inner' cannot be called, not even in another job; put shared ops into a @graph")
    assert refusal(inner) == told
    assert refusal(lambda: job(name="outer")(lambda: inner())) == told


def test_a_job_without_ops() -> None:
    assert refusal(lambda: job(name="j")(lambda: None)) == (
        "NoOps",
        "job 'j' calls no op; it must call at least one",
    )
    empty = graph(name="g")(lambda: None)
    assert refusal(lambda: job(name="j")(lambda: empty()))[0] == "NoOps"


def test_the_package_exports_what_its_page_says() -> None:
    assert all(hasattr(podgraph, name) for name in podgraph.__all__)


def test_tags_are_texts() -> None:
    made = op(name="f", tags={"team": "data", "n": 3})(one)  # type: ignore[dict-item]
    assert made.tags == {"team": "data", "n": "3"}
    twin = made.tag({"team": "web", "more": "x"})
    assert twin.tags == {"team": "web", "n": "3", "more": "x"}
    assert made.tags["team"] == "data"
    assert refusal(lambda: made.tag({"x": {1}})) == (  # type: ignore[dict-item]
        "InvalidTags",
        "op 'f' has the tag 'x', whose value contains a set",
    )


def test_what_is_set_at_a_place_goes_with_an_alias() -> None:
    hook = podgraph.success_hook(name="h")(lambda context: None)
    policy = podgraph.RetryPolicy(2)
    twin = op(one).alias("uno").with_hooks({hook}).with_retry_policy(policy).tag({"a": "b"})
    made = job(name="j")(lambda: twin())
    assert list(made.ops) == ["uno"]
    assert made.ops["uno"].hooks == (hook,)
    assert made.graph.ops["uno"].retry is policy
    assert made.graph.ops["uno"].tags == {"a": "b"}


@dataclass
class Settings:
    factor: int
    offset: int = 0


def test_a_parameter_named_config() -> None:
    @op
    def scale(context: Any, x: int, config: Settings) -> int:
        return x * config.factor

    @op
    def plain(config: int) -> int:
        return config

    assert scale.takes_config
    assert scale.config_schema is Settings
    assert scale.input_names == ("x",)
    assert json.loads(scale.config_json_schema)["required"] == ["factor"]
    assert not plain.takes_config
    assert plain.input_names == ("config",)
    assert scale(None, 3, Settings(2)) == 6
    assert refusal(lambda: op(name="f", config_schema=int)(scale.fn)) == (
        "InvalidConfigSchema",
        "op 'f' declares its config twice: as its parameter 'config' and as config_schema",
    )


@pytest.mark.parametrize(
    ("schema", "json_schema"),
    [
        (None, None),
        (int, {"type": "integer"}),
        (Settings, {"type": "object"}),
        ({"factor": int}, {"type": "object"}),
    ],
)
def test_a_config_schema(schema: Any, json_schema: dict[str, Any] | None) -> None:
    text = op(name="f", config_schema=schema)(lambda context: 1).config_json_schema
    assert text == "" if json_schema is None else json_schema.items() <= json.loads(text).items()


def test_types_of_inputs_and_outputs() -> None:
    @op(ins={"b": In(str), "c": In(default_value=7)}, out={"x": Out(), "y": Out(list)})
    def f(a: int, b, c: int = 3) -> tuple[int, str]: ...  # type: ignore[no-untyped-def, empty-body]

    assert f.input_hints == {"a": int, "b": str, "c": int}
    assert f.output_hints == {"x": int, "y": list}
    assert f.params[2].default == "7"
    assert set(f.input_checks) == {"a", "b", "c"}


@pytest.mark.parametrize(
    ("returned", "hint"),
    [
        (int, int),
        (Output[int], int),
        (Output, Any),
        (Iterator[Output[int]], Any),
        (AsyncIterator[int], Any),
        (Generator[int, None, None], Any),
        (list[int], list[int]),
        (None, type(None)),
    ],
)
def test_what_a_return_annotation_says_of_one_output(returned: Any, hint: Any) -> None:
    def fn(): ...  # type: ignore[no-untyped-def]

    fn.__annotations__ = {"return": returned}
    assert op(fn).output_hints == {"result": hint}


def test_a_timeout_goes_with_the_op_into_the_graph() -> None:
    @op(timeout=90)
    def slow() -> None: ...

    @job
    def j() -> None:
        slow()
        slow.alias("again")()

    read = Graph.from_json(j.graph.to_json())
    assert [read.ops[name].timeout for name in ("slow", "again")] == [90.0, 90.0]


def test_a_pod_goes_with_the_op_into_the_graph_as_it_is_written() -> None:
    @op(pod="prep-1")
    def shares() -> int:
        return 1

    @graph
    def inner() -> None:
        shares()

    @job
    def j() -> None:
        inner()
        shares.alias("again").tag({"a": "b"})()
        op(name="alone")(one)()

    read = Graph.from_json(j.graph.to_json())
    assert {name: o.pod for name, o in read.ops.items()} == {"inner.shares": "prep-1", "again": "prep-1", "alone": ""}
    assert shares() == 1


@pytest.mark.parametrize("pod", ["", "a b", "a.b", "ä", "x" * 64, 1])
def test_a_pod_has_a_short_name(pod: Any) -> None:
    with pytest.raises(DefinitionError, match="only letters, digits, '_' and '-', and have 1 to 63 characters"):
        op(pod=pod)(one)
    text = Graph.of("j", [Op("a")]).to_json().replace('{"name":"a"}', json.dumps({"name": "a", "pod": pod}))
    if pod:
        with pytest.raises(DefinitionError):
            Graph.from_json(text)


@pytest.mark.parametrize("timeout", [0, -1, True, "5", float("inf"), float("nan")])
def test_a_timeout_must_be_a_number_of_seconds(timeout: Any) -> None:
    with pytest.raises(DefinitionError, match="it must be a number of seconds above 0"):
        op(timeout=timeout)(one)
