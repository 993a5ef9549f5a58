"""Encrypted streams of any length: chunks of AES-256-GCM whose order, number and end are authenticated.

A stream is a random salt followed by chunks. Its key is derived from the archive's key, the salt and the stream's name,
so streams cannot be exchanged. Each nonce contains the chunk's number and whether it is the last one (the construction
STREAM by Hoang, Reyhanitabar, Rogaway and Vizár).
"""

import os
from collections.abc import Callable, Iterable, Iterator

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

CHUNK = 1 << 20
SALT_BYTES = 16
_TAG_BYTES = 16


class NotAuthentic(ValueError):
    """The key is wrong, or the stream is not what was written."""


def key_of(passphrase: str, salt: bytes) -> bytes:
    """Return the archive's key; takes about 0.2 s and 64 MiB, so that passphrases are slow to guess."""
    return Scrypt(salt=salt, length=32, n=1 << 16, r=8, p=1).derive(passphrase.encode())


def seal(key: bytes, name: str, data: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the encrypted stream of `data`, whose pieces may have any length."""
    salt = os.urandom(SALT_BYTES)
    cipher = _cipher(key, name, salt)
    yield salt
    number, kept = 0, bytearray()
    for piece in data:
        kept += piece
        while len(kept) > CHUNK:  # the last chunk, which may be full, is not known before the end
            yield cipher.encrypt(_nonce(number, last=False), bytes(kept[:CHUNK]), None)
            del kept[:CHUNK]
            number += 1
    yield cipher.encrypt(_nonce(number, last=True), bytes(kept), None)


def unseal(key: bytes, name: str, read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Yield the content of an encrypted stream; `read` returns less than asked only at the end. Raises NotAuthentic."""
    cipher = _cipher(key, name, read(SALT_BYTES))
    number, chunk = 0, read(CHUNK + _TAG_BYTES)
    while True:
        following = read(CHUNK + _TAG_BYTES)
        try:
            yield cipher.decrypt(_nonce(number, last=not following), chunk, None)
        except InvalidTag as error:
            raise NotAuthentic(f"{name}: the key is wrong, or the data was changed") from error
        if not following:
            return
        number, chunk = number + 1, following


def _cipher(key: bytes, name: str, salt: bytes) -> AESGCM:
    return AESGCM(HKDF(SHA256(), length=32, salt=salt, info=b"parley backup\0" + name.encode()).derive(key))


def _nonce(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])
