"""The words of a pod's direct link to the operator."""

from __future__ import annotations

__all__ = ["GOODBYE", "MAX_LINE"]

GOODBYE = "::podgraph-end"
"""What a pod says last; a link that ends without it broke."""
MAX_LINE = 64 * 1024
"""Most bytes of a line that the operator takes."""
