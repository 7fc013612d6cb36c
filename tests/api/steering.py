"""What the tests of attempts and of control share: ops, a clock, and looks at one Job named j."""

from __future__ import annotations

import time
from typing import Any

from api.driving import Clock, Driver, condition
from podgraph.planning.model.names import step_pod

Obj = dict[str, Any]
RETRIES = """
from podgraph import Failure, RetryPolicy, RetryRequested, job, op

@op(retry_policy=RetryPolicy(max_retries=2))
def by_policy(context):
    if context.retry_number < 2:
        raise ValueError("not yet")
    return context.retry_number

@op
def asks(context):
    if context.retry_number < 1:
        raise RetryRequested(max_retries=1)
    return context.retry_number

@op(retry_policy=RetryPolicy(max_retries=5))
def refuses():
    raise Failure("no use", allow_retries=False)

@job
def j():
    by_policy()
    asks()
    refuses()
"""


class Moving(Clock):
    """A clock that goes as the real one does and can be put forward: `clock.now += 60`."""

    def __init__(self) -> None:
        self.ahead = 0.0

    @property
    def now(self) -> float:  # type: ignore[override]
        return time.time() + self.ahead

    @now.setter
    def now(self, value: float) -> None:
        self.ahead = value - time.time()

    def __call__(self) -> float:
        return self.now


def op(name: str, *ups: str, **more: Any) -> Obj:
    inputs = [{"name": up, "from": {"op": up}} for up in ups]
    return {"name": name, "image": "busybox:1", "inputs": inputs, "outputs": [{"name": "result"}], **more}


def again(times: int, **more: Any) -> Obj:
    return {"maxRetries": times, **more}


def change(drive: Driver, **spec: Any) -> None:
    drive.fake.patch("jobs", "default", "j", {"spec": spec})


def pod_name(drive: Driver, name: str, attempt: int = 1) -> str:
    return step_pod("j", drive.fake.get("jobs", "default", "j")["metadata"]["uid"], name, attempt)


def made_pods(drive: Driver) -> list[str]:
    """Return a list to which the name of each pod is added that comes into being from now on."""
    made: list[str] = []

    def seen(change: Any) -> None:
        if change.type == "ADDED" and change.resource is drive.fake.pods:
            made.append(change.new.obj["metadata"]["name"])

    drive.fake.store.listeners.append(seen)
    return made


def events(drive: Driver) -> list[str]:
    return [e["reason"] for e in drive.fake.objects("events")]


def states(drive: Driver) -> dict[str, str]:
    return {name: record["state"] for name, record in drive.steps().items()}


async def pod_there(drive: Driver, name: str, attempt: int = 1) -> Obj:
    wanted = pod_name(drive, name, attempt)
    return await drive.fake.until(lambda: drive.fake.find("pods", "default", wanted), what=f"attempt {attempt}")


async def wake(drive: Driver) -> None:
    """Let the controller look again, as its queue does by itself when the real clock has come as far as the test's."""
    assert drive.controller is not None
    drive.controller.jobs.queue.add(drive.fake.get("jobs", "default", "j")["metadata"]["uid"])


async def said(drive: Driver, reason: str) -> Obj:
    """Wait until the Job's state is `reason`."""
    await drive.fake.until(
        lambda: condition(drive.status(), "Succeeded").get("reason") == reason,
        what=f"{reason}: {drive.status()}",
    )
    return drive.status()
