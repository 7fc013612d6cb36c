"""A step's pod has no permission, no token, no root, and fits the strictest Pod Security Standard."""

from __future__ import annotations

from typing import Any

from cluster.kube import CHECKOUT, Kube, job_manifest, outputs_of, reasons_of

ARITHMETIC = (CHECKOUT / "tests" / "examples" / "arithmetic.yaml").read_text()
LOOK = """
import os
from podgraph import job, op

@op
def look():
    status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
    return {
        "token": os.path.exists("/var/run/secrets/kubernetes.io"),
        "uid": os.getuid(), "gid": os.getgid(), "groups": os.getgroups(),
        "capabilities": int(status["CapEff"], 16), "no_new_privileges": status["NoNewPrivs"].strip(),
        "seccomp": status["Seccomp"].strip(),
    }

@job
def my_job():
    look()
"""
KEEP = {"podRetention": "Always"}


def test_a_pod_has_no_token_and_no_root(namespace: Kube, operator: Any, step_image: str) -> None:
    namespace.apply(job_manifest("look", code={"image": step_image, "source": LOOK}, execution=KEEP))
    script = 'test ! -e /var/run/secrets/kubernetes.io; echo "result=$(id -u)" > "$PODGRAPH_OUTPUT"'
    op = {"name": "look", "image": "busybox:1", "script": script, "outputs": [{"name": "result"}]}
    namespace.apply(job_manifest("look-script", ops=[op], execution=KEEP))
    seen = outputs_of(namespace.wait_finished("look"), "look")["result"]
    assert seen.pop("seccomp") in ("0", "2")  # what the node's own runtime makes of RuntimeDefault
    assert seen.pop("groups") in ([], [65532])
    assert seen == {"token": False, "uid": 65532, "gid": 65532, "capabilities": 0, "no_new_privileges": "1"}
    assert outputs_of(namespace.wait_finished("look-script"), "look") == {"result": "65532"}
    pods = namespace.find("pods")
    assert len(pods) == 2
    for pod in pods:
        spec, (container,) = pod["spec"], pod["spec"]["containers"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert not spec.get("initContainers")
        assert not [v for v in spec.get("volumes", ()) if "token" in v["name"] or "hostPath" in v]
        assert not [m for m in container.get("volumeMounts", ()) if m["mountPath"].startswith("/var/run/secrets")]
        assert pod["metadata"]["ownerReferences"][0]["kind"] == "Job"


def test_arithmetic_under_the_restricted_standard(namespace: Kube, operator: Any, step_image: str) -> None:
    namespace.run("label", "namespace", namespace.namespace, "pod-security.kubernetes.io/enforce=restricted")
    namespace.apply(ARITHMETIC.replace("podgraph/step:dev", step_image))
    namespace.apply(
        (CHECKOUT / "tests" / "examples" / "scripts.yaml").read_text().replace("podgraph/step:dev", step_image)
    )
    job = namespace.wait_finished("arithmetic")
    assert reasons_of(job)["Succeeded"] == "True/Succeeded", namespace.describe("arithmetic")
    assert outputs_of(job, "multi_three") == {"result": 9}
    assert reasons_of(namespace.wait_finished("scripts"))["Succeeded"] == "True/Succeeded"
