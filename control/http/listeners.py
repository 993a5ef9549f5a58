"""Listening sockets, bound before anything is served, and Hypercorn's settings for the TLS ones."""

import logging
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hypercorn.config import Config

from sfu.api.signaling import MAX_MESSAGE_BYTES

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Tls:
    certificate: Path
    private_key: Path


def bind(address: str) -> socket.socket:
    """Return a socket listening on `host:port` or `[v6]:port`; raises OSError that names the address."""
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6 and host == "::":
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((host, int(port)))
        sock.listen(1024)
        sock.setblocking(False)
    except OSError as error:
        sock.close()
        raise OSError(error.errno, f"cannot listen on {address}: {error.strerror}") from error
    return sock


def bind_quic(secure: list[socket.socket]) -> list[socket.socket]:
    """Return UDP sockets for HTTP/3 at the same addresses and ports; an address in use goes without."""
    bound = []
    for beside in secure:
        sock = socket.socket(beside.family, socket.SOCK_DGRAM)
        try:
            if beside.family == socket.AF_INET6:
                dual = beside.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY)
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, dual)
            sock.bind(beside.getsockname())
            sock.setblocking(False)
        except OSError as error:
            sock.close()
            _LOG.warning("no HTTP/3 at %s: %s", address_of(beside), error.strerror)
            continue
        bound.append(sock)
    return bound


def address_of(sock: socket.socket) -> str:
    """Return the `host:port` that a socket is bound to."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def settings(tls: Tls, drain_seconds: float, quic: Sequence[socket.socket] = ()) -> Config:
    """Return Hypercorn's settings; `quic` is advertised by Alt-Svc (RFC 7838)."""
    config = Config()
    config.certfile = str(tls.certificate)
    config.keyfile = str(tls.private_key)
    ports = sorted({sock.getsockname()[1] for sock in quic})
    config.alt_svc_headers = [f'h3=":{port}"; ma=3600' for port in ports]
    config.loglevel = "WARNING"
    config.errorlog = logging.getLogger("control.hypercorn")
    config.include_server_header = False
    config.backlog = 1024
    config.keep_alive_timeout = 30
    config.graceful_timeout = drain_seconds
    config.shutdown_timeout = drain_seconds
    config.websocket_max_message_size = MAX_MESSAGE_BYTES
    config.websocket_ping_interval = 20
    return config
