"""Bringing the node up and down: finding a running one, healing what a crash left, waiting with limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from . import certificates, inside, network, packages, volumes
from .compiling import compile_programs
from .layout import CHECKOUT, HOST, HOST_LINK, NODE_NAME
from .loading import load_basic_images
from .processes import (
    MODULE_NAME,
    first_process,
    node_processes,
    other_checkout_runs,
    own_processes,
    refuse_other_checkout,
)
from .progress import Failure, is_overlay, printed_by, say, step, succeeds, wait_for

BOOT_LIMIT_SECONDS = 120
ANSWER_LIMIT_SECONDS = 30


def kubectl(*arguments: str) -> list[str]:
    """A kubectl command line for our node."""
    return [
        HOST.program("kubectl"),
        f"--kubeconfig={HOST.certificates / 'admin.kubeconfig'}",
        "--request-timeout=5s",
        *arguments,
    ]


def is_ready() -> bool:
    """Whether the node is Ready and pods can be made: they need the default service account."""
    condition = "jsonpath={.status.conditions[?(@.type=='Ready')].status}"
    return printed_by(kubectl("get", "node", NODE_NAME, "-o", condition)) == "True" and succeeds(
        kubectl("get", "serviceaccount", "default", "-n", "default")
    )


def up() -> None:
    """Leave a Ready node and its kubeconfig, whatever state things are in."""
    packages.require_root()
    refuse_other_checkout(node_processes(), HOST.directory)
    if HOST.kubeconfig.exists() and own_processes() and answers():
        say(f"already up: {HOST.kubeconfig}")
        return
    packages.install_programs(packages.NODE_PROGRAMS)
    compile_programs()
    if own_processes() or HOST.state.exists() or network.link_exists():
        with step("clear what an earlier cluster left"):
            remove_everything()
    network.refuse_taken_address()
    with step("boot the node"):
        boot()
    with step("load the pause and busybox images"):
        load_basic_images()
    volumes.make_volumes(kubectl())
    publish_kubeconfig()
    say(f"up: KUBECONFIG={HOST.kubeconfig}")


def answers() -> bool:
    """Whether a node that runs is well; a moment is given to one that is busy."""
    deadline = time.monotonic() + ANSWER_LIMIT_SECONDS
    while own_processes() and time.monotonic() < deadline:
        if is_ready():
            return True
        time.sleep(0.5)
    return False


def boot() -> None:
    """Make keys, network and cgroups, start the first process, and wait until the node is Ready."""
    HOST.logs.mkdir(parents=True)
    certificates.make_all(HOST)
    snapshotter = inside.choose_snapshotter(is_overlay(HOST.directory))
    inside.prepare_settings(HOST, snapshotter, network.cni_programs())
    volumes.make_folders()
    inside.load_modules()
    network.make_cgroups()
    start_first_process()
    log = HOST.logs / "node.log"
    wait_for("the node's first process", lambda: first_process() is not None, limit=10, log=log)
    network.link_node(first_process() or 0)
    wait_for("the node to become Ready", ready_or_ended, BOOT_LIMIT_SECONDS, HOST.logs / "kubelet.log")


def start_first_process() -> None:
    """Network, mount and process namespaces of its own: ending this one process ends everything."""
    command = [
        "unshare", "--net", "--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "--propagation=private",
        sys.executable, "-m", MODULE_NAME, "inside", str(HOST.directory),
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "tests")}
    with (HOST.logs / "node.log").open("wb") as log:
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd="/",
            env=environment, start_new_session=True,
        )  # fmt: skip


def ready_or_ended() -> bool:
    """Ready, or a failure that names the component that ended and shows its log."""
    ended = HOST.state / "ended"
    if ended.exists():
        reason = ended.read_text()
        raise Failure(f"the node ended: {reason}", HOST.logs / f"{reason.split()[0]}.log")
    if not own_processes():
        time.sleep(0.3)  # Just starting, or just ended: look once more.
        if not own_processes() and not ended.exists():
            raise Failure("the node ended while it started", HOST.logs / "node.log")
    return is_ready()


def publish_kubeconfig() -> None:
    """The file is written last, so whoever finds it finds a working cluster."""
    source = (HOST.certificates / "admin.kubeconfig").read_text()
    HOST.kubeconfig.touch(mode=0o600)
    HOST.kubeconfig.write_text(source)


def down() -> None:
    """Leave no process, mount, link, namespace, cgroup or state; programs and caches stay."""
    packages.require_root()
    if is_down():
        say("already down")
        return
    with step("end the node"):
        remove_everything()
    say("down")


def is_down() -> bool:
    """Whether there is nothing of ours to end or remove."""
    left = [HOST.state, HOST.kubeconfig]
    if not other_checkout_runs():
        left.append(Path("/sys/class/net") / HOST_LINK)
    return not own_processes() and not any(place.exists() for place in left)


def remove_everything() -> None:
    """End our processes by number, then remove what the kernel does not remove with them."""
    HOST.kubeconfig.unlink(missing_ok=True)
    for process in own_processes():
        try:
            os.kill(process.identifier, signal.SIGKILL)
        except ProcessLookupError:
            continue
    wait_for("the node's processes to end", lambda: not own_processes(), limit=30)
    if not other_checkout_runs():
        network.remove_link()
        network.remove_cgroups()
    network.remove_tree(HOST.state)
