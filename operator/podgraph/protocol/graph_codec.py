"""The packed graph that a resolve pod reports: deflated JSON in its record, or in lines of its log."""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Iterable

from podgraph.definition.errors import DefinitionError
from podgraph.definition.graph import Graph
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import LINE_MARK, Record

__all__ = ["GRAPH_MARK", "MAX_GRAPH", "deflate", "from_log", "inflate", "pack", "unpack"]

GRAPH_MARK = f"{LINE_MARK}graph "

MAX_GRAPH = 16 * 1024 * 1024
"""Most bytes of JSON a graph may unpack to: a bound against a text that unpacks to far more than it is."""


def from_log(record: Record, lines: Iterable[str], key: bytes = b"") -> str:
    """Return the packed graph that :func:`resolve` left in a log, signed with the key.

    Raises DefinitionError (`InvalidGraph`) when the log does not hold it whole.
    """
    signer, parts = Signer(record.nonce, key), dict[int, str]()
    for line in lines:
        text = signer.read(GRAPH_MARK, line)
        if text is not None:
            at, _, part = text.partition(" ")
            if at.isdecimal() and len(at) < 6:  # the user's code may sign what it likes
                parts[int(at)] = part
    packed = "".join(parts[at] for at in sorted(parts))
    if _digest(packed) != record.graph_digest:
        raise DefinitionError("InvalidGraph", "the graph in the resolve pod's log is not whole")
    return packed


def pack(graph: Graph) -> str:
    """Return the graph's JSON, deflated, as base64 text."""
    return deflate(graph.to_json())


def deflate(text: str) -> str:
    """Return a text deflated, as base64."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(packed: str) -> Graph:
    """Read :func:`pack`'s text and check the graph in it. Raises DefinitionError (`InvalidGraph` and others)."""
    return Graph.from_json(inflate(packed))


def inflate(packed: str) -> str:
    """Read :func:`deflate`'s text. Raises DefinitionError (`InvalidGraph`)."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(base64.b64decode(packed, validate=True), MAX_GRAPH)
        if inflate.unconsumed_tail:
            raise DefinitionError("InvalidGraph", f"the graph unpacks to more than {MAX_GRAPH:,} bytes")
        if not inflate.eof:
            raise DefinitionError("InvalidGraph", "the graph cannot be unpacked: it is not whole")
        return data.decode()
    except (ValueError, zlib.error) as error:
        raise DefinitionError("InvalidGraph", f"the graph cannot be unpacked: {error}") from None


def _digest(packed: str) -> str:
    return hashlib.sha256(packed.encode()).hexdigest()
