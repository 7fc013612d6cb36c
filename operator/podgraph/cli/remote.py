"""The commands about Jobs in a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.options import (
    ConfigFiles,
    ConfigJson,
    File,
    Job,
    Module,
    Name,
    Output,
    Seconds,
    Selection,
    Tags,
    Target,
    on_cluster,
)
from podgraph.definition.errors import DefinitionError

__all__ = ["remote"]

remote = typer.Typer()


@remote.command("launch")
@on_cluster
def job_launch(
    target: Target,
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
    tags: Tags = "",
    waits: Annotated[bool, typer.Option("--wait", help="follow it until it is finished")] = False,
    timeout: Seconds = 3600,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself")] = Output.TEXT,
) -> int:
    """Send a job to the cluster, where each step runs as a pod; the file goes as it is, no image is built.

    With --definition the cluster has the job already; what you set goes before what the definition does. A file that
    has @schedules or @sensors of the job brings them along, with a JobDefinition (as podgraph definition apply does).

    Exit status: 0 when the Job was made (with --wait: succeeded), 1 when it failed, 2 when it is refused.
    """
    from podgraph.cli.execute import read_config_files, read_tags
    from podgraph.cli.files import code_ref
    from podgraph.cli.jobs import create
    from podgraph.cli.launch import manifest
    from podgraph.selection import split_clauses

    run_config = read_config_files(config or [], config_json)
    clauses, run_tags = split_clauses(selection), read_tags(tags)
    if definition:
        from podgraph.cli.definitions import Definitions, job_of

        given = {"--file": file, "--module": module, "--job": job, "--image": image}
        if wrong := [option for option, value in given.items() if value]:
            raise DefinitionError("NoFile", f"--definition takes no {wrong[0]}; the definition says what to run")
        found = target.of(Definitions).get(definition)
        wanted = job_of(found, name, clauses, run_config, run_tags)
    else:
        from podgraph.cli.file_makers import launch_makers

        code = code_ref(file, module, job)
        wanted = manifest(code, image, name, clauses, run_config, run_tags)
        for line in launch_makers(target, code, image):
            typer.echo(line, err=True)
    return create(target.open(), wanted, waits, timeout, output.value)


@remote.command("rerun")
@on_cluster
def job_rerun(
    target: Target,
    name: Name,
    from_failure: Annotated[
        bool, typer.Option("--from-failure", help="what did not succeed, and what depends on it; the default")
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="all its steps")] = False,
    selection: Selection = "",
    new_name: Annotated[str, typer.Option("--name", help="of the new Job; made from the old one's when absent")] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    waits: Annotated[bool, typer.Option("--wait", help="follow it until it is finished")] = False,
    timeout: Seconds = 3600,
    output: Annotated[Output, typer.Option("--output", help="json: the new Job itself")] = Output.TEXT,
) -> int:
    """Run steps of a finished Job again, as a new Job; outputs of steps that are not run are taken from the old one.

    Run config is laid over that of the old Job. Exit status as of launch.
    """
    from podgraph.cli.execute import read_config_files
    from podgraph.cli.jobs import create
    from podgraph.cli.rerun import one_way
    from podgraph.planning.rerun_job import rerun_manifest
    from podgraph.selection import split_clauses

    clauses = split_clauses(selection)
    one_way(from_failure, everything, clauses)
    run_config = read_config_files(config or [], config_json)
    cluster = target.open()
    wanted = rerun_manifest(cluster.get(name), everything, clauses, new_name, run_config)
    return create(cluster, wanted, waits, timeout, output.value)


@remote.command("wait")
@on_cluster
def job_wait(
    target: Target,
    name: Name,
    timeout: Seconds = 3600,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself, at its end")] = Output.TEXT,
) -> int:
    """Follow a Job in the cluster until it is finished. Exit status: 0 when it succeeded, 1 when not."""
    from podgraph.cli.jobs import wait

    return wait(target.open(), name, timeout, output.value)


@remote.command("get")
@on_cluster
def job_get(
    target: Target,
    name: Name,
    output: Annotated[Output, typer.Option("--output", help="json: the Job itself")] = Output.TEXT,
) -> int:
    """Print a Job in the cluster, with its steps as a tree."""
    from podgraph.cli.jobs import print_job

    print_job(target.open().get(name), output.value)
    return 0


@remote.command("logs")
@on_cluster
def job_logs(
    target: Target,
    name: Name,
    step: Annotated[str, typer.Option("--step", help="of this step alone")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on until the Job is finished")] = False,
) -> int:
    """Print what the steps of a Job in the cluster printed: from their pods, and from its storage when those are gone.

    The storage has it with spec.storage.logs. Standard error says which logs came from there, and which are lost.
    """
    from podgraph.cli.logs import print_logs

    print_logs(target.open(), name, step, follow)
    return 0


@remote.command("cancel")
@on_cluster
def job_cancel(target: Target, name: Name) -> int:
    """Cancel a Job in the cluster: what runs is ended, what has not begun is not run; the Job and its state stay."""
    from podgraph.cli.follow import is_finished
    from podgraph.cli.tree import state_of

    cluster = target.open()
    job = cluster.get(name)
    if is_finished(job):
        raise DefinitionError("Finished", f"Job {name!r} is finished already: {state_of(job)}")
    cluster.change(name, {"cancel": True})
    return 0


@remote.command("delete")
@on_cluster
def job_delete(target: Target, name: Name) -> int:
    """Delete a Job in the cluster, and with it its pods."""
    target.open().delete(name)
    return 0


@remote.command("list")
@on_cluster
def job_list(
    target: Target,
    file: File = None,
    module: Module = "",
    output: Annotated[Output, typer.Option("--output", help="json: a list of them")] = Output.TEXT,
) -> int:
    """Print the jobs that a file or a module defines; without either, the Jobs in the cluster."""
    if file is None and not module:
        from podgraph.cli.jobs import print_jobs

        print_jobs(target.open().list(), output.value)
        return 0
    from podgraph.cli.files import code_ref, print_definitions

    print_definitions(code_ref(file, module, ""), output.value)
    return 0
