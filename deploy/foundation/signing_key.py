"""Ed25519 keys that this installation signs with (RFC 8032), in PEM."""

from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from foundation import private_file


def create(path: Path) -> None:
    """Write a new private key (PKCS #8) unless the file exists."""
    if path.exists():
        return
    content = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    private_file.create(path, content)


def load(path: Path) -> Ed25519PrivateKey:
    """Return a private key; raises OSError, and ValueError if the file contains none."""
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError(f"{path} contains no Ed25519 key")
    return key
