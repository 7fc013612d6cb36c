"""The first process inside the node: mounts, starts every component, and ends when one of them ends.

It is process 1 of a process namespace, so the kernel ends everything else with it: containers,
their shims, all components. No clean-up inside is ever needed.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path

from . import components, network, volumes
from .layout import API_URL, INNER, Layout
from .progress import succeeds

API_LIMIT_SECONDS = 90

# By process number. The Popen objects are kept because one that is dropped lets `subprocess` collect the
# ended process itself, unseen by us.
Running = dict[int, tuple[str, "subprocess.Popen[bytes]"]]


def main(directory: Path) -> int:
    """Start everything in order, then wait; returns only when a component ended."""
    mount_own_view(directory)
    network.accept_link()
    running: Running = {}
    start_all(components.BEFORE_API, running)
    ended = wait_for_api(running)
    if ended is None:
        start_all(components.AFTER_API, running)
        ended = wait_for_any_end(running)
    (INNER.state / "ended").write_text(ended)
    print(f"{ended}: the node ends", flush=True)
    return 1


def mount_own_view(directory: Path) -> None:
    """What components write outside our folder must not reach the machine: hide those places.

    Our folder is bound into a fresh /run first, so it stays reachable wherever the checkout lies.
    """
    holder = directory / "state" / "run"
    holder.mkdir(exist_ok=True)
    mount("-t", "tmpfs", "tmpfs", str(holder))
    inner = holder / INNER.directory.name
    inner.mkdir()
    mount("--bind", str(directory), str(inner))
    (holder / "lock").mkdir()
    mount("--move", str(holder), "/run")
    INNER.logs.mkdir(exist_ok=True)
    for place in ("/var/lib", "/var/log"):
        if Path(place).exists():
            mount("-t", "tmpfs", "tmpfs", place)
    settings = Path(components.CNI_SETTINGS)
    settings.mkdir(parents=True)
    (settings / "10-pods.conflist").write_text(components.pod_network_settings())


def mount(*arguments: str) -> None:
    """One mount, in this namespace only."""
    subprocess.run(["mount", "--no-mtab", *arguments], check=True)


def start_all(commands: Mapping[str, Callable[[], list[str]]], running: Running) -> None:
    """Start components, each with a log of its own."""
    for name, command in commands.items():
        with (INNER.logs / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, cwd=INNER.state
            )
        running[process.pid] = (name, process)


def wait_for_api(running: Running) -> str | None:
    """Until the API server answers; returns a reason when it never will."""
    context = ssl.create_default_context(cafile=str(INNER.certificates / "ca.crt"))
    deadline = time.monotonic() + API_LIMIT_SECONDS
    while time.monotonic() < deadline:
        ended = reap(running, os.WNOHANG)
        if ended is not None:
            return ended
        try:
            with urllib.request.urlopen(f"{API_URL}/readyz", timeout=2, context=context):
                return None
        except OSError:
            time.sleep(0.05)
    return f"kube-apiserver did not become ready within {API_LIMIT_SECONDS} s"


def wait_for_any_end(running: Running) -> str:
    """Reap for ever: orphans are ours as process 1, and a component's end is the node's end."""
    while True:
        ended = reap(running, 0)
        if ended is not None:
            return ended


def reap(running: Running, options: int) -> str | None:
    """Collect one ended process; a reason if it was a component."""
    process, status = os.waitpid(-1, options)
    if process not in running:
        return None
    return f"{running[process][0]} ended with status {os.waitstatus_to_exitcode(status)}"


def prepare_settings(layout: Layout, snapshotter: str, cni_programs: str) -> None:
    """Write the settings files; done outside, where a failure is easy to tell."""
    (layout.state / "containerd.toml").write_text(components.containerd_settings(snapshotter, cni_programs))
    (layout.state / "kubelet.json").write_text(components.kubelet_settings())
    (layout.state / "recycler.json").write_text(json.dumps(volumes.recycler()))
    resolver = Path("/etc/resolv.conf")
    (layout.state / "resolv.conf").write_bytes(resolver.read_bytes() if resolver.exists() else b"")


def choose_snapshotter(on_overlay: bool) -> str:
    """Overlays cannot lie on an overlay: layers are copied there."""
    return "native" if on_overlay else "overlayfs"


def load_modules() -> None:
    """Bridged pods and overlays may need these; a kernel that has them built in knows no such module."""
    for module in ("overlay", "br_netfilter"):
        succeeds(["modprobe", "--quiet", module])
