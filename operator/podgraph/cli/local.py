"""The commands that need no cluster: run a job locally, print its graph, a selection or its run config."""

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
    executor: Annotated[str, typer.Option("--executor", help="in_process or multiprocess; overrides run config")] = "",
    output: Annotated[Output, typer.Option("--output", help="json: a JSON document with the result")] = Output.TEXT,
) -> int:
    """Run a job on this machine, by default with each step in a process of its own.

    The file is Python code, or the manifest of a Job that contains Python code. Exit status: 0 succeeded; 1 a step
    failed; 2 the job, its config or the selection is refused, or wrong usage; 130 Ctrl-C (143 SIGTERM).
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
    """Print the names of the selected ops, one per line, in the order of their dependencies.

    If the file, the job or the selection is refused, print the reason on standard error and exit with 2.
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
    everything: Annotated[bool, typer.Option("--all", help="include optional fields with their defaults")] = False,
    as_schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema of run config instead")] = False,
) -> int:
    """Print example run config, as YAML, for the selected ops."""
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
