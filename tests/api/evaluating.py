"""Plays the pods that evaluate: they run, and answer in their log what their annotation asks, until told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import types
from typing import Any

from api.driving import key_of
from podgraph.planning.model.names import ASSIGNMENT
from podgraph.protocol.answers import Answer
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record
from podgraph.runtime.pod.evaluate import evaluate
from podgraph.scheduling.evaluators import EVALUATOR_LABEL

from .fake import FakeCluster

Obj = dict[str, Any]


class EvaluatingPods:
    """All of them have the same code; `keys` is what an object store holds, versions by key."""

    def __init__(self, fake: FakeCluster, source: str = "") -> None:
        self.fake, self.keys = fake, dict[str, str]()
        self.module = types.ModuleType("my_job")
        exec(compile(source, "my_job.py", "exec"), vars(self.module))
        self.requests: list[Obj] = []
        self.mute = False
        self._answered: dict[str, Answer] = {}
        self._listed: dict[str, dict[str, str]] = {}  # by pod and answer
        fake.store.listeners.append(self._seen)

    def pods(self) -> list[Obj]:
        """Those that there are."""
        return [pod for pod in self.fake.objects("pods") if EVALUATOR_LABEL in pod["metadata"]["labels"]]

    def ask_again(self) -> None:
        """Answer what is not answered."""
        for pod in self.pods():
            self._answer(pod)

    def die(self, exit_code: int = 1, message: str = "", record: tuple[str, str] | None = None) -> None:
        """End the one that there is."""
        [pod] = self.pods()
        if record is not None:
            nonce = Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT]).nonce
            message = Record(nonce, "Failed", reason=record[0], message=record[1]).to_line(key_of(self.fake, pod))
        self.fake.finish_pod("default", pod["metadata"]["name"], exit_code, message)

    def _seen(self, change: Any) -> None:
        if change.resource is not self.fake.pods or change.type == "DELETED":
            return
        pod = change.new.obj
        if EVALUATOR_LABEL not in pod["metadata"]["labels"] or "deletionTimestamp" in pod["metadata"]:
            return
        if change.type == "ADDED":
            name = pod["metadata"]["name"]
            asyncio.get_running_loop().call_soon(self._run, name)
        else:
            self._answer(pod)

    def _run(self, name: str) -> None:
        with contextlib.suppress(Exception):
            self.fake.run_pod("default", name)
            self._answer(self.fake.get("pods", "default", name))

    def _answer(self, pod: Obj) -> None:
        if self.mute or pod["status"].get("phase") != "Running":
            return
        work = Assignment.from_text(pod["metadata"]["annotations"][ASSIGNMENT])
        for name, request in work.evaluate["requests"].items():
            if name in self._answered:
                continue
            self.requests.append(request)
            answer = self._keys(pod, name, request) if request["kind"] == "keys" else self._call(name, request)
            self._answered[name] = answer
            text = "".join(
                f"{line}\n"
                for line in ("the user's own words", *answer.to_lines(Signer(work.nonce, key_of(self.fake, pod))))
            )
            self.fake.append_log("default", pod["metadata"]["name"], text)

    def _call(self, name: str, request: Obj) -> Answer:
        return evaluate(self.module, name, request)

    def _keys(self, pod: Obj, name: str, request: Obj) -> Answer:
        uid = pod["metadata"]["uid"]
        before = self._listed.get(f"{uid}/{request['base']}")
        self._listed[f"{uid}/{name}"] = dict(self.keys)
        if before is None:
            return Answer(name, keys=dict(self.keys))
        new = {key: version for key, version in self.keys.items() if before.get(key) != version}
        return Answer(name, keys=new, base=request["base"])
