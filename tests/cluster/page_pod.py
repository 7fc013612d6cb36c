"""The page as the chart runs it: a Deployment of its own, reached through `kubectl port-forward`."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from cluster.kube import CHECKOUT, Kube, KubeError

__all__ = ["forwarded", "installed_page", "operator_image"]

IMAGE = "podgraph/operator:dev"
_READY_SECONDS = 120


def operator_image(kube: Kube) -> str:
    """Return OPERATOR_IMAGE, else the checkout's own; skip the test when the nodes do not have that."""
    if named := os.environ.get("OPERATOR_IMAGE"):
        return named
    images = [image for node in kube.find("nodes") for image in node["status"].get("images") or ()]
    if not any(name.endswith(IMAGE) for image in images for name in image.get("names") or ()):
        pytest.skip(f"no node has {IMAGE}: make images loads it, or OPERATOR_IMAGE names another")
    return IMAGE


@contextlib.contextmanager
def installed_page(kube: Kube, step_image: str, **values: Any) -> Iterator[str]:
    """Install the chart's page alone, with these values under `ui`; return the Service's name."""
    helm = shutil.which("helm", path=str(CHECKOUT / ".cluster" / "bin")) or shutil.which("helm")
    assert helm, "there is no helm: run make up, which builds it"
    repository, _, tag = operator_image(kube).rpartition(":")
    image = {"repository": repository, "tag": tag, "pullPolicy": "IfNotPresent"}
    sets = {"image": image, "stepImage": step_image, "ui": {"enabled": True, **values}}
    command = [
        helm, "template", kube.namespace, str(CHECKOUT / "charts/podgraph"), "--namespace", kube.namespace,
        "--show-only", "templates/ui.yaml", "--kube-version", "1.35.0",
        *(part for key, value in sets.items() for part in ("--set-json", f"{key}={json.dumps(value)}")),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    documents = [document for document in yaml.safe_load_all(done.stdout) if document]
    (name,) = [d["metadata"]["name"] for d in documents if d["kind"] == "Service"]
    try:
        kube.apply(documents)
        try:
            wait = ["rollout", "status", f"deployment/{name}", f"--timeout={_READY_SECONDS}s"]
            kube.run(*wait, seconds=_READY_SECONDS + 15)
        except KubeError as error:
            raise KubeError(f"{error}\n{kube.run('describe', 'pods')}\n{_logs(kube, name)}") from None
        yield name
    finally:
        # The Deployment goes with its namespace; what has none is deleted here.
        for document in documents:
            if document["kind"].startswith("Cluster"):
                kube.delete(document["kind"], document["metadata"]["name"])


@contextlib.contextmanager
def forwarded(kube: Kube, service: str) -> Iterator[str]:
    """Forward a free port to a Service's 3000, as the README says; return the page's address."""
    command = [kube.kubectl, f"--kubeconfig={kube.kubeconfig}", "-n", kube.namespace]
    process = subprocess.Popen(
        [*command, "port-forward", f"service/{service}", ":3000"], stdout=subprocess.PIPE, text=True
    )
    end = threading.Timer(300, process.kill)
    end.start()
    try:
        assert process.stdout is not None
        line = process.stdout.readline()  # Forwarding from 127.0.0.1:PORT -> 3000
        assert "127.0.0.1:" in line, f"kubectl port-forward said {line!r}"
        url = f"http://localhost:{line.split('127.0.0.1:')[1].split()[0]}/"
        kube.wait_for("the page behind the forwarded port", lambda: _answers(f"{url}healthz"), 60)
        yield url
    finally:
        end.cancel()
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()


def _logs(kube: Kube, name: str) -> str:
    with contextlib.suppress(KubeError):
        return kube.run("logs", f"deployment/{name}")
    return ""


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status == 200
    except (OSError, http.client.HTTPException):
        return False
