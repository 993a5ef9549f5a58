"""A WebSocket client (RFC 6455) for crowds: of unwanted frames it only reads the first bytes.

It is incomplete: it accepts text in single frames only, and no extensions.
"""

import asyncio
import base64
import os
import struct
from collections.abc import Sequence
from typing import cast
from urllib.parse import urlsplit

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_LOOKED_AT = 32
_MASK = bytes(4)  # Zeros leave the payload unchanged: masking protects proxies, and there are none on one machine.


class SocketClosed(Exception):
    """The server ended the connection; the message gives the close code and reason."""


class WebSocket(asyncio.Protocol):
    """Returns frames whose first bytes contain one of `wanted`, skips the others, and answers pings."""

    def __init__(self, wanted: Sequence[bytes]) -> None:
        self._wanted = wanted
        self._buffer = bytearray()
        self._kept: asyncio.Queue[bytes | SocketClosed] = asyncio.Queue()
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.WriteTransport | None = None

    @classmethod
    async def connect(cls, url: str, wanted: Sequence[bytes]) -> "WebSocket":
        """Open a connection; raises OSError or SocketClosed."""
        parts = urlsplit(url)
        made = cls(wanted)
        await asyncio.get_running_loop().create_connection(lambda: made, parts.hostname, parts.port)
        key = base64.b64encode(os.urandom(16)).decode()
        made._write(
            f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
        )
        await made._opened
        return made

    @property
    def is_open(self) -> bool:
        return self._transport is not None

    async def receive(self) -> bytes:
        """Return the next wanted frame; raises SocketClosed."""
        said = await self._kept.get()
        if isinstance(said, SocketClosed):
            raise said
        return said

    def send(self, text: str) -> None:
        """Send a text message."""
        self._frame(_TEXT, text.encode())

    def close(self) -> None:
        """Close without waiting for the server's close frame."""
        if self._transport is not None:
            self._frame(_CLOSE, struct.pack("!H", 1000))
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        closed = SocketClosed(f"signaling closed: {exc or 'without a close frame'}")
        if not self._opened.done():
            self._opened.set_exception(closed)
        self._kept.put_nowait(closed)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if not self._opened.done():
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            if b" 101 " not in head[:20]:
                self._opened.set_exception(SocketClosed(head.partition(b"\r\n")[0].decode(errors="replace")))
                return
            self._opened.set_result(None)
            self._buffer = rest
        self._take_frames()

    def _take_frames(self) -> None:
        buffer, at = self._buffer, 0
        while len(buffer) - at >= 2:
            size, begin = buffer[at + 1] & 0x7F, at + 2
            if size >= 126:
                width = 2 if size == 126 else 8
                if len(buffer) - begin < width:
                    break
                size = int.from_bytes(buffer[begin : begin + width], "big")
                begin += width
            if len(buffer) - begin < size:
                break
            self._take(buffer[at] & 0x0F, memoryview(buffer)[begin : begin + size])
            at = begin + size
        del buffer[:at]

    def _take(self, kind: int, payload: memoryview) -> None:
        if kind == _PING:
            self._frame(_PONG, bytes(payload))
        elif kind == _CLOSE:
            code = int.from_bytes(payload[:2], "big")
            self._kept.put_nowait(SocketClosed(f"signaling closed: {code} {bytes(payload[2:]).decode()}"))
        elif kind == _TEXT:
            start = bytes(payload[:_LOOKED_AT])
            if any(name in start for name in self._wanted):
                self._kept.put_nowait(bytes(payload))
        payload.release()

    def _frame(self, kind: int, payload: bytes) -> None:
        size = len(payload)
        if size < 126:
            length = struct.pack("!B", 0x80 | size)
        else:
            length = struct.pack("!BH", 0x80 | 126, size) if size < 1 << 16 else struct.pack("!BQ", 0x80 | 127, size)
        self._write(bytes([0x80 | kind]) + length + _MASK + payload)

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)
