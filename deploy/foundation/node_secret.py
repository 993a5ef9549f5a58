"""The check of the secret by which the parts of one installation know each other: `Authorization: Bearer <secret>`."""

import hmac


def carries_node_secret(authorization: str, node_secret: str) -> bool:
    """Return True if a header's value carries `node_secret`; never where that is empty. Any value may be given."""
    given, expected = authorization.encode("utf-8", "surrogateescape"), f"Bearer {node_secret}".encode()
    return bool(node_secret) and hmac.compare_digest(given, expected)
