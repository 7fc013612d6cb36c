"""Asks the API server whether it would take pods as people want them, before any of them is made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from podgraph.cluster.client import ApiError, Client
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.pod_template import PodCheck

__all__ = ["refusal_of"]

_NO_FAULT = ("exceeded quota", "does not support dry run")
"""What says nothing of the pod as such: a quota may have room when its time comes, a webhook may know no dry run."""


async def refusal_of(client: Client, checks: Iterable[PodCheck]) -> DefinitionError | None:
    """Return why the first of these pods that the API server refuses is refused; None when it would take all.

    Raises ApiError when it cannot be asked now.
    """
    asked = list(checks)
    answers = await asyncio.gather(*(_ask(client, check) for check in asked))
    for check, refusal in zip(asked, answers, strict=True):
        if refusal:
            return DefinitionError("InvalidPodTemplate", f"the API server refuses {check.what}: {refusal}")
    return None


async def _ask(client: Client, check: PodCheck) -> str:
    try:
        await client.try_pod(check.pod)
    except ApiError as error:
        if not error.permanent:
            raise
        known = error.status == 409 or any(text in error.message for text in _NO_FAULT)
        return "" if known else error.message
    return ""
