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
    image: Annotated[
        str, typer.Option("--image", help="the image to run it in; the operator's default when absent")
    ] = "",
    name: Annotated[str, typer.Option("--name", help="of the Job; made from the job's name when absent")] = "",
    definition: Annotated[
        str, typer.Option("--definition", "-d", help="a JobDefinition in the cluster, in place of a file")
    ] = "",
    config: ConfigFiles = None,
    config_json: ConfigJson = "",
    selection: Annotated[
        str,
        typer.Option(
            "--op-selection", "-o", help="clauses separated by commas: op, *op, op*, +op, op++, ...", autocompletion=ops
        ),
    ] = "",
    tags: Tags = "",
    execution: Annotated[str, typer.Option("--execution", help="PodPerStep, InProcess or Multiprocess")] = "",
    storage: Annotated[str, typer.Option("--storage", help="s3://, gs://, az:// URL, or the name of a claim")] = "",
    ttl: Annotated[
        str, typer.Option("--ttl", help="delete the finished Job after this: seconds, or as in 30m, 12h, 7d")
    ] = "",
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="NAME=value for all steps; may be repeated")
    ] = None,
    service_account: Annotated[str, typer.Option("--service-account", help="of the pods")] = "",
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="path=value: any field of the Job's spec, the value as YAML; may be repeated"),
    ] = None,
    waits: Annotated[bool, typer.Option("--wait", help="follow it until it is finished")] = False,
    logs: Logs = False,
    cancel_on_exit: CancelOnExit = False,
    junit: Junit = "",
    timeout: Seconds = 3600,
    output: YamlOutput = OutputYaml.TEXT,
) -> int:
    """Send a job to the cluster, where each step runs as a pod; the file goes as it is, no image is built.

    The file is Python code or the manifest of a Job. With --definition it is a Job of that JobDefinition, and the
    selection and run config are laid over its own. A Python file's @schedules and @sensors that run the job go with it,
    and the definition that they need. Without --wait it prints the Job's name on standard output.
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
            raise DefinitionError("NoFile", f"--definition takes no {wrong[0]}; the definition says what to run")
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
