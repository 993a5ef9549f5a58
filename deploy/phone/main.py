"""The phone process: listens for SIP, carries calls, and reports to control."""

import asyncio
import logging
from collections.abc import Callable

from phone.config import PhoneConfig
from phone.control_client import ControlClient
from phone.switchboard import Switchboard

_log = logging.getLogger(__name__)


async def run(config: PhoneConfig, ready: Callable[[], None]) -> None:
    """Run until cancelled; `ready` is called once it listens. Raises OSError if a port is taken."""
    control = ControlClient(config.control_url, config.node_secret, config.tls)
    listening = asyncio.Event()
    try:
        switchboard = Switchboard(config, control)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(switchboard.run(listening))
            await listening.wait()
            _log.info("takes calls over SIP on port %d, at most %d at the same time", switchboard.port, config.calls)
            ready()
    finally:
        await control.close()
