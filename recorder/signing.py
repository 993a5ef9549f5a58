"""Signatures of manifests (Ed25519), which show that a recording is unchanged since this installation finished it.

The signature is in `manifest.sig`, beside the manifest. It covers the manifest's bytes, and so the hashes of all files.
"""

import base64
import hashlib
from pathlib import Path
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foundation import signing_key

DEFAULT_NAME = ".signing-key.pem"
"""The name of the default key, below the recordings directory."""
_PURPOSE = b"parley recording manifest\0"
Verdict = Literal["valid", "missing", "invalid", "unknown key"]


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """Content of `manifest.sig`. `key` is the public key, raw; both are Base64."""

    algorithm: Literal["Ed25519"]
    key: str
    signature: str


class Signer:
    """A signer with one key."""

    def __init__(self, key: Ed25519PrivateKey) -> None:
        self._key = key

    def sign(self, manifest: bytes) -> bytes:
        """Return the content of `manifest.sig` for a manifest."""
        signature = self._key.sign(_PURPOSE + manifest)
        made = Signature(algorithm="Ed25519", key=_text(raw(self._key.public_key())), signature=_text(signature))
        return msgspec.json.encode(made)


def load_or_create(path: Path) -> Signer:
    """Return the signer of a private key in PEM, which is created if it is missing. Raises OSError, ValueError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    signing_key.create(path)
    return Signer(signing_key.load(path))


def public_key(path: Path) -> bytes:
    """Return the raw public key from a PEM file with the public or private key. Raises OSError, ValueError."""
    if b"PRIVATE" in path.read_bytes():
        return raw(signing_key.load(path).public_key())
    key = serialization.load_pem_public_key(path.read_bytes())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError(f"{path} contains no Ed25519 key")
    return raw(key)


def raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


def fingerprint(key: bytes) -> str:
    """Return the SHA-256 fingerprint of a raw public key, in the form that people compare."""
    return hashlib.sha256(key).hexdigest()


def check(manifest: bytes, signature: bytes | None, trusted: bytes | None) -> tuple[Verdict, bytes]:
    """Return the verdict on a manifest's signature, and its raw public key; `trusted` is the expected key."""
    if signature is None:
        return "missing", b""
    try:
        claimed = msgspec.json.decode(signature, type=Signature)
        key = base64.b64decode(claimed.key, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(base64.b64decode(claimed.signature), _PURPOSE + manifest)
    except (ValueError, InvalidSignature):
        return "invalid", b""
    return ("valid" if key == trusted else "unknown key"), key


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
