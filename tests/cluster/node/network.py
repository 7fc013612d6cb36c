"""The node's link to the host and its cgroups: making, finding, removing."""

from __future__ import annotations

import ipaddress
import json
import shutil
from functools import partial
from pathlib import Path
from typing import Any

from .components import CGROUP
from .layout import HOST_ADDRESS, HOST_LINK, LINK_NETWORK, NODE_ADDRESS, NODE_LINK
from .progress import Failure, output_of, succeeds, wait_for

LINK_LENGTH = ipaddress.ip_network(LINK_NETWORK).prefixlen
CGROUP_TOP = Path("/sys/fs/cgroup")
UNIFIED_CONTROLLERS = ("cpu", "cpuset", "io", "memory", "pids", "hugetlb")


def link_node(process: int) -> None:
    """A link between the host and the network namespace of the node's first process.

    The namespace has no name of its own: it goes with the last process in it, and the link with it.
    Nothing is forwarded or translated on the host, so its firewall is left as it is.
    """
    peer = ["peer", "name", NODE_LINK, "netns", str(process)]
    output_of(["ip", "link", "add", HOST_LINK, "type", "veth", *peer])
    output_of(["ip", "address", "add", f"{HOST_ADDRESS}/{LINK_LENGTH}", "dev", HOST_LINK])
    output_of(["ip", "link", "set", HOST_LINK, "up"])


def accept_link() -> None:
    """The node's end of the link, set up from inside as soon as the host has made it."""
    present = ["ip", "link", "show", NODE_LINK]
    wait_for("the link to the host", lambda: succeeds(present), limit=20)
    output_of(["ip", "address", "add", f"{NODE_ADDRESS}/{LINK_LENGTH}", "dev", NODE_LINK])
    output_of(["ip", "link", "set", NODE_LINK, "up"])
    output_of(["ip", "link", "set", "lo", "up"])
    output_of(["ip", "route", "add", "default", "via", HOST_ADDRESS])


def remove_link() -> None:
    """Usually the link went with the node; what a crash left is removed here."""
    if link_exists():
        succeeds(["ip", "link", "delete", HOST_LINK])
        wait_for(f"the link {HOST_LINK} to go", lambda: not link_exists(), limit=10)


def link_exists() -> bool:
    """Whether our end of the link is there."""
    return (Path("/sys/class/net") / HOST_LINK).exists()


def refuse_taken_address() -> None:
    """Another interface in our address range would make the node unreachable: say so at once."""
    taken = interface_in(json.loads(output_of(["ip", "-json", "-4", "address"])), LINK_NETWORK)
    if taken:
        raise Failure(f"the interface {taken} already has an address in {LINK_NETWORK}, which the node needs")


def interface_in(interfaces: list[dict[str, Any]], network: str) -> str | None:
    """The first interface but ours with an address in the network, from `ip -json address`."""
    wanted = ipaddress.ip_network(network)
    for interface in interfaces:
        for address in interface.get("addr_info", []):
            if interface["ifname"] != HOST_LINK and ipaddress.ip_address(address["local"]) in wanted:
                return str(interface["ifname"])
    return None


def cgroup_folders() -> list[Path]:
    """Our cgroup in every hierarchy: one on a machine with cgroup v2, one a controller with v1."""
    if (CGROUP_TOP / "cgroup.controllers").exists():
        return [CGROUP_TOP / CGROUP]
    return [folder / CGROUP for folder in sorted(CGROUP_TOP.iterdir()) if folder.is_dir() and not folder.is_symlink()]


def make_cgroups() -> None:
    """The kubelet wants the cgroup it is given to be there, with every controller."""
    control = CGROUP_TOP / "cgroup.subtree_control"
    for controller in UNIFIED_CONTROLLERS if control.exists() else ():
        try:
            control.write_text(f"+{controller}")
        except OSError:
            continue  # Not a controller of this kernel, or not ours to enable; the kubelet will tell.
    for folder in cgroup_folders():
        folder.mkdir(exist_ok=True)


def remove_cgroups() -> None:
    """Remove our cgroups from the leaves up; they are empty once the node's processes are gone."""
    for top in cgroup_folders():
        wait_for(f"the cgroup {top} to empty", partial(remove_cgroup, top), limit=15)


def remove_cgroup(top: Path) -> bool:
    """Try to remove one cgroup with all below it; the kernel refuses while a process is still ending."""
    if not top.exists():
        return True
    folders = sorted((folder for folder in top.rglob("*") if folder.is_dir()), key=lambda path: -len(path.parts))
    try:
        for folder in [*folders, top]:
            folder.rmdir()
    except OSError:
        return False
    return True


def cni_programs() -> str:
    """Where the network plugins are: Debian and the upstream releases differ."""
    for folder in ("/usr/lib/cni", "/opt/cni/bin"):
        if (Path(folder) / "bridge").exists():
            return folder
    raise Failure("no network plugins in /usr/lib/cni (the package containernetworking-plugins)")


def remove_tree(folder: Path) -> None:
    """Remove a folder of ours, but never through a mount that is still there."""
    held = mounts_below(folder, Path("/proc/self/mounts").read_text())
    for place in held:
        output_of(["umount", "--lazy", place])
    if folder.exists():
        shutil.rmtree(folder)


def mounts_below(folder: Path, mounts: str) -> list[str]:
    """The mount points at or below a folder, deepest first."""
    places = [line.split()[1].replace("\\040", " ") for line in mounts.splitlines()]
    inside = [place for place in places if place == str(folder) or place.startswith(f"{folder}/")]
    return sorted(inside, key=len, reverse=True)
