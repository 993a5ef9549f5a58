"""Inference nodes behind a real nginx: requests are spread over them, and a dead one is skipped."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from parley import nginx_config
from parley.network import allocate_port
from parley.nginx_config import Gateway
from tests.support.gateway import nginx_process
from tests.support.waiting import accepts, eventually, until_up


@contextlib.asynccontextmanager
async def inference(name: str, port: int, answered: Counter[str]) -> AsyncIterator[None]:
    async def health(_: web.Request) -> web.Response:
        answered[name] += 1
        await asyncio.sleep(0.05)
        return web.json_response({"status": "ok"})

    app = web.Application()
    app.router.add_get("/ai/v1/health", health)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def gateway_to(first: int, second: int, directory: Path) -> AsyncIterator[tuple[int, Path]]:
    """Yield the port at which nginx passes requests on to two nodes, and its log."""
    listen, http = allocate_port(), allocate_port()
    gateway = Gateway(
        control=("127.0.0.1:1",),
        internal="127.0.0.1:1",
        node_secret="secret",
        state=directory,
        http=(f"127.0.0.1:{http}",),
        ai=(f"127.0.0.1:{first}", f"127.0.0.1:{second}"),
        ai_listen=(f"127.0.0.1:{listen}",),
        workers="1",
    )
    (directory / "nginx.conf").write_text(nginx_config.render(gateway, nginx_config.found()))
    log = directory / "log"
    with log.open("wb") as output, nginx_process(directory / "nginx.conf", output.fileno()) as process:
        await asyncio.to_thread(until_up, process, partial(accepts, listen), log)
        yield listen, log


async def ask(port: int, path: str = "/ai/v1/health") -> int:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status


@pytest.mark.parametrize("gone", [False, True])
async def test_requests_are_spread_over_the_nodes_that_answer(tmp_path: Path, gone: bool) -> None:
    first, second = allocate_port(), allocate_port()
    answered: Counter[str] = Counter()
    async with gateway_to(first, second, tmp_path) as (listen, _), contextlib.AsyncExitStack() as nodes:
        await nodes.enter_async_context(inference("first", first, answered))
        if not gone:
            await nodes.enter_async_context(inference("second", second, answered))
        assert set(await asyncio.gather(*(ask(listen) for _ in range(12)))) == {200}
        assert await ask(listen, "/metrics") == 404
    assert set(answered) == ({"first"} if gone else {"first", "second"})
    assert answered["first"] == 12 if gone else min(answered.values()) >= 4


async def test_the_question_whether_there_is_inference_is_not_logged(tmp_path: Path) -> None:
    """Control asks at each call, also where nothing but the gateway is configured. Other requests are logged."""
    async with gateway_to(allocate_port(), allocate_port(), tmp_path) as (listen, log):
        assert await ask(listen, "/ai/v1/info") == 502
        assert await ask(listen, "/ai/v1/health") == 502
        await eventually(lambda: '"path":"/ai/v1/health","status":502' in log.read_text())
    assert "/ai/v1/info" not in log.read_text()
