"""Checks by a dry run whether the API server accepts pods with the templates that users wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podgraph.cluster.client import ApiError, Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.pod_template import PodCheck
from podgraph.planning.pods.refusals import reason_to_wait

__all__ = ["refusal_of"]

_NO_DRY_RUN = "does not support dry run"
"""A webhook says so of itself, whatever the pod."""


async def refusal_of(client: Client, checks: Iterable[PodCheck]) -> DefinitionError | None:
    """Return the reason why the API server refuses the first of these pods; None when it accepts all.

    Raises ApiError when the API server cannot answer now.
    """
    pods = list(checks)
    answers = await asyncio.gather(*(_refusal(client, check) for check in pods))
    for check, refusal in zip(pods, answers, strict=True):
        if refusal:
            return DefinitionError("InvalidPodTemplate", f"the API server refuses {check.what}: {refusal}")
    return None


async def _refusal(client: Client, check: PodCheck) -> str:
    try:
        await client.try_pod(check.pod)
    except ApiError as error:
        if not error.permanent:
            raise
        passes = reason_to_wait(error.status, error.reason, error.message)  # as a quota that may have room later
        known = passes or error.status == 409 or _NO_DRY_RUN in error.message
        return "" if known else error.message
    return ""
