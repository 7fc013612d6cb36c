"""Compiling Kubernetes, etcd and Helm from the versions in go.mod, once for each set of versions."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from .layout import CHECKOUT, HOST, Layout
from .packages import require_go
from .progress import run, step

MODULE = CHECKOUT / "tests" / "cluster"
PROGRAMS = (
    "etcd", "helm", "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl", "kubelet",
)  # fmt: skip
COMPILE_LIMIT_SECONDS = 3600


def version_flags(version: str) -> str:
    """Linker flags that give the programs the version that a release build would have."""
    match = re.fullmatch(r"v(\d+)\.(\d+)\.\d+.*", version)
    if match is None:
        raise ValueError(f"not a Kubernetes version: {version}")
    values = {"gitVersion": version, "gitMajor": match[1], "gitMinor": match[2]}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    stamps = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    return " ".join(["-s", "-w", *stamps])


def module_version(go_mod: str, module: str) -> str:
    """The version that go.mod requires of a module."""
    match = re.search(rf"^\s*(?:require\s+)?{re.escape(module)} (v\S+)", go_mod, re.MULTILINE)
    if match is None:
        raise ValueError(f"go.mod does not require {module}")
    return match[1]


def fingerprint(*parts: bytes) -> str:
    """One short name for a set of inputs; it changes when any of them does."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big") + part)
    return digest.hexdigest()[:16]


def kubernetes_version() -> str:
    """The version of Kubernetes that go.mod pins."""
    return module_version((MODULE / "go.mod").read_text(), "k8s.io/kubernetes")


def wanted_stamp() -> str:
    """What the programs in `.cluster/bin` are made from."""
    sources = [(MODULE / name).read_bytes() for name in ("go.mod", "go.sum")]
    return fingerprint(*sources, version_flags(kubernetes_version()).encode())


def is_compiled(layout: Layout, stamp: str, programs: tuple[str, ...] = PROGRAMS) -> bool:
    """Whether all programs are there and of these versions."""
    stamp_file = layout.binaries / "stamp"
    return (
        stamp_file.is_file()
        and stamp_file.read_text() == stamp
        and all((layout.binaries / program).exists() for program in programs)
    )


def compile_programs(layout: Layout = HOST) -> None:
    """Compile everything that go.mod names as a tool, unless that was done already."""
    stamp = wanted_stamp()
    if is_compiled(layout, stamp):
        return
    require_go()
    version = kubernetes_version()
    layout.binaries.mkdir(parents=True, exist_ok=True)
    (layout.binaries / "stamp").unlink(missing_ok=True)
    log = layout.cache / "compile.log"
    command = ["go", "install", "-v", "-ldflags", version_flags(version), "tool"]
    environment = {"CGO_ENABLED": "0", "GOBIN": str(layout.binaries)}
    with step(f"compile Kubernetes {version} (7 to 10 minutes the first time)"):
        run(
            command, "compiling Kubernetes", log=log, limit=COMPILE_LIMIT_SECONDS, env=environment, cwd=MODULE,
            heartbeat=lambda: compiled_so_far(log),
        )  # fmt: skip
    # Go names a program after its folder, and etcd's is called `server`.
    link_program(layout.binaries, "etcd", "server")
    (layout.binaries / "stamp").write_text(stamp)


def compiled_so_far(log: Path) -> str:
    """Go prints a line for each download and each package; their counts show that it goes on."""
    lines = log.read_text(errors="replace").splitlines()
    downloads = sum(line.startswith("go: downloading") for line in lines)
    return f"{downloads} modules downloaded, {len(lines) - downloads} packages compiled"


def link_program(binaries: Path, name: str, target: str) -> None:
    """Let a program be found in our folder under the name that is asked for."""
    binaries.mkdir(parents=True, exist_ok=True)
    (binaries / name).unlink(missing_ok=True)
    (binaries / name).symlink_to(target)
