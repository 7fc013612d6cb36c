"""The commands below `podgraph definition` and their options."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.app import (
    ConfigFiles,
    ConfigJson,
    Context,
    File,
    Job,
    Kubeconfig,
    Module,
    Namespace,
    Output,
    Seconds,
    Selection,
    _do,
)

__all__ = ["definition_app"]

definition_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="a JobDefinition in the cluster")]


@definition_app.callback()
def _definition() -> None:
    """Make JobDefinitions in a cluster, and look at them; `podgraph job launch -d NAME` runs one."""


@definition_app.command("apply")
def definition_apply(
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
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Make a JobDefinition of a Python file, or change the one of this name; the file goes as it is.

    The selection and run config are the defaults of its Jobs. Exit status: 0 when it was made (with --wait: can be
    run), 1 when it cannot be run, 2 when it is refused.
    """

    def run() -> int:
        from podgraph.cli.definitions import Definitions, definition_of, print_definition, wait_resolved
        from podgraph.cli.execute import read_config_files
        from podgraph.cli.files import code_ref
        from podgraph.selection import split_clauses

        run_config = read_config_files(config or [], config_json)
        wanted = definition_of(code_ref(file, module, job), image, name, split_clauses(selection), run_config)
        cluster = Definitions(namespace, context, kubeconfig)
        made, done = cluster.apply(wanted)
        typer.echo(f"{made['metadata']['name']} {done}")
        if waits:
            return print_definition(wait_resolved(cluster, made["metadata"]["name"], timeout), "text")
        return 0

    _do(run)


@definition_app.command("list")
def definition_list(
    output: Annotated[Output, typer.Option("--output", help="json: a list of them")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print the JobDefinitions in the cluster."""

    def run() -> int:
        from podgraph.cli.definitions import Definitions, print_definitions

        print_definitions(Definitions(namespace, context, kubeconfig).list(), output.value)
        return 0

    _do(run)


@definition_app.command("get")
def definition_get(
    name: Name,
    output: Annotated[Output, typer.Option("--output", help="json: the JobDefinition itself")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print a JobDefinition's ops as a tree. Exit status 1 when it cannot be run; the reason is on standard error."""

    def run() -> int:
        from podgraph.cli.definitions import Definitions, print_definition

        return print_definition(Definitions(namespace, context, kubeconfig).get(name), output.value)

    _do(run)


@definition_app.command("delete")
def definition_delete(
    name: Name, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = ""
) -> None:
    """Delete a JobDefinition; its Jobs stay, and those that have begun go on."""

    def run() -> int:
        from podgraph.cli.definitions import Definitions

        Definitions(namespace, context, kubeconfig).delete(name)
        return 0

    _do(run)
