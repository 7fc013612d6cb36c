"""The paths of our requests. This is the only place that puts one together: see tests/unit/cluster/test_paths.py.

All that reads or writes the cluster takes an :class:`ApiPath`, which holds nothing but segments that are Kubernetes
names, so no name of a user's leads to another namespace or another resource. Queries are given beside it, as values
that aiohttp encodes.
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
    """A path below the API server's address, as the segments between its slashes.

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
        """The path as aiohttp sends it: every character stands for itself, so nothing is left to be decoded."""
        return URL(str(self), encoded=True)

    def __truediv__(self, segment: str) -> ApiPath:
        return ApiPath(*self._segments, segment)


def in_namespace(api_version: str, namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of a resource in one namespace, or of the object of a `name` there, and of its subresource."""
    return ApiPath(*_prefix(api_version), "namespaces", _check(LABEL, namespace), _check(LABEL, resource), *name)


def core(namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of pods, ConfigMaps and the like in one namespace, or of one of them."""
    return in_namespace("v1", namespace, resource, *name)


def ours(namespace: str, resource: str, *name: str) -> ApiPath:
    """Return the path of Jobs and the like in one namespace, or of one of them."""
    return in_namespace(OURS, namespace, resource, *name)


def everywhere(api_version: str, resource: str) -> ApiPath:
    """Return the path of a resource in all namespaces, or of one that has none."""
    return ApiPath(*_prefix(api_version), _check(LABEL, resource))


def of_version(api_version: str) -> ApiPath:
    """Return the path that tells which resources a version has."""
    return ApiPath(*_prefix(api_version))


def _prefix(api_version: str) -> list[str]:
    parts = _check(API_VERSION_RULE, api_version).split("/")
    return ["api" if len(parts) == 1 else "apis", *parts]


def _check(rule: Rule, text: str) -> str:
    if wrong := problem(rule, text):
        raise ApiError(400, "InvalidName", f"the API server was not asked: {wrong}")
    return text
