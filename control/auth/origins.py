"""Origin checks (RFC 6454): what a browser says about the page that a request comes from."""

from urllib.parse import urlsplit


def is_allowed(origin: str, host: str, scheme: str, configured: tuple[str, ...]) -> bool:
    """Whether a page of `origin` may send requests to us.

    That is the origin which the request was addressed to, or a configured one. A page served over plain HTTP is not
    let in over TLS; behind a TLS gateway our own scheme says nothing, so there only host and port must agree.
    """
    if origin in configured:
        return True
    parts = urlsplit(origin)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        return False
    if scheme in {"https", "wss"} and parts.scheme != "https":
        return False
    return parts.netloc.lower() == host.lower()
