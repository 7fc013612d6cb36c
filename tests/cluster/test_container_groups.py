"""Container and script ops that share a pod, on a real cluster."""

from __future__ import annotations

from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of, states_of
from podgraph.planning.model.names import POD_LABEL
from unit.cli.running import podgraph

SECONDS = 150
EXAMPLE = CHECKOUT / "tests" / "examples" / "groups" / "containers.yaml"


@pytest.fixture(autouse=True)
def running_operator(operator: Any) -> None:
    """All of these tests need the operator."""


def script(name: str, text: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "pod": "p", "image": "busybox:1", "script": text, **more}


def pods_of_ops(kube: Kube, job: str = "j") -> list[dict[str, Any]]:
    return [dict(pod) for pods in kube.pods_of(job).values() for pod in pods if POD_LABEL in pod["metadata"]["labels"]]


FLAKY = 'echo "try $HOSTNAME"; [ "$INPUT_X" = 1 ] && [ -e /flag/again ] && exit 0; exit 3'
HIDDEN = {"name": "step", "volumeMounts": [{"name": "none", "mountPath": "/bin"}]}
BARE = {"spec": {"volumes": [{"name": "none", "emptyDir": {}}], "containers": [HIDDEN]}}
UNDISTURBED = {
    "again": [
        script("one", "echo x=1 > $PODGRAPH_OUTPUT", outputs=[{"name": "x"}]),
        script("two", FLAKY, inputs=[{"name": "x", "from": {"op": "one", "output": "x"}}], retryPolicy={}),
        script("three", "true", after=["two"]),
        script("beside", "sleep 3", after=["one"]),
    ],
    "late": [
        script("slow", "sleep 600", timeoutSeconds=2),
        script("beside", "sleep 4; echo x=y > $PODGRAPH_OUTPUT", outputs=[{"name": "x"}]),
        script("last", "test $INPUT_X = y", inputs=[{"name": "x", "from": {"op": "beside", "output": "x"}}]),
    ],
    "shell": [
        {"name": "bare", "pod": "p", "image": "busybox:1", "command": ["true"], "podTemplate": BARE},
        script("beside", "true"),
        script("last", "true", after=["bare"]),
    ],
}


@pytest.fixture(scope="module")
def applied(operator: Any, shared: Kube, step_image: str) -> Kube:
    """The Jobs that run their course undisturbed, all at once."""
    text = EXAMPLE.read_text().replace("podgraph/step:dev", step_image)
    shared.apply(text.replace("spec:\n", "spec:\n  execution: {podRetention: Always}\n", 1))
    shared.create([job_manifest(name, ops=ops) for name, ops in UNDISTURBED.items()])
    return shared


def test_the_example(applied: Kube) -> None:
    job = applied.wait_finished("build", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", applied.describe("build")
    assert outputs_of(job, "report") == {"result": "1000 rows, 500500 together"}
    steps = job["status"]["steps"]
    assert len({steps[name]["podUID"] for name in ("fetch", "check", "total")}) == 1
    assert steps["report"]["podUID"] != steps["total"]["podUID"]
    assert job["status"]["pods"]["build"]["state"] == "Ended"
    for before, after in (("fetch", "check"), ("check", "total"), ("total", "report")):
        assert steps[before]["completionTime"][:19] <= steps[after]["startTime"][:19]
    where = ("--namespace", applied.namespace, "--kubeconfig", applied.kubeconfig)
    status, out, err = podgraph("job", "logs", "build", "--step", "check", *where)
    assert (status, out) == (0, ""), err


def test_a_step_is_tried_again_in_another_pod_and_what_was_done_stays(applied: Kube) -> None:
    job = applied.wait_finished("again", SECONDS)
    assert states_of(job) == {"one": "Succeeded", "two": "Failed", "three": "UpstreamFailed", "beside": "Succeeded"}
    steps = job["status"]["steps"]
    assert (steps["two"]["attempt"], steps["one"]["attempt"], steps["beside"]["attempt"]) == (2, 1, 1)
    assert "exit code 3" in steps["two"]["message"]
    assert job["status"]["pods"]["p"]["attempt"] == 2
    assert steps["two"]["podUID"] != steps["one"]["podUID"]
    assert len(pods_of_ops(applied, "again")) == 2, "failed pods stay"
    where = ("--namespace", applied.namespace, "--kubeconfig", applied.kubeconfig)
    status, out, err = podgraph("job", "logs", "again", "--step", "two", *where)
    assert status == 0, err
    assert out.startswith("try ")


def test_a_script_that_takes_too_long_is_ended_and_those_beside_it_go_on(applied: Kube) -> None:
    job = applied.wait_finished("late", SECONDS)
    assert states_of(job) == {"slow": "Failed", "beside": "Succeeded", "last": "Succeeded"}
    assert job["status"]["steps"]["slow"]["reason"] == "Timeout"


def test_a_pod_that_is_lost_is_followed_by_another_for_the_rest(namespace: Kube) -> None:
    namespace.create(
        job_manifest(
            "j",
            ops=[
                script("one", "echo x=1 > $PODGRAPH_OUTPUT", outputs=[{"name": "x"}]),
                script("two", "sleep 5", inputs=[{"name": "x", "from": {"op": "one", "output": "x"}}]),
            ],
        )
    )

    def state() -> str | None:
        steps = (namespace.get("pgj", "j").get("status") or {}).get("steps", {})
        return str((steps.get("two") or {}).get("state"))

    namespace.wait_for("two Running", lambda: state() == "Running", SECONDS)
    (pod,) = pods_of_ops(namespace)
    namespace.run("delete", "pod", pod["metadata"]["name"], "--wait=false")
    job = namespace.wait_finished("j", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", namespace.describe("j")
    steps = job["status"]["steps"]
    assert [(steps[op]["attempt"], steps[op].get("infrastructureFailures", 0)) for op in ("one", "two")] == [
        (1, 0),
        (2, 1),
    ]


def test_the_operator_may_go_and_come_back(namespace: Kube, operator: Any) -> None:
    steps = [script("s0", "sleep 4")] + [script(f"s{at}", "sleep 1", after=[f"s{at - 1}"]) for at in range(1, 4)]
    namespace.create(job_manifest("j", ops=steps))
    namespace.wait_for("the pod", lambda: pods_of_ops(namespace), SECONDS)
    operator.kill()
    operator.start()
    job = namespace.wait_finished("j", SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", namespace.describe("j")
    assert {record["attempt"] for record in job["status"]["steps"].values()} == {1}


def test_an_image_without_a_shell_is_told(applied: Kube) -> None:
    job = applied.wait_finished("shell", SECONDS)
    assert states_of(job) == {"bare": "Failed", "beside": "Succeeded", "last": "UpstreamFailed"}
    assert "/podgraph/in/start" in job["status"]["steps"]["bare"]["message"], job["status"]["steps"]["bare"]
