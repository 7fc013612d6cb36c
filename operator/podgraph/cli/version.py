"""`podgraph version`: of the command line, and of the operator when a cluster answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from podgraph.cli.options import Target, on_cluster

__all__ = ["print_version", "version"]

_ANSWER_SECONDS = 5
_SELECTOR = "app.kubernetes.io/name=podgraph,app.kubernetes.io/component=operator"
_LABEL = "app.kubernetes.io/version"


def print_version(wanted: bool) -> None:
    """Print the version of the command line and end: `podgraph --version`."""
    if wanted:
        from podgraph import __version__

        typer.echo(f"podgraph {__version__}")
        raise typer.Exit


def _version(
    target: Target,
    client: Annotated[bool, typer.Option("--client", help="of the command line alone; no cluster is asked")] = False,
) -> int:
    """Print the version of the command line, and that of the operator in the cluster."""
    from podgraph import __version__

    typer.echo(f"podgraph {__version__}")
    if not client:
        typer.echo(f"operator {_of_operator(target)}")
    return 0


version = on_cluster(_version)


def _of_operator(target: Target) -> str:
    """Return the version that the chart's Deployment is labeled with, or why it is not known."""
    from kubernetes import client

    from podgraph.cli.answers import told
    from podgraph.definition.errors import DefinitionError

    try:
        target.open()
        with told("list the operator's Deployment", ours=False):
            found: Any = client.AppsV1Api().list_deployment_for_all_namespaces(
                label_selector=_SELECTOR, _request_timeout=_ANSWER_SECONDS
            ).items  # fmt: skip
    except DefinitionError as error:
        return f"not known: {error.message}"
    versions = sorted({(item.metadata.labels or {}).get(_LABEL, "") for item in found} - {""})
    return ", ".join(versions) or "not known: there is no Deployment of podgraph's chart in this cluster"
