"""Checks of the origin (RFC 6454) of the page that sent a request."""

from urllib.parse import urlsplit


def is_allowed(origin: str, host: str, scheme: str, configured: tuple[str, ...]) -> bool:
    """Return whether a page of `origin` may send requests to this server.

    It may if the request was addressed to the same origin, or if the origin is configured. A page served over plain
    HTTP is refused over TLS. Behind a TLS gateway, this server does not know the scheme, so only host and port must
    match.
    """
    if origin in configured:
        return True
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return False
    if scheme in {"https", "wss"} and parts.scheme != "https":
        return False
    return parts.netloc.lower() == host.lower()
