"""The commands for Jobs in a cluster."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.api import is_finished
from podgraph.cli.exits import HELP
from podgraph.cli.launch_command import add_launch
from podgraph.cli.options import (
    CancelOnExit,
    ConfigFiles,
    ConfigJson,
    File,
    Junit,
    Listed,
    Logs,
    Module,
    Name,
    OutputYaml,
    Seconds,
    Selection,
    Target,
    YamlOutput,
    on_cluster,
)
from podgraph.definition.errors import DefinitionError

__all__ = ["remote"]

remote = typer.Typer()


add_launch(remote)


@remote.command("rerun", epilog=HELP)
@on_cluster
def job_rerun(
    target: Target,
    name: Name,
    from_failure: Annotated[
        bool,
        typer.Option(
            "--from-failure", help="run the steps that did not succeed and those that depend on them (the default)"
        ),
    ] = False,
    everything: Annotated[bool, typer.Option("--all", help="run all steps")] = False,
    selection: Selection = "",
    new_name: Annotated[
        str, typer.Option("--name", help="name of the new Job; default: generated from the old name")
    ] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    waits: Annotated[bool, typer.Option("--wait", help="follow the Job until it is finished")] = False,
    logs: Logs = False,
    cancel_on_exit: CancelOnExit = False,
    junit: Junit = "",
    timeout: Seconds = 3600,
    output: YamlOutput = OutputYaml.TEXT,
) -> int:
    """Rerun steps of a finished Job in a new Job. Steps that do not run again take their outputs from the old Job.

    The run config overrides that of the old Job. The exit status is that of launch.
    """
    from podgraph.cli.execute import read_config_files
    from podgraph.cli.jobs import Waiting, create
    from podgraph.cli.rerun import one_way
    from podgraph.planning.job.rerun_manifest import rerun_manifest
    from podgraph.selection import split_clauses

    clauses = split_clauses(selection)
    one_way(from_failure, everything, clauses)
    run_config = read_config_files(config or [], config_json)
    cluster = target.open()
    wanted = rerun_manifest(cluster.get(name), everything, clauses, new_name, run_config)
    waiting = Waiting(timeout, logs, cancel_on_exit, junit) if waits or logs or cancel_on_exit or junit else None
    return create(cluster, wanted, waiting, output.value)


@remote.command("wait", epilog=HELP)
@on_cluster
def job_wait(
    target: Target,
    name: Name,
    timeout: Seconds = 3600,
    logs: Logs = False,
    cancel_on_exit: CancelOnExit = False,
    junit: Junit = "",
    output: YamlOutput = OutputYaml.TEXT,
) -> int:
    """Follow a Job in the cluster until it is finished."""
    from podgraph.cli.jobs import Waiting, wait

    return wait(target.open(), name, Waiting(timeout, logs, cancel_on_exit, junit), output.value)


@remote.command("get")
@on_cluster
def job_get(target: Target, name: Name, output: Listed = OutputYaml.TEXT) -> int:
    """Print a Job in the cluster and its steps as a tree."""
    from podgraph.cli.jobs import print_job

    print_job(target.open().get(name), output.value)
    return 0


@remote.command("logs", epilog=HELP)
@on_cluster
def job_logs(
    target: Target,
    name: Name,
    step: Annotated[str, typer.Option("--step", help="only the log of this step")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="follow the logs until the Job is finished")] = False,
) -> int:
    """Print the logs of a Job's steps, from their pods or, when the pods are gone, from the Job's storage.

    The storage keeps logs if spec.storage.logs is true. Standard error lists the logs that came from there and those
    that are lost. With --step, the logs of the pod's init containers come first. With --follow, the exit status is that
    of `job wait`.
    """
    from podgraph.cli.jobs import end_status
    from podgraph.cli.logs import print_logs

    job = print_logs(target.open(), name, step, follow)
    return end_status(job) if follow else 0


@remote.command("cancel")
@on_cluster
def job_cancel(target: Target, name: Name) -> int:
    """Cancel a Job in the cluster. Running steps are stopped, other steps do not start; the Job itself stays."""
    from podgraph.cli.tree import state_of

    cluster = target.open()
    job = cluster.get(name)
    if is_finished(job):
        raise DefinitionError("Finished", f"Job {name!r} is already finished: {state_of(job)}")
    cluster.change(name, {"cancel": True})
    return 0


@remote.command("delete")
@on_cluster
def job_delete(target: Target, name: Name) -> int:
    """Delete a Job in the cluster and its pods."""
    target.open().delete(name)
    return 0


@remote.command("list")
@on_cluster
def job_list(
    target: Target,
    file: File = None,
    module: Module = "",
    everywhere: Annotated[bool, typer.Option("--all-namespaces", "-A", help="list the Jobs in all namespaces")] = False,
    selector: Annotated[str, typer.Option("--selector", "-l", help="a label selector, as in kubectl")] = "",
    state: Annotated[
        str, typer.Option("--state", help="comma-separated states: Running, Succeeded, Failed, Refused, ...")
    ] = "",
    output: Listed = OutputYaml.TEXT,
) -> int:
    """List the jobs that a file or module defines, or without either, the Jobs in the cluster."""
    if file is None and not module:
        from podgraph.cli.jobs import in_states, print_jobs

        print_jobs(in_states(target.open().list(selector, everywhere), state), output.value, everywhere)
        return 0
    from podgraph.cli.files import code_ref, print_definitions

    given = {"--all-namespaces": everywhere, "--selector": selector, "--state": state}
    if wrong := [option for option, value in given.items() if value]:
        raise DefinitionError("InvalidOption", f"{wrong[0]} applies to Jobs in the cluster; omit the file or module")
    print_definitions(code_ref(file, module, ""), output.value)
    return 0
