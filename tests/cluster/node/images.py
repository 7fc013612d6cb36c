"""Building our images, with Docker where an engine answers and with buildah elsewhere, and loading them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import kind
from .base import base_archive
from .compiling import fingerprint
from .layout import CHECKOUT, HOST, OPERATOR_IMAGE, STEP_IMAGE
from .loading import ctr, load_into_node
from .packages import BUILD_PROGRAMS, install_programs, require_root
from .processes import first_process
from .progress import Failure, is_overlay, output_of, run, say, step

BUILD_LIMIT_SECONDS = 1200
# Each change of code leaves a few layers behind; past this many the store is emptied, not pruned,
# since pruning would also take the layers that make the next build quick.
STORE_LAYERS_LIMIT = 150
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Image:
    """One of our images: its name, its Dockerfile, and what goes into it from the checkout."""

    name: str
    dockerfile: str
    sources: tuple[str, ...] = ()

    @property
    def short_name(self) -> str:
        """The name of its files in the cache."""
        return self.name.split("/")[1].split(":")[0]


IMAGES = (
    Image(STEP_IMAGE, "images/step/Dockerfile"),
    Image(
        OPERATOR_IMAGE,
        "images/operator/Dockerfile",
        ("pyproject.toml", "uv.lock", "README.md", "LICENSE", "operator/podgraph"),
    ),
)


def source_files(checkout: Path, image: Image) -> list[Path]:
    """Every file that the image is made from, in a fixed order."""
    files = [checkout / image.dockerfile, checkout / f"{image.dockerfile}.dockerignore"]
    for source in image.sources:
        top = checkout / source
        files += sorted(top.rglob("*")) if top.is_dir() else [top]
    return [file for file in files if file.is_file() and "__pycache__" not in file.parts]


def source_stamp(checkout: Path, image: Image, builder: str) -> str:
    """Changes with the content or the place of any source file, and with the builder and its base."""
    parts = [builder.encode()]
    for file in source_files(checkout, image):
        parts += [str(file.relative_to(checkout)).encode(), file.read_bytes()]
    return fingerprint(*parts)


def check_target(node_is_up: bool, kind_is_up: bool, environment: Mapping[str, str]) -> None:
    """Images can be loaded only into a cluster of ours; say at once what to do with another."""
    if node_is_up or kind_is_up:
        return
    if environment.get("KUBECONFIG"):
        names = " and ".join(image.name for image in IMAGES)
        raise Failure(f"KUBECONFIG names a cluster that is not ours: push or load {names} into it yourself")
    raise Failure("no cluster is up to load images into: run `make up` first")


def build_and_load() -> None:
    """Bring the images in the cluster up to date with the checkout; quick when they are."""
    kind_is_up = kind.is_ours(HOST)
    check_target(first_process() is not None, kind_is_up, os.environ)
    with_docker = kind.docker_answers()
    if not (with_docker and kind_is_up):
        require_root()
    for image in IMAGES:
        archive = build(image, with_docker)
        if kind_is_up:
            kind.load(archive)
        else:
            load_unless_there(image, archive)


def build(image: Image, with_docker: bool) -> Path:
    """The image as an archive, built anew only when its sources changed."""
    base = None if with_docker else base_archive()
    stamp = source_stamp(CHECKOUT, image, f"buildah {base.name}" if base else "docker")
    archive = HOST.cache / f"{image.short_name}-{stamp}.tar"
    if archive.exists():
        return archive
    for outdated in HOST.cache.glob(f"{image.short_name}-*.tar"):
        outdated.unlink()
    with step(f"build {image.name}"):
        unfinished = HOST.cache / f"{image.short_name}.unfinished"
        unfinished.unlink(missing_ok=True)
        if base:
            build_with_buildah(image, base, unfinished)
        else:
            build_with_docker(image, unfinished)
        unfinished.replace(archive)
    return archive


def build_with_docker(image: Image, archive: Path) -> None:
    """An ordinary `docker build`, then the image as an archive."""
    log = HOST.cache / f"{image.short_name}.log"
    command = ["docker", "build", "--file", image.dockerfile, "--tag", image.name, "."]
    environment = {"DOCKER_BUILDKIT": "1"}
    run(command, f"building {image.name}", log=log, limit=BUILD_LIMIT_SECONDS, cwd=CHECKOUT, env=environment,
        heartbeat=lambda: last_line(log))  # fmt: skip
    output_of(["docker", "save", "--output", str(archive), image.name], limit=300)


def build_with_buildah(image: Image, base: Path, archive: Path) -> None:
    """The same Dockerfile without an engine: no daemon, and no registry, since the base is given."""
    install_programs(BUILD_PROGRAMS)
    log = HOST.cache / f"{image.short_name}.log"
    environment = {"BUILDAH_ISOLATION": "chroot"}
    if len(list((HOST.cache / "buildah").glob("*/*-layers/*"))) > STORE_LAYERS_LIMIT:
        shutil.rmtree(HOST.cache / "buildah")
    base_name = pulled_base(base)
    with tempfile.TemporaryDirectory() as folder:
        command = buildah(
            "build", "--layers", "--network=host", "--pull=never", f"--build-arg=BASE={base_name}",
            f"--ignorefile={image.dockerfile}.dockerignore", f"--file={image.dockerfile}", f"--tag={image.name}",
            *machine_settings(Path(folder), os.environ), ".",
        )  # fmt: skip
        run(command, f"building {image.name}", log=log, limit=BUILD_LIMIT_SECONDS, cwd=CHECKOUT, env=environment,
            heartbeat=lambda: last_line(log))  # fmt: skip
    target = f"docker-archive:{archive}:docker.io/{image.name}"
    push = buildah("push", f"localhost/{image.name}", target)
    run(push, f"saving {image.name}", log=log, limit=300, env=environment)


def buildah(*arguments: str) -> list[str]:
    """A buildah command line with its store in our cache, apart from anybody else's."""
    store = HOST.cache / "buildah"
    driver = "vfs" if is_overlay(HOST.directory) else "overlay"
    folders = ["--root", str(store / driver), "--runroot", str(store / "run")]
    return ["buildah", *folders, f"--storage-driver={driver}", *arguments]


def pulled_base(base: Path) -> str:
    """The base image's name in buildah's store, brought in from its archive when it is not there."""
    name = f"localhost/podgraph-base:{base.stem.split('-')[1]}"
    if name not in output_of(buildah("images", "--format", "{{.Name}}:{{.Tag}}"), limit=60).split():
        output_of(buildah("pull", f"docker-archive:{base}"), limit=300)
    return name


def machine_settings(folder: Path, environment: Mapping[str, str]) -> list[str]:
    """How this machine reaches PyPI, lent to the build as mounts: nothing of it stays in the image."""
    mounts: list[tuple[Path, str]] = []
    certificates = Path(environment.get("SSL_CERT_FILE") or CERTIFICATES)
    if certificates.is_file():
        mounts.append((certificates.resolve(), str(CERTIFICATES)))
    index = environment.get("PIP_INDEX_URL")
    files = {"pip.conf": pip_settings(index), "uv/uv.toml": uv_settings(index)}
    for name, text in files.items():
        file = folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
        mounts.append((file, f"/etc/{name}"))
    return [f"--volume={source}:{target}:ro" for source, target in mounts]


def pip_settings(index: str | None) -> str:
    """Pip's settings for the build: the system's certificates, patience, and the index of this machine."""
    lines = ["[global]", f"cert = {CERTIFICATES}", "timeout = 180", "disable-pip-version-check = true"]
    return "\n".join([*lines, f"index-url = {index}"] if index else lines) + "\n"


def uv_settings(index: str | None) -> str:
    """The same for uv, which brings certificates of its own unless told to use the system's."""
    lines = ["native-tls = true"]
    if index:
        lines += ["[[index]]", f'url = "{index}"', "default = true"]
    return "\n".join(lines) + "\n"


def load_unless_there(image: Image, archive: Path) -> None:
    """Import the archive, unless this very archive is what the node already has."""
    marker = HOST.state / f"loaded-{image.short_name}"
    name = f"docker.io/{image.name}"
    loaded = marker.is_file() and marker.read_text() == archive.name
    if loaded and name in output_of(ctr("images", "list", "--quiet")).split():
        say(f"{image.name}: up to date")
        return
    with step(f"load {image.name}"):
        load_into_node(archive)
        marker.write_text(archive.name)


def last_line(log: Path) -> str:
    """The builder's own last word, as a sign of life."""
    lines = log.read_text(errors="replace").split("\n")
    return next((line.strip()[:90] for line in reversed(lines) if line.strip()), "starting")
