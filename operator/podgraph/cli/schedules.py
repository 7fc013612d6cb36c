"""The commands below `podgraph schedule` and `podgraph sensor`."""

from __future__ import annotations

from typing import Annotated

import typer

from podgraph.cli.options import Output, Target, on_cluster

__all__ = ["schedule_app", "sensor_app"]

schedule_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
sensor_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="a JobSchedule in the cluster")]
SensorName = Annotated[str, typer.Argument(help="a JobSensor in the cluster")]
Listed = Annotated[Output, typer.Option("--output", help="json: a list of them")]
Got = Annotated[Output, typer.Option("--output", help="json: the object itself")]


@schedule_app.callback()
def _schedule() -> None:
    """Look at JobSchedules in a cluster, suspend and resume them, or make a Job of one by hand."""


@schedule_app.command("list")
@on_cluster
def schedule_list(target: Target, output: Listed = Output.TEXT) -> int:
    """Print the JobSchedules of the namespace."""
    from podgraph.cli.makers import Schedules, print_makers

    print_makers(target.of(Schedules), output.value)
    return 0


@schedule_app.command("get")
@on_cluster
def schedule_get(target: Target, name: Name, output: Got = Output.TEXT) -> int:
    """Print a JobSchedule and what became of its last ticks."""
    from podgraph.cli.makers import Schedules, print_maker

    print_maker(target.of(Schedules), name, output.value)
    return 0


@schedule_app.command("tick")
@on_cluster
def schedule_tick(
    target: Target,
    name: Name,
    at: Annotated[str, typer.Option("--at", help="the tick's time, as 2026-11-24T02:00:00Z; now when absent")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="print the Job of the next tick, checked by the cluster but not made")
    ] = False,
) -> int:
    """Make the Job of a tick by hand, beside those that the schedule makes, and print its name.

    It counts as one of the schedule's for its concurrency policy and history limits.
    """
    import time

    from podgraph.cli.makers import Schedules
    from podgraph.scheduling.by_hand import job_by_hand

    cluster = target.of(Schedules)
    job = job_by_hand(cluster.get(name), at, dry_run, time.time())
    if dry_run:
        import yaml

        cluster.try_job(job)
        typer.echo(yaml.safe_dump(job, sort_keys=False, allow_unicode=True), nl=False)
        return 0
    target.open().create(job)
    typer.echo(job["metadata"]["name"])
    return 0


@schedule_app.command("suspend")
@on_cluster
def schedule_suspend(target: Target, name: Name) -> int:
    """Suspend a JobSchedule: it makes no Jobs until it is resumed; those that run go on."""
    from podgraph.cli.makers import Schedules

    target.of(Schedules).change(name, {"suspend": True})
    return 0


@schedule_app.command("resume")
@on_cluster
def schedule_resume(target: Target, name: Name) -> int:
    """Resume a JobSchedule; ticks of the time that it was suspended are not made up for."""
    from podgraph.cli.makers import Schedules

    target.of(Schedules).change(name, {"suspend": False})
    return 0


@sensor_app.callback()
def _sensor() -> None:
    """Look at JobSensors in a cluster, suspend and resume them."""


@sensor_app.command("list")
@on_cluster
def sensor_list(target: Target, output: Listed = Output.TEXT) -> int:
    """Print the JobSensors of the namespace."""
    from podgraph.cli.makers import Sensors, print_makers

    print_makers(target.of(Sensors), output.value)
    return 0


@sensor_app.command("get")
@on_cluster
def sensor_get(target: Target, name: SensorName, output: Got = Output.TEXT) -> int:
    """Print a JobSensor and what it made Jobs for."""
    from podgraph.cli.makers import Sensors, print_maker

    print_maker(target.of(Sensors), name, output.value)
    return 0


@sensor_app.command("suspend")
@on_cluster
def sensor_suspend(target: Target, name: SensorName) -> int:
    """Suspend a JobSensor: it makes no Jobs until it is resumed; those that run go on."""
    from podgraph.cli.makers import Sensors

    target.of(Sensors).change(name, {"suspend": True})
    return 0


@sensor_app.command("resume")
@on_cluster
def sensor_resume(target: Target, name: SensorName) -> int:
    """Resume a JobSensor; it sees what came about while it was suspended."""
    from podgraph.cli.makers import Sensors

    target.of(Sensors).change(name, {"suspend": False})
    return 0
