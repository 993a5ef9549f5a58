"""End-to-end encryption of frames, the same as that of web/sdk/encryption.js: AES-GCM under one key.

A frame is: clear prefix | ciphertext and tag | IV (12 bytes). The prefix, which is authenticated, is what the server
must see to forward: the VP8 header (RFC 7741, section 4.3), or the first byte of Opus.
"""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sfu.formats.codecs import Codec

ENCRYPTED_CODECS = frozenset({Codec.OPUS, Codec.VP8})
_ITERATIONS = 600_000
_IV_BYTES = 12
_TAG_BYTES = 16


class Encryption:
    """Encrypts and decrypts the frames of a room under a key of 32 bytes, which the server never sees."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        digits = int.from_bytes(hashlib.sha256(b"parley code" + key).digest()[:4], "big") % 1_000_000
        self.code = f"{digits // 1000:03} {digits % 1000:03}"
        """Six digits, the same for everybody with the same key, to compare by voice."""

    @classmethod
    def from_passphrase(cls, passphrase: str, meeting: str) -> "Encryption":
        """Derive the key from words that the participants share; each meeting has another key. Takes about 0.2 s."""
        salt = f"parley {meeting}".encode()
        return cls(hashlib.pbkdf2_hmac("sha256", passphrase.encode(), salt, _ITERATIONS))

    def encrypt(self, frame: bytes, video: bool) -> bytes:
        """Return an encrypted frame."""
        clear = frame[: _clear_bytes(frame, video)]
        iv = os.urandom(_IV_BYTES)
        return clear + self._aead.encrypt(iv, frame[len(clear) :], clear) + iv

    def decrypt(self, frame: bytes, video: bool) -> bytes | None:
        """Return a decrypted frame; None if it was encrypted with another key, or not at all."""
        clear = frame[: _clear_bytes(frame, video)]
        if len(frame) < len(clear) + _TAG_BYTES + _IV_BYTES:
            return None
        try:
            return clear + self._aead.decrypt(frame[-_IV_BYTES:], frame[len(clear) : -_IV_BYTES], clear)
        except InvalidTag:
            return None


def _clear_bytes(frame: bytes, video: bool) -> int:
    if not video:
        return 1
    return 10 if frame and frame[0] & 1 == 0 else 3
