"""Fake nodes beside the real one: kwok answers for them as a kubelet would, so that pods cost almost nothing.

kwok is compiled once, into `.cluster/bin`, and only for the benches: it does not compile with the versions that the
node is made of. The stages that come with it bring a pod to Running and, as its owner is of the kind `Job`, to
Succeeded.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from cluster.kube import CHECKOUT, Kube, KubeError
from cluster.node.layout import HOST
from cluster.node.packages import require_go
from cluster.node.progress import output_of, run, step

__all__ = ["fake_nodes"]

VERSION = "v0.8.0"
NODES = tuple(f"kwok-{at}" for at in range(5))
LABEL = "podgraph.dev/bench"
STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)
_BUILD_SECONDS, _READY_SECONDS = 1_800, 60


def program() -> tuple[Path, Path]:
    """Return kwok and the file of its stages, compiled and written when they are not there."""
    path, stages, stamp = (HOST.binaries / name for name in ("kwok", "kwok-stages.yaml", "kwok.stamp"))
    if path.exists() and stages.exists() and stamp.exists() and stamp.read_text() == VERSION:
        return path, stages
    require_go()
    HOST.binaries.mkdir(parents=True, exist_ok=True)
    command = ["go", "install", "-ldflags", "-s -w", f"sigs.k8s.io/kwok/cmd/kwok@{VERSION}"]
    environment = {"CGO_ENABLED": "0", "GOBIN": str(HOST.binaries)}
    with step(f"compile kwok {VERSION} (3 minutes the first time)"):
        run(command, "compiling kwok", log=HOST.cache / "kwok.log", limit=_BUILD_SECONDS, env=environment)
    folder = Path(output_of(["go", "env", "GOMODCACHE"]).strip()) / f"sigs.k8s.io/kwok@{VERSION}/kustomize/stage"
    stages.write_text("\n---\n".join((folder / f"{name}.yaml").read_text() for name in STAGES))
    stamp.write_text(VERSION)
    return path, stages


@contextlib.contextmanager
def fake_nodes(kube: Kube) -> Iterator[tuple[str, ...]]:
    """Have fake nodes for as long as the block runs; yields their names."""
    (binary, stages), log = program(), CHECKOUT / ".bench" / "kwok.log"
    log.parent.mkdir(exist_ok=True)
    command = [str(binary), "--kubeconfig", kube.kubeconfig, "--config", str(stages)]
    command += [
        "--node-lease-duration-seconds=40",
        "--manage-all-nodes=false",
        f"--manage-nodes-with-label-selector={LABEL}=fake",
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        kube.apply([_node(name) for name in NODES])
        names = [f"node/{name}" for name in NODES]
        limit = [f"--timeout={_READY_SECONDS}s"]
        kube.run("wait", "--for=condition=Ready", *names, *limit, seconds=_READY_SECONDS + 15)
        yield NODES
    except KubeError as error:
        raise KubeError(f"{error}\nkwok said: {log.read_text()[-1_000:]}") from None
    finally:
        with contextlib.suppress(KubeError):
            kube.run("delete", "nodes", "-l", f"{LABEL}=fake", "--ignore-not-found", "--wait=false")
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)


def _node(name: str) -> dict[str, object]:
    """Return a node for pods that name it; the taint keeps all others away."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {LABEL: "fake"}, "annotations": {"node.alpha.kubernetes.io/ttl": "0"}},
        "spec": {"taints": [{"key": LABEL, "value": "fake", "effect": "NoSchedule"}]},
    }
