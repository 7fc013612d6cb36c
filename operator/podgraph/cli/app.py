"""The commands and their options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from podgraph.cli.files import graph_of_file
from podgraph.definition.errors import DefinitionError
from podgraph.selection import select, split_clauses

__all__ = ["app"]

app = typer.Typer(
    no_args_is_help=True, add_completion=False, help="Jobs made of ops, each step its own Kubernetes pod."
)
job_app = typer.Typer(no_args_is_help=True, help="Work with jobs.")
app.add_typer(job_app, name="job")


@app.callback()
def _root() -> None:
    """Jobs made of ops, each step its own Kubernetes pod."""


@job_app.callback()
def _job() -> None:
    """Work with jobs."""


@job_app.command("select")
def job_select(
    file: Annotated[Path, typer.Option("--file", "-f", help="my_job.py, or the YAML of a Job")],
    selection: Annotated[
        str, typer.Option("--op-selection", "-o", help="clauses separated by commas: op, *op, op*, +op, op++, ...")
    ] = "",
    job: Annotated[str, typer.Option("--job", "-j", help="which job, when the file has several")] = "",
) -> None:
    """Print the names of the selected ops, one a line, each behind all it waits for.

    Exit status 2 when the file, the job or the selection is refused; the reason is on standard error.
    """
    try:
        names = select(graph_of_file(file, job), split_clauses(selection))
    except DefinitionError as error:
        typer.echo(f"error: {error.message}", err=True)
        raise typer.Exit(2) from None
    for name in names:
        typer.echo(name)
