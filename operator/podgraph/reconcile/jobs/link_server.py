"""The operator's end of the direct links that pods have to it; runtime.pod.link is the other end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from collections import Counter
from collections.abc import AsyncIterator, Callable

from podgraph.planning.manifests.keys import Keys
from podgraph.planning.manifests.link_token import LinkIssuer
from podgraph.reconcile.jobs.link_certificate import certified
from podgraph.reconcile.jobs.link_peer import Key, LinkPeer
from podgraph.reconcile.jobs.link_settings import most_links, most_strangers, read_link
from podgraph.reconcile.jobs.link_strangers import Strangers
from podgraph.reconcile.log_follower import Pace

__all__ = ["LinkServer", "read_link"]

_LOG = logging.getLogger(__name__)
_LOG_SHARE = 4  # bytes by links that cost as much as one by a log
_LINE_COST = 200  # bytes that a line costs besides its own

OnLines = Callable[[str, str, list[str]], None]
HasPod = Callable[[str, str], bool]


class LinkServer:
    """The links of pods, at most `most` at once.

    A connection that has not yet proved which pod it is counts apart (see Strangers), and takes no room from those that
    have one. No pod is let in before :meth:`connect`. When there is no room, the namespace with most links gives way to
    one that has fewer, and the links of one namespace have a rate together, so that none keeps the server from others.
    """

    def __init__(self, most: int | None = None) -> None:
        self._keys: Keys | None = None
        self._has_pod: HasPod = lambda uid, pod: False
        self._on_lines: OnLines = lambda uid, pod, lines: None
        self._namespace_of: Callable[[str], str] = lambda uid: ""
        self._pace = Pace()
        self.invitation: LinkIssuer | None = None
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._strangers: Strangers[LinkPeer] = Strangers(most_strangers(files))
        self._most = most_links(files) if most is None else most
        self._open: set[LinkPeer] = set()
        self._known: dict[str, dict[str, LinkPeer]] = {}
        self._logs: dict[Key, tuple[Callable[[], None], Callable[[], None]]] = {}
        self._unheard: dict[Key, str] = {}

    def connect(
        self, keys: Keys, has_pod: HasPod, on_lines: OnLines, namespace_of: Callable[[str], str] = lambda uid: ""
    ) -> None:
        """Let pods in from now on.

        A pod must know its part of `keys`, and `has_pod(job_uid, pod_name)` must be true. `on_lines(job_uid, pod_name,
        lines)` is called with what a pod sends, as it arrives. `namespace_of` returns the namespace of a Job's uid.
        """
        self._keys, self._has_pod, self._on_lines = keys, has_pod, on_lines
        self._namespace_of = namespace_of

    @contextlib.asynccontextmanager
    async def serving(self, address: str) -> AsyncIterator[None]:
        """Accept links while the block runs, at "HOST:PORT" as pods reach it; port 0 is any free port."""
        host, _, port = address.rpartition(":")
        context, fingerprint = certified()
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: LinkPeer(self, context), "::" if ":" in host else "0.0.0.0", int(port)
        )
        found = f"{host}:{server.sockets[0].getsockname()[1]}"
        self.invitation = LinkIssuer(found, fingerprint)
        _LOG.info("pods reach it directly at %s", found)
        try:
            yield
        finally:
            self.invitation = None
            self._logs.clear()
            server.close()
            for peer in list(self._open):
                peer.abort()

    @property
    def count(self) -> int:
        """The number of links."""
        return sum(map(len, self._known.values()))

    def tell(self, uid: str, pod: str, text: str) -> None:
        """Send a line to a pod, now or when it connects."""
        peer = self._known.get(uid, {}).get(pod)
        if peer is not None:
            peer.write(text)
        elif self.invitation is not None:
            self._unheard[uid, pod] = text

    def hear(self, uid: str, pod: str, follow: Callable[[], None], leave: Callable[[], None]) -> None:
        """Listen to a pod: on its link, or on its log while it has none; `follow` and `leave` start and end the log."""
        self._logs[uid, pod] = follow, leave
        if pod not in self._known.get(uid, {}):
            follow()

    def leave(self, uid: str, pod: str) -> None:
        """Stop listening to a pod, and drop what is still to be sent to it."""
        self._logs.pop((uid, pod), None)
        self._unheard.pop((uid, pod), None)

    def forget(self, uid: str) -> None:
        """Do so for all pods of a Job, and close their links."""
        for key in [key for key in (*self._logs, *self._unheard) if key[0] == uid]:
            self.leave(*key)
        for peer in self._known.pop(uid, {}).values():
            peer.abort()

    # --- for its peers

    def opened(self, peer: LinkPeer, source: str) -> None:
        """Take in a new connection from an address."""
        self._open.add(peer)
        for other in self._strangers.add(peer, source):
            other.abort()

    def identify(self, peer: LinkPeer, greeting: str) -> Key | None:
        """Return the pod that a first line proves; None when it proves none, or when there is no room."""
        keys = self._keys
        if self.invitation is None or keys is None:
            return None
        key = self.invitation.verify(greeting, lambda uid: keys.of(uid).pod)
        if key is not None and not self._has_pod(*key):
            key = None
        if key is not None and self.count >= self._most and key[1] not in self._known.get(key[0], {}):
            key = key if self._make_room(key[0]) else None
        self._strangers.remove(peer)
        if key is not None:
            uid, pod = key
            before = self._known.setdefault(uid, {}).get(pod)
            self._known[uid][pod] = peer
            if before is not None:  # each pod has one link, so that none takes the room of others
                before.abort()
            if key in self._logs:
                self._logs[key][1]()
            if text := self._unheard.pop(key, ""):
                peer.write(text)
        return key

    def owed(self, key: Key, size: int, lines: int) -> float:
        """Take in that a pod sent so many bytes and lines; return the seconds to wait before it is read further."""
        return self._pace.owed(self._namespace_of(key[0]), (size + lines * _LINE_COST) / _LOG_SHARE)

    def _make_room(self, uid: str) -> bool:
        """End the latest link of the namespace that has most, if this Job's has fewer; return whether there is room."""
        counts = Counter[str]()
        for other, peers in self._known.items():
            counts[self._namespace_of(other)] += len(peers)
        largest, count = next(iter(counts.most_common(1)), ("", 0))
        if count <= counts[self._namespace_of(uid)] + 1:
            return False
        last = next(other for other in reversed(self._known) if self._namespace_of(other) == largest)
        pod, peer = next(reversed(self._known[last].items()))
        self.closed(peer, (last, pod), False)
        peer.abort()
        return True

    def take_lines(self, key: Key, lines: list[str]) -> None:
        """Take in what a pod has sent."""
        self._on_lines(*key, lines)

    def closed(self, peer: LinkPeer, key: Key | None, complete: bool) -> None:
        """Take in that a connection is closed; `complete` says that the pod had sent all it wanted."""
        self._open.discard(peer)
        self._strangers.remove(peer)
        if key is None:
            return
        uid, pod = key
        of_job = self._known.get(uid, {})
        if of_job.get(pod) is not peer:
            return
        del of_job[pod]
        if not of_job:
            del self._known[uid]
        if not complete and key in self._logs:
            self._logs[key][0]()
