"""The permanent record of the run keys and objects for which a sensor has created Jobs, as digests.

The status holds the latest digests. When there are many, they move to a block: an immutable ConfigMap of the sensor
whose name is a digest of its content, so that creating it twice is safe.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any

from podgraph.api import Object, owner_reference
from podgraph.definition.errors import DefinitionError
from podgraph.planning.model import names

__all__ = ["DedupStore", "read_block"]

MOST_IN_STATUS = 400
MOST_IN_BLOCK = 60_000
MOST_BLOCKS = 8
_FIELD = "keys"
_DIGEST = re.compile(r"[0-9a-f]{16}")
_SIZE = 8  # bytes of a digest; it has twice as many hexadecimal digits


class DedupStore:
    """The digests of one sensor: `latest` are not in a block yet, `blocks` holds digests by name of the block."""

    def __init__(self, latest: Iterable[str], blocks: Mapping[str, list[str]]) -> None:
        """Raise DefinitionError (`MemoryLost`) when the latest are not digests: others can write a status."""
        self.latest = list(latest)
        wrong = next((key for key in self.latest if not _DIGEST.fullmatch(key)), None)
        if wrong is not None:
            raise DefinitionError(
                "MemoryLost",
                f"status.cursor.keys holds {wrong[:40]!r}, which the operator did not write; delete the sensor and "
                "create it again",
            )
        self.blocks = dict(blocks)
        self._known = {*self.latest, *(digest for block in self.blocks.values() for digest in block)}

    def __contains__(self, digest: str) -> bool:
        return digest in self._known

    def add(self, digest: str) -> None:
        """Add a digest."""
        if digest not in self._known:
            self._known.add(digest)
            self.latest.append(digest)

    def next_block(self, sensor: Object) -> dict[str, Any] | None:
        """Return the ConfigMap to create, None while the status has room. Call :meth:`put` after its creation."""
        if len(self.latest) <= MOST_IN_STATUS:
            return None
        last = next(reversed(self.blocks.values()), [])
        whole = len(last) >= MOST_IN_BLOCK
        digests = [*([] if whole else last), *self.latest][:MOST_IN_BLOCK]
        meta = sensor["metadata"]
        data = bytes.fromhex("".join(digests))
        name = names.keys_map(meta["name"], f"{meta['uid']}/{hashlib.sha256(data).hexdigest()}")
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": meta["namespace"],
                "labels": {names.MANAGED_BY_LABEL: names.MANAGED_BY},
                "ownerReferences": [owner_reference(sensor)],
            },
            "immutable": True,
            "binaryData": {_FIELD: base64.b64encode(data).decode()},
        }

    def put(self, block: Object) -> list[str]:
        """Record that a block was created. Returns the names of the blocks to delete once the status is written."""
        digests = read_block(block)
        held = set(digests)
        before = list(self.blocks)
        last = before[-1:] if before and held >= set(self.blocks[before[-1]]) else []
        for name in last:
            del self.blocks[name]
        self.blocks[block["metadata"]["name"]] = digests
        self.latest = [digest for digest in self.latest if digest not in held]
        for name in list(self.blocks)[:-MOST_BLOCKS]:
            self._known.difference_update(self.blocks.pop(name))
        return [name for name in before if name not in self.blocks]


def read_block(block: Object) -> list[str]:
    """Return the digests in a block, the oldest first. Raises DefinitionError (`MemoryLost`)."""
    try:
        text = base64.b64decode(block["binaryData"][_FIELD], validate=True).hex()
    except (KeyError, TypeError, ValueError):
        name = block["metadata"]["name"]
        raise DefinitionError(
            "MemoryLost", f"the ConfigMap {name!r} does not hold the data that the sensor wrote"
        ) from None
    return [text[at : at + 2 * _SIZE] for at in range(0, len(text), 2 * _SIZE)]
