"""Where values lie: a folder, and fsspec's memory in place of a bucket."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from podgraph.protocol.step import StepError
from podgraph.runtime.pod.storage import Storage, open_storage, probe


@pytest.fixture(params=["file", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    fsspec.filesystem("memory").store.clear()
    yield open_storage(f"file://{tmp_path}/with%20space" if request.param == "file" else "memory://bucket/prefix")
    fsspec.filesystem("memory").store.clear()


def put(storage: Storage, key: str, data: bytes) -> None:
    with storage.writing(key) as file:
        file.write(data)


def get(storage: Storage, key: str) -> bytes:
    with storage.reading(key) as file:
        first = file.read()
        file.seek(0)
        assert file.read() == first
        return first


def test_an_object_is_written_read_and_deleted(storage: Storage) -> None:
    put(storage, "a/b/1/x", b"one")
    put(storage, "a/b/1/y", bytes(20 << 20))
    put(storage, "a/c/1/x", b"")
    assert get(storage, "a/b/1/x") == b"one"
    assert get(storage, "a/b/1/y") == bytes(20 << 20)
    assert get(storage, "a/c/1/x") == b""
    storage.delete("a/b")
    assert get(storage, "a/c/1/x") == b""
    for key in ("a/b/1/x", "a/b/1/y", "nope"):
        with pytest.raises(FileNotFoundError):
            get(storage, key)
    storage.delete("a/b")


def test_an_object_that_was_not_finished_is_not_there(storage: Storage) -> None:
    def write() -> None:
        with storage.writing("a/x") as file:
            file.write(b"x" * 100)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write()
    with pytest.raises(FileNotFoundError):
        get(storage, "a/x")


def test_probe_leaves_nothing(storage: Storage) -> None:
    probe(storage, "ns/job/uid")
    with pytest.raises(FileNotFoundError):
        get(storage, "ns/job/uid/probe")


def test_deleting_takes_empty_parents_but_not_those_of_others(tmp_path: Path) -> None:
    storage = open_storage(f"file://{tmp_path}/root")
    put(storage, "ns/one/u/x", b"")
    put(storage, "ns/two/u/x", b"")
    storage.delete("ns/one/u")
    assert [p.name for p in (tmp_path / "root" / "ns").iterdir()] == ["two"]
    storage.delete("ns/two/u")
    assert list((tmp_path / "root").iterdir()) == []


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StepError) as caught:
        probe(open_storage(f"file://{tmp_path}/file"), "x")
    assert caught.value.reason == "StorageFailed"
    assert f"storage file://{tmp_path}/file cannot be written to: NotADirectoryError" in caught.value.message


def test_an_image_without_fsspec_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(StepError) as caught:
        open_storage("s3://bucket/x")
    assert caught.value.message.startswith("storage s3://bucket/x: the step's image cannot reach s3://")
    assert caught.value.message.endswith("use an image with fsspec and s3fs, or a claim")


def test_an_image_without_the_package_of_a_scheme_says_which() -> None:
    with pytest.raises(StepError, match="use an image with fsspec and gcsfs, or a claim"):
        open_storage("gs://bucket/x")
