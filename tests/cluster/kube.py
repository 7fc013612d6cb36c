"""kubectl for tests: every call has a limit, and a Job that does not end says all that is known of it."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "CHECKOUT",
    "Kube",
    "KubeError",
    "find_kube",
    "job_manifest",
    "new_namespace",
    "no_other_operator",
    "outputs_of",
    "reasons_of",
    "states_of",
    "step_image",
]

CHECKOUT = Path(__file__).resolve().parents[2]
JOB_LABEL, OP_LABEL, OP_ANNOTATION = "podgraph.dev/job", "podgraph.dev/op", "podgraph.dev/op"

_OTHER_RUN_SECONDS = 600

Object = dict[str, Any]
Manifest = str | Mapping[str, Any] | Sequence[Mapping[str, Any]]


class KubeError(AssertionError):
    """kubectl said no, or a wait came to its limit."""


@dataclass(frozen=True)
class Kube:
    """kubectl for one namespace of one cluster."""

    kubectl: str
    kubeconfig: str
    namespace: str = "default"

    def within(self, namespace: str) -> Kube:
        """Return the same for another namespace."""
        return Kube(self.kubectl, self.kubeconfig, namespace)

    def run(self, *args: str, stdin: str | None = None, seconds: float = 60) -> str:
        """Run kubectl and return its standard output. Raises KubeError with what it said."""
        command = [self.kubectl, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *args]
        try:
            done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise KubeError(f"kubectl {' '.join(args)}: no end within {seconds:.0f} s") from None
        if done.returncode != 0:
            raise KubeError(f"kubectl {' '.join(args)}: {done.stderr.strip()}")
        return done.stdout

    def apply(self, manifest: Manifest) -> str:
        """Apply YAML text, one object, or a list of objects."""
        return self.run("apply", "-f", "-", stdin=_text(manifest))

    def create(self, manifest: Manifest) -> str:
        """Create objects; unlike apply this keeps no second copy of a large spec."""
        return self.run("create", "-f", "-", stdin=_text(manifest))

    def get(self, kind: str, name: str) -> Object:
        """Return one object."""
        return json.loads(self.run("get", kind, name, "-o", "json"))

    def find(self, kind: str, selector: str = "") -> list[Object]:
        """Return the objects of a kind, of all or of those with these labels."""
        return json.loads(self.run("get", kind, "-o", "json", *([f"--selector={selector}"] if selector else [])))[
            "items"
        ]

    def delete(self, kind: str, name: str) -> None:
        """Delete without waiting."""
        self.run("delete", kind, name, "--wait=false", "--ignore-not-found")

    def logs(self, pod: str) -> str:
        """Return a pod's log, once the kubelet has it: the Job may be over before it says that the pod runs."""
        self.wait_for(f"the begin of pod {pod}", lambda: self.get("pod", pod)["status"]["phase"] != "Pending", 30)
        return self.run("logs", pod)

    def pods_of(self, job: str) -> dict[str, list[Object]]:
        """Return a Job's pods by op; the resolve pod has the op ""."""
        found: dict[str, list[Object]] = {}
        for pod in self.find("pods", f"{JOB_LABEL}={job}"):
            found.setdefault((pod["metadata"].get("annotations") or {}).get(OP_ANNOTATION, ""), []).append(pod)
        return found

    def wait_finished(self, name: str, seconds: float = 90) -> Object:
        """Wait for a Job's end and return it. Raises KubeError with the Job, its pods and its events."""
        try:
            self.run("wait", "pgj", name, "--for=condition=Finished", f"--timeout={seconds:.0f}s", seconds=seconds + 15)
        except KubeError as error:
            raise KubeError(
                f"job {name} did not finish within {seconds:.0f} s ({error})\n{self.describe(name)}"
            ) from None
        return self.get("pgj", name)

    def wait_for(self, what: str, test: Callable[[], Any], seconds: float = 60, pause: float = 0.2) -> Any:
        """Return what `test` returns once that is true. Raises KubeError after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            if result := test():
                return result
            if time.monotonic() > end:
                raise KubeError(f"not within {seconds:.0f} s: {what}")
            time.sleep(pause)

    def describe(self, job: str) -> str:
        """Return what there is to know of a Job, for a failed test's message."""
        parts = [
            ["get", "pgj", job, "-o", "yaml"],
            ["get", "pods", "-o", "wide", "-l", f"{JOB_LABEL}={job}"],
            ["get", "events", f"--field-selector=involvedObject.name={job}"],
        ]
        shown = []
        for part in parts:
            try:
                text = self.run(*part)
            except KubeError as error:
                text = str(error)
            shown.append(f"--- kubectl {' '.join(part)}\n{text}")
        return "\n".join(shown)[:20_000]


def find_kube() -> Kube:
    """Return kubectl for the cluster of KUBECONFIG or of this checkout. Raises KubeError when there is none."""
    own = CHECKOUT / ".cluster"
    named = os.environ.get("KUBECONFIG") or str(own / "kubeconfig")
    if not any(Path(part).exists() for part in named.split(os.pathsep) if part):
        raise KubeError(f"there is no cluster: {named} does not exist; run make up")
    local = own / "bin" / "kubectl"
    kubectl = str(local) if local.exists() else shutil.which("kubectl")
    if kubectl is None:
        raise KubeError(f"there is no kubectl, neither {local} nor in PATH; run make up")
    return Kube(kubectl, named)


def step_image(kube: Kube) -> str:
    """Return an image with python3: STEP_IMAGE, else the checkout's own when the node has it, else the public one."""
    if os.environ.get("STEP_IMAGE"):
        return os.environ["STEP_IMAGE"]
    images = [image for node in kube.find("nodes") for image in node["status"].get("images") or ()]
    named = [name for image in images for name in image.get("names") or ()]
    return "podgraph/step:dev" if any(n.endswith("podgraph/step:dev") for n in named) else "python:3.13-slim"


@contextlib.contextmanager
def new_namespace(kube: Kube) -> Iterator[Kube]:
    """Make a namespace and delete it afterwards, without waiting for its end."""
    name = f"pg-test-{os.getpid()}-{time.monotonic_ns() // 1_000_000 % 10**8}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    made = kube.within(name)
    try:
        made.wait_for("the namespace's default service account", lambda: made.find("serviceaccounts"), 30)
        yield made
    finally:
        kube.delete("namespace", name)


@contextlib.contextmanager
def no_other_operator(kube: Kube) -> Iterator[None]:
    """Scale the operators that are installed to zero, and back afterwards; wait for another run of tests to end."""
    with _alone(kube):
        yield from _none_installed(kube)


def _none_installed(kube: Kube) -> Iterator[None]:
    label = "app.kubernetes.io/name=podgraph"
    everything = json.loads(kube.run("get", "deployments", "-A", "-l", label, "-o", "json"))["items"]
    found = [(d["metadata"]["namespace"], d["metadata"]["name"], d["spec"].get("replicas", 1)) for d in everything]
    try:
        for where, name, _ in found:
            kube.within(where).run("scale", "deployment", name, "--replicas=0")
        for where, _, _ in found:
            kube.within(where).run("wait", "pods", "-l", label, "--for=delete", "--timeout=60s", seconds=75)
        yield
    finally:
        for where, name, replicas in found:
            with contextlib.suppress(KubeError):  # it may have been uninstalled meanwhile
                kube.within(where).run("scale", "deployment", name, f"--replicas={replicas}")


@contextlib.contextmanager
def _alone(kube: Kube) -> Iterator[None]:
    name = hashlib.sha256(str(Path(kube.kubeconfig).resolve()).encode()).hexdigest()[:16]
    with (Path(tempfile.gettempdir()) / f"podgraph-tests-{name}.lock").open("w") as lock:
        end = time.monotonic() + _OTHER_RUN_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise KubeError("other tests or a bench have used this cluster all the time; try later") from None
                time.sleep(0.5)
        yield


def job_manifest(name: str, **spec: Any) -> Object:
    """Return a Job of this name and spec."""
    return {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def outputs_of(job: Object, op: str) -> dict[str, Any]:
    """Return the values of one step's outputs."""
    return {name: json.loads(text) for name, text in job["status"]["steps"][op].get("outputs", {}).items()}


def states_of(job: Object) -> dict[str, str]:
    """Return the state of each step."""
    return {op: step["state"] for op, step in job["status"].get("steps", {}).items()}


def reasons_of(job: Object) -> dict[str, str]:
    """Return `status/reason` of each condition."""
    return {c["type"]: f"{c['status']}/{c['reason']}" for c in job["status"]["conditions"]}


def _text(manifest: Manifest) -> str:
    if isinstance(manifest, str):
        return manifest
    if isinstance(manifest, Mapping):
        return json.dumps(manifest)
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(manifest)})
