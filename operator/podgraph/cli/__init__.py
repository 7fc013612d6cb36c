"""The command line, `podgraph`, which is also `kubectl podgraph`."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run the command line. Without its extra installed, say how to install it."""
    try:
        from podgraph.cli.app import app
        from podgraph.cli.definition_app import definition_app

        app.add_typer(definition_app, name="definition")
        # As a plugin of kubectl (`kubectl podgraph`) it is a script of another name.
        app(prog_name="kubectl podgraph" if Path(sys.argv[0]).name.startswith("kubectl-") else None)
    except KeyboardInterrupt:  # before a command has begun
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "yaml", "rich"):
            raise
        sys.exit(f"error: the command line needs {error.name!r}; install it with: pip install 'podgraph[cli]'")
