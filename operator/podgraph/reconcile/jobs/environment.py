"""What the controllers of Jobs and of JobDefinitions share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from podgraph.cluster.client import Client
from podgraph.cluster.pod_reflector import PodReflector
from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.settings import Settings
from podgraph.reconcile.jobs.room_queue import RoomQueue
from podgraph.reconcile.jobs.storage_finalizer import StorageFinalizer
from podgraph.reconcile.metrics import Metrics

__all__ = ["Environment"]


@dataclass(frozen=True)
class Environment:
    """The cluster as both controllers use it. `archive` is the packed runtime, `clock` returns seconds since 1970."""

    client: Client
    pods: PodReflector
    settings: Settings
    storage: StorageFinalizer
    archive: str
    keys: Keys
    metrics: Metrics
    clock: Callable[[], float]
    room: RoomQueue
