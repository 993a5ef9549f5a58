"""Keys of recordings: one for each, wrapped (encrypted) with a key of the operator's, and kept beside the recording.

A wrapped key is `{recording}/recording.keys/{id}.key`, and bound to its recording. Several recorders of a recording may
each have one. Deleting it makes the recording's files unreadable. The operator's keys are never stored with recordings.
"""

import base64
import hashlib
import os
from collections.abc import Sequence

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from objects.sealed_format import ID_BYTES, KEY_BYTES
from objects.store import ObjectStore, read_all

DIRECTORY = "recording.keys"
SUFFIX = ".key"
VERSION = 1
_NONCE = 12


class KeyMissing(OSError):
    """A recording is encrypted, and the operator's key that opens it is not configured."""


class WrappedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The stored form of a key. `wrapped_by` is the fingerprint of the operator's key, `wrapped` Base64."""

    version: int
    id: str
    wrapped_by: str
    wrapped: str


class RecordingKey(msgspec.Struct, frozen=True):
    """A recording's key."""

    id: bytes
    key: bytes


def parse_keys(text: str) -> tuple[bytes, ...]:
    """Return the operator's keys, each 32 bytes in Base64, separated by commas or white space. Raises ValueError."""
    keys = []
    for number, one in enumerate(text.replace(",", " ").split(), 1):
        try:
            keys.append(base64.b64decode(one, validate=True))
        except ValueError as error:
            raise ValueError(f"key {number} is not Base64") from error
        if len(keys[-1]) != KEY_BYTES:
            raise ValueError(f"key {number} has {len(keys[-1])} bytes, not {KEY_BYTES} (openssl rand -base64 32)")
    return tuple(keys)


def fingerprint(key: bytes) -> str:
    """Return the name of an operator's key, which reveals nothing about it."""
    return hashlib.sha256(b"parley operator key\0" + key).hexdigest()[:16]


class OperatorKeys:
    """The operator's keys: the first wraps, all of them unwrap. `encrypts`: new recordings are encrypted."""

    def __init__(self, keys: Sequence[bytes] = (), *, encrypts: bool = False) -> None:
        if encrypts and not keys:
            raise ValueError("recordings cannot be encrypted without a key")
        self.encrypts = encrypts
        self._keys = {fingerprint(key): key for key in keys}

    @property
    def fingerprints(self) -> tuple[str, ...]:
        """The names of the keys; the first one wraps."""
        return tuple(self._keys)

    def wrap(self, recording: str, key: RecordingKey) -> bytes:
        """Return the stored form of a recording's key."""
        name, nonce = self.fingerprints[0], os.urandom(_NONCE)
        sealed = nonce + AESGCM(self._keys[name]).encrypt(nonce, key.key, _bound(recording, key.id))
        wrapped = base64.b64encode(sealed).decode()
        return msgspec.json.encode(WrappedKey(version=VERSION, id=key.id.hex(), wrapped_by=name, wrapped=wrapped))

    def unwrap(self, recording: str, stored: bytes) -> RecordingKey:
        """Return a recording's key. Raises KeyMissing, and OSError if it is damaged or of another recording."""
        try:
            found = msgspec.json.decode(stored, type=WrappedKey)
            key_id, sealed = bytes.fromhex(found.id), base64.b64decode(found.wrapped, validate=True)
        except ValueError as error:
            raise OSError(f"the key of recording {recording} is damaged: {error}") from error
        if (operator := self._keys.get(found.wrapped_by)) is None:
            raise KeyMissing(
                f"recording {recording} is encrypted; it needs the operator's key {found.wrapped_by},"
                " which is not among recordings_keys"
            )
        try:
            key = AESGCM(operator).decrypt(sealed[:_NONCE], sealed[_NONCE:], _bound(recording, key_id))
        except (InvalidTag, ValueError) as error:
            raise OSError(f"the key of recording {recording} was changed, or belongs to another recording") from error
        return RecordingKey(key_id, key)


def new_key() -> RecordingKey:
    """Return a key for a new recording."""
    return RecordingKey(os.urandom(ID_BYTES), os.urandom(KEY_BYTES))


def key_name(recording: str, key_id: bytes) -> str:
    """Return the key, in the store, of a wrapped key."""
    return f"{recording}/{DIRECTORY}/{key_id.hex()}{SUFFIX}"


def rewrap(store: ObjectStore, operator: OperatorKeys, recording: str) -> int:
    """Wrap a recording's keys with the operator's first key; return how many were wrapped with another. Raises OSError.

    The media stay as they are, and either form of a key is complete at any time.
    """
    count = 0
    for found in store.list(f"{recording}/{DIRECTORY}/"):
        stored = read_all(store, found.key)
        if wrapped_by(stored) != operator.fingerprints[0]:
            store.put(found.key, operator.wrap(recording, operator.unwrap(recording, stored)))
            count += 1
    return count


def wrapped_by(stored: bytes) -> str:
    """Return the fingerprint of the operator's key that a recording's key needs; "" if it is damaged."""
    try:
        return msgspec.json.decode(stored, type=WrappedKey).wrapped_by
    except ValueError:
        return ""


def _bound(recording: str, key_id: bytes) -> bytes:
    return b"parley recording key\0" + recording.encode() + b"\0" + key_id
