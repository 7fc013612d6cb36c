"""Dry runs of schedules and sensors by the operator, for those that need a pod with the user's code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from podgraph.cluster.polling import looks
from podgraph.cluster.ui_client import UiClient
from podgraph.scheduling.job_factory import TRY_ANNOTATION
from podgraph.scheduling.manual_ticks import answer_to, no_answer, question

__all__ = ["tried"]

_MOST_SECONDS = 60.0


async def tried(
    client: UiClient, plural: str, found: Mapping[str, Any], tick: str = ""
) -> tuple[list[dict[str, Any]], str]:
    """Return the Jobs that a tick would create, now or at a time, and the operator's message.

    Raises DefinitionError (`Timeout`) when the operator does not answer within a minute.
    """
    meta = found["metadata"]
    wanted = question(tick)
    await client.annotate_resource(plural, meta["namespace"], meta["name"], meta["uid"], {TRY_ANNOTATION: wanted})
    for pause in looks(_MOST_SECONDS):
        now = await client.get_resource(plural, meta["namespace"], meta["name"])
        if (told := answer_to(wanted, now)) is not None:
            return told
        await asyncio.sleep(pause)
    raise no_answer(meta["name"], _MOST_SECONDS)
