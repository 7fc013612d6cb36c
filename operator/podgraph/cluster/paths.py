"""The paths of our requests. Only this module builds them: see tests/unit/cluster/test_paths.py.

All reads and writes take an :class:`ApiPath`, which consists only of segments that are Kubernetes names. A name from a
user therefore cannot lead to another namespace or resource. Queries are separate values that aiohttp encodes.
"""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from podgraph.api import API_VERSION
from podgraph.cluster.errors import ApiError
from podgraph.planning.model.kube_names import API_VERSION as API_VERSION_RULE
from podgraph.planning.model.kube_names import LABEL, SUBDOMAIN, Rule, problem

__all__ = ["OURS", "ApiPath", "Query", "core", "everywhere", "in_namespace", "of_version", "ours"]

OURS = API_VERSION

Query = Mapping[str, str]


class ApiPath:
    """A path under the API server's address, as its segments.

    Raises ApiError (400, `InvalidName`) for a segment that is not a Kubernetes name: empty, `..`, or with a slash, a
    percent sign, an upper-case letter, a control character or the like.
    """

    __slots__ = ("_segments",)

    def __init__(self, *segments: str) -> None:
        for segment in segments:
            _check(SUBDOMAIN, segment)
        self._segments = segments

    def __str__(self) -> str:
        return "/" + "/".join(self._segments)

    @property
    def url(self) -> URL:
        """The path as aiohttp sends it: it has no percent-encoding."""
        return URL(str(self), encoded=True)

    def __truediv__(self, segment: str) -> ApiPath:
        return ApiPath(*self._segments, segment)


def in_namespace(api_version: str, namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of a resource in one namespace, or of the object `name` there and its subresource."""
    return ApiPath(*_prefix(api_version), "namespaces", _check(LABEL, namespace), _check(LABEL, resource), *name)


def core(namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of a core resource (pods, configmaps) in one namespace, or of one object."""
    return in_namespace("v1", namespace, resource, *name)


def ours(namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of one of our resources in one namespace, or of one object."""
    return in_namespace(OURS, namespace, resource, *name)


def everywhere(api_version: str, resource: str) -> ApiPath:
    """Return the path of a resource in all namespaces, or of a cluster-scoped one."""
    return ApiPath(*_prefix(api_version), _check(LABEL, resource))


def of_version(api_version: str) -> ApiPath:
    """Return the path of the discovery document of an API version."""
    return ApiPath(*_prefix(api_version))


def _prefix(api_version: str) -> list[str]:
    parts = _check(API_VERSION_RULE, api_version).split("/")
    return ["api" if len(parts) == 1 else "apis", *parts]


def _check(rule: Rule, text: str) -> str:
    if wrong := problem(rule, text):
        raise ApiError(400, "InvalidName", f"the request was not sent: {wrong}")
    return text
