"""Workers on a keyed queue: one key's trouble stops no other, and comes again after a pause."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from podgraph.cluster.client import ApiError
from podgraph.reconcile.workqueue import KeyedQueue

__all__ = ["work"]

_LOG = logging.getLogger(__name__)


async def work(queue: KeyedQueue, reconcile: Callable[[str], Awaitable[None]], what: str) -> None:
    """Take keys from `queue` and reconcile them until cancelled; `what` names them in the log."""
    while True:
        key = await queue.get()
        try:
            await reconcile(key)
            queue.succeeded(key)
        except ApiError as error:
            _LOG.warning("%s %s: %s", what, key, error)
            queue.add_failed(key)
        except Exception:  # noqa: BLE001  one's trouble must not stop the others
            _LOG.exception("%s %s: unexpected", what, key)
            queue.add_failed(key)
        finally:
            queue.done(key)
