"""What the API server does with an object: create, replace, patch, delete; over HTTP and from tests alike."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable
from typing import Any

from . import patching, validation
from .errors import ApiError, already_exists, bad_request, conflict, details_of, invalid, not_found
from .pod_spec import with_defaults
from .quotas import check_quotas
from .resources import Resource
from .store import Entry, Key, Obj, Store

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"


class Registry:
    """The write path, on top of the store. `clock` gives seconds since the epoch."""

    def __init__(self, store: Store, clock: Callable[[], float] = time.time) -> None:
        self.store = store
        self.clock = clock
        self._by_kind = {(r.api_version, r.kind): r for r in store.tables}
        self._namespaces = self._by_kind.get(("v1", "Namespace"))

    def now(self, ahead: float = 0) -> str:
        """The time as metadata has it, to the second."""
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock() + ahead))

    def read(self, resource: Resource, key: Key) -> Entry:
        entry = self.store.get(resource, key)
        if entry is None:
            raise not_found(resource, key[1])
        return entry

    # ---- create ----

    def create(self, resource: Resource, namespace: str, body: Obj, dry_run: bool = False) -> Entry:
        """POST: names it when asked, fills in what the server fills in, drops the status. A dry run stores nothing."""
        meta = self._metadata(resource, namespace, body)
        if meta.get("resourceVersion"):
            raise ApiError(500, "resourceVersion should not be set on objects to be created", reason="")
        if not meta.get("name"):
            if not meta.get("generateName"):
                cause = ("metadata.name", "Required value: name or generateName is required")
                raise invalid(resource, "", cause)
            prefix = meta["generateName"][:58]
            meta["name"] = prefix + "".join(random.choices(_ALPHABET, k=5))
        self._check_namespace(resource, namespace, meta["name"])
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"):
            meta.pop(field, None)
        meta.update(uid=str(uuid.uuid4()), creationTimestamp=self.now())
        if resource.generation or resource.custom:
            meta["generation"] = 1
        obj = self._ordered(resource, {**body, "metadata": meta})
        if resource.status:
            obj.pop("status", None)
        if resource.plural == "pods":
            obj = with_defaults(obj)
        elif resource is self._namespaces:
            obj.update(spec={"finalizers": ["kubernetes"]}, status={"phase": "Active"})
            meta["labels"] = {**(meta.get("labels") or {}), "kubernetes.io/metadata.name": meta["name"]}
        validation.check(resource, obj, None)
        if self.store.get(resource, (namespace, meta["name"])):
            raise already_exists(resource, meta["name"])
        if resource.plural == "pods" and (quotas := self._by_kind.get(("v1", "ResourceQuota"))) is not None:
            limits = [e.obj for e in self.store.entries(quotas) if e.obj["metadata"]["namespace"] == namespace]
            if limits:
                there = [e.obj for e in self.store.entries(resource) if e.obj["metadata"]["namespace"] == namespace]
                check_quotas(resource, obj, limits, there)
        return Entry(obj, self.store.revision) if dry_run else self.store.put(resource, obj)

    def _metadata(self, resource: Resource, namespace: str, body: Any) -> Obj:
        """A copy of the body's metadata, after the checks every write makes."""
        if not isinstance(body, dict):
            message = f"the object provided is unrecognized (must be of type {resource.kind})"
            raise bad_request(f"{message}: couldn't get version/kind")
        version, kind = body.get("apiVersion"), body.get("kind")
        if version and version != resource.api_version:
            raise bad_request(
                f"the API version in the data ({version}) does not match the expected API version "
                f"({resource.api_version})"
            )
        meta = dict(body.get("metadata") or {})
        if kind and kind != resource.kind:
            raise invalid(resource, meta.get("name", ""), ("kind", f'Invalid value: "{kind}": must be {resource.kind}'))
        if resource.namespaced and meta.setdefault("namespace", namespace) != namespace:
            text = "the namespace of the provided object does not match the namespace sent on the request"
            raise bad_request(text)
        if not resource.namespaced:
            meta.pop("namespace", None)
        return meta

    def _check_namespace(self, resource: Resource, namespace: str, name: str) -> None:
        if not resource.namespaced or self._namespaces is None:
            return
        found = self.read(self._namespaces, ("", namespace))
        if found.obj["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {namespace} because it is being terminated"
            causes = [{"reason": "NamespaceTerminating", "message": why, "field": "metadata.namespace"}]
            message = f'{resource.qualified} "{name}" is forbidden: {why}'
            raise ApiError(403, message, details={**details_of(resource, name), "causes": causes})

    @staticmethod
    def _ordered(resource: Resource, obj: Obj) -> Obj:
        """With kind and apiVersion first, which makes them easy to leave out of lists."""
        rest = {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}
        return {"kind": resource.kind, "apiVersion": resource.api_version, **rest}

    # ---- replace and patch ----

    def replace(self, resource: Resource, key: Key, body: Obj, status: bool = False) -> tuple[Entry, bool]:
        """PUT, of the object or of its status subresource; also says whether it was created."""
        name = (body.get("metadata") or {}).get("name") if isinstance(body, dict) else None
        if isinstance(body, dict) and name != key[1]:
            raise bad_request(f"the name of the object ({name or ''}) does not match the name on the URL ({key[1]})")
        meta = self._metadata(resource, key[0], body)
        old = self.store.get(resource, key)
        if old is None:
            if resource.create_on_update and not status:
                return self.create(resource, key[0], body), True
            raise not_found(resource, key[1])
        current = old.obj["metadata"]["uid"]
        if (uid := meta.get("uid")) and uid != current:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {current}"
            raise conflict(resource, key[1], f"StorageError: invalid object, Code: 4, AdditionalErrorMsg: {why}")
        if not meta.get("resourceVersion"):
            if resource.custom or resource.group == "coordination.k8s.io":
                cause = ("metadata.resourceVersion", "Invalid value: 0: must be specified for an update")
                raise invalid(resource, key[1], cause)
            meta["resourceVersion"] = old.obj["metadata"]["resourceVersion"]
        return self._update(resource, key, old, {**body, "metadata": meta}, status), False

    def patch(
        self, resource: Resource, key: Key, patch: Any, content_type: str = patching.MERGE, status: bool = False
    ) -> Entry:
        """PATCH, of the object or of its status subresource. A resourceVersion in it is a precondition."""
        old = self.read(resource, key)
        body = patching.apply(content_type, old.obj, patch)
        name = (body.get("metadata") or {}).get("name")
        if name != key[1]:
            raise bad_request(f"the name of the object ({name or ''}) does not match the name on the URL ({key[1]})")
        meta = self._metadata(resource, key[0], body)
        return self._update(resource, key, old, {**body, "metadata": meta}, status)

    def _update(self, resource: Resource, key: Key, old: Entry, new: Obj, status: bool) -> Entry:
        """Store a changed object, unless nothing changed; or remove it when its last finalizer went."""
        before, meta = old.obj["metadata"], new["metadata"]
        if str(meta.get("resourceVersion", "")) != before["resourceVersion"]:
            raise conflict(resource, key[1])
        new = self._ordered(resource, new)
        if status:
            new = self._only_status(resource, old.obj, new)
        elif resource.status:
            new.pop("status", None)
            if "status" in old.obj:
                new["status"] = old.obj["status"]
        meta = new["metadata"] = dict(new["metadata"])
        if meta.setdefault("uid", before["uid"]) != before["uid"]:
            cause = ("metadata.uid", f'Invalid value: "{meta["uid"]}": field is immutable')
            raise invalid(resource, key[1], cause)
        kept = ("creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds")
        for field in kept:
            meta.pop(field, None)
            if field in before:
                meta[field] = before[field]
        for field in [f for f in ("labels", "annotations", "finalizers", "ownerReferences") if not meta.get(f)]:
            meta.pop(field, None)
        validation.check(resource, new, old.obj)
        if new == old.obj:
            return old
        if not status and "generation" in before and self._spec_changed(resource, old.obj, new):
            meta["generation"] = before["generation"] + 1
        ending = before.get("deletionTimestamp") and not before.get("deletionGracePeriodSeconds")
        if ending and not meta.get("finalizers") and resource is not self._namespaces:
            self.store.remove(resource, key, new)
            return Entry(new, old.rv)
        return self.store.put(resource, new)

    @staticmethod
    def _only_status(resource: Resource, old: Obj, new: Obj) -> Obj:
        """What a write to /status may change: the status, and for built-in kinds labels and annotations."""
        result = dict(old)
        result.pop("status", None)
        if "status" in new:
            result["status"] = new["status"]
        if not resource.custom:
            result["metadata"] = {**new["metadata"]}
            result["metadata"].pop("ownerReferences", None)
            if "ownerReferences" in old["metadata"]:
                result["metadata"]["ownerReferences"] = old["metadata"]["ownerReferences"]
        return result

    @staticmethod
    def _spec_changed(resource: Resource, old: Obj, new: Obj) -> bool:
        ignored = ("metadata", "status") if resource.status else ("metadata",)
        return {k: v for k, v in old.items() if k not in ignored} != {k: v for k, v in new.items() if k not in ignored}

    # ---- delete ----

    def delete(self, resource: Resource, key: Key, options: Obj | None = None) -> Obj:
        """DELETE: at once, or marked while finalizers or a pod's grace period hold it. Returns the answer."""
        options = options or {}
        entry = self.read(resource, key)
        meta = entry.obj["metadata"]
        self._check_preconditions(resource, meta, options.get("preconditions") or {})
        finalizers = self._gc_finalizers(resource, meta, options)
        if resource.plural == "pods":
            grace = self._pod_grace(entry.obj, options)
            if grace is None:
                return entry.obj
        elif not finalizers and resource is not self._namespaces:
            self.store.remove(resource, key)
            details = details_of(resource, key[1], uid=meta["uid"])
            return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
        else:
            grace = 0
        marked = {**meta, "deletionGracePeriodSeconds": grace}
        if "deletionTimestamp" not in meta:
            marked["deletionTimestamp"] = self.now(grace)
            if "generation" in meta:
                marked["generation"] = meta["generation"] + 1
        if finalizers:
            marked["finalizers"] = finalizers
        obj = {**entry.obj, "metadata": marked}
        if resource is self._namespaces:
            obj["status"] = {"phase": "Terminating"}
        if obj != entry.obj:
            entry = self.store.put(resource, obj)
        if resource.plural == "pods" and not grace and not finalizers:
            return self.store.remove(resource, key).obj
        return entry.obj

    def _check_preconditions(self, resource: Resource, meta: Obj, wanted: Obj) -> None:
        for field, name, hint in (
            ("uid", "UID", "The object might have been deleted and then recreated"),
            ("resourceVersion", "ResourceVersion", "The object might have been modified"),
        ):
            if wanted.get(field) and wanted[field] != meta[field]:
                why = f"the {name} in the precondition ({wanted[field]}) does not match the {name} in record"
                raise conflict(resource, meta["name"], f"{why} ({meta[field]}). {hint}", kind=True)

    @staticmethod
    def _gc_finalizers(resource: Resource, meta: Obj, options: Obj) -> list[str]:
        """The finalizers after a DELETE: its propagation policy may add one for the garbage collector."""
        policy = options.get("propagationPolicy")
        if policy not in (None, "Background", "Foreground", "Orphan"):
            raise invalid(resource, meta["name"], ("propagationPolicy", f'Unsupported value: "{policy}"'))
        finalizers = list(meta.get("finalizers") or [])
        if policy is None or "deletionTimestamp" in meta:
            return finalizers
        finalizers = [f for f in finalizers if f not in ("orphan", "foregroundDeletion")]
        added = {"Foreground": ["foregroundDeletion"], "Orphan": ["orphan"]}.get(policy, [])
        return finalizers + added

    @staticmethod
    def _pod_grace(pod: Obj, options: Obj) -> int | None:
        """The grace period a DELETE gives a pod; None when an earlier one already gave as little."""
        given = options.get("gracePeriodSeconds")
        meta, spec = pod["metadata"], pod["spec"]
        if "deletionTimestamp" in meta:
            current: int = meta["deletionGracePeriodSeconds"]
            return given if given is not None and given < current else (None if current else 0)
        if not spec.get("nodeName") or pod["status"].get("phase") in ("Succeeded", "Failed"):
            return 0
        return int(given if given is not None else spec.get("terminationGracePeriodSeconds", 30))
