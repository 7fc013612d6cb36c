"""The operator's own settings for the pods it creates."""

from __future__ import annotations

from dataclasses import dataclass

from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.link_token import LinkIssuer
from podgraph.planning.manifests.storage import Storage

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """What the operator itself brings.

    It is the default image for Python ops, the name of the runtime's ConfigMap, where values of Jobs without
    `spec.storage` go, where pods reach it directly, and the keys of Jobs; without those nothing is signed, as it is
    where only a plan is wanted and no pod runs.
    """

    default_image: str
    runtime: str
    storage: Storage | None = None
    invitation: LinkIssuer | None = None
    keys: Keys | None = None
