"""Asks the operator what a schedule or sensor would make, where finding that out takes a pod of the user's code."""

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
    """Return the Jobs that it would make now, or at a tick, and what the operator says of them.

    Raises DefinitionError (`Timeout`) when the operator has not answered within a minute.
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
