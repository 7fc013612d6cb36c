"""`podgraph job rerun`: which steps to run again."""

from __future__ import annotations

from collections.abc import Sequence

from podgraph.definition.errors import DefinitionError

__all__ = ["one_way"]


def one_way(from_failure: bool, everything: bool, selection: Sequence[str]) -> None:
    """Raise DefinitionError if more than one choice of steps is given."""
    if from_failure + everything + bool(selection) > 1:
        raise DefinitionError(
            "InvalidOptions", "--from-failure (the default), --all and --op-selection are mutually exclusive"
        )
