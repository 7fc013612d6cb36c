"""The commands below `podgraph schedule` and `podgraph sensor`."""

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

Name = Annotated[str, typer.Argument(help="its name in the cluster")]
Listed = Annotated[Output, typer.Option("--output", help="json: a list of them")]
Got = Annotated[Output, typer.Option("--output", help="json: the object itself")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="print the Jobs that it would make, and make none")]


@schedule_app.callback()
def _schedule() -> None:
    """Look at JobSchedules in a cluster, suspend and resume them, or make a Job of one by hand."""


@sensor_app.callback()
def _sensor() -> None:
    """Look at JobSensors in a cluster, suspend and resume them, or see what one would make now."""


def _schedules() -> type[Schedules]:
    from podgraph.cli.automations import Schedules

    return Schedules


def _sensors() -> type[Sensors]:
    from podgraph.cli.automations import Sensors

    return Sensors


def _commands(app: typer.Typer, kind: Callable[[], type[Schedules | Sensors]], noun: str, resumed: str) -> None:
    """Add the commands that both have; `resumed` says what becomes of the time that one was suspended."""

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

    app.command("list", help=f"Print the {noun}s of the namespace.")(list_all)
    app.command("get", help=f"Print a {noun} and what became of its last ticks.")(get)
    app.command(
        "suspend", help=f"Suspend a {noun}: it makes no Jobs until it is resumed; those that run go on."
    )(suspend)  # fmt: skip
    app.command("resume", help=f"Resume a {noun}; {resumed}.")(resume)


_commands(schedule_app, _schedules, "JobSchedule", "ticks of the time that it was suspended are not made up for")
_commands(sensor_app, _sensors, "JobSensor", "it sees what came about while it was suspended")


@schedule_app.command("tick")
@on_cluster
def schedule_tick(
    target: Target,
    name: Name,
    at: Annotated[str, typer.Option("--at", help="the tick's time, as 2026-11-24T02:00:00Z; now when absent")] = "",
    dry_run: DryRun = False,
    timeout: Seconds = 120,
) -> int:
    """Make the Jobs of a tick by hand, beside those that the schedule makes, and print their names.

    They count as those of the schedule for its concurrency policy and history limits. With --dry-run it is the next
    tick when --at is absent. A schedule with a Python function is asked through the operator.
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
    """Print the Jobs that a sensor would make now, also one that is suspended. The operator looks for you."""
    from podgraph.cli.automations import print_jobs, tried
    from podgraph.definition.errors import DefinitionError

    if not dry_run:
        raise DefinitionError("NotDry", "a sensor ticks by itself; with --dry-run you see what it would make now")
    print_jobs(*tried(target.of(_sensors()), name, "", timeout))
    return 0
