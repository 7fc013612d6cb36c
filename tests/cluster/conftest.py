"""A real cluster, the operator as a process of this checkout beside it, and a namespace for each test."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster import s3
from cluster.account import granted
from cluster.kube import CHECKOUT, Kube, KubeError, find_kube, new_namespace, no_other_operator, step_image

_READY_SECONDS = 60
_LOG_LINES = 40
_running: list[OperatorProcess] = []


class OperatorProcess:
    """The operator as a local process that a test may kill and start again; it has the rights of `kubeconfig`."""

    def __init__(self, kube: Kube, image: str, log: Path, kubeconfig: str) -> None:
        self.kube, self.image, self.log, self.kubeconfig = kube, image, log, kubeconfig
        self.process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.settings: dict[str, str] = {}  # more of its environment, for the next start

    def start(self) -> None:
        """Start it and wait until it is ready."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        env = {
            **os.environ,
            "KUBECONFIG": self.kubeconfig,
            "PODGRAPH_NAMESPACE": json.loads(Path(self.kubeconfig).read_text())["contexts"][0]["context"]["namespace"],
            "PYTHONPATH": str(CHECKOUT / "operator"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PODGRAPH_STEP_IMAGE": self.image,
            "PODGRAPH_HEALTH_PORT": str(port),
            "PODGRAPH_LINK": s3.link_address(),
            **self.settings,
        }
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "podgraph.operator"], env=env, stdout=log, stderr=subprocess.STDOUT
            )
        end = time.monotonic() + _READY_SECONDS
        while not _is_ready(f"{self.url}/readyz"):
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise KubeError(f"the operator was not ready within {_READY_SECONDS} s:\n{self.tail()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """End it with SIGKILL, as a node that fails would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it with SIGTERM, and with SIGKILL after 20 s."""
        self._end(signal.SIGTERM)

    def tail(self) -> str:
        """Return the last lines of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LOG_LINES:])

    def _end(self, number: signal.Signals) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark everything in this folder, so that `-m "not cluster"` leaves it out."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """Show the end of the operator's log with each failure."""
    report = yield
    if report.failed and _running:
        report.sections.append(("operator log", _running[0].tail()))
    return report


@pytest.fixture(scope="session")
def kube() -> Kube:
    """kubectl, when there is a cluster that answers."""
    try:
        found = find_kube()
        found.run("get", "--raw", "/readyz", seconds=20)
    except KubeError as error:
        pytest.fail(str(error), pytrace=False)
    return found


@pytest.fixture(scope="session", name="step_image")
def found_step_image(kube: Kube) -> str:
    """An image with python3 that the cluster has or can pull."""
    return step_image(kube)


@pytest.fixture(scope="session")
def s3_server(step_image: str) -> Iterator[s3.S3]:
    """A real S3 server that pods reach."""
    if not s3.can_serve():
        pytest.skip("only pods of the node of `make up` reach this machine")
    if not step_image.startswith("podgraph/step"):
        pytest.skip(f"{step_image} has no s3fs")
    with s3.serving() as server:
        yield server


@pytest.fixture(scope="session")
def operator(kube: Kube, step_image: str) -> Iterator[OperatorProcess]:
    """The operator of this checkout, and no other one, with what the chart grants to its ServiceAccount."""
    with no_other_operator(kube), tempfile.TemporaryDirectory() as folder, granted(kube, Path(folder)) as kubeconfig:
        # Only when other runs of tests have ended: theirs may be of a checkout with another CRD.
        kube.run("apply", "--server-side", "--force-conflicts", "-f", str(CHECKOUT / "crds"))
        ours = [f"crd/{path.stem}" for path in (CHECKOUT / "crds").glob("*.yaml")]
        kube.run("wait", "--for=condition=Established", *ours, "--timeout=30s")
        process = OperatorProcess(kube, step_image, Path(folder) / "operator.log", kubeconfig)
        process.start()
        _running.append(process)
        try:
            yield process
        finally:
            _running.clear()
            process.stop()


@pytest.fixture
def namespace(kube: Kube) -> Iterator[Kube]:
    """kubectl for a new namespace."""
    with new_namespace(kube) as made:
        yield made


@pytest.fixture(scope="module")
def shared(kube: Kube) -> Iterator[Kube]:
    """kubectl for a new namespace that the tests of one file share."""
    with new_namespace(kube) as made:
        yield made


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except (urllib.error.URLError, OSError):
        return False
