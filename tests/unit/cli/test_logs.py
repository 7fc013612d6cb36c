"""What `job logs` prints of a log."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from podgraph.cli import logs
from podgraph.cli.cluster import Cluster
from podgraph.cli.logs import _Out, print_logs
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model.names import OP_ANNOTATION, resolve_pod, run_pod
from podgraph.protocol.reports import StepReport
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Record


@pytest.mark.parametrize("step", ["", "add"])
def test_what_a_pod_says_to_the_operator_is_left_out(step: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = ["one", Record("n", "Succeeded").to_line(), StepReport("add", "Running").to_line(Signer("n")), ""]
    lines.append("two, and no end of line" + Record("n", "Succeeded").to_line())
    _Out(step, sys.stdout).lines(lines, "add")
    printed = ["one", "", "two, and no end of line"]
    assert capsys.readouterr().out.splitlines() == (printed if step else [f"add | {line}" for line in printed])


CONTAINERS = (["step"], ["side", "step-own"], ["step"], ["step"], ["step"])


def pods_of(steps: dict[str, dict[str, Any]], *pods: tuple[str, str, str]) -> dict[str, str]:
    """Which pod each step has, of pods by name, uid and op."""
    made = [
        SimpleNamespace(
            metadata=SimpleNamespace(name=name, uid=uid, creation_timestamp=at, annotations={OP_ANNOTATION: op}),
            spec=SimpleNamespace(containers=[SimpleNamespace(name=container) for container in CONTAINERS[at]]),
        )
        for at, (name, uid, op) in enumerate(pods)
    ]
    cluster: Any = Cluster.__new__(Cluster)
    cluster.namespace = "default"
    cluster._pods = SimpleNamespace(list_namespaced_pod=lambda *_, **__: SimpleNamespace(items=made))
    found: dict[str, str] = cluster.step_pods({"metadata": {"name": "j", "uid": "u"}, "status": {"steps": steps}})
    return found


def test_each_step_has_the_newest_pod_that_names_it_or_that_it_names() -> None:
    resolve = resolve_pod("j", "u")
    steps = {"a": {"podUID": "2"}, "b": {"podUID": "3"}, "c": {"podUID": "gone"}, "d": {}}
    pods = ((resolve, "1", "a"), ("j-a-2", "2", "a"), ("j-prep", "3", ""))
    assert pods_of(steps, *pods) == {"a": "j-a-2", "b": "j-prep"}
    run = run_pod("j", "u")
    large = {"a": {"attempt": 1, "podUID": "1"}, "b": {"attempt": 1}, "c": {}}
    assert pods_of(large, (run, "1", "")) == {"a": run, "b": run}


def test_a_step_in_a_pod_of_several_containers_has_its_own() -> None:
    steps = {step: {"podUID": "p2", "attempt": 1} for step in ("own", "other")}
    assert pods_of(steps, ("first", "p1", "x"), ("shared", "p2", "")) == {
        "x": "first", "own": "shared/step-own", "other": "shared",
    }  # fmt: skip


class Quick:
    """A Job of which the first look sees a pod that has not begun, and the second the end, with the first pod gone."""

    def __init__(self) -> None:
        self.looks, self.asked = 0, 0

    def get(self, name: str) -> dict[str, Any]:
        self.looks += 1
        steps = {"one": {"state": "Succeeded", "attempt": 1}, "two": {"state": "Failed", "attempt": 1}}
        finished = [{"type": "Finished", "status": "True"}] if self.looks > 1 else []
        status = {"steps": steps if finished else {}, "conditions": finished}
        return {"metadata": {"name": name, "uid": "u"}, "status": status}

    def init_containers(self, pod: str) -> tuple[str, ...]:
        return (f"{pod}/fetch",)

    def step_pods(self, job: dict[str, Any]) -> dict[str, str]:
        return {"one": "p1", "two": "p2"} if self.looks < 2 else {"two": "p2"}

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        if pod.endswith("/fetch"):
            yield "fetched"
            return
        self.asked += pod == "p2"
        if pod == "p2" and self.asked == 1:
            raise DefinitionError("BadRequest", "the container is waiting to start")
        yield from [f"said in {pod}", "::podgraph-record x"]


def test_logs_are_followed_from_each_pods_start(capsys: pytest.CaptureFixture[str]) -> None:
    print_logs(Quick(), "j", "", True)  # type: ignore[arg-type]
    out, err = capsys.readouterr()
    assert (sorted(out.splitlines()), err) == (["one | said in p1", "two | said in p2"], "")


class Over(Quick):
    """A Job that is over before the kubelet knows that the second step's pod has begun."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 1

    def step_pods(self, job: dict[str, Any]) -> dict[str, str]:
        return {"one": "p1", "two": "p2"}


def test_a_log_is_waited_for_that_the_kubelet_has_not_yet(capsys: pytest.CaptureFixture[str]) -> None:
    print_logs(Over(), "j", "", False)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "one | said in p1\ntwo | said in p2\n"


class Never(Over):
    """One whose second step's container never begins."""

    def log(self, pod: str, follow: bool) -> Iterator[str]:
        if pod == "p2":
            raise DefinitionError("BadRequest", "the container is waiting to start")
        return super().log(pod, follow)


def test_one_that_it_never_has_is_told_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(logs, "_LAST_SECONDS", 0.0)
    print_logs(Never(), "j", "", False)  # type: ignore[arg-type]
    assert tuple(capsys.readouterr()) == ("one | said in p1\n", "the container is waiting to start\n")
    print_logs(Never(), "j", "two", False)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "fetch | fetched\n"
    monkeypatch.setattr(Never, "init_containers", lambda *_: ())
    with pytest.raises(DefinitionError, match="the container is waiting to start"):
        print_logs(Never(), "j", "two", False)  # type: ignore[arg-type]


def test_one_step_is_followed_alone(capsys: pytest.CaptureFixture[str]) -> None:
    print_logs(Quick(), "j", "two", True)  # type: ignore[arg-type]
    assert capsys.readouterr().out == "fetch | fetched\nsaid in p2\n"
    with pytest.raises(DefinitionError, match="has no step 'twoo'; did you mean 'two'"):
        print_logs(Quick(), "j", "twoo", True)  # type: ignore[arg-type]
