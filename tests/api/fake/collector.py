"""The controllers that clean up: owner references, namespaces, and nodes ending their deleted pods."""

from __future__ import annotations

import asyncio
from collections import deque

from . import patching
from .registry import Registry
from .resources import Resource
from .store import Change, Entry, Key, Obj


class Collector:
    """Deletes dependents in the background, after `delay` seconds, as the garbage collector does.

    Also one whose owner never existed or was of another uid; and whatever lies in a namespace being deleted.
    While `paused`, it only takes notes.
    """

    def __init__(self, registry: Registry, delay: float = 0.0) -> None:
        self.registry = registry
        self.store = registry.store
        self.delay = delay
        self._todo: deque[tuple[Resource, Key]] = deque()
        self._wake = asyncio.Event()
        self._running = asyncio.Event()
        self._running.set()
        self.store.listeners.append(self._seen)

    @property
    def paused(self) -> bool:
        return not self._running.is_set()

    @paused.setter
    def paused(self, value: bool) -> None:
        (self._running.clear if value else self._running.set)()

    def _seen(self, change: Change) -> None:
        meta = change.new.obj["metadata"]
        if change.type == "DELETED":
            self._add(*self.store.dependents.get(meta["uid"], ()))
            for owner in meta.get("ownerReferences") or ():  # one that waits for its dependents to go
                if owner["uid"] in self.store.by_uid:
                    self._add(self.store.by_uid[owner["uid"]])
            if meta.get("namespace"):
                self._add(*self._terminating(meta["namespace"]))
        elif meta.get("ownerReferences") or "deletionTimestamp" in meta:
            self._add((change.resource, change.new.key))

    def _terminating(self, namespace: str) -> list[tuple[Resource, Key]]:
        for resource in self.store.tables:
            if resource.plural == "namespaces":
                entry = self.store.get(resource, ("", namespace))
                if entry and "deletionTimestamp" in entry.obj["metadata"]:
                    return [(resource, entry.key)]
        return []

    def _add(self, *refs: tuple[Resource, Key]) -> None:
        if refs:
            self._todo.extend(refs)
            self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(self.delay)
            await self._running.wait()
            self._wake.clear()
            for _ in range(len(self._todo)):
                resource, key = self._todo.popleft()
                entry = self.store.get(resource, key)
                if entry is not None:
                    self._tend(resource, entry)

    def _tend(self, resource: Resource, entry: Entry) -> None:
        meta = entry.obj["metadata"]
        if "deletionTimestamp" in meta:
            if resource.plural == "namespaces":
                self._empty(resource, entry)
            else:
                self._finish(resource, entry)
        elif meta.get("ownerReferences") and resource.plural != "events":
            self._check_owners(resource, entry)

    def _check_owners(self, resource: Resource, entry: Entry) -> None:
        owners = entry.obj["metadata"]["ownerReferences"]
        alive = [owner for owner in owners if self._owner(owner, entry)]
        waiting = [o for o in alive if self._finalizes(self._owner(o, entry), "foregroundDeletion")]
        uid = {"uid": entry.obj["metadata"]["uid"]}
        if not alive or len(waiting) == len(alive):
            policy = "Foreground" if waiting and self.store.dependents.get(uid["uid"]) else "Background"
            options = {"preconditions": uid, "propagationPolicy": policy}
            self.registry.delete(resource, entry.key, options)
        elif len(alive) < len(owners):
            self.registry.patch(resource, entry.key, {"metadata": {"ownerReferences": alive}})

    def _owner(self, owner: Obj, dependent: Entry) -> Entry | None:
        ref = self.store.by_uid.get(owner["uid"])
        if ref is None or ref[0].kind != owner["kind"] or ref[1][1] != owner["name"]:
            return None
        if ref[0].namespaced and ref[1][0] != dependent.key[0]:
            return None
        return self.store.get(*ref)

    @staticmethod
    def _finalizes(entry: Entry | None, finalizer: str) -> bool:
        return entry is not None and finalizer in (entry.obj["metadata"].get("finalizers") or ())

    def _finish(self, resource: Resource, entry: Entry) -> None:
        """Act on the collector's own finalizers of an object being deleted."""
        meta = entry.obj["metadata"]
        dependents = list(self.store.dependents.get(meta["uid"], ()))
        if self._finalizes(entry, "orphan"):
            for ref in dependents:
                dependent = self.store.get(*ref)
                if dependent:
                    owners = dependent.obj["metadata"]["ownerReferences"]
                    kept = [owner for owner in owners if owner["uid"] != meta["uid"]]
                    self.registry.patch(*ref, {"metadata": {"ownerReferences": kept}})
            self._drop_finalizer(resource, entry, "orphan")
        elif self._finalizes(entry, "foregroundDeletion"):
            blocking = [ref for ref in dependents if self._blocks(ref, meta["uid"])]
            if blocking:
                self._add(*(r for r in dependents if "deletionTimestamp" not in self._meta(r)))
            else:
                self._drop_finalizer(resource, entry, "foregroundDeletion")

    def _meta(self, ref: tuple[Resource, Key]) -> Obj:
        entry = self.store.get(*ref)
        return entry.obj["metadata"] if entry else {}

    def _blocks(self, ref: tuple[Resource, Key], uid: str) -> bool:
        owners = self._meta(ref).get("ownerReferences") or ()
        return any(owner["uid"] == uid and owner.get("blockOwnerDeletion") for owner in owners)

    def _drop_finalizer(self, resource: Resource, entry: Entry, finalizer: str) -> None:
        left = [f for f in entry.obj["metadata"]["finalizers"] if f != finalizer]
        patch = {"metadata": {"finalizers": left or None}}
        self.registry.patch(resource, entry.key, patch, patching.MERGE)

    def _empty(self, namespaces: Resource, entry: Entry) -> None:
        """Delete what a terminating namespace holds; when nothing is left, the namespace itself."""
        name, empty = entry.key[1], True
        for resource, table in self.store.tables.items():
            if not resource.namespaced:
                continue
            for key in [key for key in table.items if key[0] == name]:
                if "deletionTimestamp" not in table.items[key].obj["metadata"]:
                    self.registry.delete(resource, key)
                empty = empty and key not in table.items
        if empty and self.store.get(namespaces, entry.key):
            self.store.remove(namespaces, entry.key)
