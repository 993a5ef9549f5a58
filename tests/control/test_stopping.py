"""Stopping: fast, even with open connections."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest
from prometheus_client import REGISTRY

from control.config import ControlConfig
from control.main import Addresses, run
from tests.control.harness import PASSWORD, Client, People, Server


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
            assert time.monotonic() - started < 30


async def test_what_has_begun_is_answered(config: ControlConfig) -> None:
    """A password is being hashed when the process is told to stop; its connection is closed then, though kept alive."""
    ready, addresses = asyncio.Event(), Addresses()
    task = asyncio.create_task(run(replace(config, drain_seconds=20), ready.set, addresses))
    await ready.wait()
    async with aiohttp.ClientSession() as session:
        body = {"username": "ada", "password": PASSWORD, "mode": "token"}
        asking = asyncio.create_task(session.post(f"http://{addresses.http[0]}/api/v1/auth/register", json=body))
        async with asyncio.timeout(30):
            while not REGISTRY.get_sample_value("parley_control_http_requests_open") and not asking.done():
                await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(30), await asking as answer:
            assert answer.status == 201 and "access_token" in await answer.json()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_what_takes_too_long_is_cut_off_without_a_word(
    config: ControlConfig, caplog: pytest.LogCaptureFixture
) -> None:
    ready, addresses = asyncio.Event(), Addresses()
    task = asyncio.create_task(run(replace(config, drain_seconds=0), ready.set, addresses))
    await ready.wait()

    async def endless() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with aiohttp.ClientSession() as session:
        url = f"http://{addresses.http[0]}/api/v1/auth/register"
        asking = asyncio.create_task(session.post(url, data=endless(), headers={"Content-Type": "application/json"}))
        async with asyncio.timeout(30):
            while not REGISTRY.get_sample_value("parley_control_http_requests_open"):
                await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert isinstance((await asyncio.gather(asking, return_exceptions=True))[0], aiohttp.ClientError)
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]
