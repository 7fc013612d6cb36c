"""Checks by a dry run whether the API server accepts pods with the templates that users wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podgraph.cluster.client import ApiError, Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.pod_template import PodCheck

__all__ = ["refusal_of"]

_NO_FAULT = ("exceeded quota", "does not support dry run")
"""Refusals that do not depend on the pod: a quota may have room later, and a webhook may not support dry runs."""


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
        known = error.status == 409 or any(text in error.message for text in _NO_FAULT)
        return "" if known else error.message
    return ""
