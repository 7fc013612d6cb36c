"""Where values lie that are too large to pass by themselves: a folder on a claim, or an object store.

A folder (`file://`) needs the standard library alone; everything else goes through fsspec, which the step's image must
have together with the package of its scheme (s3fs for `s3://`, gcsfs for `gs://`, adlfs for `az://`). What is imported
where it is used is slow to import, and every step's pod would pay for it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Protocol

from podgraph.protocol.step import StepError

__all__ = ["Storage", "file_system", "open_storage", "probe", "telling"]

CHUNK = 8 << 20
"""Large values cross in pieces of this size, so that no library below keeps a second copy of one."""
_READ, _WRITTEN, _DELETED = "cannot be read from", "cannot be written to", "cannot be deleted from"
_BLOCK = 32 << 20  # one part of an upload; S3 takes 10,000 of them
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Storage(Protocol):
    """Objects by key; a key is a relative path. All methods raise StepError (`StorageFailed`)."""

    def writing(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a new object; it is there whole when the block ends well, and not at all when it does not."""

    def reading(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open an object as a local file that can be read twice. Raises FileNotFoundError."""

    def delete(self, prefix: str) -> None:
        """Delete all objects below a key; that there are none is success."""


def open_storage(url: str) -> Storage:
    """Return the storage at `url`. Raises StepError (`StorageFailed`) when this image cannot reach its kind."""
    scheme, _, path = url.partition("://")
    if scheme == "file":
        from urllib.parse import unquote

        return _Folder(url, Path(unquote(path)))
    system, root = file_system(url)
    return _Objects(url, system, root)


def file_system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL, and the path in it. Raises StepError (`StorageFailed`)."""
    scheme = url.partition("://")[0]
    try:
        import fsspec  # only images that need it have it

        # The settings keep fsspec from answering out of memory: other pods write there too.
        system, root = fsspec.core.url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        needed = " and ".join(dict.fromkeys(("fsspec", _PACKAGES.get(scheme, "fsspec"))))
        raise StepError(
            "StorageFailed",
            f"storage {url}: the step's image cannot reach {scheme}:// ({_first_line(error)}); use an image with "
            f"{needed}, or a claim",
        ) from None
    except Exception as error:  # noqa: BLE001  any of many libraries below
        raise _failed(url, "cannot be opened", error) from None
    return system, str(root).rstrip("/")


def probe(storage: Storage, prefix: str) -> None:
    """Write, read and delete a small object. Raises StepError (`StorageFailed`) with what does not work."""
    key, text = f"{prefix}/probe", b"podgraph"
    with storage.writing(key) as file:
        file.write(text)
    try:
        with storage.reading(key) as file:
            found = file.read()
    except FileNotFoundError:
        found = b""
    if found != text:
        raise StepError("StorageFailed", "the storage does not give back what was written a moment before")
    storage.delete(key)


class _Folder:
    """A folder that all pods of a Job see, on a claim."""

    def __init__(self, url: str, root: Path) -> None:
        self.url, self.root = url, root

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[IO[bytes]]:
        path = self.root / key
        part = path.with_name(f".{path.name}.part")
        try:
            with telling(self.url, _WRITTEN):
                path.parent.mkdir(parents=True, exist_ok=True)
                file: IO[bytes] = part.open("wb")
            with file:
                yield _Told(file, self.url)  # type: ignore[misc]
                with telling(self.url, _WRITTEN):
                    file.flush()
                    os.fsync(file.fileno())  # the next step may run on another node
            with telling(self.url, _WRITTEN):
                part.replace(path)
        except BaseException:
            with contextlib.suppress(OSError):
                part.unlink()
            raise

    @contextlib.contextmanager
    def reading(self, key: str) -> Iterator[IO[bytes]]:
        with telling(self.url, _READ):
            file = (self.root / key).open("rb")
        with file:
            yield file

    def delete(self, prefix: str) -> None:
        path = self.root / prefix
        with telling(self.url, _DELETED):
            try:
                if path.is_dir() and not path.is_symlink():
                    import shutil

                    shutil.rmtree(path)
                else:
                    path.unlink()
            except FileNotFoundError:
                return
        with contextlib.suppress(OSError):  # another Job may be about to write there
            for parent in list(path.parents)[: len(Path(prefix).parts) - 1]:
                parent.rmdir()


class _Objects:
    """A bucket, or whatever else fsspec reaches."""

    def __init__(self, url: str, system: Any, root: str) -> None:
        self.url, self.system, self.root = url, system, root

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[IO[bytes]]:
        with telling(self.url, _WRITTEN):
            file = self.system.open(f"{self.root}/{key}", "wb", block_size=_BLOCK)
        try:
            yield _Told(file, self.url)  # type: ignore[misc]
        except BaseException:
            # Closing it would finish the upload: give up what was sent, and let nothing close it later.
            with contextlib.suppress(Exception):
                file.discard()
            with contextlib.suppress(Exception):
                file.closed = True
            with contextlib.suppress(Exception):
                self.system.rm(f"{self.root}/{key}")
            raise
        with telling(self.url, _WRITTEN):
            file.close()

    @contextlib.contextmanager
    def reading(self, key: str) -> Iterator[IO[bytes]]:
        import tempfile

        with tempfile.TemporaryFile() as copy:
            with (
                telling(self.url, _READ),
                self.system.open(f"{self.root}/{key}", "rb", block_size=CHUNK, cache_type="readahead") as file,
            ):
                while data := file.read(CHUNK):
                    copy.write(data)
            copy.seek(0)
            yield copy

    def delete(self, prefix: str) -> None:
        with telling(self.url, _DELETED):
            try:
                self.system.rm(f"{self.root}/{prefix}", recursive=True)
            except FileNotFoundError:
                return


class _Told:
    """A file to write to whose failures name the storage, apart from those of what is being written."""

    def __init__(self, file: Any, url: str) -> None:
        self._file, self._url = file, url

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        with telling(self._url, _WRITTEN):
            for at in range(0, len(view), CHUNK):
                self._file.write(view[at : at + CHUNK])
        return len(view)


@contextlib.contextmanager
def telling(url: str, what: str) -> Iterator[None]:
    """Turn the many errors of storage into one, but for an object to be read that is not there."""
    try:
        yield
    except StepError:
        raise
    except Exception as error:
        if isinstance(error, FileNotFoundError) and what == _READ:
            raise
        raise _failed(url, what, error) from None


def _failed(url: str, what: str, error: Exception) -> StepError:
    return StepError("StorageFailed", f"storage {url} {what}: {type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or ["no reason is given"])[0]
