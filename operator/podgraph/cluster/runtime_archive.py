"""The step runtime as one file that any image with python3 can run: a zip archive of this package's sources.

The archive also has the bytecode for the operator's Python version, which our step image has too: compiling the sources
takes a pod a quarter of a second. Other Python versions ignore the bytecode and use the sources.
"""

from __future__ import annotations

import base64
import hashlib
import io
import py_compile
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import podgraph
from podgraph.protocol.step import RUNTIME_FILE

__all__ = ["RuntimeArchive", "build_archive"]

_PARTS = ("__init__.py", "selection.py", "flow.py", "definition", "run_config", "protocol", "runtime")
_MAIN = "from podgraph.runtime.__main__ import run\nrun()\n"


@dataclass(frozen=True)
class RuntimeArchive:
    """The archive as base64 text, and the hex SHA-256 digest of its sources and Python version."""

    archive: str
    digest: str


def build_archive() -> RuntimeArchive:
    """Build the archive. The sources and the operator's Python determine its content, so the digest identifies it."""
    root = Path(podgraph.__file__).parent
    files = sorted(
        p for part in _PARTS for p in ([root / part] if part.endswith(".py") else (root / part).rglob("*.py"))
    )
    content = {f"podgraph/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}
    content["__main__.py"] = _MAIN.encode()
    digest = hashlib.sha256(sys.version.encode())
    for name in sorted(content):
        digest.update(f"{name} {len(content[name])}\n".encode() + content[name])
    with tempfile.TemporaryDirectory() as folder:
        for path in files:
            name = f"podgraph/{path.relative_to(root).as_posix()}"
            content[f"{name}c"] = _bytecode(path, name, folder)
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content[name], zipfile.ZIP_DEFLATED)
    return RuntimeArchive(base64.b64encode(memory.getvalue()).decode(), digest.hexdigest())


def _bytecode(path: Path, name: str, folder: str) -> bytes:
    """Return the bytecode of a source, as an unchecked hash-based pyc (PEP 552)."""
    target = Path(folder, "code.pyc")
    how = py_compile.PycInvalidationMode.UNCHECKED_HASH
    py_compile.compile(str(path), str(target), f"{RUNTIME_FILE}/{name}", doraise=True, invalidation_mode=how)
    return target.read_bytes()
