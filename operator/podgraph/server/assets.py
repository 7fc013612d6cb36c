"""The built page's files. They are compressed once, and cached by browsers because their names contain a hash."""

from __future__ import annotations

import functools
import gzip
import mimetypes
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

__all__ = ["Assets"]

_PACKED = {".js", ".css", ".svg"}
_FOREVER = "public, max-age=31536000, immutable"


class Assets(StaticFiles):
    """Serves a folder."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Any, status_code: int = 200
    ) -> Response:
        """Return one file."""
        path = Path(full_path)
        headers: Mapping[str, str] = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
        if path.suffix in _PACKED and "gzip" in Headers(scope=scope).get("accept-encoding", ""):
            kind = mimetypes.guess_type(path.name)[0]
            return Response(_packed(path), status_code, {**headers, "Content-Encoding": "gzip"}, kind)
        answer = super().file_response(full_path, stat_result, scope, status_code)
        answer.headers.update(headers)
        return answer


@functools.cache
def _packed(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), 9)
