"""What a sensor remembers for good: a little in its status, the rest in ConfigMaps."""

from __future__ import annotations

from typing import Any

import pytest

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling import dedup_store
from podgraph.scheduling.cursor import key_digest
from podgraph.scheduling.dedup_store import DedupStore, read_block

SENSOR = {"kind": "JobSensor", "metadata": {"name": "s", "namespace": "n", "uid": "u"}}


def digests(first: int, last: int) -> list[str]:
    return [key_digest(str(n)) for n in range(first, last)]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MOST_IN_STATUS", 2), ("MOST_IN_BLOCK", 6), ("MOST_BLOCKS", 2)):
        monkeypatch.setattr(dedup_store, name, value)


def settle(kept: DedupStore, cluster: dict[str, Any]) -> None:
    """Do what the operator does."""
    old: list[str] = []
    while (block := kept.next_block(SENSOR)) is not None:
        cluster[block["metadata"]["name"]] = block
        old += kept.put(block)
    for name in old:
        del cluster[name]


def test_blocks_grow_fill_up_and_are_read_again() -> None:
    kept, cluster = DedupStore([], {}), dict[str, Any]()
    for n, digest in enumerate(digests(0, 12)):
        kept.add(digest)
        kept.add(digest)
        settle(kept, cluster)
        assert list(cluster) == list(kept.blocks), n
        assert len(kept.latest) <= 2
    assert [len(read_block(block)) for block in cluster.values()] == [6, 6]
    again = DedupStore(kept.latest, {name: read_block(block) for name, block in cluster.items()})
    assert all(digest in again for digest in digests(0, 12))
    assert key_digest("12") not in again


def test_the_oldest_are_forgotten_when_there_is_no_room() -> None:
    kept, cluster = DedupStore([], {}), dict[str, Any]()
    for digest in digests(0, 20):
        kept.add(digest)
        settle(kept, cluster)
    assert len(cluster) == 2
    assert key_digest("0") not in kept
    assert all(digest in kept for digest in digests(12, 20))


def test_a_block_belongs_to_its_sensor_and_its_name_follows_from_what_it_holds() -> None:
    one, other = DedupStore(digests(0, 3), {}), DedupStore(digests(0, 3), {})
    block = one.next_block(SENSOR)
    assert block is not None
    assert block == other.next_block(SENSOR)
    assert block["immutable"] is True
    assert block["metadata"]["ownerReferences"][0]["uid"] == "u"
    assert DedupStore(digests(0, 2), {}).next_block(SENSOR) is None


def test_what_is_no_block() -> None:
    with pytest.raises(DefinitionError, match="the ConfigMap 'b' does not hold the data that the sensor wrote"):
        read_block({"metadata": {"name": "b"}, "data": {}})


@pytest.mark.parametrize("key", ["x" * 16, "0" * 15, "0" * 16 + "@2026-11-24T00:00:00Z", ""])
def test_keys_that_are_no_digests_are_told(key: str) -> None:
    """They ended each pass of their sensor with an error that nobody saw."""
    with pytest.raises(DefinitionError, match="delete the sensor and create it again"):
        DedupStore([*digests(0, 1), key], {})
