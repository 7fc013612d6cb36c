"""Resources of a process: made once and in order, and put away whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from podgraph import resource
from podgraph.definition.resources import with_dependencies
from podgraph.protocol.step import StepError
from podgraph.runtime.resources import open_resources

Told = list[tuple[str, dict[str, Any]]]


@contextlib.contextmanager
def opened(
    definitions: Mapping[str, Any],
    needed: Any = None,
    configs: Mapping[str, Any] | None = None,
    told: Told | None = None,
) -> Iterator[dict[str, Any]]:
    made = with_dependencies(definitions)
    events: Told = [] if told is None else told
    with open_resources(
        made, made if needed is None else needed, configs or {}, "run-1", lambda *event: events.append(event)
    ) as values:
        yield values


def noting(seen: list[str], name: str, *needs: str, fails: BaseException | None = None) -> Any:
    @resource(required_resource_keys=set(needs))
    def made(context: Any) -> Iterator[str]:
        seen.append(f"+{name}")
        yield name
        seen.append(f"-{name}")
        if fails is not None:
            raise fails

    return made


def test_each_kind_of_function() -> None:
    seen: list[str] = []

    @resource
    @contextlib.contextmanager
    def managed() -> Iterator[int]:
        yield 3
        seen.append("-managed")

    @resource
    @contextlib.contextmanager
    def asks(context: Any) -> Iterator[str]:
        yield context.run_id

    @resource
    def plain(context: Any) -> tuple[str, Any]:
        context.log.info("made")
        return context.resource_name, context.resource_config

    values = {"managed": managed, "asks": asks, "plain": plain, "made": noting(seen, "made"), "value": [1]}
    with opened(values, configs={"plain": 7}) as found:
        assert found == {"managed": 3, "asks": "run-1", "plain": ("plain", 7), "made": "made", "value": [1]}
    assert seen == ["+made", "-made", "-managed"]


def test_only_what_is_needed_is_made_in_order_and_put_away_in_reverse() -> None:
    seen: list[str] = []
    told: Told = []
    given = {
        "a": noting(seen, "a", "b", "c"),
        "b": noting(seen, "b", "c"),
        "c": noting(seen, "c"),
        "d": noting(seen, "d"),
    }
    with opened(given, {"a", "b", "c"}, told=told):
        seen.append("used")
    assert seen == ["+c", "+b", "+a", "used", "-a", "-b", "-c"]
    assert told == [("RESOURCE_INIT_SUCCESS", {"name": name}) for name in ("c", "b", "a")]


def test_a_resource_sees_those_it_requires_alone() -> None:
    url = resource(lambda: "url")
    db = resource(required_resource_keys={"url"})(lambda context: (context.resources.url, context.resources))
    with opened({"url": url, "db": db, "x": 1}) as found:
        value, own = found["db"]
        assert value == "url"
        with pytest.raises(AttributeError) as caught:
            _ = own.x
    assert str(caught.value) == (
        "resource 'db' does not require resource 'x' (it has: url); add it to required_resource_keys"
    )


@dataclass
class Address:
    host: str
    port: int = 80


def test_config_is_read_as_its_type() -> None:
    db = resource(config_schema=Address)(lambda context: context.resource_config)
    with opened({"db": db, "fixed": db.configured({"host": "f"})}, configs={"db": {"host": "h", "port": 1}}) as found:
        assert found == {"db": Address("h", 1), "fixed": Address("f")}


@pytest.mark.parametrize("error", [ValueError("x"), KeyboardInterrupt(), SystemExit()])
def test_put_away_after_a_failure(error: BaseException) -> None:
    seen: list[str] = []
    with pytest.raises(type(error)), opened({"a": noting(seen, "a"), "b": noting(seen, "b")}):
        raise error
    assert seen == ["+a", "+b", "-b", "-a"]


@pytest.mark.parametrize("error", [ValueError("stuck"), SystemExit("stuck")])
def test_an_error_while_one_is_put_away_leaves_no_other(error: BaseException, caplog: pytest.LogCaptureFixture) -> None:
    seen: list[str] = []
    told: Told = []
    with opened({"a": noting(seen, "a"), "b": noting(seen, "b", fails=error), "c": noting(seen, "c")}, told=told):
        pass
    assert seen[3:] == ["-c", "-b", "-a"]
    assert told[3:] == [("RESOURCE_TEARDOWN_FAILURE", {"name": "b", "error": f"{type(error).__name__}: stuck"})]
    (record,) = [r for r in caplog.records if r.levelname == "ERROR"]
    assert (record.name, record.message) == ("podgraph.resource.b", "could not be cleaned up")
    assert record.exc_info
    assert record.exc_info[1] is error


def test_a_ctrl_c_while_one_is_put_away_leaves_no_other() -> None:
    seen: list[str] = []
    given = {"a": noting(seen, "a"), "b": noting(seen, "b", fails=KeyboardInterrupt()), "c": noting(seen, "c")}
    with pytest.raises(KeyboardInterrupt), opened(given):
        pass
    assert seen[3:] == ["-c", "-b", "-a"]


def yields_twice() -> Iterator[int]:
    yield 1
    yield 2


def test_a_function_that_yields_twice(caplog: pytest.LogCaptureFixture) -> None:
    told: Told = []
    with opened({"a": resource(yields_twice)}, told=told):
        pass
    assert told[1:] == [
        ("RESOURCE_TEARDOWN_FAILURE", {"name": "a", "error": "RuntimeError: its function yields more than once"})
    ]


def yields_nothing() -> Iterator[int]:
    yield from ()


def raises() -> None:
    raise OSError("no such host")


def leaves() -> None:
    raise SystemExit(3)


@pytest.mark.parametrize(
    ("fn", "said"),
    [
        (raises, f"OSError: no such host (test_resources.py line {raises.__code__.co_firstlineno + 1} in raises)"),
        (leaves, f"SystemExit: 3 (test_resources.py line {leaves.__code__.co_firstlineno + 1} in leaves)"),
        (yields_nothing, "its function yields nothing; it must yield the resource once"),
    ],
)
def test_one_that_cannot_be_made(fn: Callable[[], Any], said: str) -> None:
    seen: list[str] = []
    told: Told = []
    given = {"a": noting(seen, "a"), "b": resource(fn), "c": noting(seen, "c")}
    with pytest.raises(StepError) as caught, opened(given, told=told):
        raise AssertionError("not reached")
    assert (caught.value.reason, caught.value.message) == ("ResourceFailed", f"resource 'b' cannot be created: {said}")
    assert seen == ["+a", "-a"]
    assert told == [
        ("RESOURCE_INIT_SUCCESS", {"name": "a"}),
        ("RESOURCE_INIT_FAILURE", {"name": "b", "error": said}),
    ]


def test_a_ctrl_c_while_one_is_made_gets_out() -> None:
    def stopped() -> None:
        raise KeyboardInterrupt

    seen: list[str] = []
    with pytest.raises(KeyboardInterrupt), opened({"a": noting(seen, "a"), "b": resource(stopped)}):
        pass
    assert seen == ["+a", "-a"]
