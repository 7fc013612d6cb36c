"""What a Job of a JobDefinition runs: the definition's spec below what the Job itself sets, as it was when it began.

That is written down in an immutable ConfigMap of the Job's own before all else, so that whatever becomes of the
definition reaches the Job no more, and another operator finds it there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from podgraph.definition.errors import DefinitionError, nearest
from podgraph.planning.job.conditions import Conditions
from podgraph.planning.job.definition_run import DefinitionRun
from podgraph.planning.manifests import objects as manifests
from podgraph.planning.manifests.objects import CODE_FILE, JobRef, Manifest
from podgraph.planning.manifests.storage import Storage, read_storage
from podgraph.planning.model import names
from podgraph.planning.model.kube_names import check_name
from podgraph.planning.pods.passes import Pass
from podgraph.protocol.graph_codec import deflate, inflate
from podgraph.run_config.binding import merge

__all__ = ["MISSING_SECONDS", "Defined", "DefinitionSnapshot", "effective_spec", "ttl_of"]

MISSING_SECONDS = 10.0
"""How long a Job waits for a definition that does not exist: both may have been applied together."""
BROKEN_SECONDS = 2.0
"""How long a Job waits for a definition with an error, which may have been mended just before."""

_COPY = "definition"

Object = Mapping[str, Any]


def effective_spec(definition: Object, job: Object) -> dict[str, Any]:
    """Return the spec that a Job of a definition runs, of the two specs.

    What the Job sets goes before what the definition sets. Of `runConfig` and `execution` each setting counts by
    itself, and a Job that chooses a mode takes back what the definition says of another.

    >>> effective_spec({"ops": [], "opSelection": ["a"]}, {"definitionRef": {"name": "d"}, "opSelection": ["b"]})
    {'ops': [], 'opSelection': ['b']}
    """
    own = {key: value for key, value in job.items() if key != "definitionRef"}
    spec = {**definition, **own}
    if "runConfig" in definition or "runConfig" in own:
        spec["runConfig"] = merge(definition.get("runConfig") or {}, own.get("runConfig") or {})
    ours, theirs = own.get("execution") or {}, definition.get("execution") or {}
    if ours and theirs:
        spec["execution"] = {**theirs, **ours}
    if "mode" in ours:
        if ours["mode"] != "Multiprocess" and "startMethod" not in ours:
            spec["execution"].pop("startMethod", None)
        if "execution" not in (own.get("runConfig") or {}):
            spec.get("runConfig", {}).pop("execution", None)
    return spec


@dataclass(frozen=True)
class DefinitionSnapshot:
    """What a Job runs: its whole spec, the packed graph ("" where it has to read its code itself), and of which
    definition they are (`status.definition`).
    """

    reference: dict[str, Any]
    spec: dict[str, Any]
    graph: str = ""

    @classmethod
    def of(cls, definition: DefinitionRun, source: str | None, job: Object) -> DefinitionSnapshot:
        """Freeze a definition that is ready for a Job, given as its spec. `source` is the text of its code."""
        spec = effective_spec(definition.object["spec"], job)
        if "code" in spec:
            code = {key: value for key, value in spec["code"].items() if key != "configMapRef"}
            code.setdefault("image", definition.settings.default_image)
            spec["code"] = code if source is None else {**code, "source": source}
        reference = {
            "name": definition.ref.name,
            "uid": definition.ref.uid,
            "generation": definition.ref.generation,
            "digest": definition.digest,
            "podRetention": spec.get("execution", {}).get("podRetention"),
            "ttlSecondsAfterFinished": spec.get("ttlSecondsAfterFinished"),
        }
        tried = _same_place(storage_of(spec, definition.settings.storage), definition.tried)
        known = {key: value for key, value in reference.items() if value is not None}
        return cls(known, spec, definition.packed if "code" in spec and tried else "")

    @classmethod
    def from_config_map(cls, config_map: Object) -> DefinitionSnapshot:
        """Read :meth:`config_map`. Raises DefinitionError."""
        data = json.loads(inflate(config_map["binaryData"][_COPY]))
        source = (config_map.get("data") or {}).get(CODE_FILE)
        if source is not None:
            data["spec"]["code"]["source"] = source
        return cls(data["reference"], data["spec"], data["graph"])

    def config_map(self, ref: JobRef) -> Manifest:
        """Return the ConfigMap of the Job that holds it, the code as the file that its pods read."""
        code = self.spec.get("code") or {}
        spec = self.spec
        if "source" in code:
            spec = {**spec, "code": {key: value for key, value in code.items() if key != "source"}}
        text = json.dumps({"reference": self.reference, "spec": spec, "graph": self.graph}, ensure_ascii=False)
        made = manifests.code_config_map(ref, names.code_config_map(ref.name, ref.key), code.get("source", ""))
        if "source" not in code:
            del made["data"]
        return {**made, "binaryData": {_COPY: deflate(text)}}


class Defined:
    """The definition of one Job: what is awaited of it, and then what was frozen.

    `seen` is the definition as the operator knows it now, None where it knows none.
    """

    def __init__(self, job: Object, conditions: Conditions) -> None:
        self.name: str = job["spec"]["definitionRef"]["name"]
        self.frozen: DefinitionSnapshot | None = None
        self.seen: DefinitionRun | None = None
        self.recorded: dict[str, Any] = (job.get("status") or {}).get("definition") or {}
        self._conditions = conditions
        self._since: float | None = None
        self.overdue = False  # the definition is not known, and it is time to ask the cluster itself
        self._no_copy = self._is_absent = False
        self._names: tuple[str, ...] = ()

    @property
    def reference(self) -> dict[str, Any]:
        """What the Job's status tells of the definition, {} while nothing is frozen."""
        return self.frozen.reference if self.frozen is not None else self.recorded

    @property
    def is_ready(self) -> bool:
        """Whether the definition can be run now."""
        return self.seen is not None and self.seen.ready is True

    def no_copy(self, known: Iterable[str], exists: bool = True) -> None:
        """Say that no copy was frozen before, and which definitions there are; of one `overdue`, whether it `exists`.

        Raises DefinitionError when the status tells of a copy.
        """
        if self.recorded:
            raise DefinitionError(
                "CopyDeleted",
                f"the job's own copy of JobDefinition {self.name!r} (a ConfigMap) was deleted, so it cannot go on",
            )
        self._no_copy, self._names, self._is_absent = True, tuple(known), not exists
        if self.overdue:
            self._since, self.overdue = None, False  # the watch will tell of it

    def reconcile(self, pass_: Pass) -> None:
        """Say what is to be done to know what the Job runs.

        Raises DefinitionError (`DefinitionNotFound`, `DefinitionNotReady`, `InvalidName`).
        """
        check_name("spec.definitionRef.name", self.name)
        since = self._since = pass_.now if self._since is None else self._since
        if self.recorded or self.is_ready or not self._no_copy:
            pass_.actions.freeze = True
        elif self.seen is None:
            if self._is_absent:
                hint = nearest(self.name, self._names)
                raise DefinitionError(
                    "DefinitionNotFound", f"there is no JobDefinition {self.name!r} in the job's namespace{hint}"
                )
            if pass_.now >= since + MISSING_SECONDS:
                pass_.actions.freeze = self.overdue = True
                return
            self._await(f"JobDefinition {self.name!r} does not exist yet", pass_)
            pass_.actions.requeue_at(since + MISSING_SECONDS)
        elif self.seen.ready is False:
            if pass_.now >= since + BROKEN_SECONDS:
                message = f"JobDefinition {self.name!r} cannot be run: {self.seen.message}"
                raise DefinitionError("DefinitionNotReady", message)
            self._await(f"JobDefinition {self.name!r} cannot be run: {self.seen.message}", pass_)
            pass_.actions.requeue_at(since + BROKEN_SECONDS)
        else:
            self._await(f"the code of JobDefinition {self.name!r} is being read for its graph", pass_)

    def _await(self, message: str, pass_: Pass) -> None:
        self._conditions.not_accepted_yet("AwaitingDefinition", message, pass_)


def storage_of(spec: Object, default: Storage | None) -> Storage | None:
    """Return where the large values of a spec's steps go. Raises DefinitionError."""
    if "code" not in spec:
        return None
    return read_storage(spec["storage"]) if spec.get("storage") else default


def ttl_of(job: Object) -> int | None:
    """Return how many seconds a Job stays when it is over, None for ever: by itself, else by its definition."""
    own = job["spec"].get("ttlSecondsAfterFinished")
    told = ((job.get("status") or {}).get("definition") or {}).get("ttlSecondsAfterFinished")
    return told if own is None else own


def _same_place(storage: Storage | None, tried: Storage | None) -> bool:
    """Whether a storage needs no trying, as there is none or it is the one that was tried."""
    if storage is None or tried is None:
        return storage is None
    return (storage.url, storage.secret, storage.claim) == (tried.url, tried.secret, tried.claim)
