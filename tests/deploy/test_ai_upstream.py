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
from tests.support.waiting import accepts, until_up


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


async def ask(port: int, path: str = "/ai/v1/health") -> int:
    async with aiohttp.ClientSession() as http, http.get(f"http://127.0.0.1:{port}{path}") as answer:
        return answer.status


@pytest.mark.parametrize("gone", [False, True])
async def test_requests_are_spread_over_the_nodes_that_answer(tmp_path: Path, gone: bool) -> None:
    first, second, listen, http = (allocate_port() for _ in range(4))
    gateway = Gateway(
        control=("127.0.0.1:1",),
        internal="127.0.0.1:1",
        node_secret="secret",
        state=tmp_path,
        http=(f"127.0.0.1:{http}",),
        ai=(f"127.0.0.1:{first}", f"127.0.0.1:{second}"),
        ai_listen=(f"127.0.0.1:{listen}",),
        workers="1",
    )
    (tmp_path / "nginx.conf").write_text(nginx_config.render(gateway, nginx_config.found()))
    answered: Counter[str] = Counter()
    log = tmp_path / "log"
    with log.open("wb") as output, nginx_process(tmp_path / "nginx.conf", output.fileno()) as process:
        await asyncio.to_thread(until_up, process, partial(accepts, listen), log)
        async with contextlib.AsyncExitStack() as nodes:
            await nodes.enter_async_context(inference("first", first, answered))
            if not gone:
                await nodes.enter_async_context(inference("second", second, answered))
            assert set(await asyncio.gather(*(ask(listen) for _ in range(12)))) == {200}
            assert await ask(listen, "/metrics") == 404
    assert set(answered) == ({"first"} if gone else {"first", "second"})
    assert answered["first"] == 12 if gone else min(answered.values()) >= 4
