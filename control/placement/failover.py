"""Failover: rooms of a lost node are placed on another. Participants are sent there when they rejoin.

A node is lost if it was probed and did not answer. A node unknown to this process is probed first. After a start, nodes
have the duration of a lease to appear.
"""

import asyncio
import contextlib
import functools
import logging

from control import database_outage, facts
from control.database import UNAVAILABLE
from control.placement import node_memory, placing
from control.recurring import for_each
from control.services import Services
from control.store import placements
from sfu.api.placement import Placement

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0


async def run(services: Services) -> None:
    """Check whenever a node appears or disappears, and every two seconds, until cancelled."""
    await asyncio.sleep(services.registry.lease_seconds)
    while True:
        change = services.registry.change()  # a node may be lost during a look
        try:
            await rescue(services)
        except UNAVAILABLE as error:
            database_outage.note(error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_SECONDS):
                await change.wait()


async def rescue(services: Services) -> None:
    """Place the rooms of lost nodes again if another node is alive; otherwise wait for the lost node to return."""
    registry = services.registry
    if not any(not node.draining for node in registry.living().values()):
        return
    async with services.pool.acquire() as connection:
        stranded = await placements.live_off(connection, list(registry.held()))
    if any(placement.node not in registry.known() for _, placement in stranded):
        await node_memory.recall(services)
    await for_each("failover", stranded, functools.partial(_move, services))


async def _move(services: Services, stranded: tuple[str, Placement]) -> None:
    meeting, placement = stranded
    if placement.node in services.registry.held():
        return
    state = await placing.move(services, meeting, placement, facts.NODE_LOST)
    services.nodes.push(state)
