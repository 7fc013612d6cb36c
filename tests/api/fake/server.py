"""The HTTP face: routes a request to discovery, the registry, a watch or a log; records it; applies faults."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from aiohttp import web

from . import errors
from .errors import ApiError, bad_request, invalid, too_large
from .faults import Faults
from .logs import Logs
from .people import People
from .registry import Registry
from .resources import Resource, discover
from .selectors import selector
from .store import Entry, Key, Obj, dumps
from .validation import check_fields
from .watches import View, Watch, Watches

BODY_LIMIT = 3145728
PARTIAL = "meta.k8s.io/v1"


@dataclass(slots=True)
class Request:
    """One request as it came in. `status` is what was answered; 0 while it is open or was dropped."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    body: Any = None
    status: int = 0
    content_type: str = ""
    dropped: bool = False
    time: float = field(default_factory=time.monotonic)


class Target(NamedTuple):
    """What a path names."""

    resource: Resource
    namespace: str
    name: str
    subresource: str

    @property
    def key(self) -> Key:
        return self.namespace, self.name


class ApiServer:
    """Handles requests. With `watch_gone`, a too old watch gets HTTP 410 instead of an ERROR event.

    `refuse_pod` is an admission policy: it answers why a pod is forbidden, or nothing. `may` is RBAC: it answers
    whether a verb is allowed on (group, resource, namespace, name); what it denies is also kept in `denied`.
    """

    def __init__(self, registry: Registry, watches: Watches, faults: Faults, logs: Logs) -> None:
        self.registry, self.watches, self.faults, self.logs = registry, watches, faults, logs
        self.store = registry.store
        self.people = People()
        self.requests: list[Request] = []
        self.watch_gone = False
        self.refuse_pod: Callable[[Obj], str] | None = None
        self.may: Callable[[str, str, str, str, str], bool] | None = None
        self.denied: list[str] = []
        self._resources = {(r.prefix, r.plural): r for r in self.store.tables}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        raw = await request.content.read() if request.body_exists else b""
        record = Request(request.method, request.path, dict(request.query), content_type=request.content_type)
        self.requests.append(record)
        watch = request.query.get("watch") in ("1", "true")
        fault = self.faults.match(request.method, request.path, watch)
        try:
            record.body = self._body(raw)
            if fault and await fault.strike("before"):
                return self._drop(request, record)
            cut_after = fault.cut_after if fault else None
            response = await self._route(request, record, watch, cut_after)
            if fault and await fault.strike("after"):
                return self._drop(request, record)
        except ApiError as error:
            response = web.Response(body=dumps(error.status), status=error.code, content_type="application/json")
            if error.retry_after is not None:
                response.headers["Retry-After"] = str(error.retry_after)
        record.status = response.status
        return response

    @staticmethod
    def _body(raw: bytes) -> Any:
        if len(raw) > BODY_LIMIT:
            raise ApiError(413, f"Request entity too large: limit is {BODY_LIMIT}")
        try:
            return json.loads(raw) if raw else None
        except ValueError as error:
            raise bad_request(f"couldn't get version/kind; json parse error: {error}") from error

    @staticmethod
    def _drop(request: web.BaseRequest, record: Request) -> web.Response:
        record.dropped = True
        if request.transport is not None:
            request.transport.abort()
        return web.Response()

    def target(self, path: str) -> Target | None:
        """What a path names, None when nothing of ours."""
        parts = path.strip("/").split("/")
        size = 2 if parts[0] == "api" else 3
        prefix, rest = "/" + "/".join(parts[:size]), parts[size:]
        if len(rest) >= 3 and rest[0] == "namespaces":
            resource = self._resources.get((prefix, rest[2]))
            if resource and resource.namespaced and len(rest) <= 5:
                return Target(resource, rest[1], *[*rest[3:], "", ""][:2])
        resource = self._resources.get((prefix, rest[0])) if rest else None
        if resource is None or len(rest) > 3 or (resource.namespaced and len(rest) > 1):
            return None
        return Target(resource, "", *[*rest[1:], "", ""][:2])

    async def _route(
        self, request: web.BaseRequest, record: Request, watch: bool, cut_after: int | None
    ) -> web.StreamResponse:
        if request.path in ("/healthz", "/livez", "/readyz"):
            return web.Response(text="ok")
        if review := self.people.review(request, record.body):
            return self._json(dumps(review), 201)
        target = self.target(request.path)
        if target is not None:
            self.people.check(request, request.method.lower(), target.resource.qualified, target.namespace)
            self._authorize(request, target, watch)
        if target is None:
            document = discover(list(self.store.tables), request.path)
            if document is None or request.method != "GET":
                return web.Response(status=404, text="404 page not found\n")
            return self._json(dumps(document))
        if request.method == "GET":
            view = self._view(request)
            if not target.name and watch:
                return await self._watch(request, target, view, cut_after)
            if not target.name:
                return self._json(self._list(request, target, view))
            entry = self.registry.read(target.resource, target.key)
            if target.resource.plural == "pods" and target.subresource == "log":
                return await self.logs.answer(request, entry.obj, lambda: self._same(target, entry))
            self._check_subresource(target)
            self._version(request)
            return self._json(view(entry))
        return self._write(request, record, target)

    def _authorize(self, request: web.BaseRequest, target: Target, watch: bool) -> None:
        if self.may is None:
            return
        verbs = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "DELETE": "delete"}
        verb = verbs[request.method]
        if not target.name:
            verb = {"get": "watch" if watch else "list", "delete": "deletecollection"}.get(verb, verb)
        plural = f"{target.resource.plural}/{target.subresource}" if target.subresource else target.resource.plural
        if not self.may(verb, target.resource.group, plural, target.namespace, target.name):
            where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
            self.denied.append(f"{verb} {plural} {where}")
            raise ApiError(403, f'{plural} is forbidden: cannot {verb} resource "{plural}" {where}')

    def _same(self, target: Target, before: Entry) -> Obj | None:
        now = self.store.get(target.resource, target.key)
        same = now is not None and now.obj["metadata"]["uid"] == before.obj["metadata"]["uid"]
        return now.obj if now is not None and same else None

    # ---- writes ----

    def _write(self, request: web.BaseRequest, record: Request, target: Target) -> web.Response:
        resource, key, body = target.resource, target.key, record.body
        if request.method == "POST" and not target.name:
            if request.query.get("fieldValidation") == "Strict":
                check_fields(resource, body)
            if self.refuse_pod is not None and resource.plural == "pods" and (why := self.refuse_pod(body)):
                raise ApiError(403, f'pods "{body["metadata"]["name"]}" is forbidden: {why}')
            dry_run = request.query.get("dryRun") == "All"
            return self._json(self.registry.create(resource, target.namespace, body, dry_run).json, 201)
        if request.method == "DELETE" and not target.subresource:
            return self._delete(request, target, body)
        if not target.name:
            raise bad_request("name must be provided")
        self._check_subresource(target)
        status = target.subresource == "status"
        if request.method == "PUT":
            entry, created = self.registry.replace(resource, key, body, status)
            return self._json(entry.json, 201 if created else 200)
        if request.method == "PATCH":
            return self._json(self.registry.patch(resource, key, body, request.content_type, status).json)
        raise ApiError(405, "the server does not allow this method on the requested resource")

    def _check_subresource(self, target: Target) -> None:
        if target.subresource and not (target.subresource == "status" and target.resource.status):
            raise ApiError(404, "the server could not find the requested resource", details={})

    def _delete(self, request: web.BaseRequest, target: Target, body: Any) -> web.Response:
        options = dict(body or {})
        if "gracePeriodSeconds" in request.query:
            options.setdefault("gracePeriodSeconds", int(request.query["gracePeriodSeconds"]))
        if "propagationPolicy" in request.query:
            options.setdefault("propagationPolicy", request.query["propagationPolicy"])
        if target.name:
            return self._json(dumps(self.registry.delete(target.resource, target.key, options)))
        token, page = request.query.get("continue", ""), int(request.query.get("limit") or "0")
        after = self._decode(token)[1] if token else ("", "")
        chosen = self._chosen(request, target, self.store.entries(target.resource))
        chosen = [entry for entry in chosen if entry.key > after]
        meta: Obj = {}
        if page and len(chosen) > page:
            chosen = chosen[:page]
            meta["continue"] = self._encode(self.store.revision, chosen[-1].key)
        answer = self._list_body(target.resource, chosen, meta, lambda entry: entry.json)
        for entry in chosen:
            if self.store.get(target.resource, entry.key):
                self.registry.delete(target.resource, entry.key, options)
        return self._json(answer)

    # ---- reads ----

    @staticmethod
    def _json(body: bytes, status: int = 200) -> web.Response:
        return web.Response(body=body, status=status, content_type="application/json")

    @staticmethod
    def _view(request: web.BaseRequest) -> View:
        """Whole objects, or their metadata only when the Accept header asks for that first."""
        if "as=PartialObjectMetadata" not in request.headers.get("Accept", "").split(",")[0]:
            return lambda entry: entry.json
        head: Obj = {"kind": "PartialObjectMetadata", "apiVersion": PARTIAL}
        return lambda entry: dumps({**head, "metadata": entry.obj["metadata"]})

    def _version(self, request: web.BaseRequest, future: bool = False) -> int:
        """The resourceVersion asked for, 0 for none; one from the future is refused unless allowed."""
        text = request.query.get("resourceVersion") or "0"
        if not text.isdigit():
            raise bad_request(f'invalid resource version: resourceVersion: Invalid value: "{text}"')
        if int(text) > self.store.revision and not future:
            raise too_large(int(text), self.store.revision)
        return int(text)

    def _chosen(self, request: web.BaseRequest, target: Target, entries: list[Entry]) -> list[Entry]:
        query = request.query
        match = selector(target.resource, query.get("labelSelector"), query.get("fieldSelector"))
        if target.namespace:
            entries = [entry for entry in entries if entry.key[0] == target.namespace]
        return entries if match is None else [entry for entry in entries if match(entry.obj)]

    def _list(self, request: web.BaseRequest, target: Target, view: View) -> bytes:
        resource, query, after = target.resource, request.query, ("", "")
        token, limit = query.get("continue", ""), query.get("limit") or "0"
        if not limit.isdigit():
            raise bad_request(f'strconv.ParseInt: parsing "{limit}": invalid syntax')
        if token and query.get("resourceVersion", "0") != "0":
            raise bad_request("specifying resource version is not allowed when using continue")
        asked, exact = self._version(request), query.get("resourceVersionMatch") == "Exact"
        version, entries = self.store.revision, None
        if token:
            asked, after = self._decode(token)
            exact = asked >= 0
        if exact and (token or asked != version):
            entries, version = self.store.snapshot_at(resource, asked), asked
            if entries is None and token:
                fresh = self._encode(-1, after)
                raise ApiError(410, errors.STALE_CONTINUE, metadata={"continue": fresh})
            if entries is None:
                raise ApiError(410, "The resourceVersion for the provided list is too old.")
        whole = self.store.entries(resource) if entries is None else entries
        chosen = [entry for entry in self._chosen(request, target, whole) if entry.key > after]
        meta: Obj = {"resourceVersion": str(version)}
        page = int(limit)
        if page and len(chosen) > page:
            if not query.get("labelSelector") and not query.get("fieldSelector"):
                meta["remainingItemCount"] = len(chosen) - page
            chosen = chosen[:page]
            meta["continue"] = self._encode(version, chosen[-1].key)
            self.store.snapshot(resource, version, whole)
        return self._list_body(resource, chosen, meta, view, partial="PartialObj" in request.headers.get("Accept", ""))

    @staticmethod
    def _list_body(resource: Resource, entries: list[Entry], meta: Obj, view: View, partial: bool = False) -> bytes:
        kind, version = f"{resource.kind}List", resource.api_version
        items = [view(entry) for entry in entries]
        if partial:
            kind, version = "PartialObjectMetadataList", PARTIAL
        elif not resource.custom:  # built-in kinds are listed without kind and apiVersion in each item
            head = len(dumps({"kind": resource.kind, "apiVersion": resource.api_version}))
            items = [b"{" + item[head:] for item in items]
        start = dumps({"kind": kind, "apiVersion": version, "metadata": meta})
        return b'%s,"items":[%s]}' % (start[:-1], b",".join(items))

    @staticmethod
    def _encode(version: int, after: Key) -> str:
        return base64.urlsafe_b64encode(dumps([version, *after])).decode().rstrip("=")

    @staticmethod
    def _decode(token: str) -> tuple[int, Key]:
        try:
            version, *key = json.loads(base64.urlsafe_b64decode(token + "=="))
            return int(version), (key[0], key[1])
        except (ValueError, IndexError, TypeError) as error:
            raise bad_request("invalid continue token: continue key is not valid") from error

    # ---- watch ----

    async def _watch(
        self, request: web.BaseRequest, target: Target, view: View, cut_after: int | None
    ) -> web.StreamResponse:
        query = request.query
        initial_end = query.get("sendInitialEvents") == "true"
        if initial_end and query.get("resourceVersionMatch") != "NotOlderThan":
            text = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
            options = Resource("meta.k8s.io", "v1", "listoptions", "ListOptions")
            raise invalid(options, "", ("resourceVersionMatch", text))
        match = selector(target.resource, query.get("labelSelector"), query.get("fieldSelector"))
        version = self._version(request, future=True)  # a watch waits until then
        watch = Watch(
            target.resource,
            target.namespace,
            match,
            view,
            version=version,
            bookmarks=query.get("allowWatchBookmarks") in ("1", "true"),
            cut_after=cut_after,
        )
        try:
            initial = initial_end or version == 0
            self.watches.start(watch, initial=initial, initial_end=initial_end and watch.bookmarks)
        except ApiError as error:
            if self.watch_gone:
                raise
            watch.fail(error)
        seconds = query.get("timeoutSeconds")
        return await self.watches.stream(watch, request, float(seconds) if seconds else None)
