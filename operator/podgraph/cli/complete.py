"""Shell completion: jobs and ops of the file on the line, and names of objects in the cluster.

The shell waits for the answer, so the file and the cluster get half a second, and errors are not reported.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from podgraph.cli.cluster import Cluster
    from podgraph.runtime.load import CodeRef

__all__ = ["definition_names", "job_names", "jobs", "ops", "schedule_names", "sensor_names"]

_SECONDS = 0.5
_ANSWER_SECONDS = 0.4
_MOST = 500


def jobs(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the jobs that the code on the line defines."""

    def found() -> Iterable[str]:
        from podgraph.runtime.load import find_jobs

        return [job.name for job in find_jobs(_code(ctx).module_of())]

    return _offered(found, incomplete)


def ops(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the last clause of a selection with the ops of the job on the line."""
    *before, last = incomplete.split(",")
    sign = last[: len(last) - len(last.lstrip("*+"))]
    start = ",".join([*before, sign]) if before else sign

    def found() -> Iterable[str]:
        from podgraph.cli.files import graph_of

        file = ctx.params.get("file")
        graph = graph_of(Path(file) if file else None, ctx.params.get("module") or "", ctx.params.get("job") or "")
        return [f"{start}{name}" for name in graph.order]

    return _offered(found, incomplete)


def job_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of Jobs in the cluster."""
    return _names(ctx, incomplete, "podgraph.cli.cluster", "Cluster")


def definition_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of JobDefinitions in the cluster."""
    return _names(ctx, incomplete, "podgraph.cli.definitions", "Definitions")


def schedule_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of JobSchedules in the cluster."""
    return _names(ctx, incomplete, "podgraph.cli.automations", "Schedules")


def sensor_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the names of JobSensors in the cluster."""
    return _names(ctx, incomplete, "podgraph.cli.automations", "Sensors")


def _names(ctx: typer.Context, incomplete: str, module: str, kind: str) -> list[str]:
    import importlib

    with contextlib.suppress(ImportError):
        importlib.import_module(module)  # the import takes longer than the cluster's answer

    def found() -> Iterable[str]:
        where = [str(ctx.params.get(name) or "") for name in ("namespace", "context", "kubeconfig")]
        cluster: Cluster = getattr(importlib.import_module(module), kind)(*where)
        # Newest first.
        return [str(item["metadata"]["name"]) for item in reversed(cluster.list(seconds=_ANSWER_SECONDS))]

    return _offered(found, incomplete)


def _code(ctx: typer.Context) -> CodeRef:
    from podgraph.cli.files import code_ref

    file = ctx.params.get("file")
    return code_ref(Path(file) if file else None, ctx.params.get("module") or "", "")


def _offered(find: Callable[[], Iterable[str]], incomplete: str) -> list[str]:
    """Return the names found in time that start with the incomplete word. Ignores all errors."""
    found: list[str] = []

    def look() -> None:
        # BaseException: the imported user code may raise anything.
        with contextlib.suppress(BaseException):
            found.extend(name for name in find() if name.startswith(incomplete))

    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            thread = threading.Thread(target=look, daemon=True)
            thread.start()
            thread.join(_SECONDS)
        if thread.is_alive():
            sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  it goes on until the process ends
            return []
    return found[:_MOST]
