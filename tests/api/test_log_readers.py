"""The runtime of a pod that reads kept logs, for the page and the commands, where somebody had its name before."""

from __future__ import annotations

import asyncio
import base64
from pathlib import Path

import aiohttp
import pytest

from api.driving import BUNDLE
from api.fake import FakeCluster
from podgraph.cli.cluster import Cluster
from podgraph.cluster.client import ApiError
from podgraph.cluster.ui_client import UiClient
from podgraph.definition.errors import DefinitionError
from podgraph.planning.manifests.objects import runtime_config_map
from podgraph.planning.model import names

RUNTIME = runtime_config_map("default", names.runtime_config_map(BUNDLE.digest), BUNDLE.archive)
OTHERS = {
    "other code": {**RUNTIME, "binaryData": {"runtime.pyz": base64.b64encode(b"mine").decode()}},
    "one that can be changed": {**RUNTIME, "immutable": False},
    "no labels": {**RUNTIME, "metadata": {**RUNTIME["metadata"], "labels": {}}},
}


@pytest.mark.parametrize("what", OTHERS)
async def test_the_page_runs_no_runtime_that_another_made(what: str) -> None:
    async with FakeCluster() as fake, aiohttp.ClientSession(base_url=fake.url) as session:
        fake.create(OTHERS[what])
        with pytest.raises(ApiError, match="this operator did not create it"):
            await UiClient(session).put_config_map(RUNTIME)


async def test_the_page_uses_the_one_that_is_there() -> None:
    async with FakeCluster() as fake, aiohttp.ClientSession(base_url=fake.url) as session:
        for _ in range(2):
            await UiClient(session).put_config_map(RUNTIME)
        assert len(fake.objects("configmaps")) == 1


@pytest.mark.parametrize("what", OTHERS)
async def test_a_command_runs_no_runtime_that_another_made(what: str, tmp_path: Path) -> None:
    async with FakeCluster() as fake:
        cluster = Cluster("default", "", str(fake.kubeconfig(tmp_path / "kubeconfig")))
        fake.create(OTHERS[what])
        with pytest.raises(DefinitionError, match="not what podgraph makes"):
            await asyncio.to_thread(cluster.create_config_map, RUNTIME)


async def test_a_command_uses_the_one_that_is_there(tmp_path: Path) -> None:
    async with FakeCluster() as fake:
        cluster = Cluster("default", "", str(fake.kubeconfig(tmp_path / "kubeconfig")))
        for _ in range(2):
            await asyncio.to_thread(cluster.create_config_map, RUNTIME)
        assert len(fake.objects("configmaps")) == 1


async def test_a_command_deletes_the_pod_it_made_alone(tmp_path: Path) -> None:
    async with FakeCluster() as fake:
        cluster = Cluster("default", "", str(fake.kubeconfig(tmp_path / "kubeconfig")))
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "reader", "namespace": "default"},
            "spec": {"containers": [{"name": "main", "image": "i"}]},
        }
        uid = await asyncio.to_thread(cluster.create_pod, manifest)
        await asyncio.to_thread(cluster.delete_pod, "reader", "00000000-0000-0000-0000-000000000000")
        assert fake.find("pods", "default", "reader")
        await asyncio.to_thread(cluster.delete_pod, "reader", uid)
