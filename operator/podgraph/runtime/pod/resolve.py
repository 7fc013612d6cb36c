"""Reports the graph of the user's code without running an op."""

from __future__ import annotations

from podgraph.definition.jobs import JobDefinition
from podgraph.protocol.graph_codec import GRAPH_MARK, _digest, pack
from podgraph.protocol.signing import Signer
from podgraph.protocol.step import Assignment, Record

__all__ = ["resolve"]

_MAX_IN_RECORD = 3_072
_LINE = 8_000


def resolve(job: JobDefinition, assignment: Assignment, key: bytes = b"") -> tuple[Record, list[str]]:
    """Return the record with the graph of the job, and lines for the log of the pod if the graph does not fit into it.

    A termination message has at most 4,096 bytes. A longer graph goes to standard output in lines that are signed with
    the key, and the record holds its digest.
    """
    packed = pack(job.graph)
    if len(packed) <= _MAX_IN_RECORD:
        return Record(assignment.nonce, "Succeeded", graph=packed), []
    parts = [packed[at : at + _LINE] for at in range(0, len(packed), _LINE)]
    signer = Signer(assignment.nonce, key)
    lines = [signer.line(GRAPH_MARK, f"{at} {part}") for at, part in enumerate(parts)]
    return Record(assignment.nonce, "Succeeded", graph_digest=_digest(packed)), lines
