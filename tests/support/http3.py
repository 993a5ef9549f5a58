"""HTTP/3 requests (RFC 9114), to check that a gateway or control supports it."""

import asyncio
import socket
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.connection import QuicConnection
from aioquic.quic.events import QuicEvent


class _Client(QuicConnectionProtocol):
    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  # as the library passes them
        self._http = H3Connection(self._quic)
        self._data = bytearray()
        self._whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._answered: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def get(self, authority: str, path: str, **given: str) -> dict[str, str]:
        """Return the response's headers, including `:status`; `body` waits for the content."""
        stream = self._quic.get_next_available_stream_id()
        headers = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": path, **given}
        self._http.send_headers(stream, [(n.encode(), v.encode()) for n, v in headers.items()], end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self._answered, 30)

    def quic_event_received(self, event: QuicEvent) -> None:
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived) and not self._answered.done():
                self._answered.set_result({name.decode(): value.decode() for name, value in found.headers})
            if isinstance(found, DataReceived):
                self._data += found.data
            if isinstance(found, HeadersReceived | DataReceived) and found.stream_ended and not self._whole.done():
                self._whole.set_result(bytes(self._data))

    async def body(self) -> bytes:
        """Return the response's content."""
        return await asyncio.wait_for(self._whole, 30)


def lone_initial() -> bytes:
    """Return a valid first datagram of a connection that is not continued."""
    configuration = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name="localhost")
    one = QuicConnection(configuration=configuration)
    one.connect(("127.0.0.1", 443), now=0.0)
    return one.datagrams_to_send(now=0.0)[0][0]


async def flooded(port: int, datagrams: int) -> None:
    """Send lone first datagrams to a port, each like another client's, at up to a thousand per second."""
    loop = asyncio.get_running_loop()
    initials = [lone_initial() for _ in range(10)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        for number in range(datagrams):
            data = bytearray(initials[number % len(initials)])
            data[6:14] = number.to_bytes(8, "big")  # destination id, on which the keys depend
            await loop.sock_sendto(sock, data, ("127.0.0.1", port))
            await asyncio.sleep(0.001)


async def get(port: int, path: str, **headers: str) -> dict[str, str]:
    """GET a path on localhost, with any certificate."""
    return (await fetch(port, path, **headers))[0]


async def fetch(port: int, path: str, **headers: str) -> tuple[dict[str, str], bytes]:
    """GET a path like `get`, and return the content too."""
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="localhost"
    )
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=_Client) as client:
        assert isinstance(client, _Client)
        return await client.get(f"localhost:{port}", path, **headers), await client.body()
