"""The commands and their options. What they do is imported when they run, so that help is there at once."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from podgraph.definition.errors import DefinitionError

__all__ = ["app"]

REFUSED = 2

# Help is plain text: drawing it takes rich's Markdown, which is slower to import than all the rest together.
app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
job_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.add_typer(job_app, name="job")


class Output(enum.StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


File = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py")]
FileOrYaml = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py, or the YAML of a Job")]
Module = Annotated[str, typer.Option("--module", "-m", help="a module to import instead of a file")]
Job = Annotated[str, typer.Option("--job", "-j", help="which job, when there are several")]
Selection = Annotated[
    str, typer.Option("--op-selection", "-o", help="clauses separated by commas: op, *op, op*, +op, op++, ...")
]


ConfigFiles = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="run config as YAML; may be repeated, later files are laid over earlier"),
]
ConfigJson = Annotated[str, typer.Option("--config-json", help="run config as JSON, laid over the files")]
Namespace = Annotated[str, typer.Option("--namespace", "-n", help="default: that of the kubeconfig's context")]
Context = Annotated[str, typer.Option("--context", help="a context of the kubeconfig")]
Kubeconfig = Annotated[str, typer.Option("--kubeconfig", help="default: $KUBECONFIG, else ~/.kube/config")]
Name = Annotated[str, typer.Argument(help="a Job in the cluster")]
Seconds = Annotated[float, typer.Option("--timeout", min=0, help="seconds to wait at most")]


@app.callback()
def _root() -> None:
    """Jobs made of ops, each step its own Kubernetes pod."""


@job_app.callback()
def _job() -> None:
    """Run jobs on this machine or in a cluster, and look at them."""


@job_app.command("execute")
def job_execute(
    file: File = None,
    module: Module = "",
    job: Job = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Selection = "",
    tags: Annotated[str, typer.Option("--tags", help="key=value,key=value or a JSON object")] = "",
    executor: Annotated[
        str, typer.Option("--executor", help="in_process or multiprocess, whatever run config says")
    ] = "",
    output: Annotated[Output, typer.Option("--output", help="json: a document about the run")] = Output.TEXT,
) -> None:
    """Run a job on this machine, now; by default each step in a process of its own.

    Exit status: 0 when it succeeded, 1 when a step failed, 2 when the job, its config or the selection is refused,
    130 after Ctrl-C.
    """

    def run() -> int:
        from podgraph.cli.execute import execute
        from podgraph.cli.files import code_ref
        from podgraph.selection import split_clauses

        code = code_ref(file, module, job)
        return execute(code, config or [], config_json, split_clauses(selection), tags, executor, output.value)

    _do(run)


@job_app.command("launch")
def job_launch(
    file: File = None,
    module: Module = "",
    job: Job = "",
    image: Annotated[
        str, typer.Option("--image", help="the image to run it in; the operator's default when absent")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="of the Job; made from the job's name when absent")] = "",
    definition: Annotated[
        str, typer.Option("--definition", "-d", help="a JobDefinition in the cluster, in place of a file")
    ] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Selection = "",
    waits: Annotated[bool, typer.Option("--wait", help="follow it until it is finished")] = False,
    timeout: Seconds = 3600,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Send a job to the cluster, where each step runs as a pod; the file goes as it is, no image is built.

    With --definition the cluster has the job already; what you set goes before what the definition does.

    Exit status: 0 when the Job was made (with --wait: succeeded), 1 when it failed, 2 when it is refused.
    """

    def run() -> int:
        from podgraph.cli.cluster import Cluster
        from podgraph.cli.execute import read_config_files
        from podgraph.cli.files import code_ref
        from podgraph.cli.jobs import print_job, wait
        from podgraph.cli.launch import manifest
        from podgraph.selection import split_clauses

        run_config = read_config_files(config or [], config_json)
        if definition:
            from podgraph.cli.definitions import Definitions, job_of

            given = {"--file": file, "--module": module, "--job": job, "--image": image}
            if wrong := [option for option, value in given.items() if value]:
                raise DefinitionError("NoFile", f"--definition takes no {wrong[0]}; the definition says what to run")
            found = Definitions(namespace, context, kubeconfig).get(definition)
            wanted = job_of(found, name, split_clauses(selection), run_config)
        else:
            wanted = manifest(code_ref(file, module, job), image, name, split_clauses(selection), run_config)
        cluster = Cluster(namespace, context, kubeconfig)
        made = cluster.create(wanted)
        if waits:
            return wait(cluster, made["metadata"]["name"], timeout, output.value)
        print_job(made, output.value, tree=False)
        if output is Output.TEXT:
            typer.echo(made["metadata"]["name"])
        return 0

    _do(run)


@job_app.command("wait")
def job_wait(
    name: Name,
    timeout: Seconds = 3600,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself, at its end")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Follow a Job in the cluster until it is finished. Exit status: 0 when it succeeded, 1 when not."""

    def run() -> int:
        from podgraph.cli.cluster import Cluster
        from podgraph.cli.jobs import wait

        return wait(Cluster(namespace, context, kubeconfig), name, timeout, output.value)

    _do(run)


@job_app.command("get")
def job_get(
    name: Name,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print a Job in the cluster, with its steps as a tree."""

    def run() -> int:
        from podgraph.cli.cluster import Cluster
        from podgraph.cli.jobs import print_job

        print_job(Cluster(namespace, context, kubeconfig).get(name), output.value)
        return 0

    _do(run)


@job_app.command("logs")
def job_logs(
    name: Name,
    step: Annotated[str, typer.Option("--step", help="of this step alone")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until the Job is finished")] = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print what the steps of a Job in the cluster printed."""

    def run() -> int:
        from podgraph.cli.cluster import Cluster
        from podgraph.cli.jobs import print_logs

        print_logs(Cluster(namespace, context, kubeconfig), name, step, follow)
        return 0

    _do(run)


@job_app.command("cancel")
def job_cancel(name: Name, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = "") -> None:
    """Cancel a Job in the cluster: what runs is ended, what has not begun is not run; the Job and its state stay."""

    def run() -> int:
        from podgraph.cli.cluster import Cluster
        from podgraph.cli.follow import is_finished
        from podgraph.cli.tree import state_of

        cluster = Cluster(namespace, context, kubeconfig)
        job = cluster.get(name)
        if is_finished(job):
            raise DefinitionError("Finished", f"Job {name!r} is finished already: {state_of(job)}")
        cluster.change(name, {"cancel": True})
        return 0

    _do(run)


@job_app.command("delete")
def job_delete(name: Name, namespace: Namespace = "", context: Context = "", kubeconfig: Kubeconfig = "") -> None:
    """Delete a Job in the cluster, and with it its pods."""

    def run() -> int:
        from podgraph.cli.cluster import Cluster

        Cluster(namespace, context, kubeconfig).delete(name)
        return 0

    _do(run)


@job_app.command("list")
def job_list(
    file: File = None,
    module: Module = "",
    output: Annotated[Output, typer.Option("--output", help="json: a list of them")] = Output.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print the jobs that a file or a module defines; without either, the Jobs in the cluster."""

    def run() -> int:
        if file is None and not module:
            from podgraph.cli.cluster import Cluster
            from podgraph.cli.jobs import print_jobs

            print_jobs(Cluster(namespace, context, kubeconfig).list(), output.value)
            return 0
        from podgraph.cli.files import code_ref, print_definitions

        print_definitions(code_ref(file, module, ""), output.value)
        return 0

    _do(run)


@job_app.command("print")
def job_print(
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    as_mermaid: Annotated[bool, typer.Option("--mermaid", help="as a Mermaid flowchart")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="as JSON, as the operator reads it")] = False,
) -> None:
    """Print a job's graph as a tree."""

    def run() -> int:
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

    _do(run)


@job_app.command("select")
def job_select(
    file: FileOrYaml = None,
    selection: Selection = "",
    module: Module = "",
    job: Job = "",
) -> None:
    """Print the names of the selected ops, one a line, each behind all it waits for.

    Exit status 2 when the file, the job or the selection is refused; the reason is on standard error.
    """

    def run() -> int:
        from podgraph.cli.files import graph_of
        from podgraph.selection import select, split_clauses

        for name in select(graph_of(file, module, job), split_clauses(selection)):
            typer.echo(name)
        return 0

    _do(run)


@job_app.command("scaffold-config")
def job_scaffold_config(
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    selection: Selection = "",
    everything: Annotated[bool, typer.Option("--all", help="also what may be left out, with its defaults")] = False,
    as_schema: Annotated[bool, typer.Option("--schema", help="print the JSON Schema of run config instead")] = False,
) -> None:
    """Print run config, as YAML, that has an example of all that the selected ops need."""

    def run() -> int:
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

    _do(run)


def _do(run: Callable[[], int]) -> None:
    """Run a command; what a person did wrong is told in a sentence, with exit status 2."""
    try:
        status = run()
    except DefinitionError as error:
        _tell(error)
        raise typer.Exit(REFUSED) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    if status:
        raise typer.Exit(status)


def _tell(error: DefinitionError) -> None:
    problems = getattr(error, "problems", ())
    if len(problems) < 2:
        typer.echo(f"error: {error.message}", err=True)
        return
    import json

    typer.echo(f"error: run config has {len(problems)} problems:", err=True)
    for problem in problems:
        typer.echo(f"  {problem.message}", err=True)
    if example := getattr(error, "example", None):
        typer.echo(f"for example: {json.dumps(example, ensure_ascii=False)}", err=True)
