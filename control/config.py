"""Configuration of the control plane: plain values, which `parley` reads from flags, environment and TOML."""

import functools
import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import web
from control.branding import Branding
from foundation.etcd import EtcdConfig
from foundation.part_tls import PartTls
from objects.recording_keys import OperatorKeys
from objects.s3_config import S3Config
from sfu.api.desired_state import ConsentPolicy, RecordingNotice
from sfu.api.registration import NodeRecord

Registration = Literal["open", "invite", "domain", "closed"]
SecondFactor = Literal["optional", "admins", "required"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaAccess:
    """Settings of every Kafka client. Brokers are HOST:PORT; `partitions` and `replicas` apply to topics created here.

    With 0 partitions, no topic is created. With 0 replicas, there are as many as brokers, up to three.
    """

    brokers: tuple[str, ...]
    tls: bool = False
    ca_file: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    mechanism: str = "SCRAM-SHA-512"
    username: str | None = None
    password: str = field(default="", repr=False)
    partitions: int = 6
    replicas: int = 0

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that every client of aiokafka takes; raises OSError for files that cannot be read."""
        words = ("SASL" if self.username is not None else "", "SSL" if self.tls else "PLAINTEXT")
        arguments: dict[str, Any] = {
            "bootstrap_servers": list(self.brokers),
            "security_protocol": "_".join(word for word in words if word),
        }
        if self.tls:
            arguments["ssl_context"] = self.ssl_context()
        if self.username is not None:
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def ssl_context(self) -> ssl.SSLContext:
        """Return the TLS context of a connection; raises OSError for files that are unreadable or not certificates."""
        context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        if self.certificate is not None:
            context.load_cert_chain(self.certificate, self.key)
        return context


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnConfig:
    """TURN servers that share a secret with control, used for expiring credentials."""

    urls: tuple[str, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PhonePolicy:
    """Telephones: the numbers that callers use, and what hosts may dial. Without `prefixes`, they dial nothing.

    A number must begin with one of the prefixes; the longest that fits decides, and one with ! before it forbids.
    """

    numbers: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    meeting_calls: int = 10
    """The most telephones in a meeting at the same time."""
    account_dials: int = 30
    """The most calls that one account places in an hour."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpConfig:
    """The mail server to send through. `tls`: starttls (port 587), implicit (465), or none."""

    host: str
    sender: str
    port: int = 587
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OidcProvider:
    """An OpenID Connect provider. Its redirect URI is `{link_origin}/api/v1/auth/oidc/{name}/callback`.

    With `allowed_groups`, only their members may sign in; with `admin_group`, exactly its members are administrators.
    """

    name: str
    issuer: str
    client_id: str
    client_secret: str = field(repr=False)
    groups_claim: str = "groups"
    allowed_groups: tuple[str, ...] = ()
    admin_group: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LanguageModelConfig:
    """The language model's API at `url` (https://llm.example.org/v1). `private` allows private networks and HTTP."""

    url: str
    model: str
    key: str | None = field(default=None, repr=False)
    private: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Retention:
    """Retention periods in days; None keeps data forever."""

    chat_days: int | None = None
    captions_days: int | None = None
    audit_days: int | None = None
    recordings_days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RateLimits:
    """Rate limits.

    Windows are 15 minutes for attempts and newcomers, one minute for requests. An address is an IPv4 address,
    or the /64 network of an IPv6 one.
    """

    passcode_failures: int = 50
    """Wrong passcodes per address and meeting, or per address and shared link."""
    meeting_failures: int = 300
    """Wrong passcodes per meeting or shared link, from all addresses."""
    sign_in_failures: int = 100
    """Failed sign-ins per address."""
    arrivals: int = 1000
    """First-time joins to one meeting per address; also sign-ins started without a password."""
    waiting: int = 1000
    """People waiting in a lobby at once."""
    account_requests: int = 1200
    """Requests per account or guest."""
    address_requests: int = 6000
    """Requests without credentials per address; an office may share one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlConfig:
    """Settings of one control process. Addresses are `host:port`; port 0 lets the system choose."""

    database_dsn: str
    """asyncpg DSN; a Unix socket is postgresql://user@/database?host=/directory"""
    data_dir: Path
    """Generated secrets (0600), the EdDSA signing key, the first-admin link."""
    recordings_dir: Path
    node_secret: str = field(repr=False)
    tls: PartTls | None = None
    nodes: tuple[NodeRecord, ...]
    nodes_file: Path | None = None
    """A TOML file with further nodes, reread when it changes."""
    etcd: EtcdConfig | None = None
    """etcd endpoints where nodes register; replaces `nodes` and `nodes_file`."""
    max_participants: int = 200
    """Largest number of participants in a room; the sfu has the same limit."""
    max_participants_per_node: int = 0
    """Participants of a room per node before the room is extended to a secondary node; 0: never."""
    balance_rooms: bool = True
    """Move rooms off nodes that have been overloaded for a while."""
    region: str = ""
    """Region of people who join, if the gateway does not report one."""
    region_header: str | None = None
    """Header in which the gateway reports the region of a request."""
    redis_url: str | None = None
    http_binds: tuple[str, ...] = ("127.0.0.1:8800",)
    https_binds: tuple[str, ...] = ()
    share_ports: bool = False
    """True lets other control processes on this machine listen on the same ports."""
    certificate: Path | None = None
    private_key: Path | None = None
    internal_bind: str = "127.0.0.1:8082"
    public_origins: tuple[str, ...] = ()
    """Origins (https://meet.example.org) accepted besides the one a request was sent to; links use the first."""
    cors_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may call REST and signaling with bearer tokens, without cookies."""
    branding: Branding = field(default_factory=Branding)
    embed_origins: tuple[str, ...] = ()
    """Origins of other sites whose pages may show meetings in a frame."""
    registration: Registration = "closed"
    registration_domains: tuple[str, ...] = ()
    guests: bool = True
    """False refuses people without an account in all meetings."""
    recording: bool = True
    """False refuses to start recordings."""
    default_lobby: bool = False
    """These four are settings of new meetings whose host does not choose others."""
    default_captions: bool = True
    default_consent: ConsentPolicy = "ask"
    default_recording_notice: RecordingNotice = "none"
    second_factor: SecondFactor = "optional"
    """Accounts that must sign in with a second factor: a code from an authenticator app, or a passkey."""
    scim_admin_group: str | None = None
    """The group at the SCIM provider whose members are made administrators."""
    cookie_security: Literal["auto", "always"] = "auto"
    """auto: Secure `__Host-` cookies over TLS only; always: also on plain listeners (behind a TLS gateway)."""
    trusted_proxies: tuple[str, ...] = ()
    """Addresses or networks (10.0.0.0/8) whose X-Forwarded-For header is accepted."""
    web_root: Path = field(default_factory=web.root)
    turn: TurnConfig | None = None
    smtp: SmtpConfig | None = None
    """None writes mail to files below `data_dir`."""
    media_dir: Path | None = None
    """Directory of uploaded files; None is one below `data_dir`."""
    s3: S3Config | None = None
    """Bucket for uploaded files and recordings, instead of directories."""
    operator_keys: OperatorKeys = field(default=OperatorKeys(), repr=False)
    """Keys that open encrypted recordings."""
    max_upload_bytes: int = 2 * 1024**3
    quota_bytes: int = 20 * 1024**3
    """Storage quota of one account."""
    recordings_quota_bytes: int | None = None
    """Quota of the recordings of one account's meetings, with their films; None is none."""
    oidc: tuple[OidcProvider, ...] = ()
    kafka: KafkaAccess | None = None
    """Kafka to publish events to; None leaves events in PostgreSQL. Needs the extra `kafka`."""
    mongodb_url: str | None = None
    retention: Retention = Retention()
    inference_url: str = "http://127.0.0.1:8085"
    """Base URL of inference's private HTTP API."""
    language_model: LanguageModelConfig | None = None
    """The model that summarizes ended meetings; None: transcripts only."""
    translation_model: LanguageModelConfig | None = None
    """The model that translates captions for readers; None: none does."""
    allow_private_webhooks: bool = False
    """True allows webhooks to private networks and over plain HTTP."""
    allow_private_broadcasts: bool = False
    """True allows broadcasts to servers in private networks."""
    allow_private_ingress: bool = False
    """True if streams may be read from URLs in private networks."""
    rtmp_urls: tuple[str, ...] = ()
    """Addresses of ingress for encoders; {host} stands for the host of the request. Empty: ingress is off."""
    srt_urls: tuple[str, ...] = ()
    """The same for SRT, without a stream id."""
    web_pages: bool = False
    """True if ingress has a browser, which opens web pages for egresses."""
    phone: PhonePolicy = PhonePolicy()
    livekit_keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """API secrets that sign access tokens for LiveKit's clients, by API key, besides those made by REST."""
    livekit_create_rooms: bool = True
    """True: joining a room that does not exist creates its meeting."""
    livekit_owner: str | None = None
    """Login name of the account that owns such meetings; None: the oldest administrator's."""
    limits: RateLimits = RateLimits()
    reconcile_seconds: float = 5.0
    """Seconds between checks for rooms that ended without a report and for abandoned recordings."""
    embedded: bool = False
    """True if this process owns the database: migrations run at start, and secrets may be generated."""
    drain_seconds: float = 0.4
    """Seconds that running requests get to finish when the process stops."""

    def __post_init__(self) -> None:
        if self.https_binds and (self.certificate is None or self.private_key is None):
            raise ValueError("HTTPS requires a certificate and its private key")
        if not self.node_secret:
            raise ValueError("the node secret is empty")
        for proxy in self.trusted_proxies:
            ipaddress.ip_network(proxy, strict=False)
        if not self.nodes and self.nodes_file is None and self.etcd is None:
            raise ValueError("at least one sfu node is required")

    def demands_second_factor(self, role: Literal["user", "admin"]) -> bool:
        return self.second_factor == "required" or (self.second_factor == "admins" and role == "admin")

    def is_gateway(self, address: str) -> bool:
        """Return whether an address belongs to a trusted proxy, whose X-Forwarded-For header is accepted."""
        return _is_among(address, self.trusted_proxies)

    @property
    def link_origin(self) -> str:
        """Origin of links in mail: configured, never taken from a request."""
        if self.public_origins:
            return self.public_origins[0]
        return f"http://localhost:{self.http_binds[0].rpartition(':')[2]}" if self.http_binds else ""


@functools.lru_cache(4096)
def _is_among(address: str, networks: tuple[str, ...]) -> bool:
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(parsed in ipaddress.ip_network(network, strict=False) for network in networks)
