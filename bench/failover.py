"""Seconds without media for two browsers when the node of their call is killed, cut off, or stopped for an upgrade.

Two nodes, two Chromiums, control, etcd, nginx and stores run in namespaces of this machine, without user actions. One
browser uses nginx, the other control. Media is back when both pages decode video and receive audio on new streams. A
cut link sends no RST.
"""

import asyncio
import functools
import statistics

from bench.report import Report, progress
from tests.support.cluster import Cluster, running_cluster
from tests.support.failover import CallOfTwo, administrator, call_of_two
from tests.support.waiting import until

KILLED_BAR_SECONDS = 5.0
CUT_BAR_SECONDS = 10.0


def run(*, quick: bool) -> Report:
    """Cause each failure 3 times (once if quick)."""
    with running_cluster(browsers=2) as cluster:
        killed, cut, stopped = asyncio.run(_measure(cluster, 1 if quick else 3))
    report = Report()
    what = "node of a call of two browsers"
    report.at_most(what, "kill -9 to media again for both, worst", max(killed), "s", KILLED_BAR_SECONDS)
    report.at_most(what, "link down (no RST) to media again for both, worst", max(cut), "s", CUT_BAR_SECONDS)
    report.add(what, "SIGTERM to media again for both, worst", max(stopped), "s")
    for name, seconds in (("kill -9", killed), ("link down", cut), ("SIGTERM", stopped)):
        report.add(what, f"{name}, median", statistics.median(seconds), "s")
    return report


async def _measure(cluster: Cluster, times: int) -> tuple[list[float], list[float], list[float]]:
    killed, cut, stopped = [], [], []
    async with administrator(cluster) as admin, call_of_two(cluster, admin) as call:
        for _ in progress(range(times), "failing over"):
            node = await _node(call)
            killed.append(await call.without_media(cluster.parts[node].kill))
            await asyncio.to_thread(cluster.start_node, node)
            node = await _settled(cluster, call)
            cut.append(await call.without_media(functools.partial(cluster.set_link, node, "down")))
            cluster.set_link(node, "up")
            node = await _settled(cluster, call)
            stopped.append(await call.without_media(cluster.parts[node].terminate))
            await asyncio.to_thread(cluster.start_node, node)
            await _settled(cluster, call)
    return killed, cut, stopped


async def _node(call: CallOfTwo) -> str:
    return str((await call.room())["node"])


async def _settled(cluster: Cluster, call: CallOfTwo) -> str:
    """Wait until control sees both nodes as alive; return the node of the call."""
    await asyncio.to_thread(until, lambda: set(cluster.node_states().values()) == {"living"}, 30)
    return await _node(call)
