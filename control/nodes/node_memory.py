"""Nodes, remembered beside the rooms that are placed on them.

etcd says which nodes live, and may be away, or away from one of them alone, when a control process starts. What it has
not heard of yet is not lost: the addresses that some control process saw last are asked first.
"""

import asyncio
import contextlib
import logging

from control.database import UNAVAILABLE
from control.services import Services
from control.store import node_addresses
from foundation.failures import describe

_LOG = logging.getLogger(__name__)
_REMEMBER_SECONDS = 60.0


async def recall(services: Services) -> None:
    """Ask the nodes that are remembered and not known here."""
    async with services.pool.acquire() as connection:
        records = await node_addresses.remembered(connection)
    await services.registry.recall(records)


async def run(services: Services) -> None:
    """Remember the nodes that live, whenever one comes and once a minute, until cancelled."""
    while True:
        try:
            async with services.pool.acquire() as connection:
                await node_addresses.remember(connection, services.registry.living().values())
        except UNAVAILABLE as error:
            _LOG.warning("nodes are remembered later: %s", describe(error))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_REMEMBER_SECONDS):
                await services.registry.change()
