"""The step runtime as one file that any image with python3 can run: a zip archive of this package's own sources."""

from __future__ import annotations

import base64
import hashlib
import io
import zipfile
from dataclasses import dataclass
from pathlib import Path

import podgraph

__all__ = ["Bundle", "bundle"]

_PARTS = ("__init__.py", "selection.py", "flow.py", "definition", "run_config", "runtime")
_MAIN = "from podgraph.runtime.__main__ import run\nrun()\n"


@dataclass(frozen=True)
class Bundle:
    """The archive as base64 text, and the hex SHA-256 of its bytes."""

    archive: str
    digest: str


def bundle() -> Bundle:
    """Build the archive; the same sources give the same bytes, so the digest names them."""
    root = Path(podgraph.__file__).parent
    files = sorted(
        p for part in _PARTS for p in ([root / part] if part.endswith(".py") else (root / part).glob("*.py"))
    )
    content = {f"podgraph/{path.relative_to(root).as_posix()}": path.read_bytes() for path in files}
    content["__main__.py"] = _MAIN.encode()
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(content):
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content[name], zipfile.ZIP_DEFLATED)
    data = memory.getvalue()
    return Bundle(base64.b64encode(data).decode(), hashlib.sha256(data).hexdigest())
