"""Requests with a wrong secret or token are refused, whatever its bytes."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sfu.server.harness import host


@pytest.mark.parametrize("bearer", [b"", b"Bearer wrong", b"Bearer \xff\xfe"])
@pytest.mark.parametrize("line", [b"GET /node/v1/rooms", b"POST /whip/room", b"PATCH /whip/room/resource"])
async def test_others_are_refused(tmp_path: Path, line: bytes, bearer: bytes) -> None:
    async with host(tmp_path) as h:
        address = urlsplit(h.http)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        head = b"Host: node\r\nConnection: close\r\nContent-Type: application/sdp\r\nContent-Length: 0\r\n"
        writer.write(line + b" HTTP/1.1\r\n" + head + b"Authorization: " + bearer + b"\r\n\r\n")
        answer = await reader.read()
        writer.close()
    assert answer.split(b" ")[1] in {b"401", b"404"}, answer
