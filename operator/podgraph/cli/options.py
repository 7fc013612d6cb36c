"""The options that several commands share, and how a command ends."""

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
Job = Annotated[str, typer.Option("--job", "-j", help="which job, when there are several", autocompletion=jobs)]
Selection = Annotated[
    str,
    typer.Option(
        "--op-selection", "-o", help="clauses separated by commas: op, *op, op*, +op, op++, ...", autocompletion=ops
    ),
]
ConfigFiles = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="run config as YAML; may be repeated, later files are laid over earlier"),
]
Tags = Annotated[str, typer.Option("--tags", help="of the run: key=value,key=value or a JSON object")]
ConfigJson = Annotated[str, typer.Option("--config-json", help="run config as JSON, laid over the files")]
Name = Annotated[str, typer.Argument(help="a Job in the cluster", autocompletion=job_names)]
Logs = Annotated[bool, typer.Option("--logs", help="wait, and print what the steps print, behind their names")]
CancelOnExit = Annotated[
    bool, typer.Option("--cancel-on-exit", help="wait; cancel the Job on Ctrl-C, SIGTERM or --timeout")
]
Junit = Annotated[str, typer.Option("--junit", help="wait, and write a JUnit file with a testcase for each step")]
YamlOutput = Annotated[OutputYaml, typer.Option("--output", help="json or yaml: the object itself")]
Listed = Annotated[OutputYaml, typer.Option("--output", "-o", help="json or yaml: the objects themselves")]
Seconds = Annotated[float, typer.Option("--timeout", min=0, help="seconds to wait at most")]

_TARGET = {
    "namespace": Annotated[str, typer.Option("--namespace", "-n", help="default: that of the kubeconfig's context")],
    "context": Annotated[str, typer.Option("--context", help="a context of the kubeconfig")],
    "kubeconfig": Annotated[str, typer.Option("--kubeconfig", help="default: $KUBECONFIG, else ~/.kube/config")],
}


@dataclass(frozen=True)
class Target:
    """Which cluster and namespace a command is for; empty as kubectl would choose."""

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
    """Make a command of a function that returns its exit status.

    What a person did wrong, or the cluster does not do (DefinitionError), is told in a sentence.
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
        except BrokenPipeError:  # who reads what is printed has seen enough, like `head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(_BROKEN_PIPE) from None
        except OSError as error:  # a file that cannot be read or written
            _tell(DefinitionError("NoFile", str(error)))
            raise typer.Exit(REFUSED) from None
        if status:
            raise typer.Exit(status)

    return told


def on_cluster(run: Callable[Concatenate[Target, P], int]) -> Callable[..., None]:
    """Make a command, as :func:`command`, of a function whose first argument is the target: its options come last."""

    def aimed(*args: Any, **options: Any) -> int:
        target = Target(*(options.pop(name) for name in _TARGET))
        return run(target, *args, **options)

    signature = inspect.signature(run, eval_str=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    target = [inspect.Parameter(name, keyword, default="", annotation=kind) for name, kind in _TARGET.items()]
    shown = functools.update_wrapper(command(aimed), run)
    # What typer reads: the function's own parameters without the target, and the target's options behind them.
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
