"""Read the stored logs of steps whose pods are gone (see planning/manifests/log_reader.py)."""

from __future__ import annotations

import time
from collections.abc import Sequence

from podgraph.api import Object
from podgraph.cli.cluster import Cluster
from podgraph.cluster.polling import looks
from podgraph.cluster.runtime_archive import build_archive
from podgraph.planning.manifests.log_reader import Reading, ended, reading, too_slow
from podgraph.planning.manifests.storage import SHOW_SECONDS
from podgraph.runtime.pod.logs import read_shown

__all__ = ["stored_logs"]


def stored_logs(cluster: Cluster, job: Object, steps: Sequence[str]) -> dict[str, list[str]]:
    """Return the lines of the last attempt of each of these steps. Omits steps without a stored log.

    Raises DefinitionError when the storage cannot be read in time.
    """
    runtime = build_archive()
    how = reading(job, steps, runtime.archive, runtime.digest)
    cluster.create_config_map(how.config_map)
    uid = cluster.create_pod(how.pod)
    try:
        if trouble := _wait(cluster, how, uid):
            raise how.failure(job["metadata"]["name"], trouble)
        return read_shown(cluster.log(how.name, follow=False), how.nonce)
    finally:
        cluster.delete_pod(how.name, uid)


def _wait(cluster: Cluster, how: Reading, uid: str) -> str:
    """Wait for the pod's end and return what kept it from its work, or ""."""
    pod: Object = {}
    for pause in looks(SHOW_SECONDS):
        pod = cluster.pod(how.name)
        if pod["metadata"]["uid"] != uid:
            return "the pod that reads them was deleted"
        if (trouble := ended(pod)) is not None:
            return trouble
        time.sleep(pause)
    return too_slow(pod)
