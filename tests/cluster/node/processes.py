"""Finding the nodes that run on this machine, by the command lines of their first processes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .layout import HOST, Layout
from .progress import Failure

MODULE_NAME = "cluster.node"


@dataclass(frozen=True)
class Process:
    """A process of some checkout's node, as its command line tells."""

    identifier: int
    directory: Path
    is_first: bool


def parse_process(identifier: int, arguments: list[str]) -> Process | None:
    """Recognise `… -m cluster.node inside DIRECTORY`, or the `unshare` around it."""
    if len(arguments) < 4 or arguments[-3:-1] != [MODULE_NAME, "inside"]:
        return None
    return Process(identifier, Path(arguments[-1]), "unshare" not in arguments)


def node_processes() -> list[Process]:
    """The nodes running on this machine; command lines cannot be stale, as a file with a number can."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                arguments = (folder / "cmdline").read_text(errors="replace").split("\0")[:-1]
            except OSError:
                continue  # It ended meanwhile.
            process = parse_process(int(folder.name), arguments)
            if process:
                found.append(process)
    return found


def own_processes(layout: Layout = HOST) -> list[Process]:
    """The processes of this checkout's node."""
    return [process for process in node_processes() if process.directory == layout.directory]


def first_process(layout: Layout = HOST) -> int | None:
    """Process 1 of the node, by its number on the host; nothing when the node is down."""
    return next((process.identifier for process in own_processes(layout) if process.is_first), None)


def refuse_other_checkout(processes: list[Process], own: Path) -> None:
    """Only one cluster runs on a machine at a time: say whose it is and how to end it."""
    for process in processes:
        if process.directory != own:
            owner = process.directory.parent
            raise Failure(f"the cluster of another checkout is up: {owner} (end it with: make -C {owner} down)")


def other_checkout_runs() -> bool:
    """Whether the namespace and the link belong to a running cluster of another checkout."""
    return any(process.directory != HOST.directory for process in node_processes())
