"""What is below a URL, by key and version."""

from __future__ import annotations

import os
from pathlib import Path

import fsspec
import pytest

from podgraph.protocol.step import StepError
from podgraph.runtime.pod import object_listing
from podgraph.runtime.pod.object_listing import list_keys


def test_a_folder(tmp_path: Path) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.csv").write_text("1")
    (tmp_path / "in" / "deep" / "b.csv").write_text("1")
    (tmp_path / "in" / "b.txt").write_text("1")
    url = f"file://{tmp_path}/in"
    first = list_keys(url)
    assert sorted(first) == ["a.csv", "b.txt", "deep/b.csv"]
    assert sorted(list_keys(url, "*.csv")) == ["a.csv", "deep/b.csv"]
    assert list_keys(url) == first
    os.utime(tmp_path / "in" / "a.csv", ns=(1, 1))
    assert {key for key, version in list_keys(url).items() if first[key] != version} == {"a.csv"}
    assert list_keys(f"file://{tmp_path}/none") == {}


def test_a_store() -> None:
    system = fsspec.filesystem("memory")
    system.pipe({"/bucket/in/a": b"1", "/bucket/in/b/c": b"22", "/bucket/other": b""})
    try:
        found = list_keys("memory://bucket/in/")
        assert sorted(found) == ["a", "b/c"]
        system.pipe("/bucket/in/a", b"333")
        assert list_keys("memory://bucket/in")["a"] != found["a"]
    finally:
        system.rm("/bucket", recursive=True)


def test_what_cannot_be_listed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(StepError, match="/a cannot be listed: NotADirectoryError: ") as refused:
        list_keys(f"file://{tmp_path}/a")
    assert refused.value.reason == "StorageFailed"
    with pytest.raises(StepError, match="cannot reach gs://"):
        list_keys("gs://bucket")
    monkeypatch.setattr(object_listing, "MOST_KEYS", 1)
    (tmp_path / "b").write_text("")
    with pytest.raises(StepError, match=r"2 objects are below .*; a sensor can watch at most 1: set a longer prefix"):
        list_keys(f"file://{tmp_path}")
