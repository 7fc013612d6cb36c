"""What holds for all tests."""

from __future__ import annotations

from hypothesis import settings

# The same examples each time, and no time limit for one: a busy machine is no failure.
settings.register_profile("podgraph", deadline=None, derandomize=True)
settings.load_profile("podgraph")
