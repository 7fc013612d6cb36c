"""Turn errors of the cluster into messages for people: requests refused, unanswered, or for unknown objects."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from typing import Any

import urllib3
from kubernetes import client
from kubernetes.client.exceptions import ApiException

from podgraph.definition.errors import DefinitionError

__all__ = ["told"]

_BROKEN = (urllib3.exceptions.HTTPError, http.client.HTTPException, OSError)  # those of `requests` are OSErrors


@contextlib.contextmanager
def told(what: str, ours: bool = True) -> Iterator[None]:
    """Raise DefinitionError with a message when the cluster refuses a request (`NotFound`, `Forbidden`, ...).

    The reason is `NoCluster` when the cluster does not answer; a retry may then succeed. `ours` means that the request
    is for a podgraph resource: if the cluster does not have the resource, podgraph is not installed.
    """
    try:
        yield
    except ApiException as error:
        if not error.status or error.status == 429 or error.status >= 500:
            raise DefinitionError("NoCluster", f"cannot {what}: {_host()} answers: {_message(error)}") from None
        if ours and error.status == 404 and not _is_named(error):
            raise DefinitionError(
                "NotInstalled",
                f"cannot {what}: podgraph is not installed in {_host()}; install the chart: "
                "helm install podgraph charts/podgraph --namespace podgraph-system --create-namespace",
            ) from None
        reason = (error.reason or "ApiError").replace(" ", "")  # HTTP's phrase: "Not Found"
        raise DefinitionError(reason, f"cannot {what}: {_message(error)}") from None
    except _BROKEN as error:
        cause = getattr(error, "reason", None) or error
        text = " ".join(str(cause).split()) or type(cause).__name__
        raise DefinitionError("NoCluster", f"cannot {what}: {_host()} does not answer: {text}") from None
    except ValueError as error:  # a truncated response or a proxy's HTML page is not JSON
        raise DefinitionError("NoCluster", f"cannot {what}: {_host()} returned invalid JSON: {error}") from None


def _host() -> str:
    return f"the cluster at {client.Configuration.get_default_copy().host}"


def _is_named(error: ApiException) -> bool:
    """Whether a 404 means a missing object rather than a missing resource type."""
    return bool(((_status(error) or {}).get("details") or {}).get("name"))


def _status(error: ApiException) -> dict[str, Any] | None:
    with contextlib.suppress(ValueError, TypeError):
        found = json.loads(error.body or "")
        if isinstance(found, dict):
            return found
    return None


def _message(error: ApiException) -> str:
    message = (_status(error) or {}).get("message")
    return str(message) if message else " ".join(f"{error.status or ''} {error.reason}".split())
