"""Mutual TLS between the parts: each proves by a certificate of the operator's authority that it is a part.

Parts move between addresses, so the certificates name none: all of them have the DNS name `parley.internal`. A client
checks that name; a server accepts whatever the authority has signed.
"""

import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from foundation.followed_certificate import FollowedCertificate

PART_NAME = "parley.internal"
# Kubelets, load balancers and Prometheus ask for these without the node secret, and need no certificate either.
_OPEN = frozenset({"/health", "/health/live", "/health/ready", "/metrics"})
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class _ClientContext(ssl.SSLContext):
    """A client's context that expects `parley.internal`, whatever the address is."""

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        return super().wrap_bio(incoming, outgoing, server_side, PART_NAME, session)


class PartTls(FollowedCertificate):
    """The TLS contexts of a part: `client` for its connections to other parts, the others for its listeners.

    With `server`, a peer without a certificate is refused in the handshake. With `lenient_server`, it may connect, and
    `require_certificate` decides for each request.
    """

    def __init__(self, certificate: Path, key: Path, authority: Path) -> None:
        """Raise OSError if the files cannot be read, or do not fit together."""
        self.server = _server(ssl.CERT_REQUIRED)
        self.lenient_server = _server(ssl.CERT_OPTIONAL)
        self.client = _ClientContext(ssl.PROTOCOL_TLS_CLIENT)
        super().__init__(certificate, key, self.server, self.lenient_server, self.client, authority=authority)


def _server(verification: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = verification
    return context


def over_tls(scheme: str, tls: PartTls | None) -> str:
    """Return `scheme` for addresses of a part: http becomes https, and ws becomes wss."""
    return scheme if tls is None else f"{scheme}s"


def part_session(
    node_secret: str, tls: PartTls | None, timeout: aiohttp.ClientTimeout, **options: Any
) -> aiohttp.ClientSession:
    """Return an HTTP session with other parts, whose bodies are JSON. `options` are those of aiohttp.ClientSession."""
    headers = {"Authorization": f"Bearer {node_secret}", "Content-Type": "application/json"}
    return aiohttp.ClientSession(headers=headers, timeout=timeout, connector=part_connector(tls), **options)


def part_connector(tls: PartTls | None) -> aiohttp.TCPConnector:
    """Return a connector to other parts, with TLS for https and wss URLs."""
    return aiohttp.TCPConnector(ssl=True if tls is None else tls.client)


@web.middleware
async def require_certificate(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Refuse a request over TLS without a client certificate, unless it asks for health or metrics."""
    if request.path in _OPEN or request.get_extra_info("sslcontext") is None or request.get_extra_info("peercert"):
        return await handler(request)
    return web.json_response({"code": "no_certificate", "detail": "A part's certificate is required."}, status=403)
