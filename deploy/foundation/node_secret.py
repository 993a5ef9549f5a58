"""The check of the secret that the parts of an installation share: `Authorization: Bearer <secret>`."""

import hmac


def carries_node_secret(authorization: str, node_secret: str) -> bool:
    """Return True if a header's value, which may be anything, contains `node_secret`; False if the secret is empty."""
    given, expected = authorization.encode("utf-8", "surrogateescape"), f"Bearer {node_secret}".encode()
    return bool(node_secret) and hmac.compare_digest(given, expected)
