"""Polling of control's internal listener for the features that an administrator has switched on."""

import asyncio
import logging
from collections.abc import Callable

import aiohttp
import msgspec

from foundation.part_tls import PartTls, part_session

_log = logging.getLogger(__name__)

EVERY_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class Setup(msgspec.Struct, frozen=True):
    """Features that are switched on: none until control answers."""

    emotion: bool = False


async def watch(control_url: str, node_secret: str, tls: PartTls | None, told: Callable[[Setup], None]) -> None:
    """Report the setup after each successful request, until cancelled."""
    if not control_url:
        return
    url = control_url.rstrip("/") + "/internal/v1/ai/setup"
    async with part_session(node_secret, tls, _TIMEOUT) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        told(msgspec.json.decode(await response.read(), type=Setup))
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                _log.debug("cannot get the setup from control: %s", error)
            await asyncio.sleep(EVERY_SECONDS)
