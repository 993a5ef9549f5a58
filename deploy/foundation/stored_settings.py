"""Polling of control for the live settings that administrators set on the page."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import Any

import aiohttp
import msgspec

from foundation.part_tls import PartTls, part_session

_log = logging.getLogger(__name__)

PATH = "/internal/v1/settings"
_EVERY_SECONDS = 5.0
_TIMEOUT = aiohttp.ClientTimeout(total=10)


class StoredSettings(msgspec.Struct, frozen=True):
    """Values by name; those that are not set are missing."""

    settings: dict[str, Any]


async def follow(
    control_url: str, node_secret: str, tls: PartTls | None, take: Callable[[Mapping[str, Any]], None]
) -> None:
    """Pass on the values after each change, until cancelled. While control does not answer, they stay."""
    url = control_url.rstrip("/") + PATH
    last: StoredSettings | None = None
    async with part_session(node_secret, tls, _TIMEOUT) as session:
        while True:
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        found = msgspec.json.decode(await response.read(), type=StoredSettings)
                        if found != last:
                            take(found.settings)
                            last = found
            except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
                _log.debug("cannot get the settings from control: %s", error)
            await asyncio.sleep(_EVERY_SECONDS)
