"""Conversion of settings to the configuration of each part: the only module that knows both."""

import contextlib
import os
import re
import ssl
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from control.branding import Branding, accent_tokens
from control.config import (
    ControlConfig,
    KafkaAccess,
    LanguageModelConfig,
    OidcProvider,
    PhonePolicy,
    RateLimits,
    Registration,
    Retention,
    SmtpConfig,
    TurnConfig,
)
from control.identity.livekit_tokens import signing_keys
from foundation import pictures
from foundation.hot_settings import etcd_config
from foundation.part_tls import PartTls, over_tls
from foundation.settings import Settings, SettingsError, generated
from inference.config import InferenceConfig
from objects.recording_keys import OperatorKeys, parse_keys
from objects.s3_config import S3Config
from parley import browser
from parley.embedded_postgres import EmbeddedPostgres
from parley.network import local_addresses, url_host
from parley.part_encryption import part_tls
from recorder.config import RecorderConfig
from sfu.api.registration import NodeRecord
from sfu.server import port_share
from sfu.server.config import SfuConfig

_EXTRAS = {"kafka": "aiokafka", "mongodb": "pymongo", "triton": "tritonclient", "phone": "parley_client"}
"""By extra: the module that it installs."""
_PREFIX = re.compile(r"!?\+?[0-9]{1,15}")
_TURNS_BY_ADDRESS = re.compile(r"turns:(\[|[0-9.]+(:|\?|$))")


def embedded_postgres(settings: Settings) -> EmbeddedPostgres:
    """Return the cluster that `parley up` runs if no database_url is set."""
    return EmbeddedPostgres(settings["data_dir"] / "postgres", settings["runtime_dir"] / "pg")


def check(settings: Settings) -> None:
    """Raise SettingsError for values that a part would refuse, before any part is started."""
    for read in (control_config, sfu_config, recorder_config):
        read(settings)
    if settings["inference"]:
        inference_config(settings)
    with_extra(settings, "phone", "phone")


def control_config(settings: Settings) -> ControlConfig:
    """Return control's configuration; raises SettingsError."""
    https = settings["https_port"] >= 0
    return ControlConfig(
        database_dsn=settings["database_url"] or embedded_postgres(settings).dsn,
        redis_url=settings["redis_url"] or f"unix://{settings['runtime_dir'] / 'redis.sock'}",
        kafka=kafka_access(settings),
        mongodb_url=_mongodb_url(settings),
        data_dir=settings["data_dir"] / "control",
        recordings_dir=settings["recordings_dir"],
        node_secret=node_secret(settings),
        tls=part_tls(settings),
        nodes=_nodes(settings),
        nodes_file=readable(settings, "sfu_nodes_file"),
        etcd=etcd_config(settings),
        max_participants_per_node=settings["max_participants_per_node"],
        balance_rooms=settings["balance_rooms"],
        allow_private_webhooks=settings["private_webhooks"],
        allow_private_broadcasts=settings["private_broadcasts"],
        allow_private_ingress=settings["private_ingress"],
        rtmp_urls=_rtmp_urls(settings),
        srt_urls=_srt_urls(settings),
        web_pages=settings["ingress"] and browser.find(settings["browser"]) is not None,
        phone=_phone(settings),
        region=settings["region"],
        region_header=settings["region_header"],
        http_binds=(f"{url_host(settings['http_host'])}:{settings['http_port']}",),
        https_binds=_https_binds(settings) if https else (),
        share_ports=settings["share_ports"],
        certificate=readable(settings, "tls_certificate") if https else None,
        private_key=readable(settings, "tls_key") if https else None,
        internal_bind=f"{url_host(settings['internal_host'])}:{settings['internal_port']}",
        public_origins=_public_origins(settings),
        cors_origins=tuple(_as_browsers_say(origin) for origin in settings["cors_origins"]),
        embed_origins=tuple(_as_browsers_say(origin) for origin in settings["embed_origins"]),
        trusted_proxies=settings["trusted_proxies"],
        cookie_security=settings["cookies"],
        scim_admin_group=settings["scim_admin_group"],
        oidc=_identity_providers(settings),
        smtp=_smtp(settings),
        turn=_turn(settings),
        livekit_keys=_livekit_keys(settings),
        livekit_create_rooms=settings["livekit_create_rooms"],
        livekit_owner=settings["livekit_owner"],
        media_dir=settings["media_dir"],
        s3=s3_config(settings),
        operator_keys=operator_keys(settings),
        inference_url=settings["inference_url"] or f"{_scheme(settings)}://127.0.0.1:{settings['inference_port']}",
        language_model=_language_model(settings, settings["summary_model"]),
        translation_model=_language_model(settings, settings["translation_model"]),
        embedded=settings["database_url"] is None,
        **live_fields(settings),
    )


def live_fields(settings: Settings) -> dict[str, Any]:
    """Return the fields of ControlConfig that depend on live settings; raises SettingsError."""
    return {
        "branding": _branding(settings),
        "registration": _registration(settings),
        "registration_domains": settings["registration_domains"],
        "second_factor": settings["second_factor"],
        "guests": settings["guests"],
        "recording": settings["recording"],
        "default_lobby": settings["default_lobby"],
        "default_captions": settings["default_captions"],
        "default_consent": settings["default_consent"],
        "default_recording_notice": settings["default_recording_notice"],
        "max_participants": settings["max_participants"],
        "max_upload_bytes": settings["max_upload_bytes"],
        "quota_bytes": settings["quota_bytes"],
        "recordings_quota_bytes": settings["recordings_quota_bytes"],
        "retention": _retention(settings),
        "limits": _limits(settings),
    }


def readable(settings: Settings, name: str) -> Path | None:
    """Return the file that a setting names, after opening it, so that a missing file is reported at the start."""
    path: Path | None = settings[name]
    if path is not None:
        try:
            path.open("rb").close()
        except OSError as error:
            raise SettingsError(f"{name}: {path}: {error.strerror}") from error
    return path


def listener_certificate(settings: Settings, port: str) -> tuple[Path | None, Path | None]:
    """Return the certificate and key of a listener, both None if its setting `port` is -1; raises SettingsError."""
    if settings[port] < 0:
        return None, None
    certificate = readable(settings, "tls_certificate")
    if certificate is None:
        raise SettingsError(f"{port} needs tls_certificate and tls_key")
    return certificate, readable(settings, "tls_key")


def authority(settings: Settings, name: str) -> Path | None:
    """Return the file of certificate authorities that a setting names, after reading it."""
    path: Path | None = settings[name]
    if path is not None:
        try:
            ssl.create_default_context(cafile=str(path))
        except OSError as error:
            raise SettingsError(f"{name}: {path}: {error.strerror or error}") from error
    return path


def with_extra(settings: Settings, name: str, extra: str) -> Any:
    """Return a setting that needs one of our extras; raises SettingsError if that is not installed."""
    if settings[name] and find_spec(_EXTRAS[extra]) is None:
        raise SettingsError(f"{name} needs an extra: pip install parley-sfu[{extra}]")
    return settings[name]


def kafka_access(settings: Settings) -> KafkaAccess | None:
    """Return the access to Kafka, None if it is not configured; raises SettingsError."""
    brokers = with_extra(settings, "kafka_brokers", "kafka")
    if not brokers:
        return None
    if (settings["kafka_username"] is None) != (settings["kafka_password"] is None):
        raise SettingsError("kafka_username and kafka_password must be set together")
    access = KafkaAccess(
        brokers=brokers,
        tls=settings["kafka_tls"],
        ca_file=authority(settings, "kafka_ca"),
        certificate=readable(settings, "kafka_certificate"),
        key=readable(settings, "kafka_key"),
        mechanism=settings["kafka_mechanism"],
        username=settings["kafka_username"],
        password=settings["kafka_password"] or "",
        partitions=settings["kafka_partitions"],
        replicas=settings["kafka_replicas"],
    )
    if access.tls:
        try:
            access.ssl_context()
        except OSError as error:
            raise SettingsError(f"kafka_certificate, kafka_key: {error.strerror or error}") from error
    return access


def _mongodb_url(settings: Settings) -> str | None:
    """Return the URL after its client has parsed it; a name of `mongodb+srv` is resolved on connection."""
    url: str | None = with_extra(settings, "mongodb_url", "mongodb")
    if not url:
        return None
    # Imported only if it is configured, because it is an extra.
    from pymongo.errors import PyMongoError  # noqa: PLC0415
    from pymongo.uri_parser import parse_uri  # noqa: PLC0415

    if not url.startswith("mongodb+srv:"):
        try:
            parse_uri(url)
        except (PyMongoError, ValueError) as error:
            raise SettingsError(f"mongodb_url: {str(error).replace(url, 'it')}") from error
    return url


def _public_origins(settings: Settings) -> tuple[str, ...]:
    public = settings["public_hosts"] if settings["https_port"] >= 0 else ()
    own = (f"https://{url_host(host)}:{settings['https_port']}" for host in public)
    return tuple(_as_browsers_say(origin) for origin in (*settings["origins"], *own))


def _as_browsers_say(origin: str) -> str:
    """Return an origin without its scheme's default port and without a trailing slash."""
    scheme, _, host = origin.lower().rstrip("/").partition("://")
    return f"{scheme}://{host.removesuffix({'https': ':443', 'http': ':80'}[scheme])}"


def _branding(settings: Settings) -> Branding:
    try:
        logo = pictures.read(settings["brand_logo"]) if settings["brand_logo"] else None
    except ValueError as error:
        raise SettingsError(f"brand_logo: {error}") from error
    try:
        tokens = accent_tokens(settings["brand_accent"]) if settings["brand_accent"] else {}
    except ValueError as error:
        raise SettingsError(f"brand_accent: {error}") from error
    pairs = (one.partition("=") for one in settings["brand_links"])
    return Branding(
        name=settings["brand_name"],
        logo=logo,
        tokens=tokens,
        links=tuple((label.strip(), address.strip()) for label, _, address in pairs),
        imprint=settings["imprint_url"],
        privacy=settings["privacy_url"],
    )


def _livekit_keys(settings: Settings) -> dict[str, str]:
    try:
        return signing_keys(settings["livekit_keys"] or "")
    except ValueError as error:
        raise SettingsError(f"livekit_keys: {error}") from error


def _retention(settings: Settings) -> Retention:
    return Retention(
        chat_days=settings["keep_chat_days"],
        captions_days=settings["keep_captions_days"],
        audit_days=settings["keep_audit_days"],
        recordings_days=settings["keep_recordings_days"],
    )


def _limits(settings: Settings) -> RateLimits:
    return RateLimits(
        passcode_failures=settings["limit_passcode_failures"],
        meeting_failures=settings["limit_meeting_failures"],
        sign_in_failures=settings["limit_sign_in_failures"],
        arrivals=settings["limit_arrivals"],
        waiting=settings["limit_waiting"],
        account_requests=settings["requests_per_minute"],
        address_requests=settings["limit_address_requests"],
    )


def _language_model(settings: Settings, model: str | None) -> LanguageModelConfig | None:
    if not settings["summary_url"]:
        if settings["translation_model"]:
            raise SettingsError("translation_model needs summary_url")
        return None
    if not settings["summary_model"] and not settings["translation_model"]:
        raise SettingsError("summary_url needs summary_model or translation_model")
    if not model:
        return None
    return LanguageModelConfig(
        url=settings["summary_url"],
        model=model,
        key=settings["summary_key"],
        private=settings["summary_private"],
    )


def sfu_config(settings: Settings) -> SfuConfig:
    """Return the sfu's configuration; raises SettingsError."""
    return SfuConfig(
        node_secret=node_secret(settings),
        tls=part_tls(settings),
        node=settings["sfu_node"],
        engine=settings["sfu_engine"],
        control_url=control_url(settings),
        udp_port=settings["sfu_udp_port"],
        tcp_port=settings["sfu_tcp_port"],
        webtransport_port=settings["sfu_webtransport_port"],
        webtransport_certificate=readable(settings, "sfu_webtransport_certificate"),
        webtransport_key=readable(settings, "sfu_webtransport_key"),
        addresses=settings["sfu_addresses"],
        public_addresses=settings["public_hosts"],
        signaling_host=settings["sfu_host"],
        signaling_port=settings["sfu_signaling_port"],
        http_host=settings["sfu_host"],
        http_port=settings["sfu_http_port"],
        sink_socket=_sink_sockets(settings)[0],
        advertised_host=settings["sfu_advertised_host"] or _advertised(settings["sfu_host"]),
        region=settings["region"],
        etcd=etcd_config(settings),
        drain_seconds=settings["drain_seconds"] if settings["drain_seconds"] >= 0 else None,
        port_share=_port_share(),
        flight_dir=settings["data_dir"] / "flights",
        estimate_bandwidth=settings["congestion_control"],
        max_participants=settings["max_participants"],
        max_transports=settings["max_transports"],
        transcode_sound=settings["transcode_sound"],
        plain_networks=settings["transport_networks"],
        plain_ports=port_range(settings, "transport_ports"),
    )


def _port_share() -> port_share.PortShare | None:
    """Return this process's share of a UDP port, if the process that started it passed one."""
    text = os.environ.get(port_share.ENVIRONMENT)
    return port_share.decode_share(text) if text else None


def port_range(settings: Settings, name: str) -> tuple[int, int]:
    """Return the first and last port of a setting, (0, 0) if it is not set; raises SettingsError."""
    text = settings[name]
    if text is None:
        return 0, 0
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and 0 < int(first) <= int(last) <= 65535):
        raise SettingsError(f"{name}: {text!r} is not FIRST-LAST")
    return int(first), int(last)


def recorder_config(settings: Settings) -> RecorderConfig:
    """Return the recorder's configuration; raises SettingsError."""
    return RecorderConfig(
        instance=f"recorder-{settings['sfu_node']}",
        s3=s3_config(settings),
        operator_keys=operator_keys(settings),
        signing_key=settings["recording_key"],
        films_at_once=settings["films_at_once"],
        films_while_recording=settings["films_while_recording"],
        keep_segments_hours=settings["keep_segments_hours"],
        sink_socket=_sink_sockets(settings)[0],
        other_sink_sockets=_sink_sockets(settings)[1:],
        recordings_dir=settings["recordings_dir"],
        control_url=control_url(settings),
        node_secret=node_secret(settings),
        tls=part_tls(settings),
    )


def inference_config(settings: Settings) -> InferenceConfig:
    """Return inference's configuration; raises SettingsError."""
    return InferenceConfig(
        sink_socket=_sink_sockets(settings)[0],
        models_dir=settings["models_dir"],
        runtime_dir=settings["runtime_dir"],
        control_url=control_url(settings),
        node_secret=node_secret(settings),
        tls=part_tls(settings),
        languages=settings["languages"],
        threads=settings["inference_threads"],
        triton_urls=with_extra(settings, "triton_urls", "triton"),
        voice_detector_card=readable(settings, "voice_detector_card"),
        face_detector_card=readable(settings, "face_detector_card"),
        api_host=settings["metrics_host"],
        api_port=settings["inference_port"],
    )


def _rtmp_urls(settings: Settings) -> tuple[str, ...]:
    """Return the addresses of ingress that hosts see; {host} stands for the host name of their request."""
    if not settings["ingress"]:
        return ()
    if settings["rtmp_url"]:
        return (settings["rtmp_url"],)
    host = _shown_host(settings)
    ports = (("rtmps", settings["rtmps_port"]), ("rtmp", settings["rtmp_port"]))
    return tuple(f"{scheme}://{host}:{port}/live" for scheme, port in ports if port >= 0)


def _srt_urls(settings: Settings) -> tuple[str, ...]:
    """Return the SRT address of ingress that hosts see, as that of RTMP."""
    if not settings["ingress"] or settings["srt_port"] < 0:
        return ()
    return (settings["srt_url"] or f"srt://{_shown_host(settings)}:{settings['srt_port']}",)


def _shown_host(settings: Settings) -> str:
    return url_host(settings["public_hosts"][0]) if settings["public_hosts"] else "{host}"


def _phone(settings: Settings) -> PhonePolicy:
    """Return what callers and hosts may do; nothing if phone does not run."""
    if not settings["phone"]:
        return PhonePolicy()
    prefixes = tuple(settings["phone_prefixes"])
    if any(not _PREFIX.fullmatch(prefix) for prefix in prefixes):
        raise SettingsError("phone_prefixes: each is the beginning of a number, such as +44, or !+449 to forbid it")
    if prefixes and not settings["sip_trunk"]:
        raise SettingsError("phone_prefixes needs sip_trunk")
    return PhonePolicy(
        numbers=tuple(settings["phone_numbers"]),
        prefixes=prefixes,
        meeting_calls=settings["phone_meeting_calls"],
        account_dials=settings["phone_account_dials"],
    )


def _https_binds(settings: Settings) -> tuple[str, ...]:
    host, port = settings["https_host"], settings["https_port"]
    if host != "0.0.0.0":  # noqa: S104  compared, not bound
        return (f"{url_host(host)}:{port}",)
    # One socket per IPv6 address: a dual-stack one would collide with the IPv4 wildcard.
    return (f"{host}:{port}", *(f"[{a}]:{port}" for a in local_addresses() if a.version == 6))


def control_url(settings: Settings) -> str:
    """Return the URL at which the other parts reach control."""
    return settings["control_url"] or f"{_scheme(settings)}://127.0.0.1:{settings['internal_port']}"


def _scheme(settings: Settings) -> str:
    return over_tls("http", part_tls(settings))


def _sink_sockets(settings: Settings) -> tuple[Path, ...]:
    return tuple(Path(path) for path in settings["sink_sockets"]) or (settings["runtime_dir"] / "sinks.sock",)


def _advertised(host: str) -> str:
    """Return an address that others can reach: for a wildcard, the machine's first one."""
    if host not in {"0.0.0.0", "::"}:  # noqa: S104  compared, not bound
        return host
    return next((str(address) for address in local_addresses()), "127.0.0.1")


def _nodes(settings: Settings) -> tuple[NodeRecord, ...]:
    here = f"{settings['sfu_node']}=127.0.0.1:{settings['sfu_signaling_port']}:{settings['sfu_http_port']}"
    listed = settings["sfu_nodes"] or (() if settings["sfu_nodes_file"] or settings["etcd_urls"] else (here,))
    return tuple(_node(described, part_tls(settings)) for described in listed)


def _node(described: str, tls: PartTls | None) -> NodeRecord:
    """Parse NAME=HOST:SIGNALING_PORT:HTTP_PORT; raises SettingsError."""
    name, _, address = described.partition("=")
    host, signaling, http = ["", "", "", *address.rsplit(":", 2)][-3:]
    if not (name and host and signaling.isdigit() and http.isdigit()):
        raise SettingsError(f"sfu_nodes: {described!r} is not NAME=HOST:SIGNALING_PORT:HTTP_PORT")
    host = url_host(host.strip("[]"))
    return NodeRecord(
        node=name,
        signaling_url=f"{over_tls('ws', tls)}://{host}:{signaling}/ws/signaling",
        http_url=f"{over_tls('http', tls)}://{host}:{http}",
    )


def operator_keys(settings: Settings) -> OperatorKeys:
    """Return the keys that wrap the keys of recordings; raises SettingsError."""
    text = settings["recordings_keys"]
    if not text:  # the one that `parley up` generated, also for commands beside it
        with contextlib.suppress(FileNotFoundError):
            text = generated(settings, "recordings_keys").read_text()
    try:
        keys = parse_keys(text or "")
    except ValueError as error:
        raise SettingsError(f"recordings_keys: {error}") from error
    if settings["encrypt_recordings"] and not keys:
        raise SettingsError("encrypt_recordings needs recordings_keys (openssl rand -base64 32)")
    return OperatorKeys(keys, encrypts=settings["encrypt_recordings"])


def s3_config(settings: Settings) -> S3Config | None:
    """Return the S3 store for recordings and files, None for directories; raises SettingsError."""
    endpoint = settings["s3_endpoint"]
    if endpoint is None:
        return None
    for name in ("s3_access_key", "s3_secret_key"):
        if not settings[name]:
            raise SettingsError(f"{name} is not set: the store at {endpoint} needs it")
    try:
        return S3Config(
            endpoint=endpoint,
            bucket=settings["s3_bucket"],
            region=settings["s3_region"],
            public_endpoint=settings["s3_public_endpoint"],
            access_key=settings["s3_access_key"],
            secret_key=settings["s3_secret_key"],
            ca_file=authority(settings, "s3_ca"),
            encryption=settings["s3_encryption"],
            kms_key=settings["s3_kms_key"],
        )
    except ValueError as error:
        raise SettingsError(f"s3_endpoint: {error}") from error


def _smtp(settings: Settings) -> SmtpConfig | None:
    host, sender = settings["smtp_host"], settings["smtp_sender"]
    if host is None:
        return None
    if sender is None:
        raise SettingsError("smtp_sender is not set: mail needs a sender address")
    return SmtpConfig(
        host=host,
        sender=sender,
        port=settings["smtp_port"],
        tls=settings["smtp_tls"],
        username=settings["smtp_username"],
        password=settings["smtp_password"],
    )


def _turn(settings: Settings) -> TurnConfig | None:
    if not settings["turn_urls"]:
        return None
    if not settings["turn_secret"]:
        raise SettingsError("turn_secret is not set: it makes the credentials for the TURN servers")
    if by_address := [url for url in settings["turn_urls"] if _TURNS_BY_ADDRESS.match(url)]:
        raise SettingsError(f"turn_urls: {by_address[0]} needs a host name: Firefox accepts no IP address with TLS")
    return TurnConfig(urls=settings["turn_urls"], secret=settings["turn_secret"])


def node_secret(settings: Settings) -> str:
    secret = settings["node_secret"]
    if not secret:
        raise SettingsError("node_secret is not set: set PARLEY_NODE_SECRET or PARLEY_NODE_SECRET_FILE")
    return str(secret)


def _registration(settings: Settings) -> Registration:
    """Resolve `auto`: people can register only while the page is reachable from this machine alone."""
    chosen: Literal[Registration, "auto"] = settings["registration"]
    if chosen == "auto":
        return "open" if settings["https_port"] < 0 and settings["http_host"] == "127.0.0.1" else "closed"
    return chosen


def _identity_providers(settings: Settings) -> tuple[OidcProvider, ...]:
    """Return the configured identity provider, if any; raises SettingsError if its settings are incomplete."""
    if settings["oidc_issuer"] is None:
        return ()
    for name in ("oidc_client_id", "oidc_client_secret"):
        if not settings[name]:
            raise SettingsError(f"{name} is not set: the identity provider assigns it to this server")
    return (
        OidcProvider(
            name=settings["oidc_name"],
            issuer=settings["oidc_issuer"],
            client_id=settings["oidc_client_id"],
            client_secret=settings["oidc_client_secret"],
            groups_claim=settings["oidc_groups_claim"],
            allowed_groups=settings["oidc_allowed_groups"],
            admin_group=settings["oidc_admin_group"],
        ),
    )
