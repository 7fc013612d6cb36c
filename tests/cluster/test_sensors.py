"""JobSensors on a real cluster: on a ConfigMap, on Jobs that finish, on a web server, a bucket, a claim, and code."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, KubeError, job_manifest, outputs_of
from cluster.s3 import S3
from cluster.volumes import node_claim
from unit.cli.running import podgraph

EXAMPLES = CHECKOUT / "tests" / "examples" / "sensors"


def begun(kube: Kube, name: str, seconds: float = 20) -> None:
    def found() -> Any:
        return ((kube.get("pgsn", name).get("status") or {}).get("cursor") or {}).get("begun")

    kube.wait_for(f"{name} looks", found, seconds)


def made(kube: Kube, sensor: str, count: int) -> list[dict[str, Any]]:
    """Wait for so many finished Jobs of a sensor."""

    def found() -> Any:
        jobs = kube.find("pgj", f"podgraph.dev/sensor={sensor}")
        return jobs if len([j for j in jobs if "completionTime" in j.get("status", {})]) >= count else None

    return kube.wait_for(f"{count} Jobs of {sensor}", found, 60)


def release(version: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "release"}, "data": {"version": version}}


def test_the_example_on_a_config_map(operator: Any, namespace: Kube) -> None:
    namespace.apply(release("1"))
    namespace.apply((EXAMPLES / "config-map.yaml").read_text())
    begun(namespace, "on-release")
    namespace.apply(release("2"))
    (job,) = made(namespace, "on-release", 1)
    assert outputs_of(job, "deploy") == {"result": "deployed 2"}
    operator.kill()
    namespace.apply(release("3"))
    operator.start()
    jobs = made(namespace, "on-release", 2)
    assert sorted(outputs_of(job, "deploy")["result"] for job in jobs) == ["deployed 2", "deployed 3"]
    row = namespace.run("get", "pgsn", "on-release").splitlines()
    assert row[0].split() == ["NAME", "SOURCE", "SUSPEND", "LAST", "READY", "AGE"]
    assert "configmaps release data.version" in row[1]

    where = ["--namespace", namespace.namespace, "--kubeconfig", namespace.kubeconfig]
    status, out, err = podgraph("sensor", "list", *where)
    assert (status, "on-release" in out) == (0, True), err
    assert podgraph("sensor", "suspend", "on-release", *where)[0] == 0
    namespace.wait_for(
        "it is suspended",
        lambda: namespace.get("pgsn", "on-release")["status"]["conditions"][0]["reason"] == "Suspended",
    )
    status, out, err = podgraph("sensor", "get", "on-release", *where)
    assert (status, "Seen: release: 3" in out) == (0, True), err
    assert podgraph("sensor", "resume", "on-release", *where)[0] == 0


def test_the_example_on_jobs_that_fail(operator: Any, namespace: Kube) -> None:
    namespace.apply((EXAMPLES / "after-job.yaml").read_text())
    begun(namespace, "on-failure")
    for name, script in (("good", "true"), ("bad", "exit 3")):
        job = job_manifest(name, ops=[{"name": "a", "image": "busybox:1", "script": script}])
        job["metadata"]["labels"] = {"team": "data"}
        namespace.apply(job)
        namespace.wait_finished(name)
    (job,) = made(namespace, "on-failure", 1)
    assert outputs_of(job, "tell") == {"result": "bad failed"}


SERVER = """
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = b'{"state": "%s"}' % (b"ready" if os.path.exists("/tmp/ready") else b"busy")
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("", 18473), Page).serve_forever()
"""


def test_the_example_on_a_web_server(operator: Any, namespace: Kube, step_image: str) -> None:
    container = {"name": "web", "image": step_image, "command": ["python3", "-c", SERVER]}
    kind = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}}
    namespace.apply(
        {**kind, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0, "hostNetwork": True}}
    )
    namespace.run("wait", "pod", "web", "--for=condition=Ready", "--timeout=30s")
    address = namespace.get("pod", "web")["status"]["podIP"]
    url = f"http://{address}:18473"
    manifest = (EXAMPLES / "web-page.yaml").read_text().replace("http://files.default.svc:8080", url)
    namespace.apply(manifest)
    namespace.wait_for(
        "it is refused", lambda: "sensors.http.allow is empty" in namespace.run("get", "pgsn", "on-ready", "-o", "yaml")
    )
    operator.stop()
    operator.settings["PODGRAPH_SENSORS_HTTP"] = json.dumps({"allow": [url], "allowNetworks": [f"{address}/32"]})
    try:
        operator.start()
        begun(namespace, "on-ready")
        namespace.run("exec", "web", "--", "touch", "/tmp/ready")
        made(namespace, "on-ready", 1)
        assert namespace.get("pgsn", "on-ready")["status"]["source"] == f"{url}/state.json state=ready"
    finally:
        operator.stop()
        operator.settings.clear()
        operator.start()


def test_the_example_on_a_bucket(operator: Any, namespace: Kube, step_image: str, s3_server: S3) -> None:
    incoming = s3_server.folder / "incoming"
    incoming.mkdir()
    (incoming / "old.csv").write_text("1")
    text = (EXAMPLES / "new-object.yaml").read_text().replace("http://s3.example:7070", s3_server.endpoint)
    namespace.apply(text.replace("podgraph/step:dev", step_image))
    begun(namespace, "on-file", 90)
    [pod] = namespace.find("pods", "podgraph.dev/sensor=on-file")
    assert pod["spec"]["automountServiceAccountToken"] is False
    (incoming / "skipped.txt").write_text("1")
    (incoming / "new.csv").write_text("1")
    (job,) = made(namespace, "on-file", 1)
    assert outputs_of(job, "load") == {"result": "loaded s3://values/incoming/new.csv"}
    operator.kill()
    (incoming / "deep").mkdir()
    (incoming / "deep" / "later.csv").write_text("1")
    operator.start()
    jobs = made(namespace, "on-file", 2)
    loaded = sorted(outputs_of(job, "load")["result"] for job in jobs)
    assert loaded == [f"loaded s3://values/incoming/{key}" for key in ("deep/later.csv", "new.csv")]
    namespace.run("patch", "secret", "s3", "--type=merge", "-p", '{"stringData": {"AWS_SECRET_ACCESS_KEY": "wrong"}}')
    namespace.delete("pod", pod["metadata"]["name"])

    def refused() -> Any:
        ready = namespace.get("pgsn", "on-file")["status"]["conditions"][0]
        return ready if ready["reason"] == "StorageFailed" else None

    ready = namespace.wait_for("it is refused", refused, 90)
    assert ready["message"].startswith("storage s3://values/incoming cannot be listed: ")


def test_a_claim(operator: Any, namespace: Kube) -> None:
    with node_claim(namespace, "values") as folder:
        kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSensor", "metadata": {"name": "on-claim"}}
        template = {"spec": {"ops": [{"name": "a", "image": "busybox:1", "script": "true"}]}}
        source = {"objectStore": {"claimRef": {"name": "values"}, "pattern": "in/*"}}
        namespace.apply({**kind, "spec": {"source": source, "minimumIntervalSeconds": 2, "jobTemplate": template}})
        begun(namespace, "on-claim", 90)
        folder.run("mkdir -p /folder/in && echo 1 > /folder/in/a && chmod -R a+rX /folder")
        (job,) = made(namespace, "on-claim", 1)
        assert namespace.get("pgsn", "on-claim")["status"]["ticks"][0]["message"] == "in/a"
        assert job["metadata"]["labels"]["podgraph.dev/sensor"] == "on-claim"


def test_a_file_with_a_sensor_and_a_schedule(operator: Any, namespace: Kube, step_image: str) -> None:
    where = ["--namespace", namespace.namespace, "--kubeconfig", namespace.kubeconfig]
    applied = podgraph("definition", "apply", "-f", EXAMPLES / "numbers.py", "--image", step_image, *where)
    assert applied[:2] == (
        0,
        "squares created\nsensor each-number created\n"
        "schedule each-minute created, suspended: podgraph schedule resume each-minute\n"
        "schedule nightly created, suspended: podgraph schedule resume nightly\n",
    ), applied[2]
    assert podgraph("schedule", "resume", "each-minute", *where)[0] == 0  # the rest takes about as long
    jobs = made(namespace, "each-number", 3)
    assert sorted(outputs_of(job, "square")["result"] for job in jobs) == [1, 4, 9]
    assert {job["metadata"]["annotations"]["podgraph.dev/run-key"] for job in jobs} == {
        "number 1", "number 2", "number 3"
    }  # fmt: skip
    assert all(job["spec"]["definitionRef"] == {"name": "squares"} for job in jobs)
    [pod] = namespace.find("pods", "podgraph.dev/evaluator")
    operator.kill()
    namespace.delete("pod", pod["metadata"]["name"])
    operator.start()
    skipped = namespace.wait_for(
        "it skips", lambda: namespace.get("pgsn", "each-number")["status"]["ticks"][0]["outcome"] == "Skipped", 60
    )
    assert skipped
    assert len(namespace.find("pgj", "podgraph.dev/sensor=each-number")) == 3

    tick = ["schedule", "tick", "each-minute", "--dry-run", "--at", "2026-11-24T00:09:00Z"]
    status, out, err = podgraph(*tick, *where)
    assert (status, "number: 9" in out, "each-minute-manual-1795478940" in out) == (0, True, True), err
    status, out, err = podgraph("sensor", "tick", "each-number", "--dry-run", *where)
    assert (status, out, err) == (0, "", "no Job would be created; all three are done\n")
    status, out, err = podgraph("schedule", "tick", "nightly", *where)
    assert status == 0, err
    assert outputs_of(namespace.wait_finished(out.strip()), "square") == {"result": 49}

    again = podgraph("job", "launch", "-f", EXAMPLES / "numbers.py", "--image", step_image,
                     "--config-json", '{"ops": {"square": {"config": {"number": 5}}}}', *where)  # fmt: skip
    assert again[2].splitlines()[:4] == [
        "definition squares unchanged", "sensor each-number unchanged", "schedule each-minute unchanged",
        "schedule nightly unchanged, suspended: podgraph schedule resume nightly",
    ]  # fmt: skip
    assert outputs_of(namespace.wait_finished(again[1].strip()), "square") == {"result": 25}

    def ticked() -> Any:
        jobs = namespace.find("pgj", "podgraph.dev/schedule=each-minute")
        return jobs if jobs and "completionTime" in jobs[0].get("status", {}) else None

    job = namespace.wait_for("a tick's Job", ticked, 100)[0]
    minute = int(job["metadata"]["annotations"]["podgraph.dev/tick-time"][14:16])
    assert outputs_of(job, "square") == {"result": minute**2}


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({}, "exactly one of job, kubernetes, http, objectStore and python"),
        ({"objectStore": {"url": "s3://b", "claimRef": {"name": "c"}}}, "a file:// url requires claimRef"),
        ({"objectStore": {"url": "ftp://b"}}, "spec.source.objectStore.url"),
        ({"python": {"function": "f"}}, "definitionRef"),
        ({"job": {}}, "exactly one of name and selector"),
        ({"kubernetes": {"apiVersion": "v1", "resource": "pods", "name": "p"}}, "exactly one of condition and field"),
        ({"http": {"url": "ftp://x"}}, "spec.source.http.url"),
        ({"http": {"url": "https://x", "equals": "1"}}, "equals requires path"),
    ],
)
def test_the_schema_refuses(operator: Any, shared: Kube, source: dict[str, Any], part: str) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSensor", "metadata": {"name": "refused"}}
    template = {"spec": {"ops": [{"name": "a", "image": "busybox:1"}]}}
    with pytest.raises(KubeError, match="is invalid") as refused:
        shared.apply({**kind, "spec": {"source": source, "jobTemplate": template}})
    assert part in str(refused.value)
