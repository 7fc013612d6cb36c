"""Getting image archives into the node, and the two small images that every node needs."""

from __future__ import annotations

from pathlib import Path

from .archive import write_busybox_archives
from .layout import CONTAINERD_SOCKET, HOST
from .processes import first_process
from .progress import Failure, output_of


def containerd_address() -> str:
    """The node's socket: it lies in the node's own mount namespace, reached through its first process."""
    process = first_process()
    if process is None:
        raise Failure("the node is not up: run `make up` first")
    return f"/proc/{process}/root{CONTAINERD_SOCKET}"


def ctr(*arguments: str) -> list[str]:
    """A command line for containerd, where Kubernetes keeps its images."""
    return ["ctr", "--address", containerd_address(), "--namespace", "k8s.io", *arguments]


def load_into_node(archive: Path) -> None:
    """Import an image archive under the names it carries."""
    if not archive.is_file():
        raise Failure(f"no such image archive: {archive}")
    output_of(ctr("images", "import", str(archive)), limit=300)


def load_basic_images() -> None:
    """The pause image holds each pod's namespaces; busybox is for tests. Neither can be pulled here."""
    for archive in write_busybox_archives(HOST.cache):
        load_into_node(archive)
