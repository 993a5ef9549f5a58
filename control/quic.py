"""HTTP/3 beside the TCP listeners: Hypercorn's QUIC server over UDP transports that are closed at the end.

Hypercorn itself leaves them open, and waits in vain for what they serve when it stops.
"""

import asyncio
import logging
import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.udp_server import UDPServer
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config

_LOG = logging.getLogger(__name__)


async def serve(application: Any, config: Config, sockets: Sequence[socket.socket]) -> None:
    """Serve until cancelled; the sockets are closed then."""
    loop = asyncio.get_running_loop()
    context = WorkerContext(None)
    wrapped = ASGIWrapper(application)
    async with AsyncExitStack() as stack:
        servers = []
        for sock in sockets:
            transport, server = await loop.create_datagram_endpoint(
                lambda: UDPServer(wrapped, loop, config, context, {}), sock=sock
            )
            stack.callback(transport.close)
            servers.append(server)
        async with asyncio.TaskGroup() as tasks:
            for server in servers:
                tasks.create_task(_run(server))


async def _run(server: UDPServer) -> None:
    while True:
        try:
            await server.run()
        except Exception as error:
            # Whatever a datagram did to the library: its connections are gone, the next ones are served.
            _LOG.error("HTTP/3 begins anew", exc_info=error)
