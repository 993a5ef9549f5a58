"""Checks of the syntax of settings. Their error messages never contain the value, which may include a password."""

import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import urlsplit

Form = Callable[[str], None]
"""A check: raises ValueError that describes the problem."""

_HOST = re.compile(r"\[[0-9A-Fa-f:.%]+\]|[^\s\[\]:/@?#,]+")
_HINT = "write special characters in a password as %XX"


def host_and_port(text: str) -> None:
    """HOST:PORT, with an IPv6 address in brackets."""
    host, _, port = text.rpartition(":")
    if not _HOST.fullmatch(host) or not _is_port(port):
        raise ValueError("not HOST:PORT with a port from 1 to 65535")


def web_address(text: str) -> None:
    """http(s)://host[:port][/path]."""
    _address(text, ("http", "https"))


def origin(text: str) -> None:
    """http(s)://host[:port] and nothing else."""
    web_address(text)
    if urlsplit(text).path.strip("/") or "?" in text or "#" in text:
        raise ValueError("an origin ends after its host and port")


def postgresql(text: str) -> None:
    """Accept what asyncpg accepts: there may be several hosts, or hosts in the query."""
    _address(text, ("postgresql", "postgres"), may_lack_host=True)


def redis(text: str) -> None:
    """redis(s)://[user:password@]host[:port][/number], unix://path."""
    if not text.startswith("unix://"):
        _address(text, ("redis", "rediss"))


def mongodb(text: str) -> None:
    """mongodb://[user:password@]host[:port][,host[:port]…][/name], mongodb+srv://host."""
    _address(text, ("mongodb", "mongodb+srv"))


def network(text: str, *, strict: bool = False) -> None:
    """An address, or a network in CIDR notation; with `strict`, its host bits are zero."""
    try:
        ipaddress.ip_network(text, strict=strict)
    except ValueError as error:
        raise ValueError("neither an address nor a network such as 10.0.0.0/8") from error


def _address(text: str, schemes: tuple[str, ...], *, may_lack_host: bool = False) -> None:
    scheme, separator, rest = text.partition("://")
    if not separator or scheme.lower() not in schemes:
        raise ValueError(f"does not begin with {' or '.join(f'{one}://' for one in schemes)}")
    if any(letter.isspace() for letter in text):
        raise ValueError("contains a space")
    account, at, hosts = re.split(r"[/?#]", rest, maxsplit=1)[0].rpartition("@")
    if "@" in account or account.count(":") > 1:
        raise ValueError(f"its host cannot be found: {_HINT}")
    if not hosts and may_lack_host:
        return
    for one in hosts.split(","):
        host, _, port = one.rpartition(":") if re.search(r":[^\]]*$", one) else (one, "", None)
        if not _HOST.fullmatch(host) or (port is not None and not _is_port(port)):
            wrong = "its host or port is invalid"
            raise ValueError(f"{wrong}: {_HINT}" if at or "@" in rest else wrong)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535


def link(text: str) -> None:
    """LABEL=http(s)://host[/path]."""
    label, separator, address = text.partition("=")
    if not label.strip() or not separator:
        raise ValueError("not LABEL=URL")
    web_address(address.strip())


FORMS: Mapping[str, Form] = {
    "backup_s3_endpoint": web_address,
    "brand_links": link,
    "control_url": web_address,
    "database_url": postgresql,
    "etcd_urls": web_address,
    "imprint_url": web_address,
    "inference_url": web_address,
    "kafka_brokers": host_and_port,
    "mongodb_url": mongodb,
    "oidc_issuer": web_address,
    "origins": origin,
    "cors_origins": origin,
    "embed_origins": origin,
    "otlp_url": web_address,
    "privacy_url": web_address,
    "redis_url": redis,
    "s3_endpoint": web_address,
    "s3_public_endpoint": web_address,
    "summary_url": web_address,
    "transport_networks": partial(network, strict=True),
    "triton_urls": host_and_port,
    "trusted_proxies": network,
}
"""By setting: the check of its value, or of each item of a list. Ports are checked separately."""
CHOICES: Mapping[str, tuple[str, ...]] = {
    "cookies": ("auto", "always"),
    "default_consent": ("ask", "implied", "required"),
    "default_recording_notice": ("none", "en", "zh-CN"),
    "kafka_mechanism": ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"),
    "log_format": ("text", "json"),
    "log_level": ("debug", "info", "warning", "error"),
    "registration": ("auto", "open", "invite", "domain", "closed"),
    "s3_encryption": ("none", "sse-s3", "sse-kms"),
    "second_factor": ("optional", "admins", "required"),
    "sfu_engine": ("auto", "compiled", "python"),
    "smtp_tls": ("starttls", "implicit", "none"),
}
"""By setting: the allowed values."""
MINIMA: Mapping[str, int] = {
    "keep_audit_days": 1,
    "keep_captions_days": 1,
    "keep_chat_days": 1,
    "keep_recordings_days": 1,
    "limit_address_requests": 60,
    "limit_arrivals": 1,
    "limit_meeting_failures": 1,
    "limit_passcode_failures": 1,
    "limit_sign_in_failures": 1,
    "limit_waiting": 1,
    "max_participants": 1,
    "max_upload_bytes": 1,
    "quota_bytes": 0,
    "recordings_quota_bytes": 0,
    "requests_per_minute": 60,
}
"""By setting: the smallest number allowed. With fewer requests the page would not work."""
