"""What people say of the pods of a Job: what reaches which pod, in which order, and what stays podgraph's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, Input, Op
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.pod_template import Templates, lay_over, queue_labels
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage, clean_pod
from podgraph.planning.model import names
from podgraph.planning.model.spec import CodeSpec, ContainerSpec
from podgraph.run_config.binding import Bound

JOB = JobRef("j", "ns", "u1")
CODE = CodeSpec("py:1", source="x")
STORAGE = Storage("file:///data", claim="c", secret="s")


def step(**fields: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "step", **fields}]}}


def env(pod: Manifest) -> dict[str, str]:
    return {item["name"]: item.get("value", "") for item in pod["spec"]["containers"][0]["env"]}


def maker(
    job: Any = None, ops: Any = None, pods: Any = None, containers: Any = None, labels: Any = None,
    storage: Storage | None = None,
) -> PodFactory:  # fmt: skip
    made = PodFactory(
        JOB, Settings("d", "runtime"), CODE, storage, Templates(json.dumps(job) if job else "", labels), {"run": "1"}
    )
    said = {name: json.dumps(template) for name, template in (ops or {}).items()}
    nodes = [Op(n, (Input("x", has_default=True),), pod_template=said.get(n, "")) for n in ("a", "b", "g.c")]
    graph = Graph.of("j", nodes, tags={"team": "data", "run": "0"})
    made.set_graph(graph, Bound(pods=pods or {}), containers or {})
    return made


def test_the_job_then_the_op_then_run_config() -> None:
    resources = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"nvidia.com/gpu": 1}}
    made = maker(
        step(image="job:1", resources=resources, env=[{"name": "A", "value": "job"}]),
        {"a": step(image="op:1", resources={"requests": {"memory": "2Gi"}}, env=[{"name": "B", "value": "op"}])},
        {"a": {"resources": {"requests": {"memory": "4Gi"}}}},
    )
    [container] = made.step_pod("p", "a", 1, 0, {})["spec"]["containers"]
    assert container["image"] == "op:1"
    assert container["command"] == ["python3", "/podgraph/runtime.pyz"]
    assert container["resources"] == {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"nvidia.com/gpu": 1}}
    assert (env({"spec": {"containers": [container]}})["A"], container["env"][-1]["value"]) == ("job", "op")
    [other] = made.step_pod("p", "b", 1, 0, {})["spec"]["containers"]
    assert (other["image"], other["resources"]) == ("job:1", resources)


def test_a_container_ops_own_fields_go_before_the_jobs_template_and_behind_its_own() -> None:
    spec = ContainerSpec("own:1", command=("run",), args=("x",), env=(("A", "own"), ("B", "own")))
    wish = step(image="t:1", command=["t"], args=["t"], env=[{"name": "A", "value": "t"}, {"name": "C", "value": "t"}])
    pod = maker(wish, containers={"a": spec}).step_pod("p", "a", 1, 0, {"x": "1"})
    [container] = pod["spec"]["containers"]
    assert (container["image"], container["command"], container["args"]) == ("own:1", ["run"], ["x"])
    assert env(pod) == {
        "HOME": "/tmp", "PODGRAPH_OUTPUT": "/dev/termination-log", "INPUT_X": "1", "A": "own", "B": "own", "C": "t"
    }  # fmt: skip
    pod = maker(None, {"a": wish}, containers={"a": spec}).step_pod("p", "a", 1, 0, {})
    assert (pod["spec"]["containers"][0]["image"], env(pod)["A"], env(pod)["B"]) == ("t:1", "t", "own")


def test_all_that_people_need() -> None:
    wish = {
        "metadata": {"labels": {"team": "data"}, "annotations": {"a/b": "c"}},
        "spec": {
            "containers": [
                {
                    "name": "step",
                    "envFrom": [{"secretRef": {"name": "mine"}}],
                    "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                    "securityContext": {"runAsUser": 1000, "capabilities": None},
                }
            ],
            "initContainers": [{"name": "proxy", "image": "p:1", "restartPolicy": "Always"}],
            "volumes": [{"name": "scratch", "emptyDir": {}}],
            "nodeSelector": {"disk": "ssd"},
            "tolerations": [{"key": "gpu"}],
            "imagePullSecrets": [{"name": "pull"}],
            "serviceAccountName": "mine",
            "automountServiceAccountToken": True,
            "priorityClassName": "high",
            "runtimeClassName": "kata",
            "securityContext": {"fsGroup": 7},
        },
    }
    made = maker(wish, storage=STORAGE)
    for pod in (
        made.step_pod("p", "a", 1, 0, {}),
        made.resolve_pod(1),
        made.run_pod(made.run_assignment({})),
        clean_pod(JOB, "py:1", STORAGE, "runtime", wish),
    ):
        spec = pod["spec"]
        for key in wish["spec"].keys() - {"containers", "volumes", "securityContext"}:
            assert spec[key] == wish["spec"][key]
        assert pod["metadata"]["labels"]["team"] == "data"
        assert pod["metadata"]["labels"][names.JOB_LABEL] == JOB.name
        assert pod["metadata"]["annotations"]["a/b"] == "c"
        assert [v["name"] for v in spec["volumes"]] == ["podgraph", "scratch", "storage"]
        [container] = spec["containers"]
        assert [m["mountPath"] for m in container["volumeMounts"]] == ["/podgraph", "/scratch", "/data"]
        assert [e["secretRef"]["name"] for e in container["envFrom"]] == ["mine", "s"]
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "runAsUser": 1000}
        assert spec["securityContext"]["fsGroup"] == 7
        assert spec["restartPolicy"] == "Never"


def test_labels_for_the_queue_go_to_pods_of_steps_alone() -> None:
    labels = queue_labels({"kueue.x-k8s.io/queue-name": "q", "kueue.x-k8s.io": "x", "team": "data"})
    assert labels == {"kueue.x-k8s.io/queue-name": "q"}
    made = maker(labels=labels)
    for pod in (made.step_pod("p", "a", 1, 0, {}), made.run_pod(made.run_assignment({}))):
        assert pod["metadata"]["labels"].items() >= labels.items()
    assert not labels.keys() & made.resolve_pod(1)["metadata"]["labels"].keys()


def test_tags_of_the_run_go_over_those_of_the_job() -> None:
    pod = maker().step_pod("p", "a", 1, 0, {})
    assert json.loads(pod["metadata"]["annotations"][names.ASSIGNMENT])["tags"] == {"team": "data", "run": "1"}


PODS = {
    "python": maker().step_pod("p", "a", 1, 0, {}),
    "script": maker(containers={"a": ContainerSpec("i:1", script="x")}).step_pod("p", "a", 1, 0, {"x": "1"}),
    "container": maker(containers={"a": ContainerSpec("i:1")}).step_pod("p", "a", 1, 0, {"x": "1"}),
}
ALL = tuple(PODS)


@pytest.mark.parametrize(
    ("template", "path", "kinds"),
    [
        ({"spec": {"restartPolicy": "Always"}}, "spec.restartPolicy", ALL),
        ({"spec": {"restartPolicy": None}}, "spec.restartPolicy", ALL),
        ({"spec": {"activeDeadlineSeconds": 1}}, "spec.activeDeadlineSeconds", ALL),
        ({"spec": {"containers": None}}, "spec.containers", ALL),
        ({"spec": {"volumes": None}}, "spec.volumes", ALL),
        ({"spec": {"volumes": [{"name": "v"}, {"name": "podgraph"}]}}, "spec.volumes[1]", ALL),
        (step(command=["x"]), "spec.containers[0].command", ("python", "script")),
        (step(args=["x"]), "spec.containers[0].args", ("python",)),
        (step(terminationMessagePath="/x"), "spec.containers[0].terminationMessagePath", ALL),
        (step(terminationMessagePolicy="File"), "spec.containers[0].terminationMessagePolicy", ALL),
        (step(restartPolicy="Always"), "spec.containers[0].restartPolicy", ALL),
        (step(env=None), "spec.containers[0].env", ALL),
        (step(volumeMounts=None), "spec.containers[0].volumeMounts", ALL),
        (step(volumeMounts=[{"mountPath": "/podgraph/", "name": "v"}]), "spec.containers[0].volumeMounts[0]", ALL),
        (step(volumeMounts=[{"mountPath": "/podgraph/in", "name": "v"}]), "spec.containers[0].volumeMounts[0]", ALL),
        (step(env=[{"name": "PODGRAPH_OUTPUT"}]), "spec.containers[0].env[0]", ALL),
        (step(env=[{"name": "INPUT_X", "value": "1"}]), "spec.containers[0].env[0]", ("script", "container")),
        ({"metadata": {"labels": {"podgraph.dev/job": "x"}}}, "metadata.labels['podgraph.dev/job']", ALL),
        ({"metadata": {"labels": {names.MANAGED_BY_LABEL: None}}}, f"metadata.labels['{names.MANAGED_BY_LABEL}']", ALL),
        ({"metadata": {"annotations": {"podgraph.dev/x": "x"}}}, "metadata.annotations['podgraph.dev/x']", ALL),
    ],
)
def test_what_podgraph_needs_stays(template: Any, path: str, kinds: tuple[str, ...]) -> None:
    for kind, pod in PODS.items():
        if kind not in kinds:
            lay_over(pod, "spec.podTemplate", template)
            continue
        with pytest.raises(DefinitionError) as caught:
            lay_over(pod, "spec.podTemplate", template)
        assert caught.value.reason == "InvalidPodTemplate"
        assert caught.value.message.startswith(f"spec.podTemplate: {path} cannot be set: ")


def test_a_part_that_cannot_be_merged_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"podTemplate of op 'a': spec.containers\[0\].env\[0\] has no name, by"):
        maker(None, {"a": step(env=[{"value": "x"}])}).step_pod("p", "a", 1, 0, {})


def whats(made: PodFactory) -> list[str]:
    return [check.what for check in made.step_checks(["a", "b", "g.c"])]


def test_what_the_api_server_is_asked_once() -> None:
    assert (whats(maker()), maker().resolve_checks()) == ([], [])
    job = maker({"spec": {"nodeSelector": {}}, "metadata": {"labels": {"a": "b"}}})
    assert [check.what for check in job.resolve_checks()] == ["the pods of the job with spec.podTemplate"]
    assert whats(job) == []  # asked with the resolve pod
    assert whats(maker(None, {"a": step(tty=True), "b": step(tty=True)})) == ["op 'a' with its own podTemplate"]
    more = maker(
        step(tty=True), {"a": step(tty=False), "b": step(tty=False)}, {"b": {"resources": {}}, "g.c": {"resources": {}}}
    )
    assert whats(more) == [
        "op 'a' with spec.podTemplate and its own podTemplate",
        "op 'b' with spec.podTemplate and its own podTemplate and runConfig.ops.b.pod",
        "op 'g.c' with spec.podTemplate and runConfig.ops.g.ops.c.pod",
    ]


def test_each_op_is_held_against_what_podgraph_needs_also_where_another_is_asked_about() -> None:
    containers = {"a": ContainerSpec("i:1"), "b": ContainerSpec("i:1", script="x")}
    made = PodFactory(JOB, Settings("d", "runtime"), None, None, Templates(json.dumps(step(command=["x"]))))
    made.set_graph(Graph.of("j", [Op("a"), Op("b")]), Bound(), containers)
    assert len(made.step_checks(["a"])) == 1
    with pytest.raises(DefinitionError, match="command cannot be set"):
        made.step_checks(["a", "b"])


def test_one_pod_has_no_pods_of_single_ops() -> None:
    maker(None, {"a": step(tty=True)}).refuse_overrides()
    with pytest.raises(DefinitionError, match=r"runConfig.ops.g.ops.c.pod is for ops with pods of their own"):
        maker(pods={"g.c": {"resources": {}}}).refuse_overrides()
