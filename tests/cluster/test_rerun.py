"""Jobs that run steps of another one again, logs that outlive their pods, and kubectl podgraph, on a real cluster."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of, states_of
from cluster.volumes import node_claim
from unit.cli.running import podgraph

EXAMPLES = CHECKOUT / "tests" / "examples" / "rerun"

CODE = """
from podgraph import job, op

@op
def make():
    print("made it")
    return b"x" * 100_000

@op
def use(x):
    print("used it")
    if FAILS:
        raise ValueError("no luck")
    return len(x)

@job
def j():
    use(make())
"""


@pytest.fixture
def command(operator: Any, shared: Kube) -> Any:
    def run(*arguments: object) -> tuple[int, str, str]:
        return podgraph("job", *arguments, "--namespace", shared.namespace, "--kubeconfig", shared.kubeconfig)

    return run


@pytest.fixture(scope="module")
def claim(operator: Any, shared: Kube) -> Iterator[str]:
    with node_claim(shared, "values"):
        yield "values"


def test_the_examples_from_the_command_line_and_with_kubectl(command: Any, shared: Kube) -> None:
    shared.apply((EXAMPLES / "parent.yaml").read_text())
    assert states_of(shared.wait_finished("nightly")) == {
        "fetch": "Succeeded",
        "load": "Failed",
        "report": "UpstreamFailed",
    }
    shared.apply((EXAMPLES / "from-failure.yaml").read_text())
    job = shared.wait_finished("nightly-again")
    assert outputs_of(job, "report") == {"text": "loaded 7"}
    assert job["status"]["steps"]["fetch"] == {"state": "Succeeded", "outputs": {"rows": '"7"'}, "takenFrom": "nightly"}

    status, out, err = command("rerun", "nightly", "-c", EXAMPLES / "more.yaml", "--name", "by-command", "--wait")
    assert (status, "↩ fetch  Succeeded  taken from nightly" in out) == (0, True), err
    assert "fetch" not in shared.pods_of("by-command")
    status, _, err = command("rerun", "by-command")
    assert (status, "all steps of Job 'by-command' that are selected are done" in err) == (2, True)
    status, out, err = command("rerun", "by-command", "-o", "report", "--name", "report-only", "--wait")
    assert status == 0, err
    assert states_of(shared.get("pgj", "report-only")) == {"load": "Succeeded", "report": "Succeeded"}
    assert command("logs", "report-only")[2].count("load did not run here but was taken from Job 'by-command'") == 1
    status, out, _ = command("rerun", "by-command", "--all")
    assert status == 0
    assert "taken" not in shared.wait_finished(out.strip())["status"]["counts"]


def test_a_parent_that_is_gone_is_refused(operator: Any, shared: Kube) -> None:
    shared.apply(job_manifest("orphan", ops=[{"name": "a", "image": "busybox:1"}], rerunOf={"name": "nobody"}))
    job = shared.wait_finished("orphan")
    assert reasons_of(job)["Accepted"] == "False/ParentNotFound"
    assert shared.pods_of("orphan") == {}


def test_stored_values_and_logs_outlive_their_pods(command: Any, shared: Kube, claim: str, step_image: str) -> None:
    def spec(fails: bool, **storage: Any) -> dict[str, Any]:
        return {
            "code": {"source": CODE.replace("FAILS", str(fails)), "image": step_image},
            "storage": {"claimRef": {"name": claim}, **storage},
        }

    shared.create(job_manifest("stored", **spec(True, logs=True), execution={"podRetention": "Never"}))
    assert reasons_of(shared.wait_finished("stored"))["Succeeded"] == "False/Failed"
    shared.wait_for("no pod left", lambda: not shared.pods_of("stored"))
    status, out, err = command("logs", "stored")
    assert (status, "make | made it" in out, "use | used it" in out) == (0, True, True), err
    assert "use | ValueError: no luck" in out
    assert "from the storage file:///podgraph-storage, because the pods are gone: make, use" in err
    assert command("logs", "stored", "--step", "make")[1] == "made it\n"
    shared.wait_for(
        "the reading pods' end", lambda: not [p for p in shared.find("pods") if "-logs-" in p["metadata"]["name"]]
    )

    shared.create(job_manifest("mended", **spec(False), rerunOf={"name": "stored"}))
    job = shared.wait_finished("mended")
    assert outputs_of(job, "use") == {"result": 100_000}
    assert job["status"]["steps"]["make"]["takenFrom"] == "stored"
    shared.wait_for("no pod left", lambda: not shared.pods_of("mended"))
    status, out, err = command("logs", "mended", "--step", "use")
    assert (status, out, "spec.storage.logs: true would have kept them" in err) == (0, "", True)

    # What was stored goes with the Job that stored it: then a rerun of its rerun says so.
    assert command("delete", "stored")[0] == 0
    shared.wait_for("the end of stored", lambda: "stored" not in [j["metadata"]["name"] for j in shared.find("pgj")])
    shared.create(job_manifest("late", **spec(False), opSelection=["use"], rerunOf={"name": "mended", "steps": "All"}))
    assert reasons_of(shared.wait_finished("late"))["Accepted"] == "False/ValueDeleted"


def test_a_mode_of_one_pod_takes_what_the_status_has(operator: Any, shared: Kube, step_image: str) -> None:
    for name, fails, more in (("one-pod", True, {}), ("one-pod-again", False, {"rerunOf": {"name": "one-pod"}})):
        source = CODE.replace("FAILS", str(fails)).replace('b"x" * 100_000', '"xx"')
        code = {"source": source, "image": step_image}
        shared.create(job_manifest(name, code=code, execution={"mode": "Multiprocess"}, **more))
        job = shared.wait_finished(name)
    assert outputs_of(job, "use") == {"result": 2}
    assert job["status"]["steps"]["make"]["takenFrom"] == "one-pod"


def test_kubectl_podgraph(operator: Any, shared: Kube) -> None:
    scripts = Path(sys.executable).parent
    env = {**os.environ, "PATH": f"{scripts}:{os.environ['PATH']}", "KUBECONFIG": shared.kubeconfig}
    env["PYTHONPATH"] = str(CHECKOUT / "operator")

    def kubectl(*args: str) -> str:
        done = subprocess.run([shared.kubectl, "podgraph", *args], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    shared.apply(job_manifest("listed", ops=[{"name": "a", "image": "busybox:1"}]))
    shared.wait_finished("listed")
    rows = [line.split()[:3] for line in kubectl("job", "list", "-n", shared.namespace).splitlines()]
    assert ["listed", "Succeeded", "1/1"] in rows
    assert kubectl("job", "--help").startswith("Usage: kubectl podgraph job ")
