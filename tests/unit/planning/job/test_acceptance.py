"""One rule says what is accepted: the operator, definitions, the command line and the Launchpad give one answer."""

from __future__ import annotations

from typing import Any

import pytest

from builders import NOW, SETTINGS
from podgraph.cli.definitions import job_of
from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.job.run import Run
from podgraph.planning.model.spec import graph_of_ops
from podgraph.protocol.graph_codec import pack
from podgraph.server import launchpad

Obj = dict[str, Any]


def op(name: str, *ups: str, **more: Any) -> Obj:
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    made = {"name": name, "image": "busybox:1", "script": "true", "inputs": inputs, "outputs": [{"name": "result"}]}
    return {**made, **more}


CYCLE = [op("a", pod="p"), op("x", "a"), op("b", "x", pod="p")]
UNACCEPTABLE: dict[str, tuple[Obj, str, str]] = {
    "pods that wait for each other": ({"ops": CYCLE}, "PodCycle", "a -> x -> b"),
    "a priority that is not a number": (
        {"ops": [op("a", tags={"podgraph/priority": "high"})]}, "InvalidTags", "must be a whole number",
    ),
    "a selection of nothing": ({"ops": [op("a")], "opSelection": ["zz"]}, "UnknownOp", "'zz'"),
    "run config for no op": ({"ops": [op("a")], "runConfig": {"ops": {"c": {}}}}, "InvalidRunConfig", "ops.c"),
    "a template of what is ours": (
        {"ops": [op("a")], "podTemplate": {"spec": {"restartPolicy": "Always"}}}, "InvalidPodTemplate", "restartPolicy",
    ),
    "a container that cannot wait for its turn": (
        {"ops": [op("a", pod="p"), {**op("b", pod="p"), "script": ""}]}, "InvalidOp", "must set script or command",
    ),
}  # fmt: skip


def graph_of(spec: Obj) -> Graph:
    return graph_of_ops("j", spec["ops"])[0]


def by_operator(spec: Obj) -> tuple[str, str]:
    meta = {"name": "j", "namespace": "default", "uid": "u1", "generation": 1}
    actions = Run({"metadata": meta, "spec": spec}, SETTINGS).advance({}, (), NOW)
    found = {c["type"]: c for c in actions.status["conditions"]}["Accepted"]
    assert found["status"] == "False"
    return found["reason"], found["message"]


def by_definition(spec: Obj) -> tuple[str, str]:
    meta = {"name": "j", "namespace": "default", "uid": "u1", "generation": 1}
    actions = DefinitionRun({"metadata": meta, "spec": spec}, SETTINGS).advance({}, (), NOW)
    (found,) = actions.status["conditions"]
    assert found["status"] == "False"
    return found["reason"], found["message"]


def resolved(spec: Obj) -> Obj:
    """Return a definition as if an operator without this rule had taken it."""
    ready = {"type": "Ready", "status": "True", "reason": "Resolved", "message": "", "observedGeneration": 1}
    status = {"conditions": [ready], "graph": pack(graph_of(spec))}
    return {"metadata": {"name": "d", "namespace": "default", "generation": 1}, "spec": spec, "status": status}


def by_command_line(spec: Obj) -> tuple[str, str]:
    with pytest.raises(DefinitionError) as caught:
        job_of(resolved(spec), "", [], {})
    return caught.value.reason, caught.value.message


def by_launchpad(spec: Obj) -> tuple[str, str]:
    source = launchpad.of_definition(resolved(spec))
    found = launchpad.check(source, ",".join(source.selection), "")
    if found["selection"] is not None:
        return found["selection"]["reason"], found["selection"]["message"]
    return "InvalidRunConfig", "; ".join(problem["message"] for problem in found["config"])


@pytest.mark.parametrize("case", UNACCEPTABLE)
@pytest.mark.parametrize("ask", [by_operator, by_definition, by_command_line, by_launchpad])
def test_all_refuse_what_one_refuses(case: str, ask: Any) -> None:
    spec, reason, words = UNACCEPTABLE[case]
    found, message = ask(spec)
    assert (found, words in message) == (reason, True), message


def test_errors_come_all_at_once() -> None:
    spec = {"ops": [*CYCLE, op("t", tags={"podgraph/priority": "high"})], "runConfig": {"ops": {"c": {}}}}
    found = check_spec(spec, None)
    assert [error.reason for error in found.errors] == ["InvalidTags", "InvalidRunConfig", "PodCycle"]
    with pytest.raises(DefinitionError, match=r"whole number; .*ops\.c.*; pod 'p' would have to end") as caught:
        found.get()
    assert caught.value.reason == "InvalidTags"


def test_a_definition_may_lack_what_its_jobs_give() -> None:
    graph = graph_of({"ops": [{**op("a"), "inputs": [{"name": "x"}]}]})
    spec = {"ops": [{**op("a"), "inputs": [{"name": "x"}]}]}
    assert check_spec(spec, graph).errors
    assert not check_spec(spec, graph, may_lack_config=True).errors


def test_code_whose_graph_is_not_known_is_checked_as_far_as_it_goes() -> None:
    assert not check_spec({"code": {"module": "m"}}, None).errors
    (error,) = check_spec({"code": {"module": "m"}, "execution": {"startMethod": "Spawn"}}, None).errors
    assert error.reason == "InvalidSpec"
