"""Watch selected objects of any kind in one namespace, and keep little of them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from podgraph.api import Object
from podgraph.cluster.client import ApiError, Client
from podgraph.cluster.listwatch import ListWatch, told
from podgraph.cluster.paths import in_namespace

__all__ = ["ObjectWatch"]

_LOG = logging.getLogger(__name__)

Kept = TypeVar("Kept")


class ObjectWatch(ListWatch[dict[str, Any]], Generic[Kept]):
    """Keeps in `kept`, by UID, the result of `look` for each matching object (None: nothing).

    Calls `on_change()` whenever `kept`, `synced` or `error` changes. `error` is the (reason, message) of a failed
    watch; `kept` then has the last known state.
    """

    refused_seconds = 15.0

    def __init__(
        self, client: Client, api_version: str, resource: str, namespace: str, name: str, labels: Mapping[str, str],
        look: Callable[[Object], Kept | None], on_change: Callable[[], None],
    ) -> None:  # fmt: skip
        query = {"fieldSelector": f"metadata.name={name}"} if name else {}
        query |= {"labelSelector": ",".join(f"{k}={v}" for k, v in labels.items())} if labels else {}
        path = in_namespace(api_version, namespace, resource)
        super().__init__(client.session, path, dict[str, Any], str(path), query)
        self._look, self._on_change = look, on_change
        self.kept: dict[str, Kept] = {}
        self._found: dict[str, Kept] = {}
        self.synced = False
        self.error: tuple[str, str] | None = None

    def broke(self, error: Exception, pause: float) -> None:
        """Keep why the server refuses; a break of the network is only logged."""
        if not isinstance(error, ApiError):
            _LOG.info("the watch of %s broke: %s", self._what, told(error))
        elif (error.reason, error.message) != self.error:
            self.error = (error.reason, error.message)
            self._on_change()

    def list_begins(self) -> None:
        """Begin what takes the place of all that is kept."""
        self._found = {}

    def list_page(self, items: Sequence[Object]) -> None:
        """Take in a page of the list."""
        for item in items:
            if (kept := self._look(item)) is not None:
                self._found[item["metadata"]["uid"]] = kept

    def list_ends(self, version: str) -> None:
        """Replace all that is kept by what the list has."""
        self.kept, self._found = self._found, {}
        self.error, self.synced = None, True
        self._on_change()

    def changed(self, event: str, item: Object) -> None:
        """Take in one object."""
        uid = item["metadata"]["uid"]
        kept = None if event == "DELETED" else self._look(item)
        if kept == self.kept.get(uid):
            return
        if kept is None:
            self.kept.pop(uid, None)
        else:
            self.kept[uid] = kept
        self._on_change()
