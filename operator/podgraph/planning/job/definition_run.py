"""One generation of a JobDefinition on its way from its spec to its graph.

A :class:`DefinitionRun` is driven as a Job's `Run` is, but all it makes is a resolve pod, and it comes to its end when
its `Ready` condition is True or False.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.planning.actions import Actions, Event
from podgraph.planning.job.acceptance import check_spec
from podgraph.planning.job.resolver import Resolver
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import JobRef, Manifest
from podgraph.planning.manifests.pod_factory import PodFactory
from podgraph.planning.manifests.pod_template import Templates
from podgraph.planning.manifests.settings import Settings
from podgraph.planning.manifests.storage import Storage, read_storage
from podgraph.planning.model.limits import MAX_OBJECT
from podgraph.planning.model.spec import JobSpec, graph_of_ops, read_spec
from podgraph.planning.model.status import condition, set_condition
from podgraph.planning.pods.passes import Pass
from podgraph.planning.pods.types import Pod
from podgraph.protocol.graph_codec import pack, unpack
from podgraph.protocol.step import Record
from podgraph.run_config.schema import run_config_schema

__all__ = ["MAX_SCHEMA", "DefinitionRun"]

MAX_SCHEMA = 262_144
"""Most characters of a config schema in a definition's status."""
RETRY_SECONDS = 10.0

# It may have been applied together with what it names, which may be mended too.
_RETRIED = ("ConfigMapNotFound", "InvalidConfigMap", "ClaimNotFound")
_RESULTS = ("digest", "opCount", "graph", "configSchema", "storage")
_MAX_MESSAGE = 4_096

Object = Mapping[str, Any]


class DefinitionRun:
    """The state of one JobDefinition in one generation. Make it with the object as the API server gave it."""

    def __init__(self, definition: Object, settings: Settings) -> None:
        meta, status = definition["metadata"], definition.get("status") or {}
        self.ref = JobRef(meta["name"], meta["namespace"], meta["uid"], "JobDefinition", int(meta["generation"]))
        self.settings = settings
        self.object = definition
        self.spec: JobSpec | None = None
        self.storage: Storage | None = None
        self.source: str | None = None  # of its code, as it was copied
        self.retry_at: float | None = None
        self._conditions = [dict(c) for c in status.get("conditions") or ()]
        ready: Mapping[str, Any] = next((c for c in self._conditions if c["type"] == "Ready"), {})
        settled = ready.get("observedGeneration") == self.ref.generation and ready["status"] != "Unknown"
        self.ready: bool | None = ready["status"] == "True" if settled else None
        self.message = str(ready.get("message", "")) if settled else ""
        self.packed = str(status.get("graph") or "") if settled else ""
        self.digest = str(status.get("digest") or "") if settled else ""
        self.tried: Storage | None = None
        if settled and status.get("storage"):
            with contextlib.suppress(DefinitionError):  # it is then tried anew
                self.tried = Storage.from_status(status["storage"])
        if self.ready is False and ready["reason"] in _RETRIED:
            self.retry_at = 0.0
        self._stale = status.get("observedGeneration") != self.ref.generation  # what it tells is of one before
        self._told = ""
        self._maker = PodFactory(self.ref, settings, None)
        self._resolver: Resolver | None = None

    @property
    def finished(self) -> bool:
        """Whether it is known if it can be run."""
        return self.ready is not None

    def advance(self, pods: Mapping[str, Pod], changed: Iterable[str], now: float) -> Actions:
        """Take in the definition's pods and return what is to be done."""
        actions = Actions()
        pass_ = Pass(now, pods, actions)
        if self.retry_at is not None and now >= self.retry_at:
            self.ready, self.retry_at, self._resolver = None, None, None
        if not self.finished:
            if self._stale:
                actions.status.update(dict.fromkeys(_RESULTS))
                self._stale = False
            try:
                self._resolve(pass_)
            except DefinitionError as error:
                self._refuse(error, pass_)
        if self.finished:
            actions.requeue_time = None
        ending = {name for name, pod in pods.items() if pod.gone or pod.metadata.deletion_timestamp}
        actions.deletes += [name for name in pods if name not in ending and not self._needs(name)]
        return actions

    def code_source(self) -> tuple[str, tuple[str, str] | None]:
        """Return the code's text, or the ConfigMap and key that hold it."""
        assert self.spec is not None
        assert self.spec.code is not None
        return self.spec.code.source, self.spec.code.config_map

    def code_map(self, source: str) -> Manifest:
        """Return the ConfigMap with this generation's own copy of its code."""
        return manifests.code_config_map(self.ref, self._maker.code_map, source)

    def key_secret(self) -> Manifest | None:
        """Return the Secret with what the definition's pods sign with."""
        return self._maker.key_secret()

    def code_copied(self) -> None:
        """Say that the copy exists."""
        assert self._resolver is not None
        self._resolver.copied = True

    def graph_from_log(self, packed: str) -> None:
        """Give the packed graph that `read_log` asked for."""
        self._told = packed

    def resolve_record(self, pods: Mapping[str, Pod]) -> Record | None:
        """Return the resolve pod's record, for reading its log."""
        return self._resolver.record(pods) if self._resolver is not None else None

    def not_created(self, pod_name: str, reason: str, message: str, now: float) -> Actions:
        """Raise DefinitionError, as the API server refuses the resolve pod for good."""
        raise DefinitionError(reason, f"the API server refuses the resolve pod: {message}")

    def put_back(self, pod_name: str, reason: str, message: str, now: float) -> bool:
        """Take in that there is no room for the resolve pod yet."""
        return self._resolver is not None and self._resolver.put_back(reason, message, now)

    def room_made(self, now: float) -> None:
        """Take in that another pod made room: the resolve pod is tried again at once."""
        if self._resolver is not None:
            self._resolver.room.made(now)

    def refuse(self, error: DefinitionError, now: float) -> Actions:
        """Return what it takes that it cannot be run, for an error found outside (a missing ConfigMap)."""
        actions = Actions()
        pass_ = Pass(now, {}, actions)
        self._refuse(error, pass_)
        return actions

    def resolving(self, trouble: str, pass_: Pass) -> None:
        """Say that the code is being read; `trouble` is what keeps the resolve pod, or empty."""
        message = "its code is being read for its graph" + (f" ({trouble})" if trouble else "")
        self._tell("Unknown", "Resolving", message, pass_)

    # --- one pass

    def _resolve(self, pass_: Pass) -> None:
        if self._resolver is None:
            self.spec = read_spec(self.object["spec"], self.settings.default_image)
            if self.spec.code is not None:
                self.storage = read_storage(self.spec.storage) if self.spec.storage else self.settings.storage
            templates = Templates(self.spec.pod_template)
            self._maker = PodFactory(self.ref, self.settings, self.spec.code, self.storage, templates)
            self._resolver = Resolver(self._maker, self, self.spec.execution)
        assert self.spec is not None
        if self.spec.code is None:
            packed = pack(graph_of_ops(self.ref.name, self.spec.ops or ())[0])
        else:
            packed = self._told or self._resolver.reconcile(False, pass_)
            if packed and self.spec.code.config_map and self.source is None:  # read by an operator before this one
                pass_.actions.copy_code = True
                return
        if packed:
            self._settle(packed, pass_)

    def _settle(self, packed: str, pass_: Pass) -> None:
        graph = unpack(packed)
        check_spec(self.object["spec"], graph, may_lack_config=True).raise_errors()
        own = json.dumps([self.object["metadata"], self.object["spec"]], ensure_ascii=False)
        room = MAX_OBJECT - len(own.encode()) - len(packed)
        if room < 16_384:
            raise DefinitionError(
                "TooLarge",
                f"the definition would be {MAX_OBJECT - room:,} bytes with its status; at most {MAX_OBJECT:,} bytes "
                "fit: use fewer ops or shorter scripts (kubectl apply keeps a second copy of the spec)",
            )
        schema = json.dumps(run_config_schema(graph), ensure_ascii=False)
        most = min(MAX_SCHEMA, (room - 8_192) // 2)  # quoted as a JSON text in a JSON text
        count = len(graph.ops)
        message = f"{count} op{'s' if count != 1 else ''}"
        if len(schema.encode()) > most:
            message += f"; status.configSchema is left out, as it would be {len(schema.encode()):,} bytes"
        else:
            pass_.actions.status["configSchema"] = schema
        self.ready, self.message, self.packed = True, message, packed
        code = self.object["spec"].get("code") or {}
        self.digest = digest(self.object["spec"], self.source if "configMapRef" in code else None)
        self.tried = self.storage
        if self.storage is not None:
            tried = {"url": self.storage.url, "secret": self.storage.secret, "claim": self.storage.claim}
            pass_.actions.status["storage"] = {key: value for key, value in tried.items() if value}
        pass_.actions.status.update({"graph": packed, "digest": self.digest, "opCount": count})
        self._tell("True", "Resolved", message, pass_)

    def _refuse(self, error: DefinitionError, pass_: Pass) -> None:
        pass_.actions.drop_creates()
        self.ready, self.message = False, error.message[:_MAX_MESSAGE]
        if error.reason in _RETRIED:
            self.retry_at = pass_.now + RETRY_SECONDS
        self._tell("False", error.reason, self.message, pass_)

    def _tell(self, status: str, reason: str, message: str, pass_: Pass) -> None:
        if set_condition(self._conditions, condition("Ready", status, reason, message, self.ref.generation, pass_.now)):
            pass_.actions.status["conditions"] = self._conditions
            pass_.actions.status["observedGeneration"] = self.ref.generation
            pass_.actions.flush_status = True
            if self.finished:
                pass_.actions.events.append(Event("Normal" if self.ready else "Warning", reason, message))

    def _needs(self, pod_name: str) -> bool:
        """Whether a pod stays: that which reads the code, and that whose log tells why the code cannot be run."""
        return not self.ready and (self._resolver is None or pod_name == self._resolver.pod_name)


def digest(spec: Object, source: str | None) -> str:
    """Return the hex SHA-256 of a spec with the text of its code, wherever that comes from."""
    text = json.dumps([spec, source or ""], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
