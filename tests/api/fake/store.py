"""The database: objects by resource, one revision counter, a window of changes to watch.

Stored objects are never changed in place: each change stores a new one, so that what was handed out stays as
it was. Nothing here knows Kubernetes semantics beyond resource versions; see registry.py.
"""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import ApiError, too_old
from .resources import Resource

Obj = dict[str, Any]
Key = tuple[str, str]  # (namespace or "", name)

OBJECT_LIMIT = 1572864  # etcd's limit of one request


class Entry:
    """One version of one object, with its JSON kept once made."""

    __slots__ = ("_json", "obj", "rv")

    def __init__(self, obj: Obj, rv: int) -> None:
        self.obj = obj
        self.rv = rv
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = dumps(self.obj)
        return self._json

    @property
    def key(self) -> Key:
        meta = self.obj["metadata"]
        return meta.get("namespace", ""), meta["name"]


def dumps(value: Any) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


@dataclass(slots=True)
class Change:
    """A change of one object. For DELETED, `new` is the last state with the version of the deletion."""

    type: str  # ADDED, MODIFIED or DELETED
    resource: Resource
    new: Entry
    old: Entry | None

    @property
    def rv(self) -> int:
        return self.new.rv


@dataclass(slots=True, eq=False)
class Table:
    """The objects of one resource and the changes that can still be watched from."""

    resource: Resource
    items: dict[Key, Entry] = field(default_factory=dict)
    history: list[Change] = field(default_factory=list)
    floor: int = 0  # versions before this one are too old to watch from


class Store:
    """All tables. `history` is how many changes of a resource can be watched from."""

    def __init__(self, resources: Iterable[Resource], history: int = 20_000) -> None:
        self.revision = 1
        self.window = history
        self.tables = {resource: Table(resource) for resource in resources}
        self.listeners: list[Callable[[Change], None]] = []
        self.by_uid: dict[str, tuple[Resource, Key]] = {}
        self.dependents: dict[str, set[tuple[Resource, Key]]] = {}  # by the owner's uid
        self._snapshots: dict[tuple[Resource, int], list[Entry]] = {}

    def get(self, resource: Resource, key: Key) -> Entry | None:
        return self.tables[resource].items.get(key)

    def put(self, resource: Resource, obj: Obj) -> Entry:
        """Store a new version; sets its resourceVersion."""
        revision = self.revision + 1
        obj["metadata"] = {**obj["metadata"], "resourceVersion": str(revision)}
        new = Entry(obj, revision)
        if len(new.json) > OBJECT_LIMIT:
            raise ApiError(500, "etcdserver: request is too large", reason="")
        self.revision = revision
        table = self.tables[resource]
        old = table.items.get(new.key)
        table.items[new.key] = new
        self._record(table, Change("MODIFIED" if old else "ADDED", resource, new, old))
        return new

    def remove(self, resource: Resource, key: Key, last: Obj | None = None) -> Entry:
        """Remove an object; `last` is its final state when that differs from the stored one."""
        self.revision += 1
        table = self.tables[resource]
        old = table.items.pop(key)
        obj = last if last is not None else old.obj
        obj = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self.revision)}}
        new = Entry(obj, self.revision)
        self._record(table, Change("DELETED", resource, new, old))
        return new

    def _record(self, table: Table, change: Change) -> None:
        self._index(change)
        table.history.append(change)
        if len(table.history) > 2 * self.window:
            self._forget(table, len(table.history) - self.window)
        for listener in self.listeners:
            listener(change)

    def _index(self, change: Change) -> None:
        ref = (change.resource, change.new.key)
        for entry, add in ((change.old, False), (change.new, change.type != "DELETED")):
            if entry is None:
                continue
            for owner in entry.obj["metadata"].get("ownerReferences") or ():
                if add:
                    self.dependents.setdefault(owner["uid"], set()).add(ref)
                elif owner["uid"] in self.dependents:
                    self.dependents[owner["uid"]].discard(ref)
                    if not self.dependents[owner["uid"]]:
                        del self.dependents[owner["uid"]]
        uid = change.new.obj["metadata"]["uid"]
        if change.type == "DELETED":
            self.by_uid.pop(uid, None)
        else:
            self.by_uid[uid] = ref

    @staticmethod
    def _forget(table: Table, count: int) -> None:
        table.floor = table.history[count - 1].rv
        del table.history[:count]

    def since(self, resource: Resource, version: int) -> list[Change]:
        """The changes after a version, oldest first; raises the 410 when the window no longer holds them."""
        table = self.tables[resource]
        if len(table.history) > self.window:
            self._forget(table, len(table.history) - self.window)
        if version < table.floor:
            raise too_old(version, table.floor)
        return table.history[bisect_right(table.history, version, key=lambda change: change.rv) :]

    def compact(self, resource: Resource | None = None) -> None:
        """Forget the past: older versions are too old to watch from, continue tokens have expired."""
        for table in [self.tables[resource]] if resource else self.tables.values():
            table.history.clear()
            table.floor = self.revision
        for snapshot in [s for s in self._snapshots if resource in (None, s[0])]:
            del self._snapshots[snapshot]

    def entries(self, resource: Resource) -> list[Entry]:
        """All objects in the order of their keys, as etcd would list them."""
        items = self.tables[resource].items
        return [items[key] for key in sorted(items)]

    def snapshot(self, resource: Resource, version: int, entries: list[Entry]) -> None:
        """Keep a listing for its continue tokens; only the latest few are kept."""
        self._snapshots[resource, version] = entries
        while len(self._snapshots) > 64:
            del self._snapshots[next(iter(self._snapshots))]

    def snapshot_at(self, resource: Resource, version: int) -> list[Entry] | None:
        return self._snapshots.get((resource, version))
