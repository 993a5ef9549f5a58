"""Control over TLS: HTTP/1.1, Secure `__Host-` cookies, and separation from the plain listener."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from control.config import ControlConfig
from control.http import exchanges
from tests.control.harness import PASSWORD, Server, serving
from tests.control.tls import write_certificate


@pytest_asyncio.fixture
async def secure(config: ControlConfig, tmp_path: Path) -> AsyncIterator[Server]:
    certificate, key = write_certificate(tmp_path)
    changed = replace(config, https_binds=("127.0.0.1:0",), certificate=certificate, private_key=key)
    async with serving(changed) as server:
        yield server


def trust(server: Server) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(server.config.certificate))
    context.check_hostname = False
    return context


async def test_cookies_over_tls_are_bound_to_the_host(secure: Server) -> None:
    url = f"https://{secure.addresses.https[0]}"
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trust(secure))) as session:
        body = {"username": "ada", "password": PASSWORD}
        async with session.post(f"{url}/api/v1/auth/register", json=body, headers={"Origin": url}) as answer:
            assert answer.status == 201
            cookies = answer.headers.getall("Set-Cookie")
        assert all(one.startswith("__Host-parley-") and "Secure" in one and "HttpOnly" in one for one in cookies)
        assert all("Domain" not in one for one in cookies)
        values = dict(one.split(";")[0].split("=", 1) for one in cookies)
        header = {"Cookie": "; ".join(f"{name}={value}" for name, value in values.items())}
        async with session.get(f"{url}/api/v1/users/profile", headers=header) as answer:
            assert answer.status == 200
        # The same tokens in cookies of the plain names, as plain HTTP could have planted them, count for nothing.
        planted = {"Cookie": f"parley-access={values['__Host-parley-access']}"}
        async with session.get(f"{url}/api/v1/users/profile", headers=planted) as answer:
            assert answer.status == 401
        plain = {"Origin": url.replace("https", "http")}
        async with session.post(f"{url}/api/v1/auth/login", json=body, headers=plain) as answer:
            assert answer.status == 403


async def test_plain_listener_serves_beside_it(secure: Server) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{secure.url}/health/live") as answer:
        assert answer.status == 200


async def test_who_offers_http_2_is_answered_by_http_1(secure: Server) -> None:
    context = trust(secure)
    context.set_alpn_protocols(["h2", "http/1.1"])
    host, port = secure.addresses.https[0].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="localhost")
    writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(30):
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b"alt-svc" not in answer.lower()
    writer.close()


async def test_connections_that_only_wait_go_for_newcomers(
    config: ControlConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten of an address are taken here; most say nothing once TLS has begun. A call is let be."""
    monkeypatch.setattr(exchanges, "_MOST", 40)
    certificate, key = write_certificate(tmp_path)
    changed = replace(config, https_binds=("127.0.0.1:0",), certificate=certificate, private_key=key)
    async with serving(changed) as server:
        url, (host, _, port) = f"https://{server.addresses.https[0]}", server.addresses.https[0].rpartition(":")
        connector = aiohttp.TCPConnector(ssl=trust(server), force_close=True)
        async with aiohttp.ClientSession(connector=connector) as session:
            body = {"username": "ada", "password": PASSWORD, "mode": "token"}
            async with session.post(f"{url}/api/v1/auth/register", json=body) as answer:
                account = {"Authorization": f"Bearer {(await answer.json())['access_token']}"}
            async with session.post(f"{url}/api/v1/meetings", json={}, headers=account) as answer:
                join = f"{url}/api/v1/meetings/{(await answer.json())['id']}/join"
            async with session.post(join, json={}, headers=account) as answer:
                signaling = (await answer.json())["signaling_url"]
            async with session.ws_connect(url.replace("http", "ws", 1) + signaling) as socket:
                assert await socket.receive_str()
                held = []
                for _ in range(30):
                    held.append(await asyncio.open_connection(host, int(port), ssl=trust(server), server_hostname="x"))
                    async with session.get(f"{url}/health/live") as answer:
                        assert answer.status == 200
                await socket.send_str("still here")
                assert await socket.receive_str() == "still here"
            async with asyncio.timeout(30):
                with contextlib.suppress(ConnectionError):
                    assert await held[0][0].read() == b""
            for _, writer in held:
                writer.close()


async def test_what_is_no_tls_is_closed(secure: Server) -> None:
    host, _, port = secure.addresses.https[0].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(30):
        with contextlib.suppress(ConnectionError):
            await reader.read()
    writer.close()
