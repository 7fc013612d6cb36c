"""The command line, `podgraph`, which is also `kubectl podgraph`."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["main"]


def main() -> None:
    """Run the command line, or explain how to install it when its dependencies are missing."""
    try:
        from podgraph.cli.app import app
        from podgraph.cli.definition_app import definition_app

        app.add_typer(definition_app, name="definition")
        # As a kubectl plugin (`kubectl podgraph`) the script has another name.
        app(prog_name="kubectl podgraph" if Path(sys.argv[0]).name.startswith("kubectl-") else None)
    except KeyboardInterrupt:  # before a command has started
        sys.exit(130)
    except ModuleNotFoundError as error:
        if error.name not in ("typer", "yaml", "rich"):
            raise
        sys.exit(f"error: the command line requires {error.name!r}; install it with: pip install 'podgraph[cli]'")
