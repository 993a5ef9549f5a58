"""The ingress process: listens for encoders, reads URLs, and reports to control."""

import asyncio
import logging
from collections.abc import Callable

from foundation.background import keep_running
from ingress.config import IngressConfig
from ingress.control_client import ControlClient
from ingress.rtmp_listener import RtmpListener
from ingress.srt_listener import SrtListener
from ingress.streams import Streams

_log = logging.getLogger(__name__)


async def run(config: IngressConfig, ready: Callable[[], None]) -> None:
    """Run until cancelled; `ready` is called once it listens. Raises OSError if a port is taken."""
    control = ControlClient(config.control_url, config.node_secret, config.tls)
    streams = Streams(config, control)
    listening = [asyncio.Event(), asyncio.Event()]
    try:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(RtmpListener(config, control, streams).run(listening[0]))
            tasks.create_task(SrtListener(config, control, streams).run(listening[1]))
            tasks.create_task(keep_running("report of streams", streams.report))
            for one in listening:
                await one.wait()
            _log.info("accepts at most %d streams at the same time", streams.most)
            ready()
    finally:
        await control.close()
