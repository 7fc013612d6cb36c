"""The same cluster as containers, with kind, on a machine where a Docker engine answers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from .compiling import MODULE, link_program
from .layout import HOST, NAME, Layout
from .packages import require_go
from .progress import Failure, output_of, run, say, step, succeeds, wait_for

MODULE_VERSION = "sigs.k8s.io/kind@v0.30.0"
CONTEXT = f"kind-{NAME}"
CREATE_LIMIT_SECONDS = 900
TOOLS = {"kubectl": "k8s.io/kubernetes/cmd/kubectl", "helm": "helm.sh/helm/v3/cmd/helm"}


def is_wanted(environment: Mapping[str, str]) -> bool:
    """`CLUSTER=kind` asks for kind; nothing, or `node`, for our own node; anything else is a mistake."""
    choice = environment.get("CLUSTER", "")
    if choice not in ("", "node", "kind"):
        raise Failure(f"CLUSTER={choice} is not known: leave it unset, or set it to kind")
    return choice == "kind"


def is_chosen(command: str, wanted: bool, is_up: bool, node_is_up: bool) -> bool:
    """Whether a command goes to kind. `up` follows CLUSTER; the others follow what is up."""
    if command != "up":
        return is_up or (wanted and not node_is_up)
    if wanted and node_is_up:
        raise Failure("this checkout's node is up (end it with: make down), so kind is not started beside it")
    if is_up and not wanted:
        raise Failure("this checkout's kind cluster is up: use CLUSTER=kind, or end it with: make down")
    return wanted


def docker_answers() -> bool:
    """Whether there is an engine, not only a client."""
    return succeeds(["docker", "version", "--format", "{{.Server.Version}}"], limit=10)


def is_ours(layout: Layout) -> bool:
    """Whether the kubeconfig in this checkout is one that kind wrote."""
    return layout.kubeconfig.is_file() and f"current-context: {CONTEXT}" in layout.kubeconfig.read_text()


def create_command(program: str, kubeconfig: Path) -> list[str]:
    """How the cluster is made; kind waits for the node to become Ready by itself."""
    return [program, "create", "cluster", f"--name={NAME}", f"--kubeconfig={kubeconfig}", "--wait=180s"]


def delete_command(program: str, kubeconfig: Path) -> list[str]:
    """How it is removed."""
    return [program, "delete", "cluster", f"--name={NAME}", f"--kubeconfig={kubeconfig}"]


def load_command(program: str, archive: Path) -> list[str]:
    """How an image archive gets into its node."""
    return [program, "load", "image-archive", f"--name={NAME}", str(archive)]


def export_command(program: str, kubeconfig: Path) -> list[str]:
    """How the kubeconfig of a cluster that is up is written again."""
    return [program, "export", "kubeconfig", f"--name={NAME}", f"--kubeconfig={kubeconfig}"]


def kind_program() -> str:
    """Kind from PATH, or compiled into our own folder."""
    own = HOST.binaries / "kind"
    found = str(own) if own.exists() else shutil.which("kind")
    if found:
        return found
    require_go()
    install("compile kind", MODULE_VERSION)
    return str(own)


def install(title: str, package: str) -> None:
    """Compile one program into our folder."""
    HOST.binaries.mkdir(parents=True, exist_ok=True)
    environment = {"CGO_ENABLED": "0", "GOBIN": str(HOST.binaries)}
    with step(title):
        command = ["go", "install", "-ldflags=-s -w", package]
        log = HOST.cache / "compile.log"
        run(command, title, log=log, limit=1800, env=environment, cwd=MODULE, heartbeat=lambda: "still compiling")


def provide_tools() -> None:
    """Tests call kubectl and helm in our folder: from PATH if they are there, else compiled."""
    for name, package in TOOLS.items():
        if (HOST.binaries / name).exists():
            continue
        found = shutil.which(name)
        if found:
            link_program(HOST.binaries, name, found)
        else:
            require_go()
            install(f"compile {name}", package)


def require_docker() -> None:
    """Kind is nothing without an engine: say so before anything is compiled."""
    if not docker_answers():
        raise Failure("CLUSTER=kind needs a Docker engine, and none answers (`docker version`); "
                      "without CLUSTER=kind the node runs with no Docker")  # fmt: skip


def up() -> None:
    """Leave a kind cluster and its kubeconfig."""
    require_docker()
    program = kind_program()
    provide_tools()
    if NAME in output_of([program, "get", "clusters"], limit=60).split():
        output_of(export_command(program, HOST.kubeconfig), limit=60)
        if answers():
            say(f"already up: {HOST.kubeconfig}")
            return
        with step("remove a kind cluster that does not answer"):
            output_of(delete_command(program, HOST.kubeconfig), limit=300)
    log = HOST.cache / "kind.log"
    with step("create the kind cluster"):
        command = create_command(program, HOST.kubeconfig)
        run(command, "kind create cluster", log=log, limit=CREATE_LIMIT_SECONDS, heartbeat=lambda: "still creating")
        wait_for_service_account()
    say(f"up: KUBECONFIG={HOST.kubeconfig}")


def answers() -> bool:
    """Whether the API server of the kind cluster answers and pods can be made."""
    kubectl = [str(HOST.binaries / "kubectl"), f"--kubeconfig={HOST.kubeconfig}", "--request-timeout=5s"]
    return succeeds([*kubectl, "get", "serviceaccount", "default", "-n", "default"])


def wait_for_service_account() -> None:
    """Kind's own wait ends with the node, but pods need the default service account too."""
    wait_for("the default service account", answers, limit=60)


def down() -> None:
    """Remove the kind cluster."""
    require_docker()
    with step("delete the kind cluster"):
        output_of(delete_command(kind_program(), HOST.kubeconfig), limit=300)
        HOST.kubeconfig.unlink(missing_ok=True)


def load(archive: Path) -> None:
    """Bring an image archive into the kind cluster."""
    with step(f"load {archive.name}"):
        output_of(load_command(kind_program(), archive), limit=600)
