"""What the log says of a watch that breaks."""

from __future__ import annotations

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from podgraph.cluster.listwatch import told


def test_the_token_does_not_reach_the_log() -> None:
    headers = CIMultiDictProxy(CIMultiDict({"Authorization": "Bearer secret"}))
    request = aiohttp.RequestInfo(URL("https://server/api"), "GET", headers, URL("https://server/api"))
    error = aiohttp.ClientResponseError(request, (), status=503, message="no")
    assert "secret" in repr(error)
    assert told(error) == "ClientResponseError 503"
    assert told(TimeoutError()) == "TimeoutError"
