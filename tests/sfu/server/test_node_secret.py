"""Routes that only control may call: refused to everybody else, whatever bytes stand for the secret."""

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.sfu.server.harness import host


@pytest.mark.parametrize("secret", [b"", b"Bearer wrong", b"Bearer \xff\xfe"])
async def test_others_are_refused(tmp_path: Path, secret: bytes) -> None:
    async with host(tmp_path) as h:
        address = urlsplit(h.http)
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        writer.write(
            b"GET /node/v1/rooms HTTP/1.1\r\nHost: node\r\nConnection: close\r\nAuthorization: " + secret + b"\r\n\r\n"
        )
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 401 "), answer
