"""A real S3 server beside the node: versitygw over a folder, compiled from its Go module once."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cluster.kube import CHECKOUT, KubeError
from cluster.node.layout import HOST_ADDRESS

__all__ = ["S3", "can_serve", "serving"]

MODULE = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"
BUCKET = "values"
_COMPILE_SECONDS = 900


@dataclass(frozen=True)
class S3:
    """Where the server is, and the folder its bucket is."""

    endpoint: str
    folder: Path
    access_key: str = "podgraph"
    secret_key: str = "only-for-tests"

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs to know."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def read(self, key: str) -> str:
        """The text of the one object whose key ends so."""
        [found] = [path for path in self.keys() if path.endswith(key)]
        return (self.folder / found).read_text()

    def keys(self) -> list[str]:
        """The objects in the bucket."""
        return sorted(str(path.relative_to(self.folder)) for path in self.folder.rglob("*") if path.is_file())


def can_serve() -> bool:
    """Whether this machine has the address that pods of our own node reach."""
    with socket.socket() as probe:
        try:
            probe.bind((HOST_ADDRESS, 0))
        except OSError:
            return False
    return True


def link_address() -> str:
    """What the operator is told where pods reach it (PODGRAPH_LINK); nothing when they cannot."""
    return f"{HOST_ADDRESS}:0" if can_serve() else ""


@contextlib.contextmanager
def serving() -> Iterator[S3]:
    """Run a server with an empty bucket for as long as the block runs."""
    program = _program()
    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind((HOST_ADDRESS, 0))
        address = f"{HOST_ADDRESS}:{free.getsockname()[1]}"
        free.close()
        found = S3(f"http://{address}", Path(folder) / BUCKET)
        found.folder.mkdir()
        env = {**os.environ, "ROOT_ACCESS_KEY": found.access_key, "ROOT_SECRET_KEY": found.secret_key}
        command = [str(program), "--port", address, "--quiet", "posix", folder]
        with (Path(folder).parent / f"{Path(folder).name}.log").open("wb") as log:
            process = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        try:
            _wait(address, process)
            yield found
        finally:
            process.terminate()
            process.wait(20)
            Path(log.name).unlink(missing_ok=True)


def _wait(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.partition(":")
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(OSError), socket.create_connection((host, int(port)), 1):
            return
        if process.poll() is not None or time.monotonic() > end:
            raise KubeError("versitygw did not start")
        time.sleep(0.1)


def _program() -> Path:
    folder = CHECKOUT / ".cluster" / "bin"
    program = folder / "versitygw"
    if not program.exists():
        folder.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(folder)}
        subprocess.run(["go", "install", MODULE], env=env, cwd="/", check=True, timeout=_COMPILE_SECONDS)
    return program
