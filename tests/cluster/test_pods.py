"""Pods as people want them, on a real cluster."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of, states_of
from unit.cli.running import podgraph

EXAMPLES = CHECKOUT / "tests" / "examples" / "pods"
SECONDS = 120
KEEP = {"podRetention": "Always"}
UNPRIVILEGED = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}

TOKEN = """
import os
from podgraph import job, op

@op
def has_token(context):
    there = os.path.exists("/var/run/secrets/kubernetes.io/serviceaccount/token")
    return {"token": there, "tags": dict(context.tags)}

@op(pod_template={"spec": {"containers": [{"name": "step", "image": "IMAGE", "workingDir": "/"}]}})
def where():
    return os.getcwd()

@job(tags={"team": "data", "run": "0"})
def j():
    has_token()
    where()
"""


@pytest.fixture(scope="module", autouse=True)
def applied(operator: Any, shared: Kube, step_image: str) -> Kube:
    """The Jobs whose pods take their time: they have it while the tests above theirs go on."""
    op = {"name": "a", "image": step_image, "script": "true"}
    gate = {"spec": {"schedulingGates": [{"name": "example.com/turn"}]}}
    briefly = {"pendingTimeoutSeconds": 5, "infrastructureRetries": 0}
    beside = {"name": "beside", "image": step_image, "command": ["sleep", "600"], "securityContext": UNPRIVILEGED}
    endless = {"spec": {"containers": [beside], "terminationGracePeriodSeconds": 1}}
    code = {"image": step_image, "source": (EXAMPLES / "train.py").read_text()}
    one_pod = {**KEEP, "mode": "InProcess"}
    shared.create(
        [
            job_manifest("gated", ops=[op], podTemplate=gate, execution={**KEEP, **briefly}),
            job_manifest("beside", ops=[op], podTemplate=endless, execution=KEEP),
            job_manifest("python", code=code, podTemplate=endless, execution=KEEP),
            job_manifest("one-pod", code=code, podTemplate=endless, execution=one_pod),
        ]
    )
    return shared


def example(name: str, image: str) -> dict[str, Any]:
    """Return an example for the image this cluster has; its pods stay."""
    job = yaml.safe_load((EXAMPLES / name).read_text().replace("podgraph/step:dev", image))
    job["spec"]["execution"] = KEEP
    return dict(job)


def step(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "step", **fields}]}}


def secret(kube: Kube) -> None:
    values = {"password": "seven77"}
    kube.create({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "database"}, "stringData": values})


def pod_of(kube: Kube, job: str, op: str) -> dict[str, Any]:
    [pod] = kube.pods_of(job)[op]
    return dict(pod)


def container_of(pod: dict[str, Any]) -> dict[str, Any]:
    return next(dict(c) for c in pod["spec"]["containers"] if c["name"] == "step")


def succeeded(kube: Kube, name: str) -> dict[str, Any]:
    job = kube.wait_finished(name, SECONDS)
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", kube.describe(name)
    return job


def refused(kube: Kube, name: str) -> str:
    """Return why a Job is refused; it never had a pod."""
    job = kube.wait_finished(name, SECONDS)
    assert reasons_of(job)["Accepted"] == "False/InvalidPodTemplate", kube.describe(name)
    assert kube.pods_of(name) == {}
    assert not [e for e in kube.find("events") if e["involvedObject"]["kind"] == "Pod" and name in e["message"]]
    return next(str(c["message"]) for c in job["status"]["conditions"] if c["type"] == "Accepted")


def test_the_example_in_yaml(namespace: Kube, step_image: str) -> None:
    secret(namespace)
    namespace.apply(example("etl.yaml", step_image))
    job = succeeded(namespace, "etl")
    assert outputs_of(job, "transform") == {"result": "model-1 of 7 rows"}
    extract, transform = pod_of(namespace, "etl", "extract"), pod_of(namespace, "etl", "transform")
    for pod in (extract, transform):
        assert pod["metadata"]["labels"].items() >= {"team": "data", "kueue.x-k8s.io/queue-name": "data"}.items()
        assert pod["spec"]["nodeSelector"] == {"kubernetes.io/os": "linux"}
        assert {"key": "batch", "operator": "Exists"} in pod["spec"]["tolerations"]
        assert pod["spec"]["automountServiceAccountToken"] is False
    assert container_of(extract)["resources"] == {"requests": {"cpu": "10m", "memory": "32Mi"}}
    assert container_of(transform)["resources"] == {
        "requests": {"cpu": "10m", "memory": "48Mi"},
        "limits": {"memory": "256Mi"},
    }
    # The native sidecar ended with the step, so that the pod has come to its end.
    name = transform["metadata"]["name"]
    namespace.wait_for("the pod's end", lambda: namespace.get("pod", name)["status"]["phase"] == "Succeeded", 45)
    status, out, err = podgraph("job", "get", "etl", "-n", namespace.namespace, "--kubeconfig", namespace.kubeconfig)
    assert (status, "run=nightly  team=data" in out.splitlines()[0]) == (0, True), err


def test_the_example_in_python(namespace: Kube, step_image: str) -> None:
    where = ["--namespace", namespace.namespace, "--kubeconfig", namespace.kubeconfig, "--image", step_image]
    config = ["-c", EXAMPLES / "train.yaml", "--name", "training", "--tags", "run=nightly"]
    status, out, err = podgraph("job", "launch", "-f", EXAMPLES / "train.py", *config, "--wait", *where)
    assert status == 0, err
    assert "nightly: 2 thread(s), scratch True" in out
    job = namespace.get("pgj", "training")
    assert job["spec"]["tags"] == {"run": "nightly"}
    assert outputs_of(job, "load") == {"result": {"threads": "2", "scratch": True}}


def test_what_run_config_says_of_a_python_ops_pod(namespace: Kube, step_image: str) -> None:
    code = {"image": step_image, "source": (EXAMPLES / "train.py").read_text()}
    config = yaml.safe_load((EXAMPLES / "train.yaml").read_text())
    namespace.create(job_manifest("training", code=code, runConfig=config, execution=KEEP))
    succeeded(namespace, "training")
    load = pod_of(namespace, "training", "load")
    assert container_of(load)["resources"] == {
        "requests": {"cpu": "10m", "memory": "64Mi"},
        "limits": {"memory": "256Mi"},
    }
    assert load["metadata"]["annotations"]["example.com/team"] == "data"
    assert container_of(pod_of(namespace, "training", "train"))["resources"] == {"requests": {"cpu": "20m"}}


def test_a_mistake_costs_no_step(namespace: Kube, step_image: str) -> None:
    namespace.apply(example("refused.yaml", step_image))
    message = refused(namespace, "refused")
    assert message.startswith("the API server refuses op 'load' with its own podTemplate: Pod ")
    assert "must be less than or equal to memory limit of 1Gi" in message


OP = {"name": "a", "image": "IMAGE", "script": "true"}


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ({"spec": {"nodeSelectr": {}}}, 'unknown field "spec.nodeSelectr"'),
        (step(imge="x"), 'unknown field "spec.containers[0].imge"'),
        ({"spec": {"serviceAccountName": "nobody"}}, 'serviceaccount "nobody" not found'),
        ({"spec": {"priorityClassName": "nobody"}}, "no PriorityClass with name nobody was found"),
        ({"spec": {"runtimeClassName": "nobody"}}, '"nobody" not found'),
        (
            {"metadata": {"name": "x"}},
            "spec.podTemplate: metadata contains 'name'; only labels and annotations are allowed",
        ),
        ({"spec": {"restartPolicy": "Always"}}, "spec.podTemplate: spec.restartPolicy cannot be set"),
        (step(volumeMounts=[{"name": "x", "mountPath": "/x"}]), 'name: Not found: "x"'),
        (step(resources={"limits": {"cpu": "lots"}}), "quantities must match the regular expression"),
        ({"spec": {"containers": [{"image": "x"}]}}, "spec.containers[0] has no name, by which it is merged"),
    ],
)
def test_refused_before_any_pod(shared: Kube, step_image: str, template: Any, said: str) -> None:
    name = f"refused-{time.monotonic_ns()}"
    code = {"source": TOKEN, "image": step_image}
    shared.create(
        [
            job_manifest(f"{name}-ops", ops=[{**OP, "image": step_image}], podTemplate=template),
            job_manifest(f"{name}-code", code=code, podTemplate=template),
        ]
    )
    for message in (refused(shared, f"{name}-ops"), refused(shared, f"{name}-code")):
        assert said in message
        assert "spec.podTemplate: " in message


def test_a_service_account_with_its_token_for_those_who_ask(namespace: Kube, step_image: str) -> None:
    namespace.create({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "mine"}})
    template = step(image=step_image)
    template["spec"].update({"serviceAccountName": "mine", "automountServiceAccountToken": True})
    code = {"image": "nowhere.invalid/none:1", "source": TOKEN.replace("IMAGE", step_image)}
    modes = ("PodPerStep", "InProcess")
    asked = {"code": code, "podTemplate": template, "tags": {"run": "1"}}
    namespace.create([job_manifest(mode.lower(), **asked, execution={**KEEP, "mode": mode}) for mode in modes])
    for mode in modes:
        name = mode.lower()
        job = succeeded(namespace, name)
        assert outputs_of(job, "has_token") == {"result": {"token": True, "tags": {"team": "data", "run": "1"}}}
        assert outputs_of(job, "where") == {"result": "/" if mode == "PodPerStep" else "/tmp"}
        for pods in namespace.pods_of(name).values():
            for pod in pods:
                assert pod["spec"]["serviceAccountName"] == "mine"
                assert container_of(pod)["image"] == step_image


def test_a_pod_at_a_gate_waits_and_says_so(applied: Kube) -> None:
    def record() -> dict[str, Any]:
        return dict((applied.get("pgj", "gated").get("status") or {}).get("steps", {}).get("a") or {})

    applied.wait_for("the gate in the status", lambda: record().get("reason") == "SchedulingGated", SECONDS)
    pod = pod_of(applied, "gated", "a")
    made = pod["metadata"]["creationTimestamp"]
    applied.wait_for("the time to pass in which a pod that waits for a node is given up", lambda: _age(made) > 9, 30)
    assert (record()["state"], record()["reason"]) == ("Starting", "SchedulingGated")
    applied.run(
        "patch", "pod", pod["metadata"]["name"], "--type=json", "-p",
        json.dumps([{"op": "remove", "path": "/spec/schedulingGates"}]),
    )  # fmt: skip
    assert states_of(succeeded(applied, "gated")) == {"a": "Succeeded"}


def test_a_plain_sidecar_that_never_ends_keeps_no_pod(applied: Kube) -> None:
    for name in ("beside", "python", "one-pod"):
        succeeded(applied, name)
        applied.wait_for("the pods to go", lambda name=name: applied.pods_of(name) == {}, 60)


def test_init_containers_that_fail_are_named(namespace: Kube, step_image: str) -> None:
    setup = {"name": "setup", "image": step_image, "securityContext": UNPRIVILEGED}
    ops = [
        {**OP, "image": step_image, "podTemplate": {"spec": {"initContainers": [{**setup, "command": ["false"]}]}}},
        {
            **OP, "name": "b", "image": step_image,
            "podTemplate": {"spec": {"initContainers": [{**setup, "command": ["/none"], "image": "Not Valid"}]}},
        },
    ]  # fmt: skip
    namespace.create(job_manifest("init", ops=ops, execution=KEEP))
    steps = namespace.wait_finished("init", SECONDS)["status"]["steps"]
    assert (steps["a"]["state"], steps["a"]["reason"], steps["a"]["attempt"]) == ("Failed", "InitContainerFailed", 1)
    assert steps["a"]["message"].startswith("its init container 'setup' ended with exit code 1")
    assert (steps["b"]["state"], steps["b"]["reason"]) == ("Failed", "InvalidImageName")
    assert steps["b"]["message"].startswith("init container 'setup': ")


def _age(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()
