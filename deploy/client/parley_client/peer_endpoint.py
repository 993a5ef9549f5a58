"""A client peer on a UDP socket: the only class of the client that owns a socket, a clock or a timer."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

from parley_client.client_peer import ClientPeer, Received
from sfu.machines.ice.lite import Address
from sfu.machines.negotiation.agreement import RemoteTransport
from sfu.peers.data_channels import DataItem

CONNECT_SECONDS = 10.0


class PeerFailed(ConnectionError):
    """No candidate answered, or the DTLS handshake failed."""


class PeerEndpoint(asyncio.DatagramProtocol):
    """Runs a ClientPeer; `on_packet(packet, now)` gets authenticated packets, `on_data` messages of data channels."""

    def __init__(
        self,
        peer: ClientPeer,
        on_packet: Callable[[Received, int], None],
        on_data: Callable[[list[DataItem]], None] = lambda _: None,
    ) -> None:
        self.peer = peer
        self._on_packet = on_packet
        self._on_data = on_data
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    async def open(self, remote: RemoteTransport, candidates: list[Address]) -> None:
        """Connect; return once SRTP keys are available. Raises PeerFailed."""
        loop = asyncio.get_running_loop()
        family_host = "::" if candidates and ":" in candidates[0][0] else "0.0.0.0"  # noqa: S104  a client's own port
        await loop.create_datagram_endpoint(lambda: self, local_addr=(family_host, 0))
        self.peer.connect(remote, candidates, time.monotonic_ns())
        self.drive()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                while not self.peer.connected:
                    if self.peer.failed:
                        raise PeerFailed("the peer failed before it was connected")
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            raise PeerFailed(f"not connected within {CONNECT_SECONDS:.0f} s") from error

    async def failure(self) -> None:
        """Return once the server has closed the peer, or has not answered for the 30 s of RFC 7675."""
        while not self.peer.failed:
            self._changed.clear()
            await self._changed.wait()

    def send(self, packet: bytes) -> bool:
        """Protect and send an RTP or RTCP packet; False while not connected."""
        protected = self.peer.protect(packet)
        if protected is None or self._transport is None:
            return False
        self._transport.sendto(*protected)
        return True

    def close(self) -> None:
        """Send close_notify and release the socket."""
        if self._timer:
            self._timer.cancel()
        if self._transport:
            self.peer.close(time.monotonic_ns())
            self._flush(time.monotonic_ns())
            self._transport.close()
            self._transport = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, source: Any) -> None:
        now = time.monotonic_ns()
        packet = self.peer.receive(data, (source[0], source[1]), now)
        if packet:
            self._on_packet(packet, now)
        else:
            if self.peer.messages:
                came, self.peer.messages = self.peer.messages, []
                self._on_data(came)
            self.drive()

    def drive(self) -> None:
        """Send the peer's pending datagrams, and set the timer for the next ones."""
        now = time.monotonic_ns()
        self._flush(now)
        self._changed.set()
        if self._timer:
            self._timer.cancel()
            self._timer = None
        due = self.peer.timer()
        if due is not None and self._transport:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(max(0.0, (due - now) / 1e9), self._on_timer)

    def _on_timer(self) -> None:
        self.peer.handle_timer(time.monotonic_ns())
        self.drive()

    def _flush(self, now: int) -> None:
        if self._transport:
            for data, destination in self.peer.datagrams_to_send(now):
                self._transport.sendto(data, destination)
