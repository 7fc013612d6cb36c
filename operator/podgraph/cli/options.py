"""The options that several commands share, and how a command ends."""

from __future__ import annotations

import enum
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, ParamSpec, TypeVar

import typer

from podgraph.definition.errors import DefinitionError

if TYPE_CHECKING:
    from podgraph.cli.cluster import Cluster

__all__ = [
    "ConfigFiles", "ConfigJson", "File", "FileOrYaml", "Job", "Module", "Name", "Output", "Seconds", "Selection",
    "Tags", "Target", "command", "on_cluster",
]  # fmt: skip

REFUSED = 2

P = ParamSpec("P")
C = TypeVar("C", bound="Cluster")


class Output(enum.StrEnum):
    """How a command prints its result."""

    TEXT = "text"
    JSON = "json"


File = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py")]
FileOrYaml = Annotated[Path | None, typer.Option("--file", "-f", help="my_job.py, or the YAML of a Job")]
Module = Annotated[str, typer.Option("--module", "-m", help="a module to import instead of a file")]
Job = Annotated[str, typer.Option("--job", "-j", help="which job, when there are several")]
Selection = Annotated[
    str, typer.Option("--op-selection", "-o", help="clauses separated by commas: op, *op, op*, +op, op++, ...")
]
ConfigFiles = Annotated[
    list[str] | None,
    typer.Option("--config", "-c", help="run config as YAML; may be repeated, later files are laid over earlier"),
]
Tags = Annotated[str, typer.Option("--tags", help="of the run: key=value,key=value or a JSON object")]
ConfigJson = Annotated[str, typer.Option("--config-json", help="run config as JSON, laid over the files")]
Name = Annotated[str, typer.Argument(help="a Job in the cluster")]
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

    What a person did wrong (DefinitionError) is told in a sentence, with exit status 2.
    """

    @functools.wraps(run)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            status = run(*args, **kwargs)
        except DefinitionError as error:
            _tell(error)
            raise typer.Exit(REFUSED) from None
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
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
