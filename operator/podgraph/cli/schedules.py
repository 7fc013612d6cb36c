"""The subcommands of `podgraph schedule` and `podgraph sensor`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated

import typer

from podgraph.cli.options import Output, Seconds, Target, on_cluster

if TYPE_CHECKING:
    from podgraph.cli.automations import Schedules, Sensors

__all__ = ["schedule_app", "sensor_app"]

schedule_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
sensor_app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(help="the name in the cluster")]
Listed = Annotated[Output, typer.Option("--output", help="json: a list of the objects")]
Got = Annotated[Output, typer.Option("--output", help="json: the whole object")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the Jobs that would be created, and create none")]


@schedule_app.callback()
def _schedule() -> None:
    """Inspect, suspend and resume JobSchedules in a cluster, or tick one manually."""


@sensor_app.callback()
def _sensor() -> None:
    """Inspect, suspend and resume JobSensors in a cluster, or do a dry run of one."""


def _schedules() -> type[Schedules]:
    from podgraph.cli.automations import Schedules

    return Schedules


def _sensors() -> type[Sensors]:
    from podgraph.cli.automations import Sensors

    return Sensors


def _commands(app: typer.Typer, kind: Callable[[], type[Schedules | Sensors]], noun: str, resumed: str) -> None:
    """Add the commands that schedules and sensors share; `resumed` describes what happens after a suspension."""

    @on_cluster
    def list_all(target: Target, output: Listed = Output.TEXT) -> int:
        from podgraph.cli.automations import print_makers

        print_makers(target.of(kind()), output.value)
        return 0

    @on_cluster
    def get(target: Target, name: Name, output: Got = Output.TEXT) -> int:
        from podgraph.cli.automations import print_maker

        print_maker(target.of(kind()), name, output.value)
        return 0

    @on_cluster
    def suspend(target: Target, name: Name) -> int:
        target.of(kind()).change(name, {"suspend": True})
        return 0

    @on_cluster
    def resume(target: Target, name: Name) -> int:
        from podgraph.cli.automations import check_resumed

        cluster = target.of(kind())
        check_resumed(cluster.get(name))
        cluster.change(name, {"suspend": False})
        return 0

    app.command("list", help=f"List the {noun}s in the namespace.")(list_all)
    app.command("get", help=f"Print a {noun} and the outcomes of its last ticks.")(get)
    app.command(
        "suspend", help=f"Suspend a {noun}: it creates no Jobs until it is resumed. Running Jobs continue."
    )(suspend)  # fmt: skip
    app.command("resume", help=f"Resume a {noun}; {resumed}.")(resume)


_commands(schedule_app, _schedules, "JobSchedule", "ticks missed while it was suspended are not caught up")
_commands(sensor_app, _sensors, "JobSensor", "it detects what changed while it was suspended")


@schedule_app.command("tick")
@on_cluster
def schedule_tick(
    target: Target,
    name: Name,
    at: Annotated[str, typer.Option("--at", help="time of the tick, such as 2026-11-24T02:00:00Z; default: now")] = "",
    dry_run: DryRun = False,
    timeout: Seconds = 120,
) -> int:
    """Create the Jobs of a manual tick, in addition to the scheduled ones, and print their names.

    The concurrency policy and history limits of the schedule count these Jobs too. With --dry-run, the default of --at
    is the next tick; this also works for a suspended schedule. The operator evaluates schedules with a Python function.
    """
    from podgraph.cli.automations import jobs_by_hand, print_jobs

    cluster = target.of(_schedules())
    jobs, message = jobs_by_hand(cluster, name, at, upcoming=dry_run, seconds=timeout)
    if dry_run:
        for job in jobs:
            cluster.try_job(job)
        print_jobs(jobs, message)
        return 0
    for job in jobs:
        typer.echo(target.open().create(job)["metadata"]["name"])
    if message:
        typer.echo(message, err=True)
    return 0


@sensor_app.command("tick")
@on_cluster
def sensor_tick(target: Target, name: Name, dry_run: DryRun = False, timeout: Seconds = 120) -> int:
    """Print the Jobs that a sensor would create now, even if it is suspended. The operator evaluates the sensor."""
    from podgraph.cli.automations import print_jobs, tried
    from podgraph.definition.errors import DefinitionError

    if not dry_run:
        raise DefinitionError(
            "NotDry", "a sensor cannot be ticked manually; use --dry-run to print the Jobs that it would create now"
        )
    print_jobs(*tried(target.of(_sensors()), name, "", timeout))
    return 0
