"""What `import podgraph` gives, and what it does not import for that."""

from __future__ import annotations

import subprocess
import sys

import pytest

import podgraph
from unit.cli.running import environment


@pytest.mark.parametrize("name", podgraph.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(podgraph, name)
    assert value.__doc__


def test_a_name_it_has_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'asset'"):
        podgraph.asset  # noqa: B018


def test_defining_a_job_imports_nothing_that_only_a_run_needs() -> None:
    code = "import sys, podgraph; print([m for m in sys.modules if m.startswith(('podgraph.runtime', 'logging'))])"
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
