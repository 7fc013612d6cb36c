"""The base image where no registry can be reached: Debian trixie with Python, made by mmdebstrap."""

from __future__ import annotations

import re
from pathlib import Path

from .archive import architecture, write_archive
from .compiling import fingerprint
from .layout import HOST
from .packages import BUILD_PROGRAMS, install_programs
from .progress import output_of, run, step

SUITE = "trixie"
# What `python:3.13-slim` has and our Dockerfiles use: Python, `venv` with pip, CA certificates, and the C++ library
# that the operator's regular expressions (google-re2) need.
PACKAGES = ("python3", "python3-venv", "ca-certificates", "libstdc++6")
NAME = "localhost/podgraph-base"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def debian_mirror(sources: list[str]) -> str | None:
    """The mirror that this machine's apt uses for Debian itself; nothing on another distribution."""
    for text in sources:
        for address in re.findall(r"^(?:URIs:|deb (?:\[[^]]*\] )?)\s*(\S+)", text, re.MULTILINE):
            if re.search(r"/debian/?$", address):
                return str(address)
    return None


def host_sources() -> list[str]:
    """The texts of this machine's apt sources."""
    files = [Path("/etc/apt/sources.list"), *sorted(Path("/etc/apt/sources.list.d").glob("*"))]
    return [file.read_text() for file in files if file.suffix in (".list", ".sources") and file.is_file()]


def apt_options(settings: str) -> list[str]:
    """The proxy and certificate settings of this machine's apt, as options for mmdebstrap."""
    wanted = re.compile(r'^Acquire::\S*(?:Proxy|CaInfo|CaPath)\S* ".+";$', re.IGNORECASE)
    return [f"--aptopt={line}" for line in settings.splitlines() if wanted.match(line)]


def base_command(target: Path, mirror: str | None, options: list[str]) -> list[str]:
    """How mmdebstrap is called; without a mirror it knows Debian's own."""
    left_out = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/var/cache/*", "/var/lib/apt/lists/*")
    return [
        "mmdebstrap",
        "--variant=essential",
        f"--include={','.join(PACKAGES)}",
        f"--keyring={KEYRING}",
        '--aptopt=Apt::Install-Recommends "false"',
        *(f"--dpkgopt=path-exclude={pattern}" for pattern in left_out[:3]),
        *options,
        SUITE,
        str(target),
        *([mirror] if mirror else []),
    ]


def base_archive() -> Path:
    """The base image as an archive, made when its recipe changed."""
    options = apt_options(output_of(["apt-config", "dump"]))
    mirror = debian_mirror(host_sources())
    recipe = fingerprint(" ".join(base_command(Path("base"), None, [])).encode(), architecture().encode())
    archive = HOST.cache / f"base-{recipe}.tar"
    if archive.exists():
        return archive
    install_programs(BUILD_PROGRAMS)
    layer = HOST.cache / "base-layer.tar"
    with step(f"make the base image (Debian {SUITE} with Python)"):
        command = base_command(layer, mirror, options)
        run(command, "mmdebstrap", log=HOST.cache / "base.log", limit=900, heartbeat=lambda: "still unpacking")
        write_archive(archive, f"{NAME}:{recipe}", layer, ["python3"])
        layer.unlink()
    for outdated in set(HOST.cache.glob("base-*.tar")) - {archive}:
        outdated.unlink()
    return archive
