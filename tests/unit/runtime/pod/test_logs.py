"""Kept logs, printed by a pod for whom cannot reach the storage."""

from __future__ import annotations

from pathlib import Path

import pytest

from podgraph.runtime.pod.logs import read_shown, show_logs
from podgraph.runtime.pod.storage import open_storage


def test_the_ends_of_long_logs_are_printed_and_read_back(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(f"file://{tmp_path}")
    for op, text in {"one": b"hello\nno end", "long": b"x" * 100 + b"\nlast\n"}.items():
        with storage.writing(f"p/{op}/2/log.txt") as file:
            file.write(text)
    monkeypatch.setattr("podgraph.runtime.pod.logs._SHOWN", 36)
    show_logs(storage, "p", {"one": 2, "long": 2, "none": 1}, "n")
    shown = read_shown(capfdbinary.readouterr().out.decode().splitlines(), "n")
    assert shown == {
        "one": ["hello", "no end"],
        "long": ["... (94 bytes before this are not shown)", "xxxxxx", "last"],
    }
