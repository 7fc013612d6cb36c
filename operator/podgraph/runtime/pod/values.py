"""Passes values between steps: in the record of a step, or in the storage if they are large.

A value is JSON if JSON represents it exactly, otherwise a pickle. Small values are in the record (pickles as base64).
Larger ones go to the storage, and the record holds a **reference**: size, SHA-256 and format. Stored values are
streamed, and checked against their reference before they are parsed. Only steps unpickle, never the operator.

Others than the steps may be able to write to the status and the storage of a Job, and a pickle can run code. Therefore
each reference is authenticated with the key of the Job (see protocol.signing); other references are never read.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import pickle
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import IO, Any, Callable

from podgraph.definition.values import NotJsonError, check_json, to_json
from podgraph.protocol.signing import data_mac, equal, pod_key, value_mac
from podgraph.protocol.step import MAX_OUTPUTS, STORE_HINT, StepError, check_outputs
from podgraph.runtime.pod.storage import Storage

__all__ = ["Passed", "load", "pass_on", "read"]

PROTOCOL = 5  # Python 3.8 and newer read it, and it writes large bytes and arrays without a copy
_CHUNK = 1 << 20
_REFERENCE = 180  # approximate size of a reference in a record


@dataclass
class Passed:
    """The outputs of a step for its record: JSON values, and references, by name."""

    values: dict[str, Any] = field(default_factory=dict)
    stored: dict[str, dict[str, Any]] = field(default_factory=dict)


def pass_on(
    op: str, outputs: Mapping[str, Any], serializers: Mapping[str, str], storage: Storage | None, prefix: str
) -> Passed:
    """Serialize `outputs` for the next steps; the largest go to the storage below `prefix`.

    `serializers` holds "json" or "pickle" for outputs with a serializer. Raises StepError (`OutputNotJson`,
    `OutputNotPicklable`, `OutputTooLarge`, `StorageFailed`).
    """
    passed, small = Passed(), dict[str, "_Sink"]()
    for name, value in outputs.items():
        sink = _Sink(storage, f"{prefix}/{name}")
        with sink:
            _write(op, name, value, serializers.get(name, ""), sink)
        if sink.stored:
            passed.stored[name] = sink.reference()
        else:
            small[name] = sink
    room = MAX_OUTPUTS - _REFERENCE * len(passed.stored)
    # The largest go to the storage until the others fit together.
    for name in sorted(small, key=lambda name: small[name].inline_size, reverse=True):
        if storage is None or sum(sink.inline_size for sink in small.values()) <= room:
            break
        sink = small.pop(name)
        with sink:
            sink.spill()
        passed.stored[name] = sink.reference()
        room -= _REFERENCE
    texts = {name: sink.inline_text for name, sink in small.items()}
    forms = {name: "as a pickle in base64" for name, sink in small.items() if sink.format == "pickle"}
    texts.update({name: to_json(reference) for name, reference in passed.stored.items()})
    forms.update(dict.fromkeys(passed.stored, "as a reference to the storage"))
    check_outputs(op, texts, "" if storage else STORE_HINT, forms)
    for name, sink in small.items():
        if sink.format == "json":
            passed.values[name] = outputs[name]
        else:
            passed.stored[name] = sink.reference()
    return passed


def load(op: str, stored: Mapping[str, Any], storage: Storage | None) -> dict[str, Any]:
    """Return the values of inputs that are references; each item of a list is a reference or {"value": ...}.

    Raises StepError (`InputNotAuthentic`, `InputNotReadable`, `InputCorrupt`, `StorageFailed`) with the name of the
    input.
    """
    inputs: dict[str, Any] = {}
    for name, item in stored.items():
        what = f"input {name!r} of op {op!r}"
        if isinstance(item, list):
            inputs[name] = [i["value"] if "value" in i else read(f"item {n} of {what}", i, storage)
                            for n, i in enumerate(item)]  # fmt: skip
        else:
            inputs[name] = read(what, item, storage)
    return inputs


def read(what: str, reference: Mapping[str, Any], storage: Storage | None) -> Any:
    """Return the value behind a reference; `what` names it in errors."""
    form, found = reference["format"], str(reference.get("mac", ""))
    if "data" in reference:
        data = base64.b64decode(reference["data"])
        _authenticate(what, found, data_mac(pod_key(), form, data))
        return _parse(what, form, io.BytesIO(data))
    key = reference["key"]
    _authenticate(what, found, value_mac(pod_key(), form, str(reference["sha256"]), reference["size"]))
    if storage is None:
        raise StepError("InputNotReadable", f"{what} is stored at {key}, but the job has no storage")
    try:
        with storage.reading(key) as file:
            _verify(f"{what}: what is stored at {key}", reference, file)
            file.seek(0)
            return _parse(what, form, file)
    except FileNotFoundError:
        raise StepError("InputNotReadable", f"{what}: {key} no longer exists in the storage") from None


def _authenticate(what: str, found: str, right: str) -> None:
    if not equal(found, right):
        raise StepError(
            "InputNotAuthentic",
            f"{what} is refused, as no step of this job wrote it: its keyed digest (mac) does not match the job's key",
        )


def _verify(what: str, reference: Mapping[str, Any], file: IO[bytes]) -> None:
    """Check the whole object against its reference before it is parsed: a pickle can run code."""
    digest, size, buffer = hashlib.sha256(), 0, memoryview(bytearray(_CHUNK))
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        digest.update(buffer[:count])
        size += count
    if size != reference["size"]:
        raise StepError("InputCorrupt", f"{what} has {size:,} bytes, but {reference['size']:,} bytes were written")
    if digest.hexdigest() != reference["sha256"]:
        raise StepError("InputCorrupt", f"{what} is not what was written: its SHA-256 differs")


def _parse(what: str, form: str, file: IO[bytes]) -> Any:
    try:
        if form == "json":
            return json.load(file)
        return pickle.load(file)
    except ModuleNotFoundError as error:
        raise StepError(
            "InputNotReadable",
            f"{what} cannot be unpickled: the op's image has no module {error.name!r}, which defines its class",
        ) from None
    except Exception as error:  # noqa: BLE001  unpickling runs the value's own code
        raise StepError("InputNotReadable", f"{what} cannot be read: {type(error).__name__}: {error}") from None


def _write(op: str, name: str, value: Any, serializer: str, sink: _Sink) -> None:
    if serializer != "pickle":
        try:
            check_json(value)
            sink.format = "json"
            for part in _json_parts(value):
                sink.write(part)
            return
        except NotJsonError as error:
            trouble = f"output {name!r} of op {op!r} contains a value that JSON cannot represent: {error}"
            if serializer == "json":
                raise StepError("OutputNotJson", trouble) from None
    sink.format = "pickle"
    try:
        pickle.Pickler(sink, protocol=PROTOCOL).dump(value)
    except StepError:
        raise
    except Exception as error:  # noqa: BLE001  pickling runs the value's own code
        raise StepError(
            "OutputNotPicklable",
            f"output {name!r} of op {op!r} can be passed neither as JSON nor as a pickle: "
            f"{type(error).__name__}: {error}",
        ) from None


def _json_parts(value: Any) -> Iterator[bytes]:
    """Yield the JSON text of a value in pieces: the items of a list or dict one by one."""
    if type(value) is list and len(value) > 1:
        yield b"["
        for at, item in enumerate(value):
            yield (b"," if at else b"") + _json(item)
        yield b"]"
    elif type(value) is dict and len(value) > 1:
        yield b"{"
        for at, (key, item) in enumerate(value.items()):
            yield (b"," if at else b"") + _json(key) + b":" + _json(item)
        yield b"}"
    else:
        yield _json(value)


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class _Sink:
    """A file for one value: in memory while it is small, streamed to the storage once it is not.

    Without a storage it only counts the bytes that do not fit, so that the error can include the size.
    """

    def __init__(self, storage: Storage | None, key: str) -> None:
        self.format, self.size = "", 0
        self.data: bytearray | None = bytearray()
        self.stored = False
        self._storage, self._key = storage, key
        self._digest = hashlib.sha256()
        self._to: Callable[[Any], Any] | None = None
        self._opened = contextlib.ExitStack()

    def __enter__(self) -> _Sink:
        return self

    def __exit__(self, *error: Any) -> None:
        self._opened.__exit__(*error)

    def write(self, data: Any) -> int:
        """Write the next bytes (pickle passes large buffers without a copy)."""
        view = memoryview(data).cast("B")
        self.size += len(view)
        if self.data is not None and self.inline_size > MAX_OUTPUTS:
            if self._storage is None:
                self.data = None
            else:
                self.spill()
        if self.data is not None:
            self.data += view
        elif self._to is not None:
            self._digest.update(view)
            self._to(view)
        return len(view)

    def spill(self) -> None:
        """Move the bytes so far to the storage, and continue there."""
        assert self._storage is not None
        assert self.data is not None
        self._to = self._opened.enter_context(self._storage.writing(self._key)).write
        self._digest.update(self.data)
        self._to(bytes(self.data))
        self.data, self.stored = None, True

    @property
    def inline_size(self) -> int:
        """The size of the value in a record, in bytes."""
        return self.size if self.format == "json" else (self.size + 2) // 3 * 4 + 80

    @property
    def inline_text(self) -> str:
        """The text of the value in a record; blanks of that length if it was only counted."""
        if self.data is None:
            return " " * self.inline_size
        return self.data.decode() if self.format == "json" else to_json(self.reference())

    def reference(self) -> dict[str, Any]:
        """Return the reference for the record."""
        if self.data is not None:
            data = base64.b64encode(self.data).decode()
            return {"format": self.format, "data": data, "mac": data_mac(pod_key(), self.format, bytes(self.data))}
        digest = self._digest.hexdigest()
        found = value_mac(pod_key(), self.format, digest, self.size)
        return {"format": self.format, "size": self.size, "sha256": digest, "mac": found}
