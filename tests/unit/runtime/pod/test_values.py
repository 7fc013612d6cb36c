"""Values from one step to the next: inline, pickled, stored; and what is told when they cannot be read."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import hashlib
import json
import math
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from podgraph import DefinitionError, Out
from podgraph.planning.model.value_refs import fan_in, read_stored, signed_anew, split
from podgraph.protocol import signing
from podgraph.protocol.step import Record, StepError
from podgraph.runtime.pod.storage import Storage, open_storage
from podgraph.runtime.pod.values import Passed, load, pass_on


@dataclasses.dataclass
class Point:
    x: int
    when: datetime.datetime


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return open_storage(f"file://{tmp_path}/store")


def passed(storage: Storage | None, outputs: dict[str, Any], **serializers: str) -> Passed:
    found = pass_on("f", outputs, serializers, storage, "p")
    record = Record("n", "Succeeded", outputs=found.values, stored=found.stored).to_text()
    assert len(record.encode()) <= 4_096
    assert {**found.values, **found.stored}.keys() == outputs.keys()
    return found


def there_and_back(storage: Storage | None, outputs: dict[str, Any], **serializers: str) -> dict[str, Any]:
    """Pass values on as the operator does, through the texts of a status."""
    found = passed(storage, outputs, **serializers)
    texts = {name: json.dumps(value) for name, value in found.values.items()}
    values, stored = split({**texts, **read_stored("f", found.stored, "p")})
    return {**values, **load("g", stored, storage)}


def refused(storage: Storage | None, value: Any, **serializers: str) -> tuple[str, str]:
    with pytest.raises(StepError) as caught:
        pass_on("f", {"out": value}, serializers, storage, "p")
    return caught.value.reason, caught.value.message


def stored_one(storage: Storage, value: Any) -> dict[str, Any]:
    [text] = read_stored("f", passed(storage, {"out": value}).stored, "p").values()
    reference: dict[str, Any] = json.loads(text)
    return reference


def unreadable(storage: Storage | None, reference: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(StepError) as caught:
        load("g", {"x": reference}, storage)
    return caught.value.reason, caught.value.message


SMALL = [
    (1, 2), {1, 2}, b"bytes", 1 + 2j, {"a": (1, None)}, {1: 2}, datetime.date(2026, 1, 1),
    Point(1, datetime.datetime(2026, 1, 1)), [Point(2, datetime.datetime.min)], float("inf"), "\ud800", 2**15_000,
]  # fmt: skip


@pytest.mark.parametrize("value", SMALL, ids=lambda value: type(value).__name__)
def test_small_values_that_are_no_json_pass_without_a_storage(value: Any) -> None:
    back = there_and_back(None, {"out": value})["out"]
    assert back == value
    assert type(back) is type(value)


@pytest.mark.parametrize(
    "value",
    ["ü" * 5_000, list(range(5_000)), {f"k{i}": [i, None] for i in range(2_000)}, [["x" * 9_000]], b"x" * 9_000,
     {"big": bytearray(20 << 20)}, [Point(i, datetime.datetime.min) for i in range(500)], {}, [], [1], {"a": 1.0}],
    ids=lambda value: f"{type(value).__name__}{len(value)}",
)  # fmt: skip
@pytest.mark.parametrize("serializer", ["", "pickle"])
def test_values_of_any_size_come_back_equal(storage: Storage, value: Any, serializer: str) -> None:
    back = there_and_back(storage, {"out": value}, out=serializer)["out"]
    assert back == value
    assert type(back) is type(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
)


@given(st.dictionaries(st.sampled_from("abcdef"), VALUES))
def test_any_mix_comes_back_equal(outputs: dict[str, Any]) -> None:
    storage = open_storage("memory://values")
    assert there_and_back(storage, outputs) == outputs


def test_the_largest_go_to_the_storage_until_the_rest_fits(storage: Storage) -> None:
    found = passed(storage, {"a": "x" * 1_400, "b": "y" * 1_500, "c": "z" * 1_300, "d": 1})
    assert found.stored.keys() == {"b"}
    assert found.values.keys() == {"a", "c", "d"}
    many = passed(storage, {f"o{i}": "x" * 2_000 for i in range(20)})
    assert len(many.stored) >= 19


def test_more_stored_outputs_than_a_record_holds_are_refused(storage: Storage) -> None:
    with pytest.raises(StepError) as caught:
        pass_on("f", {f"o{i}": b"x" * 9_000 for i in range(40)}, {}, storage, "p")
    assert caught.value.reason == "OutputTooLarge"
    assert "as a reference to the storage" in caught.value.message


def test_a_dict_that_looks_like_a_reference_is_a_dict() -> None:
    value = {"format": "pickle", "data": "gASVAAAAAAAAAAA=", "key": "p/out", "size": 1, "value": 2}
    assert there_and_back(None, {"out": value})["out"] == value
    [text] = read_stored("f", passed(None, {"out": {1, 2}}).stored, "p").values()
    _, stored = split({"x": fan_in([json.dumps(value), text, "null"])})
    assert load("g", stored, None) == {"x": [value, {1, 2}, None]}


def test_a_value_that_does_not_fit_without_a_storage() -> None:
    assert refused(None, "x" * 5_000) == (
        "OutputTooLarge",
        "output 'out' of op 'f' is 5,002 bytes of JSON; the outputs of one step may have at most 3,072 bytes together; "
        "set spec.storage to pass larger values",
    )
    reason, message = refused(None, bytes(1 << 20))
    assert reason == "OutputTooLarge"
    assert "output 'out' of op 'f' is 1,398," in message
    assert "as a pickle in base64" in message


def test_serializers() -> None:
    assert refused(None, (1,), out="json") == (
        "OutputNotJson",
        "output 'out' of op 'f' contains a value that JSON cannot represent: "
        "a tuple, which JSON would turn into a list",
    )  # fmt: skip
    assert passed(None, {"out": 1}, out="pickle").stored["out"]["format"] == "pickle"
    assert passed(None, {"out": 1}, out="json").values == {"out": 1}
    with pytest.raises(DefinitionError, match="serializer='yaml'; it must be 'json', 'pickle' or None"):
        Out(serializer="yaml")


@pytest.mark.parametrize("size", [0, 10 << 20], ids=["small", "large"])
def test_an_output_that_cannot_be_pickled_is_named_and_leaves_nothing(tmp_path: Path, size: int) -> None:
    storage = open_storage(f"file://{tmp_path}")
    reason, message = refused(storage, [bytes(size), threading.Lock()])
    assert reason == "OutputNotPicklable"
    assert "output 'out' of op 'f' can be passed neither as JSON nor as a pickle: TypeError: cannot pickle" in message
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_a_changed_object_is_not_read(storage: Storage, tmp_path: Path) -> None:
    reference = stored_one(storage, b"x" * 10_000)
    file = tmp_path / "store" / "p" / "out"
    assert reference == {
        "key": "p/out", "format": "pickle", "size": file.stat().st_size, "sha256": reference["sha256"],
        "mac": reference["mac"],
    }  # fmt: skip
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    assert unreadable(storage, reference) == (
        "InputCorrupt", f"input 'x' of op 'g': what is stored at p/out has {len(whole) - 1:,} bytes, but "
        f"{len(whole):,} bytes were written",
    )  # fmt: skip
    ran = tmp_path / "ran"
    evil = pickle.dumps(_Evil(str(ran)))
    file.write_bytes(evil + bytes(len(whole) - len(evil)))
    assert unreadable(storage, reference) == (
        "InputCorrupt", "input 'x' of op 'g': what is stored at p/out is not what was written: its SHA-256 differs"
    )  # fmt: skip
    assert not ran.exists()  # it is not unpickled before it is believed
    file.unlink()
    assert unreadable(storage, reference) == (
        "InputNotReadable", "input 'x' of op 'g': p/out no longer exists in the storage"
    )  # fmt: skip
    assert unreadable(None, reference)[0] == "InputNotReadable"


class _Evil:
    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return open, (self.path, "w")


def test_a_class_of_a_module_the_consumer_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "producers_own.py").write_text("class Row:\n    pass\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import producers_own  # type: ignore[import-not-found]

    [reference] = passed(None, {"out": producers_own.Row()}).stored.values()
    monkeypatch.undo()
    monkeypatch.delitem(sys.modules, "producers_own")
    assert unreadable(None, reference) == (
        "InputNotReadable",
        "input 'x' of op 'g' cannot be unpickled: the op's image has no module 'producers_own', which defines its "
        "class",
    )


def test_not_a_number_passes() -> None:
    assert math.isnan(there_and_back(None, {"out": math.nan})["out"])


def test_what_no_runtime_writes_is_refused() -> None:
    good = {"format": "json", "size": 1, "sha256": "0" * 64, "mac": "0" * 32}
    assert json.loads(read_stored("f", {"a": good}, "p")["a"]) == {**good, "key": "p/a"}
    for bad in (
        1, {}, {**good, "key": "other/job"}, {**good, "size": -1}, {**good, "size": True}, {**good, "format": "x"},
        {**good, "sha256": "A" * 64}, {"format": "pickle", "data": "!", "mac": "0" * 32},
        {"format": "pickle", "data": 1, "mac": "0" * 32},
        {"format": "pickle", "data": "AAAA"}, {**good, "mac": "X" * 32}, {**good, "mac": 1},
    ):  # fmt: skip
        with pytest.raises(StepError, match="output 'a' of op 'f' came as a reference that cannot be read"):
            read_stored("f", {"a": bad}, "p")


def keyed(monkeypatch: pytest.MonkeyPatch, key: bytes) -> None:
    monkeypatch.setattr(signing, "_taken", [key])


NOT_AUTHENTIC = (
    "InputNotAuthentic",
    "input 'x' of op 'g' is refused, as no step of this job wrote it: "
    "its keyed digest (mac) does not match the job's key",
)


def test_a_pickle_that_no_step_of_the_job_wrote_is_never_read(
    storage: Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever writes the status, or the storage and the status, names a pickle of his own."""
    ran = tmp_path / "ran"
    evil = pickle.dumps(_Evil(str(ran)))
    file = tmp_path / "store" / "p" / "out"
    keyed(monkeypatch, b"key")
    small, large = passed(None, {"out": {1, 2}}).stored["out"], stored_one(storage, b"x" * 10_000)
    digest = hashlib.sha256(evil).hexdigest()
    inline = {**small, "data": base64.b64encode(evil).decode()}
    at = {**large, "size": len(evil), "sha256": digest}
    made_up = [
        inline,
        {**inline, "mac": ""},
        {key: value for key, value in inline.items() if key != "mac"},
        {**inline, "mac": signing.data_mac(b"", "pickle", evil)},
        {**inline, "mac": signing.data_mac(b"another job's", "pickle", evil)},
        {**inline, "mac": "ü" * 32},
        at,
        {**at, "mac": signing.value_mac(b"", "pickle", digest, len(evil))},
        {**large, "size": large["size"] + 1},
        {**large, "format": "json"},
    ]
    file.write_bytes(evil)
    for reference in made_up:
        assert unreadable(storage, reference) == NOT_AUTHENTIC
        with pytest.raises(StepError, match=r"^item 1 of input 'x' of op 'g' is refused"):
            load("g", {"x": [{"value": 1}, reference]}, storage)
    assert unreadable(storage, large)[0] == "InputCorrupt", "what it names is not what is there"
    assert not ran.exists()


def test_a_value_is_read_with_the_key_it_was_written_with(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed(monkeypatch, b"key")
    outputs = {"out": {1, 2}, "large": b"x" * 10_000, "json": "y" * 10_000}
    assert there_and_back(storage, outputs) == outputs
    references = read_stored("f", passed(storage, outputs).stored, "p")
    keyed(monkeypatch, b"other")
    for text in references.values():
        assert unreadable(storage, json.loads(text))[0] == "InputNotAuthentic"


def test_another_job_s_value_is_signed_anew_without_its_data(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    keyed(monkeypatch, b"old")
    outputs = {"out": {1, 2}, "large": b"x" * 10_000}
    references = read_stored("f", passed(storage, outputs).stored, "p")
    anew = {name: signed_anew(text, b"old", b"new") for name, text in references.items()}
    keyed(monkeypatch, b"new")
    assert load("g", {name: json.loads(text or "") for name, text in anew.items()}, storage) == outputs
    for text in references.values():
        assert signed_anew(text, b"new", b"old") is None
        assert signed_anew(json.dumps({**json.loads(text), "mac": 3}), b"old", b"new") is None
        assert signed_anew(json.dumps({**json.loads(text), "extra": 3}), b"old", b"new") is None
    assert signed_anew('{"format":"pickle","data":"A","mac":"' + "0" * 32 + '"}', b"old", b"new") is None
    assert signed_anew("[]", b"old", b"new") is None


_MEMORY = """
import json, os, sys
sys.path.insert(0, sys.argv[1])
from podgraph.runtime.pod.storage import open_storage
from podgraph.runtime.pod.values import load, pass_on
storage, what, size = open_storage(sys.argv[2]), sys.argv[3], int(sys.argv[4])
if what == "write":
    reference = pass_on("f", {"out": os.urandom(size)}, {}, storage, "p").stored["out"]
    open(sys.argv[5], "w").write(json.dumps({**reference, "key": "p/out"}))
else:
    assert len(load("g", {"x": json.load(open(sys.argv[5]))}, storage)["x"]) == size
# Not ru_maxrss, which a process has from the one that started it.
print(next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM:")))
"""


def test_a_large_value_is_never_held_twice(tmp_path: Path) -> None:
    size = 256 << 20
    root = str(Path(__file__).parents[4] / "operator")
    for what in ("write", "read"):
        command = [sys.executable, "-c", _MEMORY, root, f"file://{tmp_path}", what, str(size), str(tmp_path / "ref")]
        peak = int(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
        assert peak <= 1.3 * size, (what, peak / size)
