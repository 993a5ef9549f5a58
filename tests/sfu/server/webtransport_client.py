"""A WebTransport signaling client built on aioquic, for tests of the server."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent, StreamDataReceived

from sfu.api import signaling
from sfu.formats.message_lines import LineReader, line


class WebTransportClient(QuicConnectionProtocol):
    """Client. `received` are messages; `closed` is the session's close code, -1 if the connection ended without one."""

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._http = H3Connection(self._quic, enable_webtransport=True)
        self._lines = LineReader(1 << 20)
        self._moved = asyncio.Event()
        self.status = ""
        self.session = 0
        self.stream = 0
        self.received: list[signaling.ServerMessage] = []
        self.closed: int | None = None

    async def open(self, path: str = "/wt/signaling") -> str:
        """Request a session; return the response's status."""
        self.session = self._quic.get_next_available_stream_id()
        headers = {
            ":method": "CONNECT",
            ":protocol": "webtransport",
            ":scheme": "https",
            ":authority": "x",
            ":path": path,
        }
        self._http.send_headers(self.session, [(n.encode(), v.encode()) for n, v in headers.items()])
        self.transmit()
        await self.until(lambda: self.status != "")
        return self.status

    def send(self, *messages: signaling.Message) -> None:
        self.send_raw(b"".join(line(signaling.encode(message)) for message in messages))

    def send_raw(self, data: bytes) -> None:
        if not self.stream:
            self.stream = self._http.create_webtransport_stream(self.session)
        self._quic.send_stream_data(self.stream, data)
        self.transmit()

    async def until(self, condition: Any, seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._moved.clear()
                await self._moved.wait()

    def of(self, kind: type) -> list[Any]:
        return [message for message in self.received if isinstance(message, kind)]

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated) and self.closed is None:
            self.closed = -1
        if isinstance(event, StreamDataReceived) and self.stream and event.stream_id == self.stream:
            # Data received on a stream of ours has no header, which the library does not know.
            self.received += [signaling.decode_server(text) for text in self._lines.feed(event.data)]
            self._moved.set()
            return
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived):
                self.status = dict(found.headers)[b":status"].decode()
            elif isinstance(found, DataReceived) and found.data:
                self.closed = int.from_bytes(found.data[3:7], "big")
        self._moved.set()


@asynccontextmanager
async def webtransport(port: int, host: str = "127.0.0.1") -> AsyncIterator[WebTransportClient]:
    configuration = QuicConfiguration(
        is_client=True,
        alpn_protocols=H3_ALPN,
        verify_mode=ssl.CERT_NONE,
        server_name="localhost",
        max_datagram_frame_size=65_536,
    )
    async with connect(host, port, configuration=configuration, create_protocol=WebTransportClient) as client:
        assert isinstance(client, WebTransportClient)
        yield client
