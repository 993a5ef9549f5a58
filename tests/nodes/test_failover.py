"""Two nodes, two browsers: one node is killed, the link of the other is cut, one stops, and nobody has to click.

How fast it has to be is measured by `python -m bench failover`; here it has to happen.
"""

import json
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cluster import NODE_HTTP_PORT, NODE_SECRET, Cluster, running_cluster
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
