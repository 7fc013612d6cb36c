"""The subcommands of `podgraph definition` and their options."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.complete import definition_names
from podgraph.cli.options import (
    ConfigFiles,
    ConfigJson,
    File,
    Job,
    Module,
    Output,
    Seconds,
    Selection,
    Target,
    on_cluster,
)

__all__ = ["definition_app"]

definition_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="a JobDefinition in the cluster", autocompletion=definition_names)]


@definition_app.callback()
def _definition() -> None:
    """Create and inspect JobDefinitions in a cluster; `podgraph job launch -d NAME` runs one."""


@definition_app.command("apply")
@on_cluster
def definition_apply(
    target: Target,
    file: File = None,
    module: Module = "",
    job: Job = "",
    image: Annotated[str, typer.Option("--image", help="the container image; default: the operator's step image")] = "",
    name: Annotated[str, typer.Option("--name", help="name of the JobDefinition; default: the job's name")] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Selection = "",
    waits: Annotated[bool, typer.Option("--wait", help="wait until the definition is ready or invalid")] = False,
    timeout: Seconds = 600,
) -> int:
    """Create or update a JobDefinition from a Python file.

    Also creates or updates the @schedules and @sensors of its job. New ones are suspended as their default_status
    says; existing ones keep their state. The selection and run config become the defaults of its Jobs. Exit status:
    0 when it was applied (with --wait: is ready), 1 when it is not ready, 2 when it is refused.
    """

    from podgraph.cli.definitions import Definitions, definition_of, print_definition, wait_resolved
    from podgraph.cli.execute import read_config_files
    from podgraph.cli.file_automations import apply_makers, makers_of
    from podgraph.cli.files import code_ref
    from podgraph.selection import split_clauses

    run_config = read_config_files(config or [], config_json)
    code = code_ref(file, module, job)
    wanted = definition_of(code, image, name, split_clauses(selection), run_config)
    makers = makers_of(code, wanted["metadata"]["name"])
    cluster = target.of(Definitions)
    made, done = cluster.apply(wanted)
    typer.echo(f"{made['metadata']['name']} {done}")
    for line in apply_makers(target, makers):
        typer.echo(line)
    if waits:
        return print_definition(wait_resolved(cluster, made["metadata"]["name"], timeout), "text")
    return 0


@definition_app.command("list")
@on_cluster
def definition_list(
    target: Target,
    output: Annotated[Output, typer.Option("--output", help="json: a list of the objects")] = Output.TEXT,
) -> int:
    """List the JobDefinitions in the cluster."""

    from podgraph.cli.definitions import Definitions, print_definitions

    print_definitions(target.of(Definitions).list(), output.value)
    return 0


@definition_app.command("get")
@on_cluster
def definition_get(
    target: Target,
    name: Name,
    output: Annotated[Output, typer.Option("--output", help="json: the whole JobDefinition")] = Output.TEXT,
) -> int:
    """Print a JobDefinition's ops as a tree. If it is not ready, print why on standard error and exit with 1."""

    from podgraph.cli.definitions import Definitions, print_definition

    return print_definition(target.of(Definitions).get(name), output.value)


@definition_app.command("delete")
@on_cluster
def definition_delete(
    target: Target,
    name: Name,
) -> int:
    """Delete a JobDefinition. Its Jobs stay, and running Jobs continue."""

    from podgraph.cli.definitions import Definitions

    target.of(Definitions).delete(name)
    return 0
