"""One HTTP/3 request (RFC 9114), to see that a gateway speaks it."""

import asyncio
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import QuicEvent


class _Client(QuicConnectionProtocol):
    def __init__(self, *arguments: object, **named: object) -> None:
        super().__init__(*arguments, **named)  # type: ignore[arg-type]  # as the library passes them
        self._http = H3Connection(self._quic)
        self._answered: asyncio.Future[dict[str, str]] = asyncio.get_running_loop().create_future()

    async def get(self, authority: str, path: str) -> dict[str, str]:
        """Return the answer's headers, `:status` among them."""
        stream = self._quic.get_next_available_stream_id()
        headers = {":method": "GET", ":scheme": "https", ":authority": authority, ":path": path}
        self._http.send_headers(stream, [(n.encode(), v.encode()) for n, v in headers.items()], end_stream=True)
        self.transmit()
        return await asyncio.wait_for(self._answered, 10)

    def quic_event_received(self, event: QuicEvent) -> None:
        for found in self._http.handle_event(event):
            if isinstance(found, HeadersReceived) and not self._answered.done():
                self._answered.set_result({name.decode(): value.decode() for name, value in found.headers})


async def get(port: int, path: str) -> dict[str, str]:
    """GET a path of localhost, whatever its certificate."""
    configuration = QuicConfiguration(
        is_client=True, alpn_protocols=H3_ALPN, verify_mode=ssl.CERT_NONE, server_name="localhost"
    )
    async with connect("127.0.0.1", port, configuration=configuration, create_protocol=_Client) as client:
        assert isinstance(client, _Client)
        return await client.get(f"localhost:{port}", path)
