"""The command line: `up`, `down`, `images`, `page`, `load ARCHIVE…`; and `inside`, which the node calls itself."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .layout import HOST
from .packages import extend_path
from .processes import own_processes
from .progress import Failure, say, tell_failure, wait_for

USAGE = "usage: python3 -m cluster.node up|down|images|page|load ARCHIVE…"
LOCK_LIMIT_SECONDS = 1800


def main(arguments: list[str]) -> int:
    """Do what is asked; a foreseeable problem is one line and status 1."""
    extend_path()
    try:
        return dispatch(arguments)
    except Failure as failure:
        tell_failure(failure)
        return 1
    except OSError as problem:
        tell_failure(Failure(f"{problem}"))
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130


def dispatch(arguments: list[str]) -> int:
    """Find the command and call it."""
    command, *rest = arguments or [""]
    if command == "inside" and len(rest) == 1:
        from . import inside

        return inside.main(Path(rest[0]))
    if (command, bool(rest)) not in (
        ("up", False),
        ("down", False),
        ("images", False),
        ("page", False),
        ("load", True),
    ):
        print(USAGE, file=sys.stderr)
        return 2
    with one_at_a_time(HOST.directory):
        act(command, rest)
    return 0


def act(command: str, archives: list[str]) -> None:
    """Choose between our node and kind, by what is asked for and what is there."""
    from . import images, kind, lifecycle, loading, page

    if command == "page":
        page.build()
        return
    kind_wanted, kind_is_up, node_is_up = kind.is_wanted(os.environ), kind.is_ours(HOST), bool(own_processes())
    with_kind = kind.is_chosen(command, kind_wanted, kind_is_up, node_is_up)
    if command == "up":
        kind.up() if with_kind else lifecycle.up()
    elif command == "down":
        kind.down() if with_kind else lifecycle.down()
    elif command == "images":
        images.build_and_load()
    for archive in archives:
        kind.load(Path(archive)) if with_kind else loading.load_into_node(Path(archive))


@contextmanager
def one_at_a_time(directory: Path) -> Iterator[None]:
    """Two commands on one cluster would undo each other's work: the second waits for the first."""
    try:
        directory.mkdir(exist_ok=True)
        lock_file = (directory / "lock").open("w")
    except PermissionError:
        raise Failure(f"{directory} belongs to another user, most likely root: run this as that user") from None
    with lock_file as lock:
        if not is_locked(lock):
            say("waiting for another `make up`, `down` or `images` of this checkout")
            wait_for("that other command to end", lambda: is_locked(lock), limit=LOCK_LIMIT_SECONDS)
        yield


def is_locked(lock: IO[str]) -> bool:
    """Try to take the lock; the system gives it back when we end, however that happens."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
