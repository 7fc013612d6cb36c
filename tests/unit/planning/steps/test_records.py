"""How the end of one step lets others go on, against a plain evaluation of the same graph."""

from __future__ import annotations

import copy
import random
import time
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op, Output, OutputRef
from podgraph.flow import TERMINAL
from podgraph.planning.model.status import STATES, StepRecord
from podgraph.planning.pods.outcome import Outcome
from podgraph.planning.steps.records import Steps
from podgraph.run_config.binding import bind
from podgraph.selection import select

steady = settings(deadline=None, derandomize=True, max_examples=150)

OK = Outcome({"result": "1"})
FAILED = Outcome({}, "OpFailed", "x")


def op(name: str, *ups: str, after: str = "") -> Op:
    inputs = tuple(Input(f"i{n}", (OutputRef(up),)) for n, up in enumerate(ups))
    return Op(name, inputs, after=tuple(after.split()))


def started(*ops: Op, selected: Sequence[str] = ()) -> Steps:
    graph = Graph.of("j", ops)
    return Steps(graph, selected or graph.order, {})


def take(steps: Steps) -> list[str]:
    """Return what is ready, as started."""
    names = list(steps.ready)
    steps.ready.clear()
    for name in names:
        steps.set_state(name, "Running")
    return names


def states(steps: Steps) -> dict[str, str]:
    return {name: record.state for name, record in steps.records.items()}


def test_a_chain() -> None:
    steps = started(op("a"), op("b", "a"), op("c", "b"))
    for name in "abc":
        assert not steps.done
        assert take(steps) == [name]
        steps.end(name, Outcome({"result": f'"{name}"'}, "", "", "2026-01-01T00:00:00.000000Z", "x"))
    assert steps.done
    assert steps.count("Succeeded") == 3
    assert steps.records["c"] == StepRecord(
        "Succeeded",
        start_time="2026-01-01T00:00:00.000000Z",
        completion_time="x",
        outputs={"result": '"c"'},
    )
    assert steps.inputs_of("c") == {"i0": '"b"'}
    assert steps.output_bytes == 9


def test_a_diamond() -> None:
    steps = started(op("a"), op("b", "a"), op("c", "a"), op("d", "b", "c"))
    assert take(steps) == ["a"]
    steps.end("a", OK)
    assert take(steps) == ["b", "c"]
    steps.end("c", OK)
    assert take(steps) == []
    steps.end("b", OK)
    assert take(steps) == ["d"]


def test_failure_spreads_at_once_and_others_go_on() -> None:
    steps = started(op("a"), op("b"), op("c", "a", "b"), op("d", after="c"), op("e", "b"))
    assert take(steps) == ["a", "b"]
    steps.end("a", FAILED)
    assert states(steps) == {
        "a": "Failed",
        "b": "Running",
        "c": "UpstreamFailed",
        "d": "UpstreamFailed",
        "e": "Pending",
    }
    assert steps.records["c"].message == "not run: a failed"
    assert steps.records["a"].reason == "OpFailed"
    assert steps.take_changed() >= {"a", "c", "d"}
    steps.end("b", OK)
    assert take(steps) == ["e"]
    steps.end("e", OK)
    assert steps.done
    counts = {state: n for state in STATES if (n := steps.count(state))}
    assert counts == {
        "Succeeded": 2,
        "Failed": 1,
        "UpstreamFailed": 2,
    }


OPTIONAL = (Output("left", required=False), Output("right", required=False))


def branch(*inputs: Input, after: str = "") -> tuple[Op, Op]:
    return Op("a", outputs=OPTIONAL), Op("b", inputs, after=tuple(after.split()))


def test_outputs_that_were_left_out_skip_what_needs_them() -> None:
    steps = started(
        Op("a", outputs=OPTIONAL),
        Op("b", (Input("x", (OutputRef("a", "left"),)),)),
        Op("c", (Input("x", (OutputRef("a", "right"),)),)),
        op("d", "b"),
        op("e", after="c"),
        op("f", after="a"),
        Op("g", (Input("x", (OutputRef("b"), OutputRef("c")), fan_in=True),)),
        Op("h", (Input("x", (OutputRef("c"), OutputRef("d")), fan_in=True),)),
    )
    steps.end("a", Outcome({"left": "1"}))
    assert states(steps)["c"] == "Skipped"
    assert steps.records["c"].message == "not run: input x was not produced"
    assert states(steps)["e"] == "Skipped"
    assert steps.records["e"].message == "not run: c was skipped"
    steps.end("b", Outcome({"result": "[2]"}))
    steps.end("d", Outcome({"result": "3"}))
    assert states(steps) == dict.fromkeys("fgh", "Pending") | {
        **dict.fromkeys("abd", "Succeeded"),
        **dict.fromkeys("ce", "Skipped"),
    }
    assert list(steps.ready)[-2:] == ["g", "h"]
    assert steps.inputs_of("g") == {"x": "[[2]]"}
    assert steps.inputs_of("h") == {"x": "[3]"}


def test_a_list_of_which_nothing_was_made_skips() -> None:
    refs = (OutputRef("a", "left"), OutputRef("a", "right"))
    steps = started(*branch(Input("x", refs, fan_in=True)))
    steps.end("a", Outcome({}))
    assert states(steps)["b"] == "Skipped"
    assert steps.done


@pytest.mark.parametrize(
    ("output", "made", "state"),
    [("left", {"left": "1"}, "Pending"), ("left", {"right": "1"}, "Skipped"), ("no_such", {}, "Pending")],
)
def test_inputs_that_only_wait(output: str, made: dict[str, str], state: str) -> None:
    steps = started(*branch(Input("start", (OutputRef("a", output),), ordering=True)))
    steps.end("a", Outcome(made))
    assert states(steps)["b"] == state
    assert steps.inputs_of("b") == {}


def test_waiting_for_an_op_that_was_skipped_skips() -> None:
    none = Op("b", (Input("x", (OutputRef("a", "left"),)),), outputs=())
    steps = started(
        Op("a", outputs=OPTIONAL), none, Op("c", (Input("start", (OutputRef("b", "result"),), ordering=True),))
    )
    steps.end("a", Outcome({}))
    assert states(steps) == {"a": "Succeeded", "b": "Skipped", "c": "Skipped"}


def test_waiting_for_some_that_are_not_selected() -> None:
    refs = (OutputRef("a", "left"), OutputRef("z"))
    ops = (op("z"), *branch(Input("start", refs, fan_in=True, ordering=True)))
    for made, state in (({"left": "1"}, "Pending"), ({}, "Skipped")):
        steps = started(*ops, selected=("a", "b"))
        steps.end("a", Outcome(made))
        assert states(steps)["b"] == state


def test_what_is_not_selected_counts_for_nothing() -> None:
    steps = started(op("a"), op("b", "a"), op("c", "b", after="a"), selected=("b", "c"))
    assert take(steps) == ["b"]
    steps.end("b", OK)
    assert take(steps) == ["c"]
    assert states(steps) == {"b": "Succeeded", "c": "Running"}


def test_where_inputs_come_from() -> None:
    graph = Graph.of(
        "j",
        [
            Op("a", outputs=(Output("result"), Output("rest"))),
            Op(
                "b",
                (
                    Input("one", (OutputRef("a", "rest"),)),
                    Input("many", (OutputRef("a"), OutputRef("a", "rest")), fan_in=True),
                    Input("single", (OutputRef("a"),), fan_in=True),
                    Input("given"),
                    Input("own", has_default=True),
                    Input("start", (OutputRef("a"),), ordering=True),
                ),
            ),
        ],
    )
    steps = Steps(graph, graph.order, {"b": {"given": "5"}})
    steps.end("a", Outcome({"result": "[1]", "rest": "null"}))
    assert steps.inputs_of("b") == {"given": "5", "one": "null", "many": "[[1],null]", "single": "[[1]]"}


def test_set_state_marks_only_changes() -> None:
    steps = started(op("a"))
    steps.set_state("a", "Starting", "Unschedulable", "x")
    assert steps.has_changes
    assert steps.take_changed() == {"a"}
    steps.set_state("a", "Starting", "Unschedulable", "x")
    assert not steps.has_changes
    assert steps.take_changed() == set()
    steps.set_state("a", "Starting", "Unschedulable", "y")
    assert steps.take_changed() == {"a"}
    assert (steps.count("Starting"), steps.count("Pending")) == (1, 0)


def test_a_long_chain() -> None:
    names = [f"o{i}" for i in range(5_000)]
    ops = [op(name, *names[i - 1 : i] if i else ()) for i, name in enumerate(names)]
    steps = started(*ops)
    for name in names:
        assert take(steps) == [name]
        steps.end(name, OK)
    assert steps.done
    steps = started(*ops)
    steps.end("o0", FAILED)
    assert steps.done
    assert steps.count("UpstreamFailed") == 4_999
    left = Steps(steps.graph, steps.graph.order, {}, {"o0": StepRecord("Failed")})
    assert left.count("UpstreamFailed") == 4_999


@pytest.mark.parametrize("last", [OK, FAILED])
def test_one_that_waits_for_thousands_costs_no_more_than_they_do(last: Outcome) -> None:
    names = [f"o{i}" for i in range(4_999)]
    refs = tuple(map(OutputRef, names))
    steps = started(*map(op, names), Op("all", (Input("x", refs, fan_in=True),)))
    start = time.process_time()
    for name in take(steps):
        steps.end(name, last if name == names[-1] else OK)
    assert time.process_time() - start < 3  # looking at all of them each time: 4 s and more
    assert states(steps)["all"] == ("UpstreamFailed" if last.reason else "Pending")


# --- against a plain evaluation -----------------------------------------------------------------------------------

Plan = Mapping[str, Outcome]


def plainly(graph: Graph, selected: Sequence[str], plan: Plan) -> dict[str, tuple[str, dict[str, str]]]:
    """Say how each step must end, one after the other, by the rules as they are written down."""
    done: dict[str, tuple[str, dict[str, str]]] = {}

    def made(ref: OutputRef, ordering: bool) -> bool:
        state, outputs = done[ref.op]
        declared = {o.name for o in graph.ops[ref.op].outputs}
        return ref.output in outputs or (ordering and ref.output not in declared and state == "Succeeded")

    for name in selected:
        node = graph.ops[name]
        if any(done[up][0] in ("Failed", "UpstreamFailed") for up in node.upstream if up in done):
            done[name] = ("UpstreamFailed", {})
        elif any(done[up][0] == "Skipped" for up in node.after if up in done) or any(
            not any(made(ref, item.ordering) for ref in item.sources if ref.op in done)
            for item in node.inputs
            if any(ref.op in done for ref in item.sources)
        ):
            done[name] = ("Skipped", {})
        else:
            done[name] = ("Failed" if plan[name].reason else "Succeeded", dict(plan[name].outputs))
    return done


@st.composite
def cases(draw: st.DrawFn) -> tuple[Graph, tuple[str, ...], Plan, random.Random]:
    """Draw a graph, a part of it to run, how each op would end, and the dice for everything else."""
    rng = draw(st.randoms(use_true_random=False))
    ops: list[Op] = []
    for at in range(rng.randint(1, 12)):
        refs = [OutputRef(up.name, out.name) for up in ops for out in up.outputs]
        inputs = []
        for n in range(rng.randint(0, 3)):
            kind = rng.choice(["one", "many", "wait", "waits"])
            if kind in ("wait", "waits") and ops:
                sources = tuple(
                    OutputRef(up.name, rng.choice(["result", "x"]))
                    for up in rng.choices(ops, k=1 if kind == "wait" else 2)
                )
                inputs.append(Input(f"i{n}", sources, fan_in=kind == "waits", ordering=True))
            elif refs:
                chosen = tuple(rng.choices(refs, k=1 if kind == "one" else rng.randint(1, 3)))
                inputs.append(Input(f"i{n}", chosen, fan_in=kind != "one", default="0", has_default=True))
        outputs = rng.choice(
            [(), (Output(),), (Output(required=False),), (Output("x", required=False), Output("y", required=False))]
        )
        after = tuple(rng.choice(ops).name for _ in range(rng.choice([0, 0, 1, 2]))) if ops else ()
        ops.append(Op(f"o{at}", tuple(inputs), outputs, after))
    graph = Graph.of("j", ops)
    names = list(graph.ops)
    clauses = rng.choice([[], [f"*{rng.choice(names)}"], [f"{rng.choice(names)}*"], rng.sample(names, 1)])
    selected = select(graph, clauses)
    plan = {}
    for node in ops:
        kept = {o.name: f'"{node.name}.{o.name}"' for o in node.outputs if o.required or rng.random() < 0.6}
        plan[node.name] = FAILED if rng.random() < 0.1 else Outcome(kept)
    return graph, selected, plan, rng


def step_once(steps: Steps, plan: Plan, running: list[str], rng: random.Random) -> None:
    """Start what is ready, then end one running step."""
    running += take(steps)
    name = running.pop(rng.randrange(len(running)))
    for key, text in steps.inputs_of(name).items():
        assert text != "[]", key
    steps.end(name, plan[name])


def consistent(steps: Steps) -> None:
    counted = dict.fromkeys(STATES, 0)
    for record in steps.records.values():
        counted[record.state] += 1
    assert {state: steps.count(state) for state in STATES} == counted
    assert steps.output_bytes == sum(len(t.encode()) for r in steps.records.values() for t in r.outputs.values())
    assert steps.done == all(record.state in TERMINAL for record in steps.records.values())
    assert len(set(steps.ready)) == len(steps.ready)


@steady
@given(cases())
def test_any_order_of_ends_and_any_restart_gives_the_same(
    case: tuple[Graph, tuple[str, ...], Plan, random.Random],
) -> None:
    graph, selected, plan, rng = case
    try:
        values = bind(graph, selected, {}).inputs
    except DefinitionError as error:
        if error.reason != "PartialFanIn":
            raise
        return
    expected = plainly(graph, selected, plan)
    steps, running = Steps(graph, selected, values), list[str]()
    while not steps.done:
        step_once(steps, plan, running, rng)
        consistent(steps)
        if rng.random() < 0.4:
            saved = {n: StepRecord.from_status(r.to_patch()) for n, r in copy.deepcopy(steps.records).items()}
            if rng.random() < 0.5:  # a write that was lost: a step's end is known, but not what followed from it
                for name in saved:
                    if saved[name].state in ("Skipped", "UpstreamFailed") and rng.random() < 0.5:
                        saved[name] = StepRecord()
            again = Steps(graph, selected, values, saved)
            assert states(again) == states(steps)
            assert set(again.ready) == set(steps.ready)
            consistent(again)
            steps = again
    assert not running
    assert not steps.ready
    assert {name: (r.state, r.outputs) for name, r in steps.records.items()} == expected
