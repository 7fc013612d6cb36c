"""The key from which those of all Jobs follow: made once, and kept in a Secret in the operator's own namespace.

Who starts first makes it, and all others, also after a restart, take that one.
"""

from __future__ import annotations

import base64
import binascii
import logging
import os
import secrets
from pathlib import Path

from podgraph.cluster.client import Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.keys import MASTER_BYTES, Keys
from podgraph.planning.model.names import MANAGED_BY, MANAGED_BY_LABEL

__all__ = ["MASTER_SECRET", "master_keys", "own_namespace", "random_keys"]

_LOG = logging.getLogger(__name__)
MASTER_SECRET = "podgraph-key"
_ENTRY = "key"
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def own_namespace() -> str:
    """Return the namespace that the operator runs in; "" outside a cluster."""
    try:
        return os.environ.get("PODGRAPH_NAMESPACE", "") or _NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def random_keys() -> Keys:
    """Return keys that only this process knows."""
    return Keys(secrets.token_bytes(MASTER_BYTES))


async def master_keys(client: Client, namespace: str) -> Keys:
    """Return the keys that follow from the Secret in this namespace, which is made if there is none.

    Without a namespace they are this process's own. Raises ApiError, and DefinitionError (`BadKey`).
    """
    if not namespace:
        _LOG.warning(
            "no namespace is known for the Secret %s (PODGRAPH_NAMESPACE), so the key is one for this process alone: "
            "after a restart the results of pods that run now will not be recognized",
            MASTER_SECRET,
        )
        return random_keys()
    text = base64.b64encode(secrets.token_bytes(MASTER_BYTES)).decode()
    manifest = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": MASTER_SECRET,
            "namespace": namespace,
            "labels": {MANAGED_BY_LABEL: MANAGED_BY},
        },
        "immutable": True,
        "data": {_ENTRY: text},
    }
    data = await client.shared_secret(manifest)
    try:
        master = base64.b64decode(data.get(_ENTRY, ""), validate=True)
    except binascii.Error:
        master = b""
    if len(master) < MASTER_BYTES:
        raise DefinitionError(
            "BadKey",
            f"the Secret {MASTER_SECRET} in namespace {namespace} has no {_ENTRY} of {MASTER_BYTES} bytes; delete it, "
            "and the operator creates another",
        )
    return Keys(master)
