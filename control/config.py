"""What the control plane must be told: plain values, read from flags, environment and TOML elsewhere."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import web

Registration = Literal["open", "invite", "domain", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SfuNode:
    """A statically configured sfu node. Both addresses are private: only control and the gateway reach them."""

    node: str
    signaling_url: str
    """WebSocket address, for example ws://127.0.0.1:8081/"""
    http_url: str
    """Base of /whip, /whep and /node/v1, for example http://127.0.0.1:8084"""


@dataclass(frozen=True, slots=True, kw_only=True)
class IceServerConfig:
    """A STUN or TURN server handed to browsers as it is (RTCIceServer)."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """Settings of one control process. Addresses are `host:port`, port 0 lets the system choose."""

    database_dsn: str
    """asyncpg DSN; a Unix socket is postgresql://user@/database?host=/directory"""
    data_dir: Path
    """Generated secrets (0600), the EdDSA signing key, the first-admin link."""
    recordings_dir: Path
    node_secret: str
    nodes: tuple[SfuNode, ...]
    redis_url: str | None = None
    http_binds: tuple[str, ...] = ("127.0.0.1:8800",)
    https_binds: tuple[str, ...] = ()
    certificate: Path | None = None
    private_key: Path | None = None
    internal_bind: str = "127.0.0.1:8082"
    public_origins: tuple[str, ...] = ()
    """Origins (https://meet.example.org) accepted besides the one a request was sent to; the first is put in links."""
    registration: Registration = "closed"
    registration_domains: tuple[str, ...] = ()
    cookie_security: Literal["auto", "always"] = "auto"
    """auto: Secure `__Host-` cookies over TLS only; always: also on plain listeners (behind a TLS gateway)."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses whose X-Forwarded-For is believed."""
    web_root: Path = web.ROOT
    ice_servers: tuple[IceServerConfig, ...] = ()
    embedded: bool = False
    """The database is ours alone: migrations run at start and secrets may be generated."""
    drain_seconds: float = 0.7
    """How long running requests may take to end when the process stops."""

    def __post_init__(self) -> None:
        if self.https_binds and (self.certificate is None or self.private_key is None):
            raise ValueError("HTTPS needs a certificate and its private key")
        if not self.node_secret:
            raise ValueError("the node secret is empty")
        if not self.nodes:
            raise ValueError("at least one sfu node is needed")
