"""The commands below `podgraph definition` and their options."""

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
    """Make JobDefinitions in a cluster, and look at them; `podgraph job launch -d NAME` runs one."""


@definition_app.command("apply")
@on_cluster
def definition_apply(
    target: Target,
    file: File = None,
    module: Module = "",
    job: Job = "",
    image: Annotated[
        str, typer.Option("--image", help="the image to run it in; the operator's default when absent")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="of the JobDefinition; the job's name when absent")] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Selection = "",
    waits: Annotated[bool, typer.Option("--wait", help="until it is known whether it can be run")] = False,
    timeout: Seconds = 600,
) -> int:
    """Make a JobDefinition of a Python file, or change the one of this name; the file goes as it is.

    With it come the @schedules and @sensors of its job: suspended as their default_status says, or, when they are
    there already, as they are. The selection and run config are the defaults of its Jobs. Exit status: 0 when it was
    made (with --wait: can be run), 1 when it cannot be run, 2 when it is refused.
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
    output: Annotated[Output, typer.Option("--output", help="json: a list of them")] = Output.TEXT,
) -> int:
    """Print the JobDefinitions in the cluster."""

    from podgraph.cli.definitions import Definitions, print_definitions

    print_definitions(target.of(Definitions).list(), output.value)
    return 0


@definition_app.command("get")
@on_cluster
def definition_get(
    target: Target,
    name: Name,
    output: Annotated[Output, typer.Option("--output", help="json: the JobDefinition itself")] = Output.TEXT,
) -> int:
    """Print a JobDefinition's ops as a tree. Exit status 1 when it cannot be run; the reason is on standard error."""

    from podgraph.cli.definitions import Definitions, print_definition

    return print_definition(target.of(Definitions).get(name), output.value)


@definition_app.command("delete")
@on_cluster
def definition_delete(
    target: Target,
    name: Name,
) -> int:
    """Delete a JobDefinition; its Jobs stay, and those that have begun go on."""

    from podgraph.cli.definitions import Definitions

    target.of(Definitions).delete(name)
    return 0
