"""Two nodes, two browsers: one node is killed, the other's link is cut, both are upgraded; nobody has to click.

`python -m bench failover` measures the time; this test checks that it works.
"""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from parley_client import Api
from recorder.manifest import Manifest
from tests.support.cluster import NODE_HTTP_PORT, NODE_SECRET, Cluster, running_cluster
from tests.support.failover import CallOfTwo, administrator, call_of_two
from tests.support.namespaces import in_namespace
from tests.support.recorded import Interruption, check_once_over, manifest_of, tracks_with_frames
from tests.support.waiting import eventually, until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster(browsers=2) as running:
        yield running


def rooms_on(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    """Return the rooms that a node itself says it holds."""
    host = cluster.network.hosts[int(node.rpartition("-")[2]) - 1]
    url = f"http://{host.address}:{NODE_HTTP_PORT}/node/v1/rooms"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {NODE_SECRET}"})

    def ask() -> list[dict[str, Any]]:
        with urllib.request.urlopen(request, timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["rooms"]
            return found

    return in_namespace(host.name, ask)


class RecordedCall:
    """A recorded call of two people, and its interruptions so far."""

    def __init__(self, cluster: Cluster, admin: Api, call: CallOfTwo) -> None:
        self.interruptions: list[Interruption] = []
        self._cluster = cluster
        self._admin = admin
        self._call = call

    async def node(self) -> str:
        return str((await self._call.room())["node"])

    async def people(self) -> list[tuple[str, str, bool]]:
        """Return everybody who was in the meeting: name, id, and True while present."""
        listed = (await self._admin.request("GET", f"/meetings/{self._call.meeting}/participants"))["participants"]
        return sorted((one["name"], one["participant"], one["present"]) for one in listed)

    async def recorded(self) -> None:
        """Return when two cameras and two microphones were recorded since the last interruption."""
        (recording,) = (await self._admin.recordings(self._call.meeting))["recordings"]
        directory = self._cluster.recordings / recording["id"]
        await eventually(lambda: tracks_with_frames(directory) >= 4 * (len(self.interruptions) + 1))

    async def outlive(self, happen: Callable[[], None]) -> None:
        """Let something happen that ends every stream, once there is something to be recorded before it."""
        await self.recorded()
        begun = time.time()
        await self._call.without_media(happen)
        self.interruptions.append(Interruption(begun, time.time()))

    async def upgrade(self, node: str) -> None:
        """Have its node drain, which disturbs nobody, and stop; what takes its place takes rooms again."""
        await self.recorded()
        self._cluster.parley_nodes("drain", node)
        await self._call.media_goes_on()
        assert await self.node() == node
        await self.outlive(self._cluster.parts[node].terminate)
        assert await self.node() != node
        assert self._cluster.parts[node].wait(15) == 0
        self._cluster.start_node(node)
        self.nodes_live()

    def nodes_live(self) -> None:
        until(lambda: set(self._cluster.node_states().values()) == {"living"}, 30)

    async def finished(self) -> Manifest:
        """Stop recording; return the manifest of the meeting's one recording, once it is written."""
        await self.recorded()
        await self._admin.stop_recording(self._call.meeting)
        async with asyncio.timeout(60):
            while True:
                (recording,) = (await self._admin.recordings(self._call.meeting))["recordings"]
                if recording["state"] in {"ready", "partial"}:
                    return manifest_of(self._cluster.recordings / recording["id"])
                await asyncio.sleep(0.2)


async def test_a_recorded_call_outlives_its_node_the_next_ones_link_and_an_upgrade(cluster: Cluster) -> None:
    async with administrator(cluster) as admin, call_of_two(cluster, admin, small_camera=True) as call:
        kept = RecordedCall(cluster, admin, call)
        before = await kept.people()
        assert [(name, present) for name, _, present in before] == [("Ada", True), ("Grace", True)]
        await admin.start_recording(call.meeting)
        first = await kept.node()
        await kept.outlive(cluster.parts[first].kill)
        second = await kept.node()
        assert {first, second} == {"sfu-1", "sfu-2"}

        cluster.start_node(first)
        await kept.outlive(lambda: cluster.set_link(second, "down"))
        room = await call.room()
        assert (room["node"], room["live"]) == (first, True)

        # It returns with its old state, and learns that its room has moved.
        cluster.set_link(second, "up")
        until(lambda: not rooms_on(cluster, second), 30)
        kept.nodes_live()
        assert len(rooms_on(cluster, first)[0]["participants"]) == 2
        await call.media_flows()

        await kept.upgrade(first)
        await kept.upgrade(second)
        assert await kept.people() == before
        manifest = await kept.finished()
    assert (manifest.state, manifest.problems) == ("ready", [])
    check_once_over(cluster.recordings, manifest, {"Ada", "Grace"}, kept.interruptions)


async def test_a_node_is_drained_by_command_and_takes_rooms_again(cluster: Cluster) -> None:
    for node in ("sfu-1", "sfu-2"):
        if cluster.parts[node].poll() is not None:
            cluster.start_node(node)
    async with administrator(cluster) as admin:

        async def node_of_a_new_meeting() -> str:
            meeting = await admin.create_meeting("New")
            await admin.join(meeting, "Ada")
            return str((await admin.request("GET", f"/meetings/{meeting}/room"))["node"])

        until(lambda: cluster.node_states() == {"sfu-1": "living", "sfu-2": "living"}, 30)
        cluster.parley_nodes("drain", "sfu-1")
        until(lambda: cluster.node_states()["sfu-1"] == "draining", 30)
        assert {await node_of_a_new_meeting() for _ in range(4)} == {"sfu-2"}
        cluster.parley_nodes("undrain", "sfu-1")
        until(lambda: cluster.node_states()["sfu-1"] == "living", 30)
        async with asyncio.timeout(60):  # it is the calmer of the two, once its figures are those of now
            while await node_of_a_new_meeting() != "sfu-1":
                pass
