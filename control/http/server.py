"""A server for one listener: uvicorn through its public interface. HTTP/1.1 and WebSocket, plain or over TLS.

h11 parses strictly and in bounded memory. `control.http.exchanges` adds the limits that uvicorn lacks. The gateway adds
HTTP/2 and HTTP/3.
"""

import asyncio
import contextlib
import functools
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import uvicorn

from control.http.exchanges import HEAD_SECONDS, Exchanges
from foundation.background import keep_running
from sfu.api.signaling import MAX_MESSAGE_BYTES

_HEAD_BYTES = 64 * 1024
_ENDING_SECONDS = 0.1


class _Server(uvicorn.Server):
    """One of several servers in a process that handles signals itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield


async def serve(
    application: Any,
    sockets: Sequence[socket.socket],
    stop: asyncio.Event,
    *,
    drain_seconds: float,
    is_gateway: Callable[[str], bool],
    tls: ssl.SSLContext | None = None,
) -> None:
    """Serve until `stop`, then finish running requests within `drain_seconds` and close the sockets.

    Connections from an address that `is_gateway` are limited only in total.
    """
    exchanges = Exchanges(application, is_gateway)
    server = _Server(_settings(exchanges, tls))
    state = server.server_state
    watch = functools.partial(exchanges.watch, state.connections)
    serving = asyncio.create_task(server.serve(list(sockets)))
    beside = [asyncio.create_task(stop.wait()), asyncio.create_task(keep_running("connections", watch))]
    try:
        await asyncio.wait((serving, *beside), return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        await asyncio.wait((serving,), timeout=drain_seconds)
        if serving.done():
            serving.result()
    finally:
        for task in (serving, *beside):
            task.cancel()
        for connection in tuple(state.connections):
            connection.transport.abort()
        if state.tasks:  # The application ends a request whose client is gone; uvicorn calls a cancelled one its fault.
            await asyncio.wait(state.tasks, timeout=_ENDING_SECONDS)
        for task in state.tasks:
            task.cancel()
        await asyncio.gather(serving, *beside, *state.tasks, return_exceptions=True)


def _settings(application: Any, tls: ssl.SSLContext | None) -> uvicorn.Config:
    """Return uvicorn's settings: no access log, and no trust in forwarded addresses."""
    return uvicorn.Config(
        application,
        http="h11",
        h11_max_incomplete_event_size=_HEAD_BYTES,
        ws="wsproto",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_per_message_deflate=False,  # a message would be decompressed completely before its size is checked
        ws_ping_interval=20,
        # A client is not dropped because its machine slept or this process was stopped for a while.
        ws_ping_timeout=60,
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=1024,
        timeout_keep_alive=int(HEAD_SECONDS),
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )
