"""What the machine must bring: root, Go and a few Debian packages, installed only when missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from .layout import HOST
from .progress import Failure, run, step

# A program (on PATH, or an absolute file) and the Debian package that brings it.
NODE_PROGRAMS = {
    "containerd": "containerd",
    "ctr": "containerd",
    "runc": "runc",
    "iptables": "iptables",
    "conntrack": "conntrack",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
    "ip": "iproute2",
    "openssl": "openssl",
    "unshare": "util-linux",
}
BUILD_PROGRAMS = {
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "/usr/share/keyrings/debian-archive-keyring.gpg": "debian-archive-keyring",
}
PAGE_PROGRAMS = {"npm": "npm", "chromium": "chromium"}
ADMIN_PATHS = ("/usr/local/sbin", "/usr/sbin", "/sbin")


def extend_path() -> None:
    """Programs for administrators are not on everybody's PATH, not even on every root's."""
    parts = os.environ.get("PATH", "").split(os.pathsep)
    os.environ["PATH"] = os.pathsep.join(parts + [path for path in ADMIN_PATHS if path not in parts])


def require_root() -> None:
    """Namespaces, mounts and bridges need root: say so before anything else is tried."""
    if os.geteuid() != 0:
        raise Failure("the node needs root: run it with sudo, or use CLUSTER=kind where Docker runs")


def require_go() -> None:
    """Kubernetes is compiled here, and Go is the one tool we do not install ourselves."""
    if shutil.which("go") is None:
        raise Failure("go is not on PATH: install Go 1.25 or newer (the cluster is compiled from source)")


def is_present(program: str) -> bool:
    """Whether a program or file is there."""
    return Path(program).exists() if program.startswith("/") else shutil.which(program) is not None


def missing_packages(programs: dict[str, str]) -> list[str]:
    """The packages, each once, whose program is not there."""
    return sorted({package for program, package in programs.items() if not is_present(program)})


def install_programs(programs: dict[str, str]) -> None:
    """Install what is missing with apt; the package lists are read anew only then."""
    packages = missing_packages(programs)
    if packages:
        apt_install(packages)


def apt_install(packages: Iterable[str]) -> None:
    """One `apt-get update`, one `apt-get install`."""
    names = list(packages)
    if shutil.which("apt-get") is None:
        raise Failure(f"missing {', '.join(names)}, and there is no apt-get to install them with")
    quiet = {"DEBIAN_FRONTEND": "noninteractive"}
    lock = ["-o", "DPkg::Lock::Timeout=120"]
    with step(f"apt-get install {' '.join(names)}"):
        log = HOST.cache / "apt.log"
        run(["apt-get", *lock, "update"], "apt-get update", log=log, limit=600, env=quiet)
        command = ["apt-get", *lock, "install", "--yes", "--no-install-recommends", *names]
        run(command, "apt-get install", log=log, limit=900, env=quiet)
