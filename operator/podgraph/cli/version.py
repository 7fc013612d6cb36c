"""`podgraph version`: the version of the command line, and of the operator if a cluster answers."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from podgraph.cli.options import Target, on_cluster

__all__ = ["print_version", "version"]

_ANSWER_SECONDS = 5
_SELECTOR = "app.kubernetes.io/name=podgraph,app.kubernetes.io/component=operator"
_LABEL = "app.kubernetes.io/version"


def print_version(wanted: bool) -> None:
    """Print the version of the command line and exit: `podgraph --version`."""
    if wanted:
        from podgraph import __version__

        typer.echo(f"podgraph {__version__}")
        raise typer.Exit


def _version(
    target: Target,
    client: Annotated[
        bool, typer.Option("--client", help="only the version of the command line, without a request to the cluster")
    ] = False,
) -> int:
    """Print the versions of the command line and of the operator in the cluster."""
    from podgraph import __version__

    typer.echo(f"podgraph {__version__}")
    if not client:
        typer.echo(f"operator {_of_operator(target)}")
    return 0


version = on_cluster(_version)


def _of_operator(target: Target) -> str:
    """Return the version in the labels of the operator's Deployment, or why it is unknown."""
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
        return f"unknown: {error.message}"
    versions = sorted({(item.metadata.labels or {}).get(_LABEL, "") for item in found} - {""})
    return ", ".join(versions) or "unknown: this cluster has no Deployment of podgraph's chart"
