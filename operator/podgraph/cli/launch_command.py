"""`podgraph job launch` and its options."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from podgraph.cli.complete import ops
from podgraph.cli.exits import HELP
from podgraph.cli.options import (
    CancelOnExit,
    ConfigFiles,
    ConfigJson,
    FileOrYaml,
    Job,
    Junit,
    Logs,
    Module,
    OutputYaml,
    Seconds,
    Tags,
    Target,
    YamlOutput,
    on_cluster,
)
from podgraph.definition.errors import DefinitionError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podgraph.cli.overlay import Overlay

__all__ = ["add_launch"]


def add_launch(app: typer.Typer) -> None:
    """Add the command."""
    app.command("launch", epilog=HELP)(job_launch)


@on_cluster
def job_launch(
    target: Target,
    file: FileOrYaml = None,
    module: Module = "",
    job: Job = "",
    image: Annotated[str, typer.Option("--image", help="the container image; default: the operator's step image")] = "",
    name: Annotated[str, typer.Option("--name", help="name of the Job; default: generated from the job's name")] = "",
    definition: Annotated[
        str, typer.Option("--definition", "-d", help="run a JobDefinition in the cluster instead of a file")
    ] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Annotated[
        str,
        typer.Option(
            "--op-selection", "-o", help="comma-separated clauses: op, *op, op*, +op, op++, ...", autocompletion=ops
        ),
    ] = "",
    tags: Tags = "",
    execution: Annotated[str, typer.Option("--execution", help="PodPerStep, InProcess or Multiprocess")] = "",
    storage: Annotated[
        str, typer.Option("--storage", help="s3://, gs:// or az:// URL, or the name of a PersistentVolumeClaim")
    ] = "",
    ttl: Annotated[
        str, typer.Option("--ttl", help="delete the Job this long after it finished: seconds, or 30m, 12h, 7d")
    ] = "",
    env: Annotated[
        list[str] | None,
        typer.Option("--env", "-e", help="NAME=value, an environment variable for all steps; repeatable"),
    ] = None,
    service_account: Annotated[str, typer.Option("--service-account", help="the service account of the pods")] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="path=value: set any field of the Job's spec, the value as YAML; repeatable"),
    ] = None,
    waits: Annotated[bool, typer.Option("--wait", help="follow the Job until it is finished")] = False,
    logs: Logs = False,
    cancel_on_exit: CancelOnExit = False,
    junit: Junit = "",
    timeout: Seconds = 3600,
    output: YamlOutput = OutputYaml.TEXT,
) -> int:
    """Run a job in a cluster, with each step in a pod of its own. No image is built.

    The file is Python code or the manifest of a Job. With --definition, the Job runs that JobDefinition; the selection
    and run config override those of the definition. The @schedules and @sensors of the job in a Python file are
    applied too, with the definition that they need. Without --wait, the Job's name is printed on standard output.
    """
    from podgraph.cli.execute import read_config_files, read_tags
    from podgraph.cli.jobs import Waiting, create
    from podgraph.cli.overlay import Overlay
    from podgraph.selection import split_clauses

    run_config, run_tags, clauses = (
        read_config_files(config or [], config_json),
        read_tags(tags),
        split_clauses(selection),
    )
    overlay = Overlay(sets or (), execution, storage, ttl, env or (), service_account)
    if definition:
        given = {"--file": file, "--module": module, "--job": job, "--image": image}
        if wrong := [option for option, value in given.items() if value]:
            raise DefinitionError(
                "NoFile", f"--definition cannot be used with {wrong[0]}; the definition provides the code"
            )
        wanted = _of_definition(target, definition, name, clauses, run_config, run_tags, overlay)
    else:
        target, wanted = _of_file(target, file, module, job, name, image, clauses, run_config, run_tags, overlay)
    waiting = Waiting(timeout, logs, cancel_on_exit, junit) if waits or logs or cancel_on_exit or junit else None
    return create(target.open(), wanted, waiting, output.value)


def _of_definition(
    target: Target, definition: str, name: str, clauses: Sequence[str], run_config: dict[str, Any],
    tags: dict[str, str], overlay: Overlay,
) -> dict[str, Any]:  # fmt: skip
    from podgraph.cli.definitions import Definitions, job_of

    wanted = job_of(target.of(Definitions).get(definition), name, clauses, run_config, tags)
    return {**wanted, "spec": overlay.over(wanted["spec"])}


def _of_file(
    target: Target, file: Path | None, module: str, job: str, name: str, image: str, clauses: Sequence[str],
    run_config: dict[str, Any], tags: dict[str, str], overlay: Overlay,
) -> tuple[Target, dict[str, Any]]:  # fmt: skip
    from podgraph.cli.manifests import is_manifest, job_of_manifest

    if file is not None and is_manifest(file) and not module:
        wanted = job_of_manifest(file, job, name, image, clauses, run_config, tags)
        if not target.namespace:
            target = dataclasses.replace(target, namespace=str(wanted["metadata"].get("namespace") or ""))
        wanted["metadata"] = {key: value for key, value in wanted["metadata"].items() if key != "namespace"}
        return target, {**wanted, "spec": overlay.over(wanted["spec"])}
    from podgraph.cli.file_automations import launch_makers
    from podgraph.cli.files import code_ref
    from podgraph.cli.launch import manifest

    code = code_ref(file, module, job)
    wanted = manifest(code, image, name, clauses, run_config, tags)
    wanted["spec"] = overlay.over(wanted["spec"])
    for line in launch_makers(target, code, image):
        typer.echo(line, err=True)
    return target, wanted
