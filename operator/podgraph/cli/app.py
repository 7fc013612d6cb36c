"""The command line. Each command imports its implementation when it runs, so that --help is fast."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.exits import HELP
from podgraph.cli.local import local
from podgraph.cli.remote import remote
from podgraph.cli.schedules import schedule_app, sensor_app
from podgraph.cli.ui import ui
from podgraph.cli.version import print_version, version

__all__ = ["app"]

# Help is plain text: rich's Markdown is slower to import than everything else together.
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
job_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
job_app.add_typer(local)
job_app.add_typer(remote)
app.add_typer(job_app, name="job")
app.add_typer(schedule_app, name="schedule")
app.add_typer(sensor_app, name="sensor")
app.command("ui")(ui)
app.command("version")(version)


@app.callback(epilog=HELP)
def _root(
    is_version: Annotated[
        bool, typer.Option("--version", help="print the version and exit", is_eager=True, callback=print_version)
    ] = False,
) -> None:
    """Run jobs made of ops, with each step in a Kubernetes pod of its own."""


@job_app.callback()
def _job() -> None:
    """Run and inspect jobs, on this machine or in a cluster."""
