"""The commands that need no cluster: run a job here, look at its graph, its selections and its run config."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.options import (
    ConfigFiles,
    ConfigJson,
    FileOrYaml,
    Job,
    Module,
    Output,
    Selection,
    Tags,
    command,
)

__all__ = ["local"]

local = typer.Typer()


@local.command("execute")
@command
def job_execute(
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Selection = "",
    tags: Tags = "",
    executor: Annotated[
        str, typer.Option("--executor", help="in_process or multiprocess, whatever run config says")
    ] = "",
    output: Annotated[Output, typer.Option("--output", help="json: a document about the run")] = Output.TEXT,
) -> int:
    """Run a job on this machine, now; by default each step in a process of its own.

    The file is Python code, or the manifest of a Job with Python code in it. Exit status: 0 succeeded; 1 a step failed;
    2 the job, its config or the selection is refused, or wrong usage; 130 Ctrl-C (143 SIGTERM).
    """
    from podgraph.cli.execute import execute
    from podgraph.cli.files import code_ref
    from podgraph.cli.manifests import is_manifest, local_job
    from podgraph.selection import split_clauses

    clauses = split_clauses(selection)
    if is_manifest(file) and not module:
        assert file is not None
        with local_job(file, job) as found:
            return execute(
                found.code, config or [], config_json, clauses or found.selection, tags, executor, output.value, found
            )
    code = code_ref(file, module, job)
    return execute(code, config or [], config_json, clauses, tags, executor, output.value)


@local.command("print")
@command
def job_print(
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="as a Mermaid flowchart")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, as the operator reads it")] = False,
) -> int:
    """Print a job's graph as a tree."""
    from podgraph.cli.files import graph_of
    from podgraph.cli.graphs import mermaid, print_tree

    graph = graph_of(file, module, job)
    if as_mermaid:
        typer.echo(mermaid(graph))
    elif as_json:
        typer.echo(graph.to_json())
    else:
        print_tree(graph)
    return 0


@local.command("select")
@command
def job_select(
    file: FileOrYaml = None,
    selection: Selection = "",
    module: Module = "",
    job: Job = "",
) -> int:
    """Print the names of the selected ops, one a line, each behind all it waits for.

    Exit status 2 when the file, the job or the selection is refused; the reason is on standard error.
    """
    from podgraph.cli.files import graph_of
    from podgraph.selection import select, split_clauses

    for name in select(graph_of(file, module, job), split_clauses(selection)):
        typer.echo(name)
    return 0


@local.command("scaffold-config")
@command
def job_scaffold_config(
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    selection: Selection = "",
    everything: Annotated[bool, typer.Option("--all", help="also what may be left out, with its defaults")] = False,
    as_schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema of run config instead")] = False,
) -> int:
    """Print run config, as YAML, that has an example of all that the selected ops need."""
    import json

    from podgraph.cli.files import graph_of, scaffold
    from podgraph.run_config.schema import run_config_schema
    from podgraph.selection import select, split_clauses

    graph = graph_of(file, module, job)
    selected = select(graph, split_clauses(selection))
    if as_schema:
        typer.echo(json.dumps(run_config_schema(graph, selected), ensure_ascii=False, indent=2))
    else:
        typer.echo(scaffold(graph, selected, everything), nl=False)
    return 0
