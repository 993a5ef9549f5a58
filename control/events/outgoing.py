"""Outgoing requests to URLs that users supply (webhooks): never to this machine or its network
(foundation.public_http).
"""

import re
import socket
from urllib.parse import urlsplit, urlunsplit

import aiohttp
from yarl import URL

from control.problem import Problem
from foundation import public_http
from foundation.addresses import is_public

_LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)", re.IGNORECASE)
_MEDIA = frozenset({"http", "https", "rtsp", "rtsps"})
_MAX_NAME = 253  # RFC 1035, in characters


def check_url(url: str, allow_private: bool) -> None:
    """Raise Problem 400 unless the URL is https to a name or public address.

    The URL is parsed as the HTTP client parses it, with its host normalised (IDNA, UTS 46): digits of any script can
    form an address.
    """
    try:
        parts = URL(url)
        host, port = parts.raw_host or "", parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is not a URL.") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise Problem(400, "invalid_url", "The URL must begin with https.")
    strange = any(letter.isspace() or ord(letter) < 32 for letter in url)
    if strange or not port or parts.raw_user is not None or parts.raw_password is not None:
        raise Problem(400, "invalid_url", "This URL cannot be called.")
    public = _literal(host)
    if public is None and not _is_name(host):
        raise Problem(400, "invalid_url", "This is not a host name.")
    if public is False and not allow_private:
        raise Problem(400, "forbidden_address", "This address is not on the public internet.")


def check_media_url(url: str, allow_private: bool) -> None:
    """Raise Problem 400 unless the URL is http(s) or rtsp(s) to a name or public address. It may have a password."""
    try:
        scheme, host, port = (parts := urlsplit(url)).scheme, parts.netloc.rpartition("@")[2], parts.port
    except ValueError as error:
        raise Problem(400, "invalid_url", "This is not a URL.") from error
    if scheme not in _MEDIA or port == 0:
        raise Problem(400, "invalid_url", "The URL must begin with https, http, rtsp or rtsps.")
    check_url(urlunsplit(parts._replace(scheme="https", netloc=host)), allow_private)


def is_forbidden(host: str) -> bool:
    """Return whether a host is written as an address that is not on the public internet."""
    return _literal(host) is False


def _is_name(host: str) -> bool:
    """Return whether a normalised name is valid in DNS: labels of 1 to 63 characters, 253 in all (RFC 1035)."""
    name = host.removesuffix(".")
    return len(name) <= _MAX_NAME and all(_LABEL.fullmatch(label) for label in name.split("."))


def _literal(host: str) -> bool | None:
    """Return whether a literal address is public; None for a name. Old spellings (0x7f.1, 2130706433) count."""
    try:
        return is_public(host)
    except ValueError:
        pass
    try:
        return is_public(socket.inet_ntoa(socket.inet_aton(host)))
    except (OSError, UnicodeError):
        return None


def session(allow_private: bool) -> aiohttp.ClientSession:
    """Return a client session for outgoing requests, without cookies or pooled connections."""
    return public_http.session(allow_private, aiohttp.ClientTimeout(total=10, connect=5))
