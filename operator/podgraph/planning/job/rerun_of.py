"""A Job that runs steps of another one again (`spec.rerunOf`): what it takes from that Job, its parent.

A step is taken as the parent's status has it, with its outputs and where they are stored, and is not run. All that
stands in the way of that is found here, before the rerun has any step's pod.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph, OutputRef
from podgraph.planning.manifests.keys import JobKey, Keys
from podgraph.planning.manifests.storage import Storage
from podgraph.planning.model.execution import one_pod_section, read_execution_spec
from podgraph.planning.model.kube_names import UID, check_field
from podgraph.planning.model.status import StepRecord
from podgraph.planning.model.value_refs import Reference, origin_of, signed_anew

__all__ = ["Rerun", "RerunSpec", "Taken", "check_parent", "json_values", "read_rerun", "taken_before"]

_DONE = ("Succeeded", "Skipped")

Object = Mapping[str, Any]


@dataclass(frozen=True)
class RerunSpec:
    """Which Job is rerun: its name and, unless empty, its uid. `from_failure` says that what is done stays done."""

    name: str
    uid: str = ""
    from_failure: bool = True


@dataclass(frozen=True)
class Taken:
    """What a rerun has of its parent: `records` by step, and the selected steps that are to `run`."""

    run: tuple[str, ...]
    records: dict[str, StepRecord] = field(default_factory=dict)

    def names(self, graph: Graph) -> tuple[str, ...]:
        """Return the names of all these steps in run order."""
        if not self.records:
            return self.run
        both = {*self.run, *self.records}
        return tuple(name for name in graph.order if name in both)


class Rerun:
    """A rerun that is not accepted yet: it asks for Jobs by name, and then tells what it takes of them."""

    def __init__(self, spec: RerunSpec, own_uid: str, keys: Keys | None = None) -> None:
        self.name = spec.name
        self._spec = spec
        self._own_uid = own_uid
        self._keys = keys
        self._jobs: dict[str, Object | None] = {}

    def wanted(self) -> list[str]:
        """Return the names of the Jobs that are still to be looked at. Raises DefinitionError, see check_parent."""
        if self._spec.name not in self._jobs:
            return [self._spec.name]
        return [name for name in _stored_by(self._parent()) if name not in self._jobs]

    def found(self, jobs: Mapping[str, Object | None]) -> None:
        """Take in Jobs that were wanted, None where there is none."""
        self._jobs.update(jobs)

    def take(self, graph: Graph, selected: Sequence[str], storage: Storage | None) -> Taken:
        """Decide which of the `selected` steps are run, and what is taken. Raises DefinitionError."""
        parent = self._parent()
        taken = _take_over(graph, selected, self._spec, parent)
        stored = _stored_by(parent)
        gone = {uid for name, uid in stored.items() if not _is_there(self._jobs[name], uid)}
        _check_stored(graph, taken, self._spec.name, parent, storage, gone)
        if self._keys is None:
            return taken
        old, new = self._keys.of(parent["metadata"]["uid"]), self._keys.of(self._own_uid)
        return _signed_anew(taken, self._spec.name, old, new)

    def _parent(self) -> Object:
        return check_parent(self._spec, self._jobs[self._spec.name], self._own_uid)


def read_rerun(spec: Object) -> RerunSpec | None:
    """Read `spec.rerunOf`, None when there is none. Raises DefinitionError (`InvalidName`)."""
    said = spec.get("rerunOf")
    if said is None:
        return None
    name, uid = check_field("spec.rerunOf", said), check_field("spec.rerunOf", said, "uid", UID, "")
    return RerunSpec(name, uid, said.get("steps", "FromFailure") == "FromFailure")


def check_parent(rerun: RerunSpec, parent: Object | None, own_uid: str = "") -> Object:
    """Return the parent when it can be rerun. Raises DefinitionError with what is in the way."""
    name = rerun.name
    if parent is None:
        raise _refused("ParentNotFound", f"there is no Job {name!r} in the job's namespace, which spec.rerunOf names")
    meta, status = parent["metadata"], parent.get("status") or {}
    if meta["uid"] == own_uid:
        raise _refused("InvalidSpec", "spec.rerunOf names the job itself")
    if rerun.uid and meta["uid"] != rerun.uid:
        raise _refused(
            "ParentNotFound",
            f"Job {name!r} is another one than spec.rerunOf means: its uid is {meta['uid']}, not {rerun.uid}",
        )
    if meta.get("deletionTimestamp"):
        raise _refused("ParentNotFound", f"Job {name!r} is being deleted, so it cannot be rerun")
    ended = {c["type"]: c for c in status.get("conditions") or ()}
    if ended.get("Finished", {}).get("status") != "True":
        raise _refused(
            "ParentNotFinished", f"Job {name!r} is not finished; wait for its end or cancel it, then rerun it"
        )
    steps = status.get("steps") or {}
    if not steps:
        raise _refused(
            "ParentHasNoSteps",
            f"Job {name!r} ended before it had any step, so there is nothing to rerun: "
            f"{ended['Finished']['message'][:1_000]}",
        )
    if rerun.from_failure and all(step["state"] in _DONE for step in steps.values()):
        raise _nothing_failed(name)
    return parent


def _take_over(graph: Graph, selected: Sequence[str], rerun: RerunSpec, parent: Object) -> Taken:
    """Decide which of the `selected` steps are run, and take all others that they need from the parent.

    From failure, what succeeded in the parent is taken unless it follows a step that is run; what was skipped is
    decided anew. The outputs of ops that are not selected are taken where the parent has them; where it has not, the
    rules of any selection hold. Raises DefinitionError.
    """
    states = {name: step["state"] for name, step in parent["status"]["steps"].items()}
    chosen, again = set(selected), set(selected)
    if rerun.from_failure:
        again = set()
        for name in selected:  # in run order
            if states.get(name) not in _DONE or any(up in again for up in graph.upstream[name]):
                again.add(name)
        if not again:
            raise _nothing_failed(rerun.name)
    kept = {name for name in selected if name not in again and states[name] == "Succeeded"}
    run = tuple(name for name in selected if name not in kept)
    kept |= {ref.op for _, ref in _values(graph, run) if ref.op not in chosen and states.get(ref.op) == "Succeeded"}
    steps = parent["status"]["steps"]
    taken = Taken(run, {name: _record(rerun, steps[name]) for name in graph.order if name in kept})
    _check_outputs(graph, taken, rerun, parent)
    return taken


def _stored_by(parent: Object) -> dict[str, str]:
    """Return the uid by name of each Job, but for the parent itself, that stored a value which the parent's status has.

    They are those whose values the parent took, as it is a rerun itself. Raises DefinitionError (`InvalidName`).
    """
    found: dict[str, str] = {}
    for step in ((parent.get("status") or {}).get("steps") or {}).values():
        for item in (step.get("stored") or {}).values():
            if "key" in item:
                name, uid = origin_of(item["key"], parent["metadata"]["namespace"])
                found[name] = uid
    return {name: uid for name, uid in found.items() if uid != parent["metadata"]["uid"]}


def _check_stored(
    graph: Graph, taken: Taken, name: str, parent: Object, storage: Storage | None, gone: Collection[str]
) -> None:
    """Refuse a rerun whose steps need a value that its storage has not: it is another one, or the value was deleted.

    `gone` are the uids of Jobs that stored values and are no more. Raises DefinitionError.
    """
    told = parent["status"].get("storage")
    theirs = Storage.from_status(told) if told else None
    for _, ref in _needed(graph, taken):
        text = taken.records[ref.op].outputs.get(ref.output)
        if not isinstance(text, Reference) or "key" not in (item := json.loads(text)):
            continue
        what = f"output {ref.output!r} of op {ref.op!r}, taken from Job {name!r},"
        if theirs is not None and (storage is None or (storage.url, storage.claim) != (theirs.url, theirs.claim)):
            here = "this job has no storage" if storage is None else f"this job's storage is {_place(storage)}"
            raise _refused(
                "OtherStorage", f"{what} is stored at {_place(theirs)}, but {here}; give it the same spec.storage"
            )
        origin, uid = origin_of(item["key"], parent["metadata"]["namespace"])
        if uid in gone and not (theirs is not None and theirs.keep):
            raise _refused(
                "ValueDeleted",
                f"{what} was stored by Job {origin!r} and deleted with it; select {ref.op!r} too to compute it again",
            )


def _signed_anew(taken: Taken, name: str, old: JobKey, new: JobKey) -> Taken:
    """Return what is taken as this Job signs it, so that its steps read it. Raises DefinitionError for the unsigned.

    What a step unpickles may run code, and whoever can write the status of Jobs could name any pickle there.
    """
    records = {}
    for op, record in taken.records.items():
        outputs = dict(record.outputs)
        for output, text in record.outputs.items():
            if not isinstance(text, Reference):
                continue
            anew = signed_anew(text, old.pod, new.pod)
            if anew is None:
                raise _refused(
                    "ValueNotAuthentic",
                    f"output {output!r} of op {op!r}, taken from Job {name!r}, is not what a step of that Job gave: "
                    "its keyed digest (mac) is not of that Job's key; select the op too to run it again",
                )
            outputs[output] = anew
        records[op] = replace(record, outputs=outputs)
    return replace(taken, records=records)


def taken_before(graph: Graph, selected: Sequence[str], records: Mapping[str, StepRecord]) -> Taken:
    """Return what a rerun has taken whose status holds these `records`: from then on it needs its parent no more."""
    found = {name: records[name] for name in graph.order if name in records and records[name].taken_from}
    return Taken(tuple(name for name in selected if name not in found), found)


def json_values(graph: Graph, taken: Taken) -> dict[str, dict[str, Any]]:
    """Return the values of the taken outputs, by step, for a pod that runs all steps: it reads no references.

    Raises DefinitionError when a step needs one that is no JSON value.
    """
    for _, ref in _needed(graph, taken):
        if isinstance(taken.records[ref.op].outputs.get(ref.output), Reference):
            raise _refused(
                "ValueNotAvailable",
                f"output {ref.output!r} of op {ref.op!r}, taken from Job {taken.records[ref.op].taken_from!r}, is no "
                "JSON value in its status, and one pod that runs all steps takes no other: use the mode PodPerStep",
            )
    return {
        name: {key: json.loads(text) for key, text in record.outputs.items() if not isinstance(text, Reference)}
        for name, record in taken.records.items()
    }


def _record(rerun: RerunSpec, step: Object) -> StepRecord:
    """Return the record of a step that was not run here: what it gave and which Job ran it, and no attempt."""
    found = StepRecord.from_status(step)
    return replace(StepRecord("Succeeded"), outputs=found.outputs, taken_from=found.taken_from or rerun.name)


def _check_outputs(graph: Graph, taken: Taken, rerun: RerunSpec, parent: Object) -> None:
    for name, record in taken.records.items():
        known = [output.name for output in graph.ops[name].outputs]
        if other := [output for output in record.outputs if output not in known]:
            raise _refused(
                "OutputsDiffer",
                f"op {name!r} gave output {other[0]!r} in Job {rerun.name!r}, but its outputs are now "
                f"{', '.join(known) or 'none'}; select it too to run it again",
            )
    spec = parent["spec"]
    one_pod = one_pod_section(read_execution_spec(spec.get("execution") or {}), spec.get("runConfig") or {})
    for step, ref in _needed(graph, taken):
        required = any(output.name == ref.output and output.required for output in graph.ops[ref.op].outputs)
        if ref.output not in taken.records[ref.op].outputs and (required or one_pod):
            why = "; one pod ran all its steps, and it keeps only small JSON values there" if one_pod else ""
            raise _refused(
                "ValueNotAvailable",
                f"op {step!r} needs output {ref.output!r} of op {ref.op!r}, which is not in the status of Job "
                f"{rerun.name!r}{why}; select {ref.op!r} too to run it again",
            )


def _needed(graph: Graph, taken: Taken) -> Iterator[tuple[str, OutputRef]]:
    """Yield each output that a step to be run takes from a taken step, behind that step's name."""
    return ((name, ref) for name, ref in _values(graph, taken.run) if ref.op in taken.records)


def _values(graph: Graph, names: Sequence[str]) -> Iterator[tuple[str, OutputRef]]:
    for name in names:
        for item in graph.ops[name].inputs:
            if not item.ordering:
                yield from ((name, ref) for ref in item.sources)


def _is_there(job: Object | None, uid: str) -> bool:
    return job is not None and job["metadata"]["uid"] == uid and not job["metadata"].get("deletionTimestamp")


def _nothing_failed(name: str) -> DefinitionError:
    return _refused(
        "NothingFailed",
        f"nothing is to be run again from failure: all steps of Job {name!r} that are selected are done; "
        "rerun all of them instead (spec.rerunOf.steps: All, job rerun --all) or a selection",
    )


def _place(storage: Storage) -> str:
    return f"{storage.url} on the claim {storage.claim!r}" if storage.claim else storage.url


def _refused(reason: str, message: str) -> DefinitionError:
    return DefinitionError(reason, message)
