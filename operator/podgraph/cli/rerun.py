"""`podgraph job rerun`: which steps run again."""

from __future__ import annotations

from collections.abc import Sequence

from podgraph.definition.errors import DefinitionError

__all__ = ["one_way"]


def one_way(from_failure: bool, everything: bool, selection: Sequence[str]) -> None:
    """Refuse more than one of the ways to say what is run again."""
    if from_failure + everything + bool(selection) > 1:
        raise DefinitionError(
            "InvalidOptions", "only one of --from-failure (the default), --all and --op-selection may be given"
        )
