"""Secrets that control generates once and keeps in its data directory (0600): signing key and session secret."""

import base64
import errno
import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation import private_file, signing_key

_SIGNING_KEY = "join-token-key.pem"
_SESSION_SECRET = "session-secret"  # noqa: S105 - a file name


class Keys:
    """The Ed25519 key for join tokens, and secrets derived from one random value for tokens that only control reads."""

    def __init__(self, signing: Ed25519PrivateKey, session_secret: bytes) -> None:
        self.signing = signing
        public = signing.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        self._x = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
        self.kid = hashlib.sha256(public).hexdigest()[:16]
        self._secret = session_secret

    def derive(self, purpose: str) -> bytes:
        """Return 32 bytes derived for one purpose."""
        return hmac.digest(self._secret, purpose.encode(), "sha256")

    def public_jwks(self) -> list[dict[str, Any]]:
        """Return the public key as a JWK (RFC 8037)."""
        return [{"kty": "OKP", "crv": "Ed25519", "use": "sig", "alg": "EdDSA", "kid": self.kid, "x": self._x}]


def load(directory: Path, may_create: bool) -> Keys:
    """Return the keys in `directory`. Missing ones are created if `may_create`; else raises FileNotFoundError."""
    if may_create:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        signing_key.create(directory / _SIGNING_KEY)
        private_file.create(directory / _SESSION_SECRET, secrets.token_hex(32).encode())
    for path in (directory / _SIGNING_KEY, directory / _SESSION_SECRET):
        if not path.exists():
            raise FileNotFoundError(
                errno.ENOENT, "put the key there, or create all keys with `parley make-keys`", str(path)
            )
    signing = signing_key.load(directory / _SIGNING_KEY)
    session_secret = bytes.fromhex((directory / _SESSION_SECRET).read_text().strip())
    if len(session_secret) < 32:
        raise ValueError(f"{directory / _SESSION_SECRET} is shorter than 32 bytes")
    return Keys(signing, session_secret)
