"""Lists the objects below a URL and their versions, for object store sensors."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from podgraph.protocol.step import StepError
from podgraph.runtime.pod.storage import file_system, telling

__all__ = ["MOST_KEYS", "Settling", "list_keys"]

MOST_KEYS = 50_000
"""Maximum number of objects below the URL of a sensor."""

# Fields of the store libraries that identify the content of an object, or else its time.
_VERSION = ("ETag", "etag", "md5Hash", "content_md5", "LastModified", "last_modified", "mtime", "updated")
_LISTED = "cannot be listed"


def list_keys(url: str, pattern: str = "") -> dict[str, str]:
    """Return the versions of the objects below a URL that match the pattern, by key relative to the URL.

    Raises StepError (`StorageFailed`, `TooManyObjects`).
    """
    scheme, _, path = url.partition("://")
    with telling(url, _LISTED):
        found = _in_folder(Path(unquote(path))) if scheme == "file" else _in_store(url)
    keys = {key: version for key, version in found.items() if not pattern or fnmatch.fnmatchcase(key, pattern)}
    if len(keys) > MOST_KEYS:
        raise StepError(
            "TooManyObjects",
            f"{len(keys):,} objects are below {url}; a sensor can watch at most {MOST_KEYS:,}: set a longer prefix or "
            "a pattern, or delete processed objects",
        )
    return keys


class Settling:
    """Skips files that may still be written: those that changed since the last listing."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}

    def settled(self, keys: dict[str, str]) -> dict[str, str]:
        """Return the keys whose version is the same as in the last listing.

        >>> settling = Settling()
        >>> settling.settled({"a": "1"}), settling.settled({"a": "1", "b": "1"})
        ({}, {'a': '1'})
        """
        same = {key: version for key, version in keys.items() if self._before.get(key) == version}
        self._before = keys
        return same


def _in_folder(root: Path) -> dict[str, str]:
    found = {}
    for folder, _, names in os.walk(root, onerror=_refuse):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.stat(path)
            except FileNotFoundError:  # deleted in the meantime
                continue
            found[os.path.relpath(path, root).replace(os.sep, "/")] = _digest(status.st_size, status.st_mtime_ns)
    return found


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _in_store(url: str) -> dict[str, str]:
    system, root = file_system(url)
    found = {}
    for path, info in system.find(root, detail=True).items():
        key = str(path)[len(root) :].lstrip("/")
        if key and info.get("type") == "file":
            found[key] = _digest(info.get("size"), next((str(info[name]) for name in _VERSION if info.get(name)), ""))
    return found


def _digest(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]
