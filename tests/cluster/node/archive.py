"""Image archives made without any builder: a root file system and a few lines of JSON."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path

from .layout import BUSYBOX_IMAGE, PAUSE_IMAGE
from .progress import Failure, output_of, run

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
BUSYBOX = "bin/busybox"


def architecture() -> str:
    """This machine's architecture, as images and Debian name it."""
    machine = platform.machine()
    if machine not in ARCHITECTURES:
        raise Failure(f"no cluster for this machine's architecture: {machine}")
    return ARCHITECTURES[machine]


def write_archive(target: Path, name: str, layer: Path, command: list[str]) -> None:
    """One layer, its configuration and a name, in the format of `docker save`."""
    with layer.open("rb") as content:
        digest = hashlib.sha256()
        for block in iter(lambda: content.read(1 << 20), b""):
            digest.update(block)
    settings = {"Cmd": command, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"]}
    configuration = json.dumps({
        "architecture": architecture(),
        "os": "linux",
        "config": settings,
        # Builders count the layers by this history, and refuse an image without it.
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": "podgraph"}],
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest.hexdigest()}"]},
    }).encode()  # fmt: skip
    configuration_name = f"{hashlib.sha256(configuration).hexdigest()}.json"
    manifest = [{"Config": configuration_name, "RepoTags": [name], "Layers": ["layer.tar"]}]
    unfinished = target.with_suffix(".unfinished")
    with tarfile.open(unfinished, "w") as archive:
        add_file(archive, configuration_name, configuration)
        archive.add(layer, "layer.tar")
        add_file(archive, "manifest.json", json.dumps(manifest).encode())
    unfinished.replace(target)


def add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """One file, with nothing in it that differs from run to run."""
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    archive.addfile(entry, io.BytesIO(content))


def write_busybox_archives(cache: Path) -> list[Path]:
    """The pause image and busybox:1, from Debian's busybox-static; made once."""
    pause, busybox = cache / "pause.tar", cache / "busybox.tar"
    if not (pause.exists() and busybox.exists()):
        program = fetch_busybox(cache)
        layer = cache / "busybox-layer.tar"
        write_busybox_layer(layer, program)
        write_archive(pause, PAUSE_IMAGE, layer, ["/bin/busybox", "sleep", "2147483647"])
        write_archive(busybox, BUSYBOX_IMAGE, layer, ["sh"])
        layer.unlink()
    return [pause, busybox]


def fetch_busybox(cache: Path) -> bytes:
    """Download the package and take the one program out of it; nothing is installed."""
    folder = cache / "busybox"
    folder.mkdir(parents=True, exist_ok=True)
    unprivileged = ["-o", "APT::Sandbox::User=root"]
    download = ["apt-get", *unprivileged, "download", "busybox-static"]
    log = cache / "busybox.log"
    try:
        run(download, "downloading busybox-static", log=log, limit=300, cwd=folder)
    except Failure:
        # The lists may be missing or name a version that is gone: read them once and try again.
        run(["apt-get", "update"], "apt-get update", log=log, limit=600)
        run(download, "downloading busybox-static", log=log, limit=300, cwd=folder)
    package = max(folder.glob("busybox-static_*.deb"), key=lambda path: path.stat().st_mtime)
    unpacked = folder / "unpacked"
    output_of(["dpkg-deb", "--extract", str(package), str(unpacked)], limit=60)
    found = [path for path in unpacked.rglob("busybox") if path.is_file() and not path.is_symlink()]
    programs = [path for path in found if path.parent.name == "bin"]
    if not programs:
        raise Failure(f"no busybox in {package.name}")
    return programs[0].read_bytes()


def write_busybox_layer(target: Path, program: bytes) -> None:
    """A root file system of busybox alone: every applet a link to it, and the folders programs expect."""
    applets = list_applets(target.parent, program)
    with tarfile.open(target, "w") as layer:
        for folder, mode in (("bin", 0o755), ("etc", 0o755), ("root", 0o700), ("tmp", 0o1777), ("var", 0o755)):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, mode
            layer.addfile(entry)
        add_file(layer, BUSYBOX, program, 0o755)
        for applet in applets:
            entry = tarfile.TarInfo(f"bin/{applet}")
            entry.type, entry.linkname = tarfile.SYMTYPE, "busybox"
            layer.addfile(entry)
        add_file(layer, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")
        add_file(layer, "etc/group", b"root:x:0:\nnobody:x:65534:\n")


def list_applets(folder: Path, program: bytes) -> list[str]:
    """Ask busybox itself which commands it brings."""
    runnable = folder / "busybox-program"
    runnable.write_bytes(program)
    runnable.chmod(0o755)
    try:
        return [name for name in output_of([str(runnable), "--list"]).split() if name != "busybox"]
    finally:
        runnable.unlink()
