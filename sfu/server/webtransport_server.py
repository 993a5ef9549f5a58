"""Signaling over WebTransport: HTTP/3 (aioquic) on separate UDP ports, with one session per connection.

Messages are the same as over WebSocket, which clients try at the same time and use if QUIC is blocked.
"""

import asyncio
import datetime
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.asyncio.server import QuicServer
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, H3Event, HeadersReceived, WebTransportStreamDataReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import ConnectionTerminated, QuicEvent

from foundation.connection_table import ConnectionTable, Full, host_of
from foundation.followed_certificate import FollowedCertificate
from sfu.api.quic_admission import Outcome, QuicAdmission
from sfu.server import signaling_congestion
from sfu.server.short_certificate import ShortCertificate
from sfu.server.webtransport_link import WebTransportLink

PATH = "/wt/signaling"
MAX_CONNECTIONS = 4000
IDLE_SECONDS = 15.0
_PING_SECONDS = 5.0
_PINGS_PER_REFRESH = 12
_UNUSED_SECONDS = 600.0
_MAX_DATAGRAM_FRAME = 65_536  # HTTP/3 datagrams, which WebTransport requires; none are used

Attend = Callable[[WebTransportLink], Awaitable[None]]
_log = logging.getLogger(__name__)


class WebTransportServer:
    """`attend` serves one session until it ends. `hash` is the certificate's, "" for one from files."""

    def __init__(self, attend: Attend, counters: Counter[str], files: tuple[Path, Path] | None = None) -> None:
        """Count admissions in `counters`. `files` are a certificate and its key; OSError if they are unusable."""
        self.connections: ConnectionTable[Connection] = ConnectionTable(MAX_CONNECTIONS)
        self.port = 0
        self.counters = counters
        self._attend = attend
        self._configuration = QuicConfiguration(
            is_client=False,
            alpn_protocols=H3_ALPN,
            max_datagram_frame_size=_MAX_DATAGRAM_FRAME,
            idle_timeout=IDLE_SECONDS,
            congestion_control_algorithm=signaling_congestion.NAME,
        )
        self._short = ShortCertificate(self._configuration) if files is None else None
        self._followed = None if files is None else FollowedCertificate(*files, self._configuration)
        self._servers: list[_Listener] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def hash(self) -> str:
        return "" if self._short is None else self._short.hash

    async def start(self, addresses: Sequence[str], port: int) -> None:
        """Listen on a port, 0 for any that is free, of each address; OSError when it cannot be bound."""
        loop = asyncio.get_running_loop()
        for address in addresses:
            transport, server = await loop.create_datagram_endpoint(
                lambda: _Listener(self, self._configuration),
                local_addr=(address, port),
            )
            self._servers.append(server)
            port = int(transport.get_extra_info("sockname")[1])
        self.port = port

    async def run(self) -> None:
        """Ping the far ends and renew the certificate, until cancelled."""
        while True:
            for _ in range(_PINGS_PER_REFRESH):
                await asyncio.sleep(_PING_SECONDS)
                for connection in self.connections:
                    connection.look()
            if self._short is not None:
                self._short.refresh(datetime.datetime.now(datetime.UTC))
            if self._followed is not None:
                self._followed.refresh()

    async def stop(self) -> None:
        """Wait for the sessions to close, as they have been told to, and stop listening."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for server in self._servers:
            server.close()
        self._servers.clear()

    def serve(self, link: WebTransportLink) -> None:
        """Begin a session."""
        task = asyncio.get_running_loop().create_task(self._serve(link))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, link: WebTransportLink) -> None:
        try:
            await self._attend(link)
        except Exception as error:  # a fault in one session is logged and does not end the others
            _log.error("a WebTransport session failed", exc_info=error)


class _Listener(QuicServer):
    """One address. A `QuicAdmission` decides on each datagram before the library creates a connection from it."""

    def __init__(self, server: WebTransportServer, configuration: QuicConfiguration) -> None:
        super().__init__(configuration=configuration, create_protocol=partial(Connection, server))
        self._admission = QuicAdmission(configuration.supported_versions)
        self._server = server

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        assert isinstance(data, bytes)
        verdict = self._admission.judge(data, addr, self._protocols, time.monotonic_ns())
        if verdict.outcome is not Outcome.KNOWN:
            self._server.counters[verdict.outcome.value] += 1
        if verdict.answer and self._transport is not None:
            self._transport.sendto(verdict.answer, addr)
        if verdict.is_let_in:
            # The library checks for a token only with this set, and would then answer any other datagram with Retry.
            self._retry = self._admission.tokens if verdict.outcome is Outcome.PROVED else None  # type: ignore[assignment]
            super().datagram_received(data, addr)
            if (begun := self._protocols.get(verdict.destination)) is not None:
                self._bound(begun, host_of(str(addr[0])))

    def _bound(self, begun: QuicConnectionProtocol, host: str) -> None:
        """Bound the number of connections; one without a session gives way to a newcomer."""
        assert isinstance(begun, Connection)
        try:
            idle = self._server.connections.add(begun, host)
        except Full:
            self._server.counters[Outcome.FULL.value] += 1
            begun.close()
            return
        if idle is not None:
            self._server.counters["quic_idle_closed"] += 1
            idle.close()


class Connection(QuicConnectionProtocol):
    """One QUIC connection: a CONNECT, then a stream with messages; anything else is refused or ignored."""

    def __init__(self, server: WebTransportServer, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._server = server
        self._http = H3Connection(self._quic, enable_webtransport=True)
        self._session: int | None = None
        self._stream: int | None = None
        self._link: WebTransportLink | None = None
        self._began = self._loop.time()

    def look(self) -> None:
        """Ping the far end, which has left if it does not answer for IDLE_SECONDS. Pages may open a session long before
        they use it.
        """
        if self._link is None and self._loop.time() - self._began > _UNUSED_SECONDS:
            self.close()
            return
        self._quic.send_ping(0)
        self.transmit()

    def datagram_received(self, data: bytes | str, addr: Any) -> None:
        super().datagram_received(data, addr)
        if self._link is not None:
            self._link.progress()

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, ConnectionTerminated):
            self._server.connections.remove(self)
            self._end()
        for found in self._http.handle_event(event):
            self._take(found)

    def _take(self, event: H3Event) -> None:
        if isinstance(event, HeadersReceived):
            self._request(event)
        elif isinstance(event, WebTransportStreamDataReceived):
            self._data(event)
        elif isinstance(event, DataReceived) and event.stream_id == self._session and event.stream_ended:
            self._end()

    def _request(self, event: HeadersReceived) -> None:
        headers = dict(event.headers)
        wanted = headers.get(b":method") == b"CONNECT" and headers.get(b":protocol") == b"webtransport"
        path = headers.get(b":path", b"").partition(b"?")[0]
        accepted = wanted and path == PATH.encode() and self._session is None
        answer = [(b":status", b"200" if accepted else b"404")]
        if accepted:
            self._session = event.stream_id
            answer.append((b"sec-webtransport-http3-draft", b"draft02"))
        self._http.send_headers(event.stream_id, answer, end_stream=not accepted)
        self.transmit()

    def _data(self, event: WebTransportStreamDataReceived) -> None:
        if event.session_id != self._session or event.stream_id % 4:
            return  # only bidirectional streams that the client opens
        if self._link is None:
            self._stream = event.stream_id
            self._link = WebTransportLink(self, event.session_id, event.stream_id)
            self._server.connections.busy(self)
            self._server.serve(self._link)
        if event.stream_id == self._stream:
            self._link.feed(event.data)
            if event.stream_ended:
                self._end()

    def _end(self) -> None:
        if self._link is not None:
            self._link.end()
