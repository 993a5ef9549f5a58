"""Listeners besides UDP and WebSocket: ICE-TCP for media, WebTransport for signaling."""

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence

from sfu.api.registration import WebTransportEndpoint
from sfu.engine.contract import Address
from sfu.formats.sdp import Candidate
from sfu.machines.ice.lite import tcp_candidates
from sfu.peers.context import Context
from sfu.server.addresses import with_localhost
from sfu.server.config import SfuConfig
from sfu.server.tcp_listener import TcpListener
from sfu.server.webtransport_server import Attend, WebTransportServer

_log = logging.getLogger(__name__)


class ExtraListeners:
    """The configured listeners beside the UDP sockets on `addresses`."""

    def __init__(self, config: SfuConfig, addresses: Sequence[Address]) -> None:
        """Listen for ICE-TCP, or do without if its port defaults to the UDP port's number and is in use. Raises
        OSError.

        If the system chose the UDP port, it chooses the TCP port too.
        """
        self.tcp: TcpListener | None = None
        self.webtransport: WebTransportServer | None = None
        self._config = config
        self._addresses = addresses
        if config.tcp_port < 0:
            return
        port = config.tcp_port or (addresses[0][1] if config.udp_port else 0)
        try:
            self.tcp = TcpListener(addresses, port)
        except OSError as error:
            if config.tcp_port:
                raise
            _log.warning("no ICE-TCP: TCP port %d cannot be bound (%s); set another", port, error)

    def candidates(self, public: Sequence[str]) -> tuple[Candidate, ...]:
        """Return the ICE-TCP candidates, with those of `public` addresses first."""
        if self.tcp is None:
            return ()
        port = self.tcp.addresses[0][1]
        return tcp_candidates(self.tcp.addresses, [(address, port) for address in public])

    @property
    def far_ends(self) -> Mapping[Address, Address]:
        """The far ends behind this machine's own addresses; changes as connections open and close."""
        return {} if self.tcp is None else self.tcp.far_ends

    async def open(self, context: Context, attend: Attend) -> Sequence[Callable[[], Awaitable[None]]]:
        """Start accepting clients; return the coroutines to run. Raises OSError if the certificate is unusable."""
        config = self._config
        if self.tcp is not None:
            self.tcp.start(context.counters)
        if config.webtransport_port < 0:
            return ()
        given, key = config.webtransport_certificate, config.webtransport_key
        files = (given, key) if given is not None and key is not None else None
        server = WebTransportServer(attend, context.counters, files)
        try:
            await server.start(with_localhost([host for host, _ in self._addresses]), config.webtransport_port)
        except OSError as error:
            await server.stop()
            _log.warning("no WebTransport: UDP port %d cannot be bound (%s)", config.webtransport_port, error)
            return ()
        self.webtransport = server
        return (server.run,)

    def webtransport_endpoint(self) -> WebTransportEndpoint | None:
        """Return the address of signaling over WebTransport."""
        if self.webtransport is None:
            return None
        host = self._config.public_addresses[0] if self._config.public_addresses else ""
        return WebTransportEndpoint(port=self.webtransport.port, host=host, hash=self.webtransport.hash)

    async def close_signaling(self) -> None:
        """Wait for the WebTransport sessions to close, as they have been told to."""
        if self.webtransport is not None:
            await self.webtransport.stop()

    def close_media(self) -> None:
        if self.tcp is not None:
            self.tcp.stop()
