"""The packed graph of a resolve pod: deflated JSON in its record, or in lines of its log."""

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
"""Maximum size of an unpacked graph, in bytes of JSON; a bound against decompression bombs."""


def from_log(record: Record, lines: Iterable[str], key: bytes = b"") -> str:
    """Return the packed graph that :func:`resolve` wrote to a log, signed with the key.

    Raises DefinitionError (`InvalidGraph`) if the log does not contain the complete graph.
    """
    signer, parts = Signer(record.nonce, key), dict[int, str]()
    for line in lines:
        text = signer.read(GRAPH_MARK, line)
        if text is not None:
            at, _, part = text.partition(" ")
            if at.isdecimal() and len(at) < 6:  # the user's code can sign any text
                parts[int(at)] = part
    packed = "".join(parts[at] for at in sorted(parts))
    if _digest(packed) != record.graph_digest:
        raise DefinitionError("InvalidGraph", "the graph in the resolve pod's log is not complete")
    return packed


def pack(graph: Graph) -> str:
    """Return the graph's JSON, deflated, as base64 text."""
    return deflate(graph.to_json())


def deflate(text: str) -> str:
    """Return a text, deflated, as base64 text."""
    return base64.b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(packed: str) -> Graph:
    """Read the text of :func:`pack` and check the graph. Raises DefinitionError (`InvalidGraph` and others)."""
    return Graph.from_json(inflate(packed))


def inflate(packed: str) -> str:
    """Read the text of :func:`deflate`. Raises DefinitionError (`InvalidGraph`)."""
    inflate = zlib.decompressobj()
    try:
        data = inflate.decompress(base64.b64decode(packed, validate=True), MAX_GRAPH)
        if inflate.unconsumed_tail:
            raise DefinitionError("InvalidGraph", f"the graph unpacks to more than {MAX_GRAPH:,} bytes")
        if not inflate.eof:
            raise DefinitionError("InvalidGraph", "the graph cannot be unpacked: it is not complete")
        return data.decode()
    except (ValueError, zlib.error) as error:
        raise DefinitionError("InvalidGraph", f"the graph cannot be unpacked: {error}") from None


def _digest(packed: str) -> str:
    return hashlib.sha256(packed.encode()).hexdigest()
