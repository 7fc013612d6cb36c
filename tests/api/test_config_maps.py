"""ConfigMaps that the operator makes and reads: conflicts that pass, and code where none can be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest

from api.driving import Driver, PythonPods, condition, driving
from api.fake import AutoKubelet, FakeCluster
from podgraph.cluster.automation_client import AutomationClient
from podgraph.cluster.client import ApiError, Client
from podgraph.definition.errors import DefinitionError
from podgraph.reconcile.automation.base import Automation
from podgraph.reconcile.automation.polled_sensors import PolledSensors

Obj = dict[str, Any]
SOURCE = "from podgraph import job, op\n\n@op\ndef a():\n    return 1\n\n@job\ndef j():\n    a()\n"
CONFLICT: Obj = {"status": 409, "reason": "Conflict", "message": "Operation cannot be fulfilled on resourcequotas"}


@pytest.fixture
async def drive() -> AsyncIterator[Driver]:
    async with driving() as driver:
        yield driver


@pytest.fixture
async def client() -> AsyncIterator[tuple[FakeCluster, Client]]:
    async with FakeCluster() as fake, aiohttp.ClientSession(base_url=fake.url) as session:
        yield fake, Client(session)


@pytest.mark.parametrize("which", [0, 1], ids=["code", "runtime"])
async def test_a_conflict_that_passes_does_not_refuse_the_job(drive: Driver, which: int) -> None:
    fault = drive.fake.fault("POST", "/configmaps$", **CONFLICT, skip=which)
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):
        drive.apply(code={"source": SOURCE})
        assert condition(await drive.finished(), "Succeeded")["status"] == "True"
    assert fault.hits == 1


async def test_a_conflict_that_passes_does_not_refuse_the_job_of_a_definition(drive: Driver) -> None:
    drive.fake.create(
        {
            "apiVersion": "podgraph.dev/v1alpha1", "kind": "JobDefinition", "metadata": {"name": "d"},
            "spec": {"code": {"source": SOURCE}},
        }
    )  # fmt: skip
    async with AutoKubelet(drive.fake, PythonPods(drive.fake, SOURCE)):

        def ready() -> bool:
            found = drive.fake.get("jobdefinitions", "default", "d").get("status") or {}
            return condition(found, "Ready").get("status") == "True"

        await drive.fake.until(ready, what="the definition")
        fault = drive.fake.fault("POST", "/configmaps$", **CONFLICT)
        drive.apply(definitionRef={"name": "d"})
        assert condition(await drive.finished(), "Succeeded")["status"] == "True"
    assert fault.hits == 1


def config_map(owner: str = "", finalizers: tuple[str, ...] = ()) -> Obj:
    reference = {"apiVersion": "podgraph.dev/v1alpha1", "kind": "Job", "name": "j", "uid": owner}
    meta: Obj = {"name": "m", "namespace": "default", "finalizers": list(finalizers)}
    return {
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"of": owner},
        "metadata": {**meta, **({"ownerReferences": [reference]} if owner else {})},
    }  # fmt: skip


async def test_a_name_that_another_has_can_be_had_once_it_is_gone(client: tuple[FakeCluster, Client]) -> None:
    fake, asking = client
    fake.collector.paused = True
    fake.create(config_map("other", ("x/hold",)))
    with pytest.raises(ApiError) as taken:
        await asking.create("configmaps", config_map("mine"))
    assert (taken.value.reason, taken.value.permanent) == ("AlreadyExists", True)
    fake.delete("configmaps", "default", "m")
    with pytest.raises(ApiError) as going:
        await asking.create("configmaps", config_map("mine"))
    assert (going.value.reason, going.value.permanent) == ("Conflict", False)
    fake.patch("configmaps", "default", "m", {"metadata": {"finalizers": None}})
    assert b'"mine"' in await asking.create("configmaps", config_map("mine"))


async def test_one_that_goes_while_it_is_looked_at_is_a_conflict_that_passes(
    client: tuple[FakeCluster, Client],
) -> None:
    fake, asking = client
    fake.fault("POST", "/configmaps$", status=409, reason="AlreadyExists", message="m is there")
    with pytest.raises(ApiError) as gone:
        await asking.create("configmaps", config_map("mine"))
    assert (gone.value.reason, gone.value.permanent) == ("Conflict", False)


async def test_code_in_binary_data_is_told(drive: Driver) -> None:
    made = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}, "binaryData": {"job.py": "cGFzcw=="}}
    drive.fake.create(made)
    drive.apply(code={"configMapRef": {"name": "m", "key": "job.py"}})
    accepted = condition(await drive.finished(), "Accepted")
    assert accepted["reason"] == "InvalidConfigMap"
    assert accepted["message"].startswith("the key 'job.py' of ConfigMap 'm' is in binaryData")
    assert drive.creates() == []


@pytest.mark.parametrize("name", ["../../other/configmaps/x", "..", "", "a/b", "A"])
async def test_what_a_sensor_remembers_is_in_its_namespace(client: tuple[FakeCluster, Client], name: str) -> None:
    fake, asking = client
    unused: Any = SimpleNamespace()
    meta = {"name": "s", "namespace": "default", "uid": "u", "resourceVersion": "1"}
    maker = Automation({"metadata": meta, "status": {"cursor": {"blocks": [name]}}}, "JobSensor")
    with pytest.raises(DefinitionError, match=r"status\.cursor\.blocks") as refused:
        await PolledSensors(AutomationClient(asking, "jobsensors"), unused, unused, unused)._recall(maker)
    assert refused.value.reason == "InvalidName"
    assert fake.requests == []
