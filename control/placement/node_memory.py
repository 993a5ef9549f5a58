"""Memory of nodes in the database, next to the placements of rooms.

etcd lists the nodes that are alive. When a control process starts, etcd may be unreachable, for control or for one
node. A node that the process does not know yet is not lost: it is first probed at the address where a control process
last saw it.
"""

import asyncio
import contextlib

from control import database_outage
from control.database import UNAVAILABLE
from control.services import Services
from control.store import node_addresses

_REMEMBER_SECONDS = 60.0


async def recall(services: Services) -> None:
    """Probe the nodes that are remembered but unknown to this process."""
    async with services.pool.acquire() as connection:
        records = await node_addresses.remembered(connection)
    await services.registry.recall(records)


async def run(services: Services) -> None:
    """Store the living nodes whenever one appears, and once a minute, until cancelled."""
    while True:
        change = services.registry.change()  # a node may appear while the others are written
        try:
            async with services.pool.acquire() as connection:
                await node_addresses.remember(connection, services.registry.living().values())
        except UNAVAILABLE as error:
            database_outage.note(error)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REMEMBER_SECONDS):
                await change.wait()
