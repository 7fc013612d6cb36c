"""What `podgraph ui` refuses before it serves anything."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from podgraph.server.app import page_is_built
from unit.cli.running import podgraph


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    named = {"name": "here", "context": {"cluster": "here", "user": "here"}}
    path.write_text(
        json.dumps(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "here", "contexts": [named],
                "clusters": [{"name": "here", "cluster": {"server": "http://127.0.0.1:1"}}],
                "users": [{"name": "here", "user": {}}],
            }
        )
    )  # fmt: skip
    return path


def test_help_names_the_port() -> None:
    status, out, _ = podgraph("ui", "--help")
    assert (status, "--port" in out, "3000" in out, "--no-open" in out) == (0, True, True, True)


def test_without_the_built_page_or_the_port(kubeconfig: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, out, err = podgraph("ui", "--no-open", "--port", port, "--kubeconfig", kubeconfig)
    expected = (
        f"error: cannot listen on 127.0.0.1:{port}: Address already in use; choose another with --port\n"
        if page_is_built()
        else "error: this installation does not contain the built page; run: make web\n"
    )
    assert (status, out, err) == (2, "", expected)
