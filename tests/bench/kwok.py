"""Fake nodes beside the real one: kwok answers for them as a kubelet would, so that pods cost almost nothing.

kwok is compiled once, into `.cluster/bin`, and only for the benches: it does not compile with the versions that the
node is made of. The stages that come with it bring a pod to Running and, as its owner is of the kind `Job`, to
Succeeded; a pod that was started ahead stays at Running until it is told what to do, as it would.
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
from podgraph.planning.model.names import AHEAD_LABEL, WAITING

__all__ = ["fake_nodes"]

VERSION = "v0.8.0"
NODES = tuple(f"kwok-{at}" for at in range(5))
LABEL = "podgraph.dev/bench"
FOLDER = CHECKOUT / ".bench"
PLAIN_STAGES = HOST.binaries / "kwok-stages.yaml"
STAGES = (
    "node/fast/node-initialize",
    "node/heartbeat-with-lease/node-heartbeat-with-lease",
    "pod/fast/pod-ready",
    "pod/fast/pod-complete",
    "pod/fast/pod-delete",
)
_OWNED = "    - key: '.metadata.ownerReferences.[].kind'\n"
_NOT_WAITING = f"""    - key: '.metadata.labels["{AHEAD_LABEL}"]'
      operator: 'NotIn'
      values:
      - '{WAITING}'
"""
_BUILD_SECONDS, _READY_SECONDS = 1_800, 60


def program() -> Path:
    """Return kwok, compiled when it is not there."""
    path, stamp = HOST.binaries / "kwok", HOST.binaries / "kwok.stamp"
    if path.exists() and stamp.exists() and stamp.read_text() == VERSION:
        return path
    require_go()
    HOST.binaries.mkdir(parents=True, exist_ok=True)
    command = ["go", "install", "-ldflags", "-s -w", f"sigs.k8s.io/kwok/cmd/kwok@{VERSION}"]
    environment = {"CGO_ENABLED": "0", "GOBIN": str(HOST.binaries)}
    with step(f"compile kwok {VERSION} (3 minutes the first time)"):
        run(command, "compiling kwok", log=HOST.cache / "kwok.log", limit=_BUILD_SECONDS, env=environment)
    modules = Path(output_of(["go", "env", "GOMODCACHE"]).strip())
    folder = modules / f"sigs.k8s.io/kwok@{VERSION}/kustomize/stage"
    PLAIN_STAGES.write_text("\n---\n".join((folder / f"{name}.yaml").read_text() for name in STAGES))
    stamp.write_text(VERSION)
    return path


def our_stages(plain: str) -> str:
    """Return the stages as they come, with the one change that what waits is not complete."""
    if plain.count(_OWNED) != 1:
        raise KubeError(f"the stages of kwok {VERSION} are not as expected: none is about a pod's owner")
    return plain.replace(_OWNED, f"{_NOT_WAITING}{_OWNED}")


@contextlib.contextmanager
def fake_nodes(kube: Kube) -> Iterator[tuple[str, ...]]:
    """Have fake nodes for as long as the block runs; yields their names."""
    binary, log, stages = program(), FOLDER / "kwok.log", FOLDER / "kwok.yaml"
    FOLDER.mkdir(exist_ok=True)
    stages.write_text(our_stages(PLAIN_STAGES.read_text()))
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
