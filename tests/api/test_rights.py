"""The whole operator before an API server that allows what the chart grants, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import kopf
import pytest

from api.driving import IMAGE, PythonPods, adding, condition
from api.fake import AutoKubelet, FakeCluster
from chart.rendering import allowed, render, rights_of
from podgraph.definition.errors import DefinitionError
from podgraph.operator import operate, read_namespaces
from podgraph.planning.manifests.storage import Storage, default_storage

Obj = dict[str, Any]
TEAM, OTHER = "team-a", "team-b"
CLAIM = "storage.createClaim.enabled=true"
WATCH = 'sensors.watch=[{"apiGroups":[""],"resources":["configmaps"]}]'
NAMESPACED = f'watchNamespaces=["{TEAM}","{OTHER}"]'
CODE = """
from podgraph import job, op

@op
def data():
    return b"x" * 100_000

@op
def last(x: bytes):
    return len(x)

@job
def j():
    last(data())
"""
OPS = [
    {"name": "a", "image": "i", "outputs": [{"name": "result"}]},
    {"name": "b", "image": "i", "inputs": [{"name": "x", "from": {"op": "a"}}], "outputs": [{"name": "result"}]},
]
VALUE = {"spec": {"ops": OPS}}


def _make(fake: FakeCluster, kind: str, name: str, spec: Obj, namespace: str = TEAM) -> Obj:
    meta = {"name": name, "namespace": namespace}
    return fake.create({"apiVersion": "podgraph.dev/v1alpha1", "kind": kind, "metadata": meta, "spec": spec})


def grant(fake: FakeCluster, *values: str) -> None:
    """Let the API server allow what the chart with these values grants to the operator. A Role needs its namespace."""
    rights = rights_of(render(*values), "podgraph")

    def may(verb: str, group: str, resource: str, namespace: str, name: str) -> bool:
        there = [r for r in rights if not r.namespace or fake.find("namespaces", "", r.namespace) is not None]
        return allowed(there, verb, group, resource, namespace, name)

    fake.server.may = may


@contextlib.asynccontextmanager
async def operating(
    fake: FakeCluster, namespaces: list[str], storage: Storage | None = None
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    info = kopf.ConnectionInfo(server=fake.url)
    task = asyncio.create_task(operate(stop, IMAGE, info, storage=storage, namespaces=namespaces))
    try:
        yield task
    finally:
        stop.set()
        async with asyncio.timeout(30):
            await task


async def finished(fake: FakeCluster, name: str, namespace: str = TEAM) -> Obj:
    def over() -> Obj | None:
        status = (fake.find("jobs", namespace, name) or {}).get("status") or {}
        return status if condition(status, "Finished").get("status") == "True" else None

    status = await fake.until(over, 40, f"the end of {name}: {fake.server.denied} {fake.find('jobs', namespace, name)}")
    assert condition(status, "Succeeded")["status"] == "True", condition(status, "Succeeded")
    return dict(status)


async def conditioned(fake: FakeCluster, plural: str, name: str) -> Obj:
    def ready() -> Obj:
        return condition((fake.find(plural, TEAM, name) or {}).get("status") or {}, "Ready")

    return dict(
        await fake.until(lambda: ready() if ready().get("status") == "True" else None, 40, f"{name}: {ready()}")
    )


class Play:
    """Plays pods of any kind, in whichever namespace."""

    def __init__(self, fake: FakeCluster) -> None:
        self._python = PythonPods(fake, CODE)
        fake.set_log = lambda *_: None  # type: ignore[method-assign]  their records stand in their ends

    def __call__(self, pod: Obj) -> tuple[int, str] | None:
        python = "podgraph.dev/assignment" in pod["metadata"]["annotations"]
        if python and "evaluator" not in str(pod["metadata"]["labels"]):
            return self._python(pod)
        return adding(pod)


@pytest.mark.parametrize("namespaces", [[], [TEAM, OTHER]], ids=["cluster", "namespaces"])
async def test_all_that_it_does_is_granted_by_the_chart(namespaces: list[str], tmp_path: Path) -> None:
    claim = '{"claimRef": {"name": "podgraph-storage"}, "size": "1Gi", "accessMode": "ReadWriteOnce"}'
    async with FakeCluster() as fake:
        for namespace in (TEAM, OTHER):
            fake._ensure_namespace(namespace)
        grant(fake, CLAIM, WATCH, *([NAMESPACED] if namespaces else []))
        storage = default_storage(claim)
        assert storage is not None
        async with operating(fake, namespaces, storage), AutoKubelet(fake, Play(fake), select=lambda pod: _plays(pod)):
            on = {"url": f"file://{tmp_path}", "claimRef": {"name": "mine"}}
            fake.create(
                {
                    "apiVersion": "v1", "kind": "PersistentVolumeClaim",
                    "metadata": {"name": "mine", "namespace": TEAM}, "spec": {},
                }
            )  # fmt: skip
            fake.create(
                {
                    "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "code", "namespace": TEAM},
                    "data": {"job.py": CODE},
                }
            )  # fmt: skip
            always = {"execution": {"podRetention": "Always", "prestart": 0}}
            code = {"configMapRef": {"name": "code", "key": "job.py"}}
            _make(fake, "Job", "code", {"code": code, "storage": on, **always})
            await finished(fake, "code")
            again = {"rerunOf": {"name": "code", "steps": "All"}, "code": {"source": CODE}}
            _make(fake, "Job", "again", {**again, "storage": on, **always})
            await finished(fake, "again")
            _make(fake, "Job", "ops", {"ops": OPS, "ttlSecondsAfterFinished": 0})
            await fake.until(lambda: fake.find("jobs", TEAM, "ops") is None, 40, "the ttl")
            _make(fake, "JobDefinition", "d", {"ops": OPS})
            await conditioned(fake, "jobdefinitions", "d")
            _make(fake, "Job", "defined", {"definitionRef": {"name": "d"}})
            await finished(fake, "defined")
            _make(fake, "JobDefinition", "d2", {"code": {"source": CODE}, "storage": on})
            await conditioned(fake, "jobdefinitions", "d2")
            fake.patch("jobdefinitions", TEAM, "d2", {"spec": {"code": {"source": f"{CODE}\n"}}})
            await fake.until(
                lambda: (fake.get("jobdefinitions", TEAM, "d2").get("status") or {}).get("observedGeneration") == 2,
                40, "its second generation",
            )  # fmt: skip
            _make(fake, "JobSchedule", "s", {"schedule": "* * * * *", "jobTemplate": VALUE})
            await conditioned(fake, "jobschedules", "s")
            watched = {"apiVersion": "v1", "resource": "configmaps", "name": "code", "field": {"path": "metadata.uid"}}
            _make(fake, "JobSensor", "n", {"source": {"kubernetes": watched}, "jobTemplate": VALUE})
            await conditioned(fake, "jobsensors", "n")
            _make(fake, "JobSensor", "m", {"source": {"job": {"name": "late"}}, "jobTemplate": VALUE})
            await conditioned(fake, "jobsensors", "m")
            _make(fake, "Job", "late", {"ops": OPS})
            await finished(fake, "late")
            made = await fake.until(
                lambda: [j for j in fake.objects("jobs", TEAM) if j["metadata"]["name"].startswith("m-")], 40, "its Job"
            )
            await finished(fake, made[0]["metadata"]["name"])
            _make(fake, "Job", "long", {"ops": [{"name": "stays", "image": "i"}]})
            await fake.until(lambda: [p for p in fake.objects("pods", TEAM) if not _plays(p)], 40, "its pod")
            fake.patch("jobs", TEAM, "long", {"spec": {"cancel": True}})
            await fake.until(lambda: _is_over(fake, "long"), 40, "its end")
            fake.delete("jobs", TEAM, "code")
            await fake.until(lambda: fake.find("jobs", TEAM, "code") is None, 40, "the end of what it stored")
            _make(fake, "Job", "elsewhere", {"ops": OPS}, OTHER)
            await finished(fake, "elsewhere", OTHER)
        assert fake.server.denied == []
        events = fake.objects("events")
        assert "StorageNotDeleted" not in {event["reason"] for event in events}
        if namespaces:
            asked = {request.path for request in fake.requests if "/namespaces/" not in request.path}
            assert not {
                path for path in asked if path.split("/")[-1] in ("pods", "jobs", "jobdefinitions", "jobsensors")
            }


def _is_over(fake: FakeCluster, name: str) -> bool:
    status = fake.get("jobs", TEAM, name).get("status") or {}
    return bool(condition(status, "Finished").get("status") == "True")


def _plays(pod: Obj) -> bool:
    return "stays" not in str(pod["metadata"]["annotations"].get("podgraph.dev/op", ""))


async def test_a_namespace_that_comes_later_goes_and_comes_again() -> None:
    async with FakeCluster() as fake:
        fake._ensure_namespace(TEAM)
        grant(fake, NAMESPACED)
        async with operating(fake, [TEAM, OTHER]), AutoKubelet(fake, Play(fake)):
            _make(fake, "Job", "first", {"ops": OPS})
            await finished(fake, "first")  # though the other namespace is not there
            for turn in (1, 2):
                fake._ensure_namespace(OTHER)
                _make(fake, "Job", f"j{turn}", {"ops": OPS}, OTHER)
                await finished(fake, f"j{turn}", OTHER)
                for plural in ("pods", "jobs", "configmaps"):
                    for found in fake.objects(plural, OTHER):
                        fake.delete(plural, OTHER, found["metadata"]["name"])
                fake.delete("namespaces", "", OTHER)
                fake.cut_watches()
                _make(fake, "Job", f"beside{turn}", {"ops": OPS})
                await finished(fake, f"beside{turn}")
        assert all(f'in the namespace "{OTHER}"' in line for line in fake.server.denied)


async def test_what_vanished_while_the_watch_was_broken_is_forgotten() -> None:
    async with FakeCluster() as fake:
        fake._ensure_namespace(TEAM)
        grant(fake, f'watchNamespaces=["{TEAM}"]')
        async with operating(fake, [TEAM]), AutoKubelet(fake, Play(fake)):
            _make(fake, "JobDefinition", "d", {"ops": OPS})
            await conditioned(fake, "jobdefinitions", "d")
            fake.lose_events("jobdefinitions", lambda: fake.delete("jobdefinitions", TEAM, "d"))
            _make(fake, "JobDefinition", "e", {"ops": OPS})
            await conditioned(fake, "jobdefinitions", "e")
            _make(fake, "Job", "j", {"definitionRef": {"name": "d"}})
            await fake.until(
                lambda: condition(fake.get("jobs", TEAM, "j").get("status") or {}, "Accepted").get("reason")
                in ("DefinitionNotFound", "Waiting", "DefinitionMissing"),
                40, f"the Job waits: {fake.get('jobs', TEAM, 'j')}",
            )  # fmt: skip


@pytest.mark.parametrize("text", ["a,*", "kube_system", "../x", "A", "a" * 64])
def test_a_wrong_namespace_is_refused_by_name(text: str) -> None:
    with pytest.raises(DefinitionError, match="correct the chart value watchNamespaces"):
        read_namespaces(text)


async def test_jobs_of_other_namespaces_are_left_alone() -> None:
    async with FakeCluster() as fake:
        for namespace in (TEAM, OTHER):
            fake._ensure_namespace(namespace)
        _make(fake, "Job", "theirs", {"ops": OPS}, OTHER)
        grant(fake, f'watchNamespaces=["{TEAM}"]')
        async with operating(fake, [TEAM]), AutoKubelet(fake, Play(fake)):
            _make(fake, "Job", "ours", {"ops": OPS})
            await finished(fake, "ours")
            assert "status" not in fake.get("jobs", OTHER, "theirs")
        assert fake.server.denied == []
