"""JobSensors on a real cluster: on a ConfigMap, on Jobs that finish, on a web server in a pod."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cluster.kube import CHECKOUT, Kube, KubeError, job_manifest, outputs_of
from unit.cli.running import podgraph

EXAMPLES = CHECKOUT / "tests" / "examples" / "sensors"


def begun(kube: Kube, name: str) -> None:
    def found() -> Any:
        return ((kube.get("pgsn", name).get("status") or {}).get("cursor") or {}).get("begun")

    kube.wait_for(f"{name} looks", found, 20)


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


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ({}, "exactly one of job, kubernetes and http"),
        ({"job": {}}, "exactly one of name and selector"),
        ({"kubernetes": {"apiVersion": "v1", "resource": "pods", "name": "p"}}, "exactly one of condition and field"),
        ({"http": {"url": "ftp://x"}}, "spec.source.http.url"),
        ({"http": {"url": "https://x", "equals": "1"}}, "equals needs path"),
    ],
)
def test_the_schema_refuses(operator: Any, shared: Kube, source: dict[str, Any], part: str) -> None:
    kind = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "JobSensor", "metadata": {"name": "refused"}}
    template = {"spec": {"ops": [{"name": "a", "image": "busybox:1"}]}}
    with pytest.raises(KubeError, match="is invalid") as refused:
        shared.apply({**kind, "spec": {"source": source, "jobTemplate": template}})
    assert part in str(refused.value)
