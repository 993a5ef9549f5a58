"""The sockets of SIP: UDP, TCP and TLS on our ports, and connections of ours to the trunk."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from foundation.failures import describe
from phone import metrics
from phone.sip.messages import MAX_BYTES, Flow, StreamFraming

_log = logging.getLogger(__name__)
_MOST_CONNECTIONS = 200
_IDLE_SECONDS = 900.0
_CONNECT_SECONDS = 5.0
_MAX_WAITING = 256 * 1024

Receive = Callable[[bytes, Flow], None]


class SipSockets(asyncio.DatagramProtocol):
    """`receive` gets each message of an address that `admits` accepts; others get no answer at all.

    `lost` is told when a connection of ours ends.
    """

    def __init__(
        self, receive: Receive, admits: Callable[[str], bool], lost: Callable[[Flow], None] = lambda _: None
    ) -> None:
        self._receive = receive
        self._admits = admits
        self._lost = lost
        self._local: dict[Flow, tuple[str, int]] = {}
        """The addresses that connections of ours begin at."""
        self._udp: asyncio.DatagramTransport | None = None
        self._servers: list[asyncio.Server] = []
        self._streams: dict[Flow, asyncio.StreamWriter] = {}
        self._connecting: dict[Flow, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, tls_port: int, context: ssl.SSLContext | None) -> None:
        """Listen; raises OSError."""
        loop = asyncio.get_running_loop()
        if port >= 0:
            self._udp, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
            self._servers.append(await asyncio.start_server(self._serve("tcp"), host, port))
        if tls_port >= 0 and context is not None:
            self._servers.append(await asyncio.start_server(self._serve("tls"), host, tls_port, ssl=context))

    @property
    def port(self) -> int:
        """The port of UDP and TCP."""
        return int(self._udp.get_extra_info("sockname")[1]) if self._udp is not None else 0

    async def close(self) -> None:
        """Close everything."""
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        for writer in list(self._streams.values()):
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._udp is not None:
            self._udp.close()

    def send(self, flow: Flow, data: bytes) -> None:
        """Send a message; connect first if the flow is a connection that is not there."""
        if flow.transport == "udp":
            if self._udp is not None and not self._udp.is_closing():
                self._udp.sendto(data, (flow.host, flow.port))
            return
        writer = self._streams.get(flow)
        if writer is not None and not writer.is_closing():
            if writer.transport.get_write_buffer_size() > _MAX_WAITING:
                writer.transport.abort()
            else:
                writer.write(data)
        elif flow in self._connecting:
            self._connecting[flow].append(data)
        elif len(self._streams) + len(self._connecting) < _MOST_CONNECTIONS:
            self._connecting[flow] = [data]
            self._spawn(self._connect(flow))

    def local_port(self, flow: Flow, address: str) -> int:
        """Return the port at which our connection to a server begins; raises OSError.

        Where nothing listens, the server sends calls through that connection, and knows it by this port, which is
        therefore chosen before the connection exists.
        """
        if flow not in self._local:
            with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM) as probe:
                probe.bind((address, 0))
                self._local[flow] = (address, int(probe.getsockname()[1]))
        return self._local[flow][1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        host = _plain(addr[0])
        if not self._admits(host):
            self._ignore(host)
        elif data.strip(b"\r\n\0 "):  # else a keepalive
            self._receive(data, Flow("udp", host, addr[1]))

    def error_received(self, exc: Exception) -> None:
        """Ignore network errors: requests are repeated, and time out."""

    def _ignore(self, host: str) -> None:
        metrics.REFUSED.labels("source").inc()
        _log.info("SIP from %s is ignored: sip_allowed does not list it, and sip_login is not set", host)

    def _serve(self, transport: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer = writer.get_extra_info("peername") or ("", 0)
            host = _plain(peer[0])
            if not self._admits(host) or len(self._streams) >= _MOST_CONNECTIONS:
                self._ignore(host)
                writer.close()
                return
            self._spawn(self._read(Flow(transport, host, peer[1]), reader, writer))

        return accept

    async def _connect(self, flow: Flow) -> None:
        context = ssl.create_default_context() if flow.transport == "tls" else None
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    flow.host, flow.port, ssl=context, local_addr=self._local.get(flow)
                )
        except (OSError, TimeoutError) as error:
            self._connecting.pop(flow, None)
            self._local.pop(flow, None)
            _log.warning("cannot connect to %s port %d: %s", flow.host, flow.port, describe(error))
            return
        for data in self._connecting.pop(flow, []):
            writer.write(data)
        try:
            await self._read(flow, reader, writer)
        finally:
            self._local.pop(flow, None)
            self._lost(flow)

    async def _read(self, flow: Flow, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = StreamFraming()
        self._streams[flow] = writer
        try:
            while True:
                async with asyncio.timeout(_IDLE_SECONDS):
                    data = await reader.read(MAX_BYTES)
                if not data:
                    return
                if data == b"\r\n\r\n":  # a ping, whose answer is one empty line (RFC 5626, section 4.4.1)
                    writer.write(b"\r\n")
                for message in framing.push(data):
                    self._receive(message, flow)
        except (OSError, TimeoutError):
            pass
        except ValueError:
            metrics.REFUSED.labels("malformed").inc()
        finally:
            if self._streams.get(flow) is writer:
                del self._streams[flow]
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def local_address(host: str, port: int) -> str:
    """Return this machine's address on the route to another; raises OSError if there is no route."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port or 5060))
        return str(probe.getsockname()[0])


def _plain(host: str) -> str:
    return host.removeprefix("::ffff:").partition("%")[0]
