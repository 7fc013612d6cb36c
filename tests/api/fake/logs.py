"""Pod logs: kept by pod uid, read whole or followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime

from aiohttp import web

from .errors import ApiError, bad_request
from .store import Obj


class PodLog:
    """The lines of one pod, each with the time it was written."""

    def __init__(self) -> None:
        self.lines: list[tuple[float, bytes]] = []
        self.readers: list[web.BaseRequest] = []
        self.changed = asyncio.Event()

    def bell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()


class Logs:
    """All logs. `clock` gives seconds since the epoch."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._by_uid: dict[str, PodLog] = {}

    def of(self, uid: str) -> PodLog:
        return self._by_uid.setdefault(uid, PodLog())

    def append(self, uid: str, text: str) -> None:
        log = self.of(uid)
        log.lines += [(self.clock(), line) for line in text.encode().splitlines(keepends=True)]
        log.bell()

    def cut(self, uid: str) -> None:
        """Break the connections of those who follow the log now."""
        for request in list(self.of(uid).readers):
            if request.transport is not None:
                request.transport.abort()
        self.of(uid).bell()

    def wake(self, uid: str) -> None:
        """The pod changed: those who follow look again whether it has ended."""
        if uid in self._by_uid:
            self._by_uid[uid].bell()

    async def answer(self, request: web.BaseRequest, pod: Obj, current: Callable[[], Obj | None]) -> web.StreamResponse:
        """GET pods/NAME/log. `current` gives the pod as it is now, None when it is gone."""
        query = request.query
        _check_container(pod, query.get("container"))
        if not pod["spec"].get("nodeName"):
            return web.Response(status=204)
        started(pod, query.get("container"))
        log = self.of(pod["metadata"]["uid"])
        lines = self._selected(log, query)
        if query.get("follow") not in ("1", "true"):
            body = b"".join(lines)[: int(query.get("limitBytes", 1 << 62))]
            return web.Response(body=body, content_type="text/plain")
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        response.enable_chunked_encoding()
        log.readers.append(request)
        try:
            await response.prepare(request)
            at = len(log.lines)
            await response.write(b"".join(lines))
            while True:
                changed = log.changed
                if at < len(log.lines):
                    new, at = log.lines[at:], len(log.lines)
                    await response.write(b"".join(self._format(line, query) for line in new))
                elif _over(current()):
                    break
                else:
                    await changed.wait()
            await response.write_eof()
        except ConnectionError:
            pass
        finally:
            log.readers.remove(request)
        return response

    def _selected(self, log: PodLog, query: Mapping[str, str]) -> list[bytes]:
        since = 0.0
        if "sinceSeconds" in query:
            since = self.clock() - float(query["sinceSeconds"])
        elif "sinceTime" in query:
            since = datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00")).timestamp()
        lines = [line for line in log.lines if line[0] >= since]
        if "tailLines" in query:
            count = int(query["tailLines"])
            lines = lines[-count:] if count else []
        return [self._format(line, query) for line in lines]

    @staticmethod
    def _format(line: tuple[float, bytes], query: Mapping[str, str]) -> bytes:
        if query.get("timestamps") not in ("1", "true"):
            return line[1]
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(line[0]))
        return f"{stamp}.{int(line[0] % 1 * 1e9):09d}Z ".encode() + line[1]


def _check_container(pod: Obj, container: str | None) -> None:
    names = [c["name"] for c in (*pod["spec"]["containers"], *pod["spec"].get("initContainers", ()))]
    name = pod["metadata"]["name"]
    if container is None and len(pod["spec"]["containers"]) > 1:
        text = f"a container name must be specified for pod {name}, choose one of: [{' '.join(names)}]"
        raise bad_request(text)
    if container is not None and container not in names:
        raise bad_request(f"container {container} is not valid for pod {name}")


def started(pod: Obj, container: str | None) -> None:
    """Raise the kubelet's 400 when the container has not started."""
    container = container or pod["spec"]["containers"][0]["name"]
    statuses = pod["status"].get("containerStatuses") or []
    state: Obj = next((s["state"] for s in statuses if s["name"] == container), {"waiting": {}})
    if "waiting" not in state:
        return
    why = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }.get(state["waiting"].get("reason", ""), state["waiting"].get("reason") or "ContainerCreating")
    name = pod["metadata"]["name"]
    raise ApiError(400, f'container "{container}" in pod "{name}" is waiting to start: {why}')


def _over(pod: Obj | None) -> bool:
    return pod is None or pod["status"].get("phase") in ("Succeeded", "Failed")
