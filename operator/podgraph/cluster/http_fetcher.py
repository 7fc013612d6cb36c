"""Fetch a URL for http sensors, with limits on time, size and addresses."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit
from weakref import WeakValueDictionary

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from podgraph.definition.errors import DefinitionError
from podgraph.scheduling.http_policy import HttpPolicy, same_origin

__all__ = ["Fetched", "HttpFetcher"]

_SECONDS = 10.0
_MAX_BYTES = 1_048_576
_MAX_REDIRECTS = 3
_AT_ONCE = 5  # of one namespace; a server that answers slowly is not to keep those of others waiting
_MOST_CONNECTIONS = 200


@dataclass(frozen=True)
class Fetched:
    """A response; `body` is None if it is unchanged since the given `etag`."""

    body: bytes | None
    etag: str


class _Resolver(AbstractResolver):
    """Resolves names and drops addresses that are not allowed. The checked address is the one connected to."""

    def __init__(self, policy: HttpPolicy) -> None:
        self._policy = policy
        self._resolver = aiohttp.ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the allowed addresses of a host."""
        found = await self._resolver.resolve(host, port, family)
        allowed = [item for item in found if self._policy.allows_address(item["host"])]
        if found and not allowed:
            raise _NotAllowed(_not_public(host, found[0]["host"]))
        return allowed

    async def close(self) -> None:
        """Do nothing: there are no resources to release."""


class _NotAllowed(OSError):
    """The host does not have an allowed address."""


class HttpFetcher:
    """Fetches URLs from servers that the policy allows. Use it as an async context manager."""

    def __init__(self, policy: HttpPolicy) -> None:
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def __aenter__(self) -> HttpFetcher:
        """Open the connections."""
        self._session = aiohttp.ClientSession(
            # No cookies and no compression: the one tells servers too much, the other makes small answers large.
            connector=aiohttp.TCPConnector(resolver=_Resolver(self._policy), limit=_MOST_CONNECTIONS, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            timeout=aiohttp.ClientTimeout(total=_SECONDS),
            headers={"User-Agent": "podgraph", "Accept-Encoding": "identity"},
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def fetch(self, url: str, headers: Mapping[str, str], etag: str = "", namespace: str = "") -> Fetched:
        """Return the answer of a URL; `headers` go to its own server only, wherever it redirects.

        A namespace has a few requests at once, and its others wait.

        Raises DefinitionError: `NotAllowed`, `InvalidUrl`, `Unreachable`, `HttpStatus`, `TooLarge`.
        """
        turn = self._turns.setdefault(namespace, asyncio.Semaphore(_AT_ONCE))
        try:
            async with turn, asyncio.timeout(_SECONDS):
                return await self._follow(url, headers, etag)
        except TimeoutError:
            raise DefinitionError("Unreachable", f"{_shown(url)} did not answer within {_SECONDS:.0f} s") from None
        except aiohttp.ClientConnectorError as error:
            if isinstance(error.os_error, _NotAllowed):
                raise DefinitionError("NotAllowed", str(error.os_error)) from None
            raise DefinitionError("Unreachable", f"{_shown(url)}: {error}") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise DefinitionError("Unreachable", f"{_shown(url)}: {type(error).__name__}: {error}") from None

    async def _follow(self, first: str, headers: Mapping[str, str], etag: str) -> Fetched:
        assert self._session is not None
        url = first
        for _ in range(_MAX_REDIRECTS + 1):
            self._check(url)
            sent = {**(headers if same_origin(first, url) else {}), **({"If-None-Match": etag} if etag else {})}
            async with self._session.get(url, headers=sent, allow_redirects=False) as answer:
                if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("Location"):
                    url = urljoin(url, answer.headers["Location"])
                    continue
                if answer.status == 304 and etag:
                    return Fetched(None, etag)
                if answer.status != 200:
                    raise DefinitionError("HttpStatus", f"{_shown(url)} responded with status {answer.status}")
                return Fetched(await _read(answer, url), answer.headers.get("ETag", "")[:1_024])
        raise DefinitionError("HttpStatus", f"{_shown(first)} redirects more than {_MAX_REDIRECTS} times")

    def _check(self, url: str) -> None:
        self._policy.check_url(url)
        host = urlsplit(url).hostname or ""
        # aiohttp does not resolve IP addresses; unusual spellings of addresses are refused here too.
        literal = ":" in host or host.replace(".", "").isdigit() or host.startswith("0x")
        if literal and not self._policy.allows_address(host):
            raise DefinitionError("NotAllowed", _not_public(host, host))


async def _read(answer: aiohttp.ClientResponse, url: str) -> bytes:
    body = bytearray()
    async for part in answer.content.iter_any():
        body += part
        if len(body) > _MAX_BYTES:
            raise DefinitionError("TooLarge", f"the response of {_shown(url)} is larger than {_MAX_BYTES:,} bytes")
    return bytes(body)


def _not_public(host: str, address: str) -> str:
    what = host if host == address else f"{host} is {address}, which"
    return f"{what} is not a public address and not in a network of the chart's value sensors.http.allowNetworks"


def _shown(url: str) -> str:
    return url.split("?")[0]
