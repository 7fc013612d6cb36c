"""`@resource` as it is written, and how a job's resources are put in order."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from podgraph import DefinitionError, ResourceDefinition, job, op, resource
from podgraph.definition.resources import all_needed, with_dependencies


@dataclass
class Address:
    host: str
    port: int = 80


def refusal(make: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        make()
    return caught.value.reason, caught.value.message


def needing(*keys: str) -> ResourceDefinition:
    return resource(required_resource_keys=set(keys))(lambda context: None)


def test_bare_and_with_arguments() -> None:
    def db(context: Any) -> int:
        """Open it."""
        return 1

    bare, empty = resource(db), resource()(db)
    for made in (bare, empty):
        assert isinstance(made, ResourceDefinition)
        assert (made.fn, made.description, made.schema, made.takes_context) == (db, "Open it.", None, True)
    full = resource(config_schema=Address, description="The database.", required_resource_keys={"b", "a"})(db)
    assert (full.description, full.required_resource_keys) == ("The database.", ("a", "b"))
    assert full.schema is not None
    assert full.schema["required"] == ["host"]


def test_a_resource_takes_the_context_or_nothing() -> None:
    def two(a: Any, b: Any) -> None: ...

    assert not resource(lambda: 1).takes_context
    assert not resource(lambda context=None: 1).takes_context
    assert resource(lambda _: 1).takes_context
    assert refusal(lambda: resource(two)) == (
        "InvalidGraph",
        "resource 'two' takes 2 arguments; it may take only context",
    )


def test_configured_sets_the_config_here() -> None:
    made = resource(config_schema=Address)(lambda context: context.resource_config)
    fixed = made.configured({"host": "h"})
    assert (fixed.is_fixed, fixed.fixed, fixed.schema) == (True, {"host": "h"}, None)
    assert not made.is_fixed
    assert made.schema is not None


def test_configured_with_wrong_config() -> None:
    made = resource(config_schema=Address)(lambda context: context.resource_config)
    reason, message = refusal(lambda: made.configured({"port": "x"}))
    assert reason == "InvalidConfig"
    assert message.startswith("the config of a resource is not valid: ")
    assert ".host" in message
    assert ".port" in message


def test_plain_values_are_resources() -> None:
    made = with_dependencies({"limit": 3, "db": resource(lambda: 1), "fixed": ResourceDefinition.hardcoded_resource(4)})
    assert {key: made[key].fn() for key in made} == {"limit": 3, "db": 1, "fixed": 4}


def test_each_stands_behind_those_it_needs() -> None:
    given = {"a": needing("c", "b"), "b": needing("d"), "c": needing("d"), "d": 1}
    assert list(with_dependencies(given)) == ["d", "b", "c", "a"]


def test_needs_that_cannot_be_met() -> None:
    assert refusal(lambda: with_dependencies({"db": needing("url"), "urls": 1})) == (
        "UnknownResource",
        "resource 'db' requires resource 'url', which the job does not define; did you mean 'urls'?",
    )
    assert refusal(lambda: with_dependencies({"a": needing("b"), "b": needing("c"), "c": needing("b")})) == (
        "Cycle",
        "the resources require each other in a cycle: b -> c -> b",
    )
    assert refusal(lambda: with_dependencies({"2x": 1}))[0] == "InvalidName"


def test_all_that_is_needed() -> None:
    made = with_dependencies({"a": needing("b"), "b": needing("c"), "c": 1, "d": 1})
    assert all_needed({"a"}, made) == ("a", "b", "c")
    assert all_needed(["gone", "c"], made) == ("c", "gone")


def test_an_ops_node_names_all_it_needs() -> None:
    uses = op(name="uses", required_resource_keys={"a"})(lambda context: 1)
    made = job(name="j", resource_defs={"a": needing("b"), "b": 1, "c": 1})(lambda: uses())
    assert made.graph.ops["uses"].resources == ("a", "b")
    assert set(made.graph.resources) == {"a", "b", "c"}
    assert refusal(lambda: job(name="j", resource_defs={"aa": 1})(lambda: uses())) == (
        "UnknownResource",
        "op 'uses' requires resource 'a', which the job does not define; did you mean 'aa'?",
    )


@pytest.mark.parametrize(
    ("where", "make"),
    [
        ("a resource", lambda: resource(required_resource_keys="db")(lambda: 1)),
        ("op 'f'", lambda: op(name="f", required_resource_keys="db")(lambda: 1)),
    ],
)
def test_a_text_is_no_set_of_keys(where: str, make: Callable[[], Any]) -> None:
    assert refusal(make) == (
        "InvalidResourceKeys",
        f"{where} has required_resource_keys='db'; it must be a set, as in {{'db'}}",
    )
