"""Content requested by a confined process: its parent fetches it in pieces, and never from a private network."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from ingress.fetching import Fetching
from ingress.transcode.fetched_file import Broker

CONTENT = bytes(range(256)) * 4096


@contextlib.asynccontextmanager
async def fetching(tmp_path: Path, *, private: bool) -> AsyncIterator[tuple[Broker, str]]:
    """Yield a process's broker, and the address of a server with a file of CONTENT."""
    (tmp_path / "file").write_bytes(CONTENT)
    app = web.Application()
    app.router.add_static("/", tmp_path)

    async def aside(_: web.Request) -> web.Response:
        raise web.HTTPFound("file:///etc/passwd")

    app.router.add_get("/aside/", aside)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    task = asyncio.create_task(Fetching(ours, private=private).run())
    try:
        port = runner.addresses[0][1]
        yield Broker(theirs), f"http://127.0.0.1:{port}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        ours.close()
        theirs.close()
        await runner.cleanup()


async def test_a_file_is_read_and_sought(tmp_path: Path) -> None:
    def read(broker: Broker, url: str) -> None:
        file = broker.open(f"{url}/file", 1, {})
        assert file.seekable()
        assert file.seek(0, os.SEEK_END) == len(CONTENT)
        assert file.seek(1000) == 1000  # a little further on: read, not fetched again
        assert file.read(10) == CONTENT[1000:1010]
        file.seek(len(CONTENT) - 5)
        assert file.read(100) == CONTENT[-5:]
        assert file.read(100) == b""
        file.close()
        for path, reason in (("/none", "404"), ("/aside/", "only http|cannot be fetched")):
            with pytest.raises(OSError, match=reason):
                broker.open(url + path, 1, {})
        with pytest.raises(OSError, match="only http"):
            broker.open("file:///etc/passwd", 1, {})

    async with fetching(tmp_path, private=True) as (broker, url):
        await asyncio.to_thread(read, broker, url)


async def test_nothing_is_fetched_from_a_private_network(tmp_path: Path) -> None:
    def refused(broker: Broker, url: str) -> None:
        for address in (url, url.replace("127.0.0.1", "localhost"), url.replace("127.0.0.1", "[::ffff:7f00:1]")):
            with pytest.raises(OSError, match="not on the public internet"):
                broker.open(f"{address}/file", 1, {})

    async with fetching(tmp_path, private=False) as (broker, url):
        await asyncio.to_thread(refused, broker, url)
