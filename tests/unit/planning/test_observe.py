"""What a pod's status says, read from pods as the API server gives them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from podgraph.planning.observe import Phase, Seen, describe_exit, observe
from podgraph.planning.pods import Pod, Terminated

START, END = "2026-11-23T09:00:00Z", "2026-11-23T09:00:03Z"


def pod(state: dict[str, Any] | None = None, *, deleted: bool = False, gone: bool = False, **status: Any) -> Pod:
    if state is not None:
        status["containerStatuses"] = [
            {"name": "istio-proxy", "image": "x", "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}},
            {"name": "step", "image": "y", "state": state},
            {"name": "logs", "image": "x", "state": {"terminated": {"exitCode": 9}}},
        ]
    meta = {"name": "p", "namespace": "n", "uid": "u", "managedFields": [{"x": 1}]}
    if deleted:
        meta["deletionTimestamp"] = END
    made = msgspec.convert({"metadata": meta, "spec": {"x": 1}, "status": status}, Pod)
    return msgspec.structs.replace(made, gone=gone)


def ended(code: int, reason: str = "", **more: Any) -> dict[str, Any]:
    return {
        "terminated": {"exitCode": code, "reason": reason, "startedAt": START, "finishedAt": END, **more},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


UNSCHEDULED = [
    {"type": "Initialized", "status": "True"},
    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes: no cpu"},
]


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (pod(), Seen(Phase.STARTING)),
        (pod(phase="Pending"), Seen(Phase.STARTING)),
        (
            pod(phase="Pending", conditions=UNSCHEDULED),
            Seen(Phase.STARTING, "Unschedulable", "0/1 nodes: no cpu"),
        ),
        (
            pod(phase="Pending", conditions=[{"type": "PodScheduled", "status": "True"}]),
            Seen(Phase.STARTING),
        ),
        (pod(waiting("ContainerCreating"), phase="Pending"), Seen(Phase.STARTING)),
        (pod(waiting("PodInitializing"), phase="Pending"), Seen(Phase.STARTING)),
        (pod({}, phase="Pending"), Seen(Phase.STARTING)),
        (pod({"running": {"startedAt": START}}, phase="Running"), Seen(Phase.RUNNING, started_at=START)),
        (pod({"running": {}}, phase="Pending"), Seen(Phase.RUNNING)),
        (
            pod({"running": {"startedAt": START}}, phase="Running", deleted=True),
            Seen(Phase.RUNNING, started_at=START),
        ),
        (
            pod({"running": {"startedAt": START}}, phase="Running", gone=True),
            Seen(Phase.GONE, "PodDeleted", "its pod was deleted before it ended"),
        ),
        (pod(phase="Pending", gone=True), Seen(Phase.GONE, "PodDeleted", "its pod was deleted before it ended")),
        (
            pod(waiting("ErrImagePull", "manifest unknown"), gone=True),
            Seen(Phase.GONE, "PodDeleted", "its pod was deleted before it ended"),
        ),
    ],
)
def test_before_the_end(look: Pod, seen: Seen) -> None:
    assert observe(look) == seen


@pytest.mark.parametrize(
    ("reason", "message", "hopeless"),
    [
        ("InvalidImageName", "couldn't parse", True),
        ("ErrImageNeverPull", "", True),
        ("ErrImagePull", 'rpc error: "docker.io/x/y:1": not found', True),
        ("ErrImagePull", "manifest unknown", True),
        ("ErrImagePull", "pull access denied, repository does not exist", True),
        ("ErrImagePull", "dial tcp: lookup registry on 10.0.0.1: no such host", False),
        ("ErrImagePull", "i/o timeout", False),
        ("ImagePullBackOff", 'Back-off pulling image "x"', False),
        ("ImagePullBackOff", 'Back-off pulling image "x": ErrImagePull: x: Not Found', True),
        ("RegistryUnavailable", "", False),
        ("CreateContainerConfigError", 'secret "x" not found', False),
        ("CreateContainerError", "x", False),
        ("RunContainerError", "x", False),
        ("ImageInspectError", "x", False),
    ],
)
def test_containers_that_cannot_start(reason: str, message: str, hopeless: bool) -> None:
    seen = observe(pod(waiting(reason, message), phase="Pending"))
    assert seen == Seen(Phase.STUCK, reason, message or reason, hopeless)


TIMES = {"started_at": START, "finished_at": END}


@pytest.mark.parametrize(
    ("look", "seen"),
    [
        (pod(ended(0, "Completed", message="x"), phase="Succeeded"), Seen(Phase.ENDED, text="x", **TIMES)),
        (pod(ended(0, "Completed"), phase="Running"), Seen(Phase.ENDED, **TIMES)),  # a sidecar goes on
        (pod(ended(0, "Completed"), phase="Failed"), Seen(Phase.ENDED, **TIMES)),  # a sidecar failed
        (pod(ended(0, "Completed"), phase="Running", deleted=True), Seen(Phase.ENDED, **TIMES)),
        (pod(ended(0, "Completed"), phase="Running", gone=True), Seen(Phase.ENDED, **TIMES)),
        (
            pod(ended(1, "Error", message="log"), phase="Failed"),
            Seen(
                Phase.ENDED, "ContainerFailed", "its container ended with exit code 1", exit_code=1, text="log", **TIMES
            ),
        ),
        (
            pod(ended(137, "OOMKilled"), phase="Failed"),
            Seen(
                Phase.ENDED,
                "OOMKilled",
                "its container ended with exit code 137, SIGKILL, OOMKilled",
                exit_code=137,
                **TIMES,
            ),
        ),
        (
            pod(ended(128, "StartError", message="exec: no such file"), phase="Failed"),
            Seen(
                Phase.ENDED,
                "StartError",
                "its container ended with exit code 128, StartError",
                exit_code=128,
                text="exec: no such file",
                **TIMES,
            ),
        ),
        (
            pod(ended(137, "Error"), phase="Failed", reason="Evicted", message="low on memory"),
            Seen(
                Phase.ENDED,
                "Evicted",
                "its container ended with exit code 137, SIGKILL: low on memory",
                exit_code=137,
                **TIMES,
            ),
        ),
        (
            pod(ended(143, "Error"), phase="Failed", deleted=True),
            Seen(
                Phase.ENDED,
                "PodDeleted",
                "its pod was deleted while it ran (exit code 143, SIGTERM)",
                exit_code=143,
                **TIMES,
            ),
        ),
        (
            pod(ended(137, "Error"), phase="Running", gone=True),
            Seen(
                Phase.ENDED,
                "PodDeleted",
                "its pod was deleted while it ran (exit code 137, SIGKILL)",
                exit_code=137,
                **TIMES,
            ),
        ),
        (
            pod(phase="Failed", reason="Evicted", message="no disk"),
            Seen(Phase.ENDED, "Evicted", "no disk", exit_code=-1),
        ),
        (
            pod(waiting("PodInitializing"), phase="Failed"),
            Seen(Phase.ENDED, "PodFailed", "the pod failed before its container ran", exit_code=-1),
        ),
        (
            pod(phase="Failed", reason="DeadlineExceeded", message="too long", gone=True),
            Seen(Phase.ENDED, "DeadlineExceeded", "too long", exit_code=-1),
        ),
    ],
)
def test_the_end(look: Pod, seen: Seen) -> None:
    assert observe(look) == seen


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (Terminated(exit_code=3), "exit code 3"),
        (Terminated(exit_code=1, reason="Error"), "exit code 1"),
        (Terminated(exit_code=139, reason="Error"), "exit code 139, SIGSEGV"),
        (Terminated(exit_code=128), "exit code 128"),
        (Terminated(exit_code=159), "exit code 159, SIGSYS"),
        (Terminated(exit_code=255), "exit code 255"),
        (Terminated(exit_code=0, signal=9), "exit code 0, SIGKILL"),
        (Terminated(exit_code=1, signal=99), "exit code 1, signal 99"),
        (Terminated(exit_code=2, reason="ContainerCannotRun"), "exit code 2, ContainerCannotRun"),
    ],
)
def test_how_a_container_ended(state: Terminated, words: str) -> None:
    assert describe_exit(state) == words
