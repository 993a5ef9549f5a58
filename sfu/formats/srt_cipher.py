"""Encryption of SRT with a passphrase (draft-sharabayko-srt-01, section 6): AES-128 in counter mode, one key."""

import os
import struct

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC
from cryptography.hazmat.primitives.keywrap import aes_key_wrap

MIN_PASSPHRASE, MAX_PASSPHRASE = 10, 79
_KEY_BYTES = _SALT_BYTES = 16
_ROUNDS = 2048
_HEAD = bytes((0x12, 0x20, 0x29, 0x01)) + bytes(4) + bytes((2, 0, 2, 0, 0, 0, _SALT_BYTES // 4, _KEY_BYTES // 4))
"""Version 1, key material, even key; AES in counter mode, no authentication, MPEG-TS in SRT."""


class SrtCipher:
    """A random key, which `material` tells whoever knows the passphrase. Raises ValueError for its length."""

    def __init__(self, passphrase: str) -> None:
        if not MIN_PASSPHRASE <= len(passphrase.encode()) <= MAX_PASSPHRASE:
            raise ValueError(f"an SRT passphrase has {MIN_PASSPHRASE} to {MAX_PASSPHRASE} characters")
        self._key, salt = os.urandom(_KEY_BYTES), os.urandom(_SALT_BYTES)
        self._nonce = int.from_bytes(salt[:14], "big") << 16
        wrapping = PBKDF2HMAC(SHA1(), _KEY_BYTES, salt[8:], _ROUNDS).derive(passphrase.encode())  # noqa: S303  SRT's
        self.material = _HEAD + salt + aes_key_wrap(wrapping, self._key)

    def encrypt(self, sequence: int, content: bytes) -> bytes:
        """Return the content of the packet with this sequence number, encrypted."""
        start = self._nonce ^ sequence << 16
        encryptor = Cipher(algorithms.AES(self._key), modes.CTR(struct.pack("!QQ", start >> 64, start % (1 << 64))))
        return encryptor.encryptor().update(content)
