"""Two nodes, two browsers: one node is killed, the link of the other is cut, one stops, and nobody has to click.

How fast it has to be is measured by `python -m bench failover`; here it has to happen.
"""

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import INTERNAL_PORT, NODE_HTTP_PORT, NODE_SECRET, Cluster, running_cluster
from tests.support.failover import administrator, call_of_two
from tests.support.namespaces import in_namespace
from tests.support.waiting import until


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running_cluster(browsers=2) as running:
        yield running


def rooms_on(cluster: Cluster, node: str) -> list[dict[str, Any]]:
    """What a node itself says that it holds."""
    host = cluster.network.hosts[int(node.rpartition("-")[2]) - 1]
    url = f"http://{host.address}:{NODE_HTTP_PORT}/node/v1/rooms"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {NODE_SECRET}"})

    def ask() -> list[dict[str, Any]]:
        with urllib.request.urlopen(request, timeout=5) as answer:
            found: list[dict[str, Any]] = json.loads(answer.read())["rooms"]
            return found

    return in_namespace(host.name, ask)


async def test_a_call_outlives_its_node_and_the_next_ones_link(cluster: Cluster) -> None:
    async with administrator(cluster) as admin, call_of_two(cluster, admin) as call:
        first = (await call.room())["node"]
        await call.without_media(cluster.parts[first].kill)
        second = (await call.room())["node"]
        assert {first, second} == {"sfu-1", "sfu-2"}

        cluster.start_node(first)
        await call.without_media(lambda: cluster.set_link(second, "down"))
        room = await call.room()
        assert (room["node"], room["live"]) == (first, True)

        # It comes back as it was, and learns that its room is elsewhere.
        cluster.set_link(second, "up")
        until(lambda: not rooms_on(cluster, second), 30)
        people = (await admin.request("GET", f"/meetings/{call.meeting}/participants"))["participants"]
        assert sorted((one["name"], one["present"]) for one in people) == [("Ada", True), ("Grace", True)]
        assert len(rooms_on(cluster, first)[0]["participants"]) == 2
        await call.media_flows()

        # It stops in good order, as for an upgrade.
        await call.without_media(cluster.parts[first].terminate)
        assert (await call.room())["node"] == second
        assert cluster.parts[first].wait(15) == 0


def parley_nodes(cluster: Cluster, *arguments: str) -> str:
    """What `parley nodes` prints."""
    environment = os.environ | {
        "PARLEY_CONTROL_URL": f"http://{cluster.network.server_address}:{INTERNAL_PORT}",
        "PARLEY_NODE_SECRET": NODE_SECRET,
    }
    command = [sys.executable, "-m", "parley", "nodes", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60).stdout


async def test_a_node_is_drained_by_command_and_takes_rooms_again(cluster: Cluster) -> None:
    for node in ("sfu-1", "sfu-2"):
        if cluster.parts[node].poll() is not None:
            cluster.start_node(node)
    async with administrator(cluster) as admin:

        async def node_of_a_new_meeting() -> str:
            meeting = await admin.create_meeting("New")
            await admin.join(meeting, "Ada")
            return str((await admin.request("GET", f"/meetings/{meeting}/room"))["node"])

        def states() -> dict[str, str]:
            rows = [line.split() for line in parley_nodes(cluster, "list").splitlines()]
            return {row[0]: row[1] for row in rows}

        until(lambda: states() == {"sfu-1": "living", "sfu-2": "living"}, 30)
        parley_nodes(cluster, "drain", "sfu-1")
        until(lambda: states()["sfu-1"] == "draining", 30)
        assert {await node_of_a_new_meeting() for _ in range(4)} == {"sfu-2"}
        parley_nodes(cluster, "undrain", "sfu-1")
        until(lambda: states()["sfu-1"] == "living", 30)
        assert {await node_of_a_new_meeting() for _ in range(8)} == {"sfu-1", "sfu-2"}
