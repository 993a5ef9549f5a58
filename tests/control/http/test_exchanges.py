"""The listeners at byte level: early refusals, connections that are cut off, and those that continue."""

import asyncio
import contextlib
import io
import time
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from control.config import ControlConfig
from control.http import exchanges
from control.http.asgi import Message, Receive, Scope, Send
from tests.control.harness import Client, People, Server, serving
from tests.support.waiting import eventually

AMBIGUOUS = {
    "both lengths": b"Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n",
    "two lengths": b"Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n",
    "a signed length": b"Host: x\r\nContent-Length: +5\r\n",
    "another coding": b"Host: x\r\nTransfer-Encoding: xchunked\r\n",
    "two codings": b"Host: x\r\nTransfer-Encoding: gzip, chunked\r\n",
    "two fields of codings": b"Host: x\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    "an upgrade with a body": b"Host: x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n",
    "no host": b"Accept: */*\r\n",
    "two hosts": b"Host: x\r\nHost: y\r\n",
    "a space before the colon": b"Host: x\r\nContent-Length : 5\r\n",
    "a bare carriage return": b"Host: x\r\nA: b\rContent-Length: 5\r\n",
    "a NUL": b"Host: x\r\nA: b\x00c\r\n",
}


async def opened(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = server.addresses.http[0].rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def until_closed(server: Server, data: bytes) -> bytes:
    """Send `data`; returns all that comes until the server closes."""
    reader, writer = await opened(server)
    writer.write(data)
    async with asyncio.timeout(30):
        answer = await reader.read()
    writer.close()
    return answer


def closed_for(reason: str) -> float:
    return REGISTRY.get_sample_value("parley_control_http_connections_closed_total", {"reason": reason}) or 0.0


async def test_what_two_parsers_may_read_differently_is_refused(people: People) -> None:
    ada = await people.user("ada")
    token = f"Authorization: {ada.headers['Authorization']}\r\n\r\n".encode()
    for case, fields in AMBIGUOUS.items():
        head = b"POST /api/v1/meetings HTTP/1.1\r\nContent-Type: application/json\r\n" + fields + token
        answer = await until_closed(ada.server, head + b"2\r\n{}\r\n0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 400 "), case
        assert answer.count(b"HTTP/1.1 ") == 1, case
    assert (await ada.ok("GET", "/api/v1/meetings"))["meetings"] == []


async def test_what_the_standard_lets_be_read_in_one_way_is_read_so(people: People) -> None:
    """Equal lengths are one (RFC 9110, section 8.6), a fold is a space, a bare line feed ends a line (RFC 9112)."""
    ada = await people.user("ada")
    token = ada.headers["Authorization"].encode()
    head = b"POST /api/v1/meetings HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
    length, authorization = b"Content-Length: 2\r\n", b"Authorization: " + token + b"\r\n"
    for case, fields in {
        "two equal lengths": length * 2 + authorization + b"\r\n",
        "a folded field": length + authorization.replace(b" ", b"\r\n ") + b"\r\n",
        "a bare line feed": (length + authorization + b"\r\n").replace(b"\r\n", b"\n"),
    }.items():
        answer = await until_closed(ada.server, head + fields + b"{}")
        assert answer.startswith(b"HTTP/1.1 201 ") and answer.count(b"HTTP/1.1 ") == 1, case


async def test_what_is_not_spoken_is_refused(people: People) -> None:
    for start in (b"PRI * HTTP/2.0\r\n\r\nSM", b"GET / HTTP/1.2\r\nHost: a", b"CONNECT a:1 HTTP/1.1\r\nHost: a"):
        assert (await until_closed(people.nobody().server, start + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 "), start


async def test_a_head_without_end_is_cut_off(people: People) -> None:
    for endless in (b"GET /", b"GET / HTTP/1.1\r\nA: "):
        _, writer = await opened(people.nobody().server)
        writer.write(endless)
        await until_refused(writer)


async def until_refused(writer: asyncio.StreamWriter) -> None:
    """Send more until the server takes no more; fails when it takes ten megabytes."""
    with pytest.raises(ConnectionError):
        for _ in range(1000):
            writer.write(b"a" * 10_000)
            await writer.drain()
            await asyncio.sleep(0)
    writer.close()


async def test_a_trailer_is_no_field_of_the_head(people: People) -> None:
    """It signs nobody in, and cannot be repeated forever."""
    ada = await people.user("ada")
    head = b"POST /api/v1/meetings HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nConnection: close\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n"
    token = f"Authorization: {ada.headers['Authorization']}\r\n\r\n".encode()
    assert (await until_closed(ada.server, head + token)).startswith(b"HTTP/1.1 401 ")
    _, writer = await opened(ada.server)
    writer.write(head + b"A: ")
    await until_refused(writer)


async def test_requests_in_one_packet_are_answered_in_order(people: People) -> None:
    asked = b"".join(
        f"GET {path} HTTP/1.1\r\nHost: x\r\n{last}\r\n".encode()
        for path, last in (("/health/live", ""), ("/nothing.here", ""), ("/health/live", "Connection: close\r\n"))
    )
    answers = await until_closed(people.nobody().server, asked)
    assert [part[:3] for part in answers.split(b"HTTP/1.1 ")[1:]] == [b"200", b"404", b"200"]


async def test_who_says_nothing_more_is_closed(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "HEAD_SECONDS", 0.5)
    server = people.nobody().server
    for said in (b"", b"GET / HT", b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\nGET"):
        before = closed_for("silent")
        await until_closed(server, said)
        assert closed_for("silent") == before + 1


async def test_who_drips_a_head_is_closed_too(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "HEAD_SECONDS", 1.0)
    reader, writer = await opened(people.nobody().server)
    ended = asyncio.create_task(reader.read())
    async with asyncio.timeout(30):
        writer.write(b"GET / HTTP/1.1\r\nA: ")
        while not ended.done():
            writer.write(b"b")
            await asyncio.wait((ended,), timeout=0.1)
    writer.close()


async def uploaded(ada: Client, size: int) -> str:
    url = f"{ada.server.url}/api/v1/media/upload?name=x.bin"
    async with ada.session.post(url, data=io.BytesIO(bytes(size)), headers=ada.headers) as answer:
        assert answer.status == 201
        return str((await answer.json())["id"])


async def test_an_answer_that_nobody_takes_is_given_up(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "STALLED_SECONDS", 0.5)
    ada = await people.user("ada")
    file = await uploaded(ada, 32_000_000)
    before = closed_for("stalled")
    _, writer = await opened(ada.server)
    token = ada.headers["Authorization"]
    writer.write(f"GET /api/v1/media/download/{file} HTTP/1.1\r\nHost: x\r\nAuthorization: {token}\r\n\r\n".encode())
    await eventually(lambda: closed_for("stalled") != before)
    writer.close()


async def test_an_upload_that_does_not_go_on_is_given_up(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "STALLED_SECONDS", 0.5)
    ada = await people.user("ada")
    before = closed_for("stalled")
    head = f"POST /api/v1/media/upload?name=x HTTP/1.1\r\nHost: x\r\nAuthorization: {ada.headers['Authorization']}\r\n"
    with contextlib.suppress(ConnectionError):
        assert (
            await until_closed(ada.server, head.encode() + b"Content-Length: 1000000\r\n\r\n" + bytes(200_000)) == b""
        )
    assert closed_for("stalled") == before + 1
    parts = ada.server.config.data_dir / "media"
    await eventually(lambda: not any(path.is_file() for path in parts.rglob("*")))
    assert (await ada.ok("GET", "/api/v1/media"))["files"] == []


async def test_an_early_answer_reaches_who_still_sends(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchanges, "HEAD_SECONDS", 0.5)
    reader, writer = await opened(people.nobody().server)
    head = b"POST /api/v1/media/upload?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
    began = time.monotonic()
    async with asyncio.timeout(30):
        writer.write(head + bytes(1_000_000))
        await writer.drain()
        assert b" 401 " in await reader.readline()
        await reader.read()
        with pytest.raises(ConnectionError):
            while time.monotonic() - began < 15:
                writer.write(bytes(100_000))
                await writer.drain()
    writer.close()


@pytest_asyncio.fixture
async def few(config: ControlConfig, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Server]:
    """A server that takes 40 connections, ten of an address."""
    monkeypatch.setattr(exchanges, "_MOST", 40)
    async with serving(config) as running:
        yield running


async def test_connections_that_only_wait_go_for_newcomers(few: Server) -> None:
    """However many half heads one address holds open, it and others are answered; a socket in use stays."""
    before, held = closed_for("idle"), []
    for _ in range(60):
        reader, writer = await opened(few)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        held.append((reader, writer))
        assert b" 200 " in await until_closed(few, b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    async with asyncio.timeout(30):
        while closed_for("idle") - before < 40:
            await asyncio.sleep(0.01)
    assert await held[0][0].read() == b""
    for _, writer in held:
        writer.close()


async def test_a_socket_in_use_and_a_request_under_way_are_never_closed_for_others(few: Server) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        host = await People(session, few).user("ada")
        meeting = await host.ok("POST", "/api/v1/meetings", {})
        joined = await host.ok("POST", f"/api/v1/meetings/{meeting['id']}/join", {})
        async with session.ws_connect(few.url.replace("http", "ws", 1) + joined["signaling_url"]) as socket:
            assert await socket.receive_str()
            writers = [(await opened(few))[1] for _ in range(30)]
            await socket.send_str("still here")
            assert await socket.receive_str() == "still here"
        for writer in writers:
            writer.close()


class _Blocking:
    """An application whose requests continue until the test ends them."""

    def __init__(self) -> None:
        self.begun = 0
        self.go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.begun += 1
        await self.go_on.wait()


async def test_requests_under_way_are_bounded_by_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A quarter of all is one address's, but for a gateway's."""
    monkeypatch.setattr(exchanges, "_MOST", 40)
    application, answers = _Blocking(), []
    bounded = exchanges.Exchanges(application, lambda address: address == "192.0.2.9")

    async def send(message: Message) -> None:
        answers.append(message.get("status"))

    async def receive() -> Message:
        raise AssertionError

    def ask(address: str, port: int) -> asyncio.Task[None]:
        scope = {"type": "http", "http_version": "1.1", "headers": [], "server": ("127.0.0.1", 80)}
        return asyncio.create_task(bounded({**scope, "client": (address, port)}, receive, send))

    asked = [ask("192.0.2.1", port) for port in range(12)] + [ask("192.0.2.9", port) for port in range(20)]
    await asyncio.sleep(0)
    assert (application.begun, answers) == (30, [503, None, 503, None])
    asked += [ask("192.0.2.2", port) for port in range(8)] + [ask("192.0.2.3", port) for port in range(8)]
    await asyncio.sleep(0)
    assert application.begun == 40
    application.go_on.set()
    await asyncio.gather(*asked, ask("192.0.2.1", 99))
    assert application.begun == 41
