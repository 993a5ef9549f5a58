"""The settings, in the groups and order of `--help` and the documentation."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foundation.pictures import Picture
from foundation.worker_count import WorkerCount


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its name, the type of its value (list of str, or a scalar), default and meaning."""

    name: str
    kind: type
    default: Any
    meaning: str
    secret: bool = False
    live: bool = False
    """True if it can change while the parts run (foundation.hot_settings)."""
    old_name: str | None = None
    """Its name before 0.2, which is still accepted, with a warning."""

    @property
    def variable(self) -> str:
        return variable_of(self.name)


def variable_of(name: str) -> str:
    """Return the environment variable of a setting's name."""
    return f"PARLEY_{name.upper()}"


@dataclass(frozen=True, slots=True)
class Group:
    """A group of related settings."""

    title: str
    settings: tuple[Setting, ...]

    @property
    def key(self) -> str:
        """The title as a word for programs."""
        return self.title.lower().replace(" ", "-")


_ADDRESSES = Group(
    "Addresses and certificates",
    (
        Setting(
            "public_hosts",
            list,
            (),
            "host names or addresses at which clients reach this server from outside",
            old_name="public",
        ),
        Setting("http_host", str, "127.0.0.1", "address of plain HTTP; browsers allow cameras there only on localhost"),
        Setting("http_port", int, 8800, "port of plain HTTP; 0 picks a free one"),
        Setting("https_host", str, "0.0.0.0", "address of HTTPS"),  # noqa: S104  phones must reach it
        Setting("https_port", int, 8443, "port of HTTPS; 0 picks a free one, -1 turns HTTPS off"),
        Setting("share_ports", bool, False, "let several control processes of this machine listen on the same ports"),
        Setting("tls_certificate", Path, None, "PEM certificate chain for HTTPS; unset: self-signed"),
        Setting("tls_key", Path, None, "PEM key of that certificate"),
        Setting(
            "origins", list, (), "public origins of a gateway before this server, such as https://meet.example.org"
        ),
        Setting(
            "cors_origins", list, (), "origins of other sites whose pages may call REST with bearer tokens, not cookies"
        ),
        Setting("embed_origins", list, (), "origins of other sites whose pages may show meetings in a frame"),
        Setting("trusted_proxies", list, (), "addresses or networks of gateways whose X-Forwarded-For is trusted"),
        Setting("cookies", str, "auto", "auto: secure cookies over HTTPS; always: behind a gateway that ends TLS"),
    ),
)
_APPEARANCE = Group(
    "Appearance of the page",
    (
        Setting("brand_name", str, "Parley", "name of the product on the page", live=True),
        Setting(
            "brand_logo",
            Picture,
            None,
            "square logo on the page: an SVG, PNG or WebP file of at most 100,000 bytes; unset: Parley's",
            live=True,
        ),
        Setting(
            "brand_accent",
            str,
            None,
            "colour of buttons and links, such as #3652cf, dark enough for white text",
            live=True,
        ),
        Setting("brand_links", list, (), "links in the page's footer, each LABEL=URL", live=True),
        Setting(
            "imprint_url", str, None, "URL of a page that says who operates this server; unset: no link", live=True
        ),
        Setting("privacy_url", str, None, "URL of the privacy policy; unset: no link", live=True),
    ),
)
_STORAGE = Group(
    "Storage",
    (
        Setting("data_dir", Path, None, "directory of all data that must survive a restart"),
        Setting("runtime_dir", Path, None, "directory of sockets and pid files; its path must be short"),
        Setting("recordings_dir", Path, None, "directory of recordings; unset: below data_dir"),
        Setting("media_dir", Path, None, "directory of uploaded files without S3; unset: below data_dir"),
        Setting("models_dir", Path, None, "directory of AI models; unset: below data_dir"),
        Setting("database_url", str, None, "external PostgreSQL, 15 or newer; unset: embedded", secret=True),
        Setting("redis_url", str, None, "external Redis or Valkey; unset: embedded", secret=True),
        Setting(
            "s3_endpoint", str, None, "S3 endpoint for recordings and files, https://HOST[:PORT]; unset: directories"
        ),
        Setting(
            "s3_public_endpoint", str, None, "the endpoint as browsers reach it; unset: files go through this server"
        ),
        Setting("s3_bucket", str, "parley", "S3 bucket, created if it is missing"),
        Setting("s3_region", str, "us-east-1", "S3 region"),
        Setting("s3_access_key", str, None, "S3 access key", secret=True),
        Setting("s3_secret_key", str, None, "S3 secret key", secret=True),
        Setting("s3_ca", Path, None, "PEM file of the authority that signed the S3 store's certificate"),
        Setting("s3_encryption", str, "none", "encryption by the S3 store: none, sse-s3 or sse-kms"),
        Setting("s3_kms_key", str, None, "id of the KMS key for s3_encryption=sse-kms"),
        Setting("encrypt_recordings", bool, False, "encrypt new recordings, each with a key of its own"),
        Setting(
            "recordings_keys",
            str,
            None,
            "keys that encrypt the keys of recordings: 32 bytes in Base64, the newest first; unset: generated",
            secret=True,
        ),
        Setting("mongodb_url", str, None, "MongoDB for AI results; unset: PostgreSQL", secret=True),
        Setting("kafka_brokers", list, (), "Kafka brokers for events, each HOST:PORT; none: events stay in PostgreSQL"),
        Setting("kafka_tls", bool, False, "use TLS for connections to the Kafka brokers"),
        Setting("kafka_ca", Path, None, "PEM file of the authority that signed the brokers' certificates"),
        Setting("kafka_certificate", Path, None, "PEM client certificate for the brokers; unset: none"),
        Setting("kafka_key", Path, None, "PEM key of that certificate"),
        Setting("kafka_mechanism", str, "SCRAM-SHA-512", "SASL: SCRAM-SHA-512, SCRAM-SHA-256 or PLAIN"),
        Setting("kafka_username", str, None, "user name at Kafka; unset: none"),
        Setting("kafka_password", str, None, "password at Kafka", secret=True),
        Setting("kafka_partitions", int, 6, "partitions of topics that this server creates; 0: it creates none"),
        Setting("kafka_replicas", int, 0, "replicas of topics that this server creates; 0: one per broker, up to 3"),
        Setting("backup_key", str, None, "passphrase that encrypts backups, 16 characters or more", secret=True),
        Setting("backup_s3_endpoint", str, None, "S3 endpoint of backups to s3:BUCKET; unset: s3_endpoint"),
        Setting("backup_s3_access_key", str, None, "S3 access key of backups; unset: s3_access_key", secret=True),
        Setting("backup_s3_secret_key", str, None, "S3 secret key of backups; unset: s3_secret_key", secret=True),
    ),
)
_RETENTION = Group(
    "Retention and quotas",
    (
        Setting("max_upload_bytes", int, 2 * 1024**3, "largest file that can be uploaded", live=True),
        Setting("quota_bytes", int, 20 * 1024**3, "bytes of files that one account can keep", live=True),
        Setting(
            "recordings_quota_bytes",
            int,
            None,
            "bytes of recordings that one account can keep; unset: any number",
            live=True,
        ),
        Setting(
            "keep_chat_days", int, None, "days before chat, notes and whiteboards are deleted; unset: never", live=True
        ),
        Setting("keep_captions_days", int, None, "days before captions are deleted; unset: never", live=True),
        Setting(
            "keep_recordings_days",
            int,
            None,
            "days before recordings are deleted, or earlier if a meeting says so; unset: never",
            live=True,
        ),
        Setting("recording_key", Path, None, "PEM key (Ed25519) that signs recordings; unset: one beside them"),
        Setting(
            "films_at_once",
            int,
            0,
            "combined videos created at the same time; 0: half the cores, -1: none here",
        ),
        Setting(
            "films_while_recording",
            bool,
            True,
            "begin combined videos while meetings are recorded, where cores are free; not with an object store",
        ),
        Setting("private_webhooks", bool, False, "webhooks may call addresses in private networks, also by plain HTTP"),
        Setting(
            "private_broadcasts",
            bool,
            False,
            "broadcasts may go to private networks (RTMP, SRT, WebSocket)",
        ),
        Setting("keep_segments_hours", float, 24.0, "hours before the segments of a finished recording are deleted"),
        Setting("keep_audit_days", int, None, "days before audit entries are deleted; unset: never", live=True),
    ),
)
_ACCOUNTS = Group(
    "Accounts and sign-in",
    (
        Setting(
            "registration",
            str,
            "auto",
            "registration: open, invite, domain or closed; auto: open only on localhost",
            live=True,
        ),
        Setting(
            "registration_domains", list, (), "e-mail domains that can register with registration=domain", live=True
        ),
        Setting("guests", bool, True, "let people without an account join meetings", live=True),
        Setting("second_factor", str, "optional", "second factor at sign-in: optional, admins or required", live=True),
        Setting("oidc_issuer", str, None, "OpenID Connect provider for sign-in; unset: none"),
        Setting("oidc_name", str, "sso", "name of the provider on the page and in /api/v1/auth/oidc/NAME/callback"),
        Setting("oidc_client_id", str, None, "client id of this server at the provider"),
        Setting("oidc_client_secret", str, None, "client secret of this server at the provider", secret=True),
        Setting("oidc_groups_claim", str, "groups", "claim that lists a person's groups"),
        Setting("oidc_allowed_groups", list, (), "groups whose members can sign in; none: everybody at the provider"),
        Setting("oidc_admin_group", str, None, "group whose members are the only administrators"),
        Setting("scim_admin_group", str, None, "group at the SCIM provider whose members are made administrators"),
    ),
)
_MAIL = Group(
    "Mail",
    (
        Setting("smtp_host", str, None, "mail server; unset: mail is written to control/mail below data_dir"),
        Setting("smtp_port", int, 587, "port of the mail server"),
        Setting("smtp_tls", str, "starttls", "encryption of mail: starttls, implicit (port 465) or none"),
        Setting("smtp_sender", str, None, "sender address of mail"),
        Setting("smtp_username", str, None, "user name at the mail server"),
        Setting("smtp_password", str, None, "password at the mail server", secret=True),
    ),
)
_MEDIA = Group(
    "Meetings and media",
    (
        Setting("recording", bool, True, "let participants with the right to record start recordings", live=True),
        Setting("default_lobby", bool, False, "new meetings have a lobby unless their host says otherwise", live=True),
        Setting(
            "default_captions", bool, True, "new meetings have captions unless their host says otherwise", live=True
        ),
        Setting(
            "default_consent", str, "ask", "consent to recording in new meetings: ask, implied or required", live=True
        ),
        Setting(
            "default_recording_notice",
            str,
            "none",
            "language in which new meetings say that they are recorded: none, en or zh-CN",
            live=True,
        ),
        Setting("max_participants", int, 200, "largest number of participants in a room", live=True),
        Setting("sfu_udp_port", int, 8810, "UDP port of media; 0 picks a free one"),
        Setting("sfu_tcp_port", int, 0, "TCP port of media, for clients without UDP; 0: as sfu_udp_port, -1: none"),
        Setting("sfu_addresses", list, (), "local addresses for media; none: all addresses of this machine"),
        Setting("sfu_webtransport_port", int, 8820, "UDP port of signaling over WebTransport; 0 picks one, -1: none"),
        Setting(
            "sfu_webtransport_certificate", Path, None, "PEM certificate chain for WebTransport; unset: self-signed"
        ),
        Setting("sfu_webtransport_key", Path, None, "PEM key of that certificate"),
        Setting("turn_urls", list, (), "TURN servers for browsers, such as turns:turn.example.org:443"),
        Setting(
            "turn_secret", str, None, "secret shared with the TURN servers (static-auth-secret of coturn)", secret=True
        ),
        Setting("max_transports", int, 32, "largest number of plain RTP transports in a room"),
        Setting(
            "transport_networks", list, (), "networks (CIDR) that plain transports can use; none: no plain transports"
        ),
        Setting("transport_ports", str, None, "UDP ports of receiving plain transports, FIRST-LAST; unset: any"),
        Setting("transcode_sound", bool, True, "convert the audio of telephones on plain transports; off: refuse it"),
        Setting("ingress", bool, False, "`parley up` runs ingress, which receives RTMP and SRT, and reads URLs"),
        Setting("ingress_host", str, "0.0.0.0", "address on which ingress listens"),  # noqa: S104  encoders connect
        Setting("rtmp_port", int, 1935, "TCP port for RTMP; -1: none"),
        Setting("rtmps_port", int, -1, "TCP port for RTMP over TLS; needs tls_certificate; -1: none"),
        Setting("srt_port", int, -1, "UDP port for SRT; -1: none"),
        Setting("rtmp_url", str, None, "RTMP address that hosts see, such as rtmps://live.example.org/live"),
        Setting("srt_url", str, None, "SRT address that hosts see, such as srt://live.example.org:8890"),
        Setting("ingress_streams", int, 0, "most streams that ingress accepts at the same time; 0: one for each core"),
        Setting("ingress_height", int, 720, "largest height of the video that ingress sends, in pixels"),
        Setting(
            "browser",
            str,
            None,
            "Chromium that ingress opens web pages with, for egresses; unset: one on PATH; none: no web pages",
        ),
        Setting("browser_pages", int, 0, "most web pages open at the same time; 0: one for each two cores"),
        Setting("phone", bool, False, "`parley up` runs phone, which connects telephones by SIP"),
        Setting("phone_numbers", list, (), "telephone numbers that hosts see for callers, such as +44 20 7946 0000"),
        Setting(
            "phone_prefixes",
            list,
            (),
            "beginnings of numbers that hosts may call, such as +44; !+449 forbids; none: no calls out",
        ),
        Setting("phone_calls", int, 20, "largest number of telephones that phone connects at the same time"),
        Setting("phone_meeting_calls", int, 10, "largest number of telephones in a meeting"),
        Setting("phone_account_dials", int, 30, "largest number of calls that an account places in an hour"),
        Setting("phone_language", str, "en", "language of the prompts that callers hear: en or zh-CN"),
        Setting("phone_prompts", Path, None, "directory of WAV files that replace prompts; unset: ours"),
        Setting("sip_host", str, "0.0.0.0", "address on which phone listens for SIP"),  # noqa: S104  providers connect
        Setting("sip_port", int, 5060, "UDP and TCP port for SIP; -1: none"),
        Setting("sips_port", int, -1, "TCP port for SIP over TLS; needs tls_certificate; -1: none"),
        Setting("sip_address", str, None, "IP address at which others reach phone; unset: that of this machine"),
        Setting("sip_media_ports", str, None, "UDP ports for the audio of telephones, FIRST-LAST; unset: any"),
        Setting("sip_allowed", list, (), "networks that may call without a password; the trunk always may"),
        Setting("sip_login", str, None, "user name with which others may call from anywhere; unset: none"),
        Setting("sip_login_password", str, None, "password of sip_login", secret=True),
        Setting("sip_trunk", str, None, "provider for calls, sip:HOST[:PORT][;transport=tcp or tls]; unset: none"),
        Setting("sip_trunk_user", str, None, "user name at the provider; unset: none"),
        Setting("sip_trunk_password", str, None, "password at the provider", secret=True),
        Setting("sip_register", bool, False, "register at the provider, which then sends calls to us"),
        Setting("sip_caller", str, None, "number that we call from; unset: sip_trunk_user"),
        Setting("sip_encrypt", bool, False, "offer only SRTP for calls that we place"),
        Setting("private_ingress", bool, False, "streams may be read from URLs in private networks"),
        Setting(
            "congestion_control",
            bool,
            True,
            "estimate the bandwidth of subscribers; turn it off only for diagnosis",
            old_name="estimation",
        ),
        Setting(
            "livekit_keys", str, None, "pairs KEY: SECRET that sign LiveKit access tokens; unset: none", secret=True
        ),
        Setting("livekit_create_rooms", bool, True, "let LiveKit clients create the room that they join"),
        Setting("livekit_owner", str, None, "account that owns rooms created so; unset: the oldest administrator"),
        Setting("sfu_engine", str, "auto", "packet engine: auto, compiled or python", old_name="engine"),
    ),
)
_AI = Group(
    "Captions and AI",
    (
        Setting("inference", bool, True, "run inference, which makes captions"),
        Setting("languages", list, (), "languages of meetings on this server (ISO 639-1), most likely first"),
        Setting("inference_threads", int, 1, "threads of speech recognition"),
        Setting("triton_urls", list, (), "Triton servers for speech recognition, each HOST:GRPC_PORT; none: this CPU"),
        Setting("voice_detector_card", Path, None, "model card of a detector of synthetic voices on the first Triton"),
        Setting("face_detector_card", Path, None, "model card of a detector of synthetic faces on the first Triton"),
        Setting(
            "summary_url", str, None, "base URL of an OpenAI-compatible API for minutes and translations; unset: none"
        ),
        Setting("summary_model", str, None, "model that writes minutes; unset: no minutes"),
        Setting("translation_model", str, None, "model that translates captions for readers; unset: no translations"),
        Setting("summary_key", str, None, "API key of summary_url", secret=True),
        Setting("summary_private", bool, False, "allow a private address and plain HTTP for summary_url"),
    ),
)
_LIMITS = Group(
    "Limits on requests",
    (
        Setting("requests_per_minute", int, 1200, "requests per minute from one account or guest", live=True),
        Setting(
            "limit_address_requests", int, 6000, "requests per minute from one address without an account", live=True
        ),
        Setting("limit_sign_in_failures", int, 100, "failed sign-ins from one address in 15 minutes", live=True),
        Setting(
            "limit_passcode_failures",
            int,
            50,
            "wrong passcodes from one address for a meeting or link in 15 minutes",
            live=True,
        ),
        Setting(
            "limit_meeting_failures",
            int,
            300,
            "wrong passcodes from all addresses for a meeting or link in 15 minutes",
            live=True,
        ),
        Setting(
            "limit_arrivals",
            int,
            1000,
            "guests from an address in one meeting, or its passkey sign-ins, in 15 minutes",
            live=True,
        ),
        Setting("limit_waiting", int, 1000, "people who can wait in one lobby at a time", live=True),
    ),
)
_NODES = Group(
    "Several nodes",
    (
        Setting("workers", WorkerCount, 1, "sfu processes on this machine, each a node; auto: one for each core"),
        Setting("share_udp_port", bool, True, "let all workers share one UDP port; off: each has its own"),
        Setting("sfu_node", str, "sfu-1", "name of this sfu node", old_name="node"),
        Setting(
            "sfu_nodes",
            list,
            (),
            "sfu nodes, each NAME=HOST:SIGNALING_PORT:HTTP_PORT; none: only the node on this machine",
            old_name="nodes",
        ),
        Setting(
            "sfu_nodes_file", Path, None, "TOML file of sfu nodes, read again when it changes", old_name="nodes_file"
        ),
        Setting(
            "max_participants_per_node",
            int,
            0,
            "participants of a room on one node before the room spreads to another node; 0: no limit",
            old_name="spill_at",
        ),
        Setting("balance_rooms", bool, True, "move rooms, one at a time, away from overloaded nodes"),
        Setting("drain_seconds", float, 0, "seconds before a stopping node moves its meetings; -1: never"),
        Setting("region", str, "", "region of this machine; new rooms go to the nearest nodes"),
        Setting("region_header", str, None, "header in which a gateway passes the region of a request"),
        Setting("etcd_urls", list, (), "etcd in which sfu nodes register; none: the nodes listed in sfu_nodes"),
        Setting("etcd_username", str, None, "user name at etcd"),
        Setting("etcd_password", str, None, "password at etcd", secret=True),
        Setting("etcd_ca", Path, None, "PEM file of the authority that signed etcd's certificate"),
    ),
)
_PARTS = Group(
    "Connections between the parts",
    (
        Setting("internal_host", str, "127.0.0.1", "address on which control serves the other parts"),
        Setting("internal_port", int, 8082, "port on which control serves the other parts"),
        Setting("control_url", str, None, "URL at which the other parts reach control; unset: this machine"),
        Setting("sfu_host", str, "127.0.0.1", "address of the sfu's signaling and HTTP"),
        Setting("sfu_signaling_port", int, 8081, "port of the sfu's signaling"),
        Setting("sfu_http_port", int, 8084, "port of the sfu's WHIP, WHEP, node API and metrics"),
        Setting(
            "sfu_advertised_host", str, None, "host at which control and the gateway reach this sfu; unset: sfu_host"
        ),
        Setting("sink_sockets", list, (), "sockets between sfu processes and their sinks; none: in runtime_dir"),
        Setting(
            "metrics_host", str, "127.0.0.1", "address of the recorder's metrics and of inference's API and metrics"
        ),
        Setting("recorder_port", int, 8086, "port of the recorder's metrics"),
        Setting("ingress_port", int, 8087, "port of ingress's metrics"),
        Setting("phone_port", int, 8088, "port of phone's metrics"),
        Setting("inference_port", int, 8085, "port of inference's API and metrics"),
        Setting("inference_url", str, None, "URL at which control reaches inference; unset: this machine"),
        Setting("node_secret", str, None, "secret shared by all parts", secret=True),
        Setting(
            "parts_certificate", Path, None, "PEM certificate of this part, for TLS between the parts; unset: none"
        ),
        Setting("parts_key", Path, None, "PEM key of that certificate"),
        Setting(
            "parts_ca", Path, None, "PEM file of the authority that signs the certificates of all parts, and no other"
        ),
    ),
)
_OBSERVING = Group(
    "Logs and traces",
    (
        Setting("log_level", str, "info", "lowest level to log: debug, info, warning or error", live=True),
        Setting("log_format", str, "text", "format of logs: text, or json with one line per event"),
        Setting(
            "otlp_url", str, None, "collector of traces, OTLP over HTTP, such as http://jaeger:4318; unset: no traces"
        ),
        Setting("trace_ratio", float, 0.1, "share of requests that are traced"),
    ),
)

GROUPS = (
    _ADDRESSES,
    _APPEARANCE,
    _STORAGE,
    _RETENTION,
    _ACCOUNTS,
    _MAIL,
    _MEDIA,
    _AI,
    _LIMITS,
    _NODES,
    _PARTS,
    _OBSERVING,
)
SETTINGS = tuple(setting for group in GROUPS for setting in group.settings)

REMOVED = {
    "http3": "the gateway serves HTTP/3",
    "inference_denoise": "it made recognition worse",
}
"""Settings of 0.1 that have no effect any more, with the reason. They are accepted, with a warning."""
