"""The storage of values that are too large for a record: a folder on a claim, or an object store.

A folder (`file://`) needs only the standard library. Everything else uses fsspec, which the image of the step must
contain, with the package of the scheme (s3fs for `s3://`, gcsfs for `gs://`, adlfs for `az://`). Slow imports are
inside functions, so that only the pods that need them pay for them.
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
"""The chunk size for large values, so that no library below keeps a second copy of a value."""
_READ, _WRITTEN, _DELETED = "cannot be read from", "cannot be written to", "cannot be deleted from"
_BLOCK = 32 << 20  # one part of an upload; S3 allows 10,000 parts
_PACKAGES = {"s3": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "az": "adlfs", "abfs": "adlfs"}


class Storage(Protocol):
    """Objects by key; a key is a relative path. All methods may raise StepError (`StorageFailed`)."""

    def writing(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open a new object. It exists completely once the block succeeds, and not at all if the block fails."""

    def reading(self, key: str) -> contextlib.AbstractContextManager[IO[bytes]]:
        """Open an object as a seekable local file. Raises FileNotFoundError."""

    def delete(self, prefix: str) -> None:
        """Delete all objects below a key. Having none is a success."""


def open_storage(url: str) -> Storage:
    """Return the storage at `url`. Raises StepError (`StorageFailed`) if this image does not support its scheme."""
    scheme, _, path = url.partition("://")
    if scheme == "file":
        from urllib.parse import unquote

        return _Folder(url, Path(unquote(path)))
    system, root = file_system(url)
    return _Objects(url, system, root)


def file_system(url: str) -> tuple[Any, str]:
    """Return the fsspec file system of a URL, and the path in it. Raises StepError (`StorageFailed`)."""
    scheme = url.partition("://")[0]
    try:
        import fsspec  # only images that need it have it

        # No caches: other pods write to the same place.
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
    """Write, read and delete a small object. Raises StepError (`StorageFailed`) if one of these fails."""
    key, text = f"{prefix}/probe", b"podgraph"
    with storage.writing(key) as file:
        file.write(text)
    try:
        with storage.reading(key) as file:
            found = file.read()
    except FileNotFoundError:
        found = b""
    if found != text:
        raise StepError("StorageFailed", "the storage does not return the data that was just written")
    storage.delete(key)


class _Folder:
    """A folder on a claim that all pods of a Job mount."""

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
        with contextlib.suppress(OSError):  # another Job may write there
            for parent in list(path.parents)[: len(Path(prefix).parts) - 1]:
                parent.rmdir()


class _Objects:
    """A bucket, or any other file system of fsspec."""

    def __init__(self, url: str, system: Any, root: str) -> None:
        self.url, self.system, self.root = url, system, root

    @contextlib.contextmanager
    def writing(self, key: str) -> Iterator[IO[bytes]]:
        with telling(self.url, _WRITTEN):
            file = self.system.open(f"{self.root}/{key}", "wb", block_size=_BLOCK)
        try:
            yield _Told(file, self.url)  # type: ignore[misc]
        except BaseException:
            # Closing the file would complete the upload: discard it, and prevent a later close.
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
    """A file whose write errors name the storage, which separates them from errors of the serializer."""

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
    """Convert all errors of storage to StepError, except for reading an object that does not exist."""
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
    return (str(error).strip().splitlines() or ["no message"])[0]
