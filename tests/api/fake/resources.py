"""The resources the fake server knows, and the discovery documents made from them.

To serve another kind, add a row here or pass it to `FakeCluster(resources=[*RESOURCES, Resource(...)])`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]


@dataclass(frozen=True, eq=False, slots=True)
class Resource:
    """One row of the table: what a resource is called and how its objects behave."""

    group: str
    version: str
    plural: str
    kind: str
    namespaced: bool = True
    status: bool = False  # has a status subresource
    generation: bool = False  # metadata.generation is kept (custom resources always keep it)
    create_on_update: bool = False  # PUT of an absent object creates it
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # field selectors beyond metadata.name and metadata.namespace

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def prefix(self) -> str:
        """The URL path of the group version."""
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    @property
    def qualified(self) -> str:
        """As error messages name it: `jobs.podgraph.dev`, or `pods` for the core group."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    @property
    def qualified_kind(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def custom(self) -> bool:
        """Whether it would come from a CustomResourceDefinition; the server treats those differently."""
        return "." in self.group and not self.group.endswith(".k8s.io")

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str = "") -> str:
        """The URL path of the collection or of one object."""
        parts = [self.prefix]
        if self.namespaced and namespace:
            parts.append(f"namespaces/{namespace}")
        parts.append(self.plural)
        parts += [part for part in (name, subresource) if part]
        return "/".join(parts)


def _podgraph(plural: str, kind: str, short: str) -> Resource:
    return Resource(
        "podgraph.dev", "v1alpha1", plural, kind,
        status=True, generation=True, short_names=(short,), categories=("podgraph",),
    )  # fmt: skip


POD_FIELDS = ("spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName")
EVENT_FIELDS = (
    *(f"involvedObject.{f}" for f in ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion")),
    "reason", "reportingComponent", "source", "type",
)  # fmt: skip

RESOURCES: tuple[Resource, ...] = (
    Resource("", "v1", "namespaces", "Namespace", namespaced=False, status=True, short_names=("ns",),
             fields=("status.phase",)),
    Resource("", "v1", "pods", "Pod", status=True, generation=True, short_names=("po",), categories=("all",),
             fields=(*POD_FIELDS, "status.phase", "status.podIP")),
    Resource("", "v1", "configmaps", "ConfigMap", short_names=("cm",)),
    Resource("", "v1", "secrets", "Secret"),
    Resource("", "v1", "resourcequotas", "ResourceQuota", status=True, short_names=("quota",)),
    Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim", status=True, short_names=("pvc",)),
    Resource("", "v1", "events", "Event", short_names=("ev",), create_on_update=True, fields=EVENT_FIELDS),
    Resource("coordination.k8s.io", "v1", "leases", "Lease", create_on_update=True),
    _podgraph("jobs", "Job", "pgj"),
    _podgraph("jobdefinitions", "JobDefinition", "pgd"),
    _podgraph("jobschedules", "JobSchedule", "pgs"),
    _podgraph("jobsensors", "JobSensor", "pgsn"),
)  # fmt: skip


def discover(resources: Sequence[Resource], path: str) -> dict[str, Any] | None:
    """Answer a discovery GET (`/api`, `/apis`, `/apis/G`, `/api/v1`, `/apis/G/V`, `/version`), or None."""
    if path == "/version":
        return {"major": "1", "minor": "35", "gitVersion": "v1.35.4", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    groups: dict[str, list[str]] = {}
    for resource in resources:
        versions = groups.setdefault(resource.group, [])
        if resource.version not in versions:
            versions.append(resource.version)
    if path == "/apis":
        listed = [_group(group, versions) for group, versions in groups.items() if group]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}
    if path.startswith("/apis/") and (group := path.removeprefix("/apis/")) in groups:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
    rows = [resource for resource in resources if resource.prefix == path]
    if not rows:
        return None
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": rows[0].api_version,
        "resources": [entry for resource in rows for entry in _entries(resource)],
    }


def _group(group: str, versions: list[str]) -> dict[str, Any]:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _entries(resource: Resource) -> Iterable[dict[str, Any]]:
    common = {"namespaced": resource.namespaced, "kind": resource.kind}
    row: dict[str, Any] = {"name": resource.plural, "singularName": resource.kind.lower(), **common}
    row["verbs"] = [v for v in VERBS if v != "deletecollection" or resource.namespaced]
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    yield row
    if resource.status:
        verbs = ["get", "patch", "update"]
        yield {"name": f"{resource.plural}/status", "singularName": "", **common, "verbs": verbs}
    if resource.plural == "pods":
        yield {"name": "pods/log", "singularName": "", **common, "verbs": ["get"]}
