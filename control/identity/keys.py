"""Secrets that control generates once and keeps in its data directory (0600): signing key and session secret.

Both can be rotated while people are signed in and in calls, since the previous and the next ones are also accepted. The
file of the session secret has one secret per line, the newest first; the line of a next one begins with `next:`.
"""

import base64
import errno
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation import private_file, signing_key

_SIGNING_KEY = "join-token-key.pem"
_MORE_SIGNING_KEYS = "join-token-key-*.pem"
_NEXT_SIGNING_KEY = "join-token-key-next.pem"
_PREVIOUS_SIGNING_KEY = "join-token-key-previous.pem"
_SESSION_SECRET = "session-secret"  # noqa: S105 - a file name
_NEXT = "next:"


class Keys:
    """The Ed25519 key for join tokens, and secrets derived from random values for tokens that only control reads.

    Join tokens signed with the `accepted` keys are also valid. The first of the session secrets is in use; the others
    are earlier ones.
    """

    def __init__(
        self,
        signing: Ed25519PrivateKey,
        session_secrets: Sequence[bytes],
        accepted: Sequence[Ed25519PrivateKey] = (),
        next_secrets: Sequence[bytes] = (),
    ) -> None:
        self.signing = signing
        self._public = [key.public_key() for key in (signing, *accepted)]
        self.kid = _kid(_raw(self._public[0]))
        self._oldest = session_secrets[-1]
        self._secrets = (*session_secrets, *next_secrets)

    def derive(self, purpose: str) -> tuple[bytes, ...]:
        """Return 32 bytes for one purpose from each session secret, beginning with the one in use."""
        return tuple(_derived(secret, purpose) for secret in self._secrets)

    def derive_stable(self, purpose: str) -> bytes:
        """Return 32 bytes that stay the same until the oldest session secret is removed."""
        return _derived(self._oldest, purpose)

    def public_jwks(self) -> list[dict[str, Any]]:
        """Return the public keys as JWKs (RFC 8037)."""
        return [
            {
                "kty": "OKP",
                "crv": "Ed25519",
                "use": "sig",
                "alg": "EdDSA",
                "kid": _kid(raw),
                "x": base64.urlsafe_b64encode(raw).rstrip(b"=").decode(),
            }
            for raw in dict.fromkeys(map(_raw, self._public))
        ]


def _derived(secret: bytes, purpose: str) -> bytes:
    return hmac.digest(secret, purpose.encode(), "sha256")


def _raw(public: Ed25519PublicKey) -> bytes:
    return public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def _kid(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def load(directory: Path, may_create: bool) -> Keys:
    """Return the keys in `directory`. Missing ones are created if `may_create`; else raises FileNotFoundError.

    Each `join-token-key-NAME.pem` is accepted, but not used.
    """
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
    accepted = [signing_key.load(path) for path in sorted(directory.glob(_MORE_SIGNING_KEYS))]
    lines = (directory / _SESSION_SECRET).read_text().split()
    session_secrets = [bytes.fromhex(line) for line in lines if not line.startswith(_NEXT)]
    next_secrets = [bytes.fromhex(line.removeprefix(_NEXT)) for line in lines if line.startswith(_NEXT)]
    if not session_secrets or any(len(secret) < 32 for secret in (*session_secrets, *next_secrets)):
        raise ValueError(f"{directory / _SESSION_SECRET} has no secret, or one that is shorter than 32 bytes")
    return Keys(signing, session_secrets, accepted, next_secrets)


def add_next(directory: Path) -> None:
    """Create a next signing key and session secret, to be accepted from now on. Raises ValueError if there are some.

    If this or `use_next` was interrupted, call it again.
    """
    before = (directory / _SESSION_SECRET).read_text()
    if _NEXT in before and (directory / _NEXT_SIGNING_KEY).exists():
        raise ValueError("there are next keys already: use them first")
    signing_key.create(directory / _NEXT_SIGNING_KEY)
    if _NEXT not in before:
        private_file.replace(directory / _SESSION_SECRET, f"{_NEXT}{secrets.token_hex(32)}\n{before}".encode())


def use_next(directory: Path) -> None:
    """Use the next keys from now on, and still accept the previous ones; raises ValueError if there are none to use."""
    before = (directory / _SESSION_SECRET).read_text()
    has_key = (directory / _NEXT_SIGNING_KEY).exists()
    if not before.startswith(_NEXT) and not has_key:
        raise ValueError("there are no next keys: add them first")
    if has_key:
        private_file.replace(directory / _PREVIOUS_SIGNING_KEY, (directory / _SIGNING_KEY).read_bytes())
        (directory / _NEXT_SIGNING_KEY).replace(directory / _SIGNING_KEY)
    private_file.replace(directory / _SESSION_SECRET, before.removeprefix(_NEXT).encode())
