"""The process of an evaluator pod, which evaluates schedules and sensors.

It loads the user's code once and forks a process for each evaluation, so that a hang or crash does not affect other
evaluations. Requests arrive in the assignment file, which the kubelet replaces.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

from podgraph.protocol import step as protocol
from podgraph.protocol.answers import Answer
from podgraph.protocol.signing import Signer, pod_key
from podgraph.protocol.step import Assignment, StepError
from podgraph.runtime.local.forkserver import kill_group
from podgraph.runtime.local.processes import how_it_ended
from podgraph.runtime.pod.evaluate import evaluate
from podgraph.runtime.pod.object_listing import Settling, list_keys
from podgraph.runtime.pod.prestart import file_identity, read_assignment
from podgraph.runtime.pod.sigterm import ended_at_once

__all__ = ["Evaluator", "serve"]

_PAUSE = 0.05
_READ = 1 << 16
DEFAULT_SECONDS = 60


class _Child:
    """A running evaluation: its process, and the end of the pipe for its answer."""

    def __init__(self, request: Mapping[str, Any], pid: int, source: int) -> None:
        self.request, self.pid, self.source = request, pid, source
        self.data = bytearray()
        self.seconds = float(request.get("timeout", DEFAULT_SECONDS))
        self.until = time.monotonic() + self.seconds


class Evaluator:
    """Runs evaluations; `tell` is called with the lines of each answer."""

    def __init__(self, assignment: Assignment, module: ModuleType | None, tell: Callable[[list[str]], None]) -> None:
        self._assignment, self._module, self._tell = assignment, module, tell
        self._children: dict[str, _Child] = {}
        self._answered: set[str] = set()
        self._selector = selectors.DefaultSelector()
        self._settling = Settling()
        self._listed: tuple[str, dict[str, str]] = ("", {})

    def ask(self, requests: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the current requests: start the new ones, and stop or forget those that are gone."""
        for name in [name for name in self._children if name not in requests]:
            self._end(name)
        self._answered &= set(requests)
        for name, request in requests.items():
            if name not in self._children and name not in self._answered:
                self._start(name, request)

    def look(self, seconds: float) -> None:
        """Wait for answers for at most `seconds`, and write those that arrived."""
        if self._children:
            for key, _ in self._selector.select(seconds):
                self._read(key.data)
        else:
            time.sleep(seconds)
        now = time.monotonic()
        for name in [name for name, child in self._children.items() if now >= child.until]:
            message = f"it took longer than {self._children[name].seconds:g} seconds (timeoutSeconds) and was stopped"
            self._end(name)
            self._answer(Answer(name, reason="TimedOut", message=message))

    def _start(self, name: str, request: Mapping[str, Any]) -> None:
        source, target = os.pipe()
        for stream in (sys.stdout, sys.stderr):  # otherwise each child would print the buffered output again
            with contextlib.suppress(AttributeError, OSError, ValueError):
                stream.flush()
        pid = os.fork()
        if pid == 0:
            self._be_child(name, request, target)
        os.close(target)
        with contextlib.suppress(OSError):  # the child does it too, whichever is first
            os.setpgid(pid, pid)
        os.set_blocking(source, False)
        self._children[name] = _Child(request, pid, source)
        self._selector.register(source, selectors.EVENT_READ, name)

    def _be_child(self, name: str, request: Mapping[str, Any], target: int) -> NoReturn:
        try:
            os.setpgid(0, 0)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            answer = self._evaluate(name, request)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(AttributeError, OSError, ValueError):
                    stream.flush()
            data = json.dumps(vars(answer)).encode()
            while data:
                data = data[os.write(target, data) :]
        finally:
            os._exit(0)

    def _evaluate(self, name: str, request: Mapping[str, Any]) -> Answer:
        if request["kind"] == "keys":
            try:
                return Answer(name, keys=list_keys(self._assignment.storage, str(request.get("pattern", ""))))
            except StepError as error:
                return Answer(name, reason=error.reason, message=error.message)
        if self._module is None:
            return Answer(name, reason="NoCode", message="its pod has no code to evaluate")
        return evaluate(self._module, name, request)

    def _read(self, name: str) -> None:
        child = self._children[name]
        while True:
            try:
                part = os.read(child.source, _READ)
            except BlockingIOError:
                return
            if not part:
                break
            child.data += part
        status = self._end(name)
        try:
            answer = Answer(**json.loads(child.data.decode()))
        except (ValueError, TypeError):
            answer = Answer(name, reason="Crashed", message=f"its process {how_it_ended(status)}")
        self._answer(self._since(answer, child.request) if child.request["kind"] == "keys" else answer)

    def _since(self, answer: Answer, request: Mapping[str, Any]) -> Answer:
        """Return the answer with only the changes since the answer `base` of the request, if that was the last one."""
        if answer.reason:
            return answer
        last, before = self._listed
        keys = self._settling.settled(answer.keys) if self._assignment.storage.startswith("file:") else answer.keys
        self._listed = (answer.id, keys)
        if not last or request.get("base") != last:
            return Answer(answer.id, keys=keys)
        return Answer(answer.id, keys={key: v for key, v in keys.items() if before.get(key) != v}, base=last)

    def _answer(self, answer: Answer) -> None:
        self._answered.add(answer.id)
        self._tell(answer.to_lines(Signer(self._assignment.nonce, pod_key())))

    def _end(self, name: str) -> int:
        child = self._children.pop(name)
        self._selector.unregister(child.source)
        os.close(child.source)
        kill_group(child.pid)
        return os.waitstatus_to_exitcode(os.waitpid(child.pid, 0)[1])


def serve(assignment: Assignment, module: ModuleType | None) -> NoReturn:
    """Answer the requests in the assignment file until the pod is stopped. Raises any exception of the import."""
    if "://" in assignment.storage and not assignment.storage.startswith("file:"):
        with contextlib.suppress(
            ImportError
        ):  # the import is slow, so do it now; each listing reports a missing package
            import fsspec

            fsspec.get_filesystem_class(assignment.storage.partition("://")[0])
    evaluator = Evaluator(assignment, module, _tell)
    file, seen = Path(protocol.ASSIGNMENT_FILE), (0, 0)
    with ended_at_once():
        while True:
            now = file_identity(file)
            if now != seen:
                found = read_assignment()
                if found is not None and found.nonce == assignment.nonce:
                    seen = now
                    evaluator.ask(found.evaluate.get("requests") or {})
            evaluator.look(_PAUSE)


def _tell(lines: list[str]) -> None:
    """Write lines, each atomically: the children print to the same file."""
    for line in lines:
        os.write(1, f"{line}\n".encode())
