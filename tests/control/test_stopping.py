"""Stopping: quickly, though connections are open."""

import asyncio
import contextlib
import time

import aiohttp

from control.config import ControlConfig
from control.main import Addresses, run
from tests.control.harness import Client, People, Server


async def test_open_connections_do_not_hold_up_the_end(config: ControlConfig) -> None:
    ready, addresses = asyncio.Event(), Addresses()
    task = asyncio.create_task(run(config, ready.set, addresses))
    await ready.wait()
    server = Server(config, addresses)
    async with aiohttp.ClientSession() as session:
        host: Client = await People(session, server).user("ada")
        meeting = (await host.ok("POST", "/api/v1/meetings", {}))["id"]
        joined = await host.ok("POST", f"/api/v1/meetings/{meeting}/join", {})
        async with session.ws_connect(server.url.replace("http", "ws", 1) + joined["signaling_url"]) as socket:
            await socket.receive_str()
            started = time.monotonic()
            task.cancel()
            closing = await socket.receive()
            assert (closing.type, closing.data) == (aiohttp.WSMsgType.CLOSE, 1012)
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert time.monotonic() - started < 2 * config.drain_seconds + 2
