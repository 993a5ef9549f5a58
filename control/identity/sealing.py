"""Encryption of secrets in the database: AES-256-GCM with a key derived from the session secret.

A sealed text is bound to one subject (its additional data), so a secret copied to another row cannot be opened there.
"""

import base64
import contextlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_PREFIX = "sealed1:"
_NONCE = 12


class Seal:
    """Encryption of texts for one purpose, with the first key. Texts encrypted with the other keys can be decrypted."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._ciphers = [AESGCM(key) for key in keys]

    def seal(self, subject: str, plain: str) -> str:
        nonce = os.urandom(_NONCE)
        sealed = self._ciphers[0].encrypt(nonce, plain.encode(), subject.encode())
        return _PREFIX + base64.b64encode(nonce + sealed).decode()

    def open(self, subject: str, stored: str) -> str:
        """Return the plain text; raises ValueError if it was sealed with another key or for another subject."""
        if not is_sealed(stored):
            raise ValueError("the text is not sealed")
        try:
            data = base64.b64decode(stored.removeprefix(_PREFIX), validate=True)
        except ValueError as error:
            raise ValueError("the text was sealed with another key") from error
        for cipher in self._ciphers:
            with contextlib.suppress(InvalidTag, ValueError):
                return cipher.decrypt(data[:_NONCE], data[_NONCE:], subject.encode()).decode()
        raise ValueError("the text was sealed with another key")


def is_sealed(stored: str) -> bool:
    """Return whether a stored text is sealed. Texts stored by earlier releases are not."""
    return stored.startswith(_PREFIX)
