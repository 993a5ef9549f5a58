"""The proxy of browsers: it passes requests and tunnels on, and leads to no private network."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from hypothesis import example, given
from hypothesis import strategies as st

from ingress.checking_proxy import CheckingProxy, Wanted, read_head


@contextlib.asynccontextmanager
async def site() -> AsyncIterator[int]:
    """Serve a page that tells what it was asked; yield the port."""

    async def page(request: web.Request) -> web.Response:
        said = f"{request.path_qs} {request.headers.get('Connection')} {await request.text()}"
        return web.Response(text=said)

    app = web.Application()
    app.router.add_route("*", "/page", page)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def test_pages_and_sockets_pass_where_the_network_is_allowed() -> None:
    async with site() as port, CheckingProxy(private=True).running() as proxy, aiohttp.ClientSession() as browser:
        through = f"http://127.0.0.1:{proxy}"
        for number in range(2):
            url = f"http://127.0.0.1:{port}/page?n={number}"
            async with browser.post(url, data=b"x" * number, proxy=through) as answer:
                assert await answer.text() == f"/page?n={number} close {'x' * number}"
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy)
        writer.write(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
        writer.write(b"GET /page HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"/page close ")
        writer.close()


async def test_nothing_private_is_reached_but_the_servers_own_place() -> None:
    async with site() as port, aiohttp.ClientSession() as browser:
        for own, status in ((f"127.0.0.1:{port}", 200), ("127.0.0.1:1", 502)):
            proxy = CheckingProxy(private=False, own=own)
            async with proxy.running() as through:
                for host, expected in (("127.0.0.1", status), ("localhost", 502)):
                    url = f"http://{host}:{port}/page"
                    async with browser.get(url, proxy=f"http://127.0.0.1:{through}") as answer:
                        assert answer.status == expected
                assert proxy.error == "This address is not on the public internet."


def test_heads_are_read() -> None:
    assert read_head(b"CONNECT [::1]:443 HTTP/1.1\r\nHost: x\r\n\r\n") == Wanted("::1", 443, b"")
    plain = b"GET http://example.org/a%20b?c=d HTTP/1.1\r\nHost: example.org\r\nProxy-Connection: keep-alive\r\n\r\n"
    head = b"GET /a%20b?c=d HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"
    assert read_head(plain) == Wanted("example.org", 80, head)
    for wrong in (
        b"CONNECT example.org HTTP/1.1",
        b"GET /a HTTP/1.1",
        b"GET ftp://a/ HTTP/1.1",
        b"x",
        b"GET https://a/ x",
    ):
        with pytest.raises(ValueError):
            read_head(wrong + b"\r\n\r\n")


@given(st.binary(max_size=200))
@example(b"CONNECT [:443 HTTP/1.1")
@example(b"GET http://a:99999/ HTTP/1.1")
def test_every_other_head_is_refused(head: bytes) -> None:
    with contextlib.suppress(ValueError):
        read_head(head + b"\r\n\r\n")
