"""The OpenAPI document of the page's API. `python3 -m podgraph.server.document` prints it for the page's types."""

from __future__ import annotations

import json
import sys

from podgraph.server.app import create_app
from podgraph.server.state import State

__all__ = ["document"]


def document() -> str:
    """Return the document as JSON text, without a cluster."""
    unused: State = None  # type: ignore[assignment]  # nothing is asked of it before the server runs
    found = create_app(unused).openapi()
    found["info"]["version"] = "v1alpha1"  # the version of the API, independent of podgraph's releases
    return json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


if __name__ == "__main__":
    sys.stdout.write(document())
