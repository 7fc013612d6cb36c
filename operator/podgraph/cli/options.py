"""Options that several commands share, and the handling of errors and exit statuses."""

from __future__ import annotations

import enum
import functools
import inspect
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from podgraph.cli.complete import job_names, jobs, ops
from podgraph.cli.exits import REFUSED, interrupted, status_of, terminates
from podgraph.definition.errors import DefinitionError

if TYPE_CHECKING:
    from podgraph.cli.cluster import Cluster

__all__ = [
    "CancelOnExit", "ConfigFiles", "ConfigJson", "File", "FileOrYaml", "Job", "Junit", "Listed", "Logs", "Module",
    "Name", "Output", "OutputYaml", "Seconds", "Selection", "Tags", "Target", "YamlOutput", "command", "on_cluster",
]  # fmt: skip

_BROKEN_PIPE = 141  # 128 + SIGPIPE, as a shell has it

P = ParamSpec("P")
C = TypeVar("C", bound="Cluster")


class Output(enum.StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


class OutputYaml(enum.StrEnum):
    """How a command prints objects of the cluster."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


File = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py")]
FileOrYaml = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py, or the manifest of a Job (.yaml)")]
Module = Annotated[str, typer.Option("--module", "-m", help="a module to import instead of a file")]
Job = Annotated[str, typer.Option("--job", "-j", help="the job to use, if there are several", autocompletion=jobs)]
Selection = Annotated[
    str,
    typer.Option(
        "--op-selection", "-o", help="comma-separated clauses: op, *op, op*, +op, op++, ...", autocompletion=ops
    ),
]
ConfigFiles = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="run config as YAML; repeatable, later files override earlier ones"),
]
Tags = Annotated[str, typer.Option("--tags", help="tags of the run: key=value,key=value or a JSON object")]
ConfigJson = Annotated[str, typer.Option("--config-json", help="run config as JSON; overrides the files")]
Name = Annotated[str, typer.Argument(help="a Job in the cluster", autocompletion=job_names)]
Logs = Annotated[bool, typer.Option("--logs", help="wait, and print the logs of the steps with their names")]
CancelOnExit = Annotated[
    bool, typer.Option("--cancel-on-exit", help="wait; cancel the Job on Ctrl-C, SIGTERM or --timeout")
]
Junit = Annotated[str, typer.Option("--junit", help="wait, and write a JUnit file with one test case per step")]
YamlOutput = Annotated[OutputYaml, typer.Option("--output", help="json or yaml: the whole object")]
Listed = Annotated[OutputYaml, typer.Option("--output", "-o", help="json or yaml: the whole objects")]
Seconds = Annotated[float, typer.Option("--timeout", min=0, help="maximum time to wait, in seconds")]

_TARGET = {
    "namespace": Annotated[
        str, typer.Option("--namespace", "-n", help="default: the namespace of the kubeconfig context")
    ],
    "context": Annotated[str, typer.Option("--context", help="the kubeconfig context")],
    "kubeconfig": Annotated[str, typer.Option("--kubeconfig", help="default: $KUBECONFIG or ~/.kube/config")],
}


@dataclass(frozen=True)
class Target:
    """The cluster and namespace of a command. Empty values mean kubectl's defaults."""

    namespace: str = ""
    context: str = ""
    kubeconfig: str = ""

    def open(self) -> Cluster:
        """Return the Jobs of the cluster. Raises DefinitionError (`NoCluster`)."""
        from podgraph.cli.cluster import Cluster

        return self.of(Cluster)

    def of(self, kind: type[C]) -> C:
        """Return the objects of another kind. Raises DefinitionError (`NoCluster`)."""
        return kind(self.namespace, self.context, self.kubeconfig)


def command(run: Callable[P, int]) -> Callable[P, None]:
    """Register a function that returns its exit status as a command.

    Errors of the user or the cluster (DefinitionError) are printed as one sentence.
    """

    @functools.wraps(run)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            terminates()
            status = run(*args, **kwargs)
            sys.stdout.flush()
        except DefinitionError as error:
            _tell(error)
            raise typer.Exit(status_of(error)) from None
        except KeyboardInterrupt as error:
            raise typer.Exit(interrupted(error)) from None
        except BrokenPipeError:  # the reader closed the pipe, like `head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from None
        except OSError as error:  # a file could not be read or written
            _tell(DefinitionError("NoFile", str(error)))
            raise typer.Exit(REFUSED) from None
        if status:
            raise typer.Exit(status)

    return told


def on_cluster(run: Callable[Concatenate[Target, P], int]) -> Callable[..., None]:
    """Register a command as :func:`command` does, for a function that takes the target first. Its options come last."""

    def aimed(*args: Any, **options: Any) -> int:
        target = Target(*(options.pop(name) for name in _TARGET))
        return run(target, *args, **options)

    signature = inspect.signature(run, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    target = [inspect.Parameter(name, keyword, default="", annotation=kind) for name, kind in _TARGET.items()]
    shown = functools.update_wrapper(command(aimed), run)
    # What typer reads: the function's own parameters, then the target's options instead of the target.
    shown.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[*list(signature.parameters.values())[1:], *target], return_annotation=None
    )
    return shown


def _tell(error: DefinitionError) -> None:
    if error.stack:
        typer.echo(error.stack, err=True)
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
