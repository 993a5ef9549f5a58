"""Stream keys: bearer tokens for WHIP and WHEP software that is configured once. Join tokens admit only once.

A node sends the hash of a key to control, which answers with a join token. It neither keeps nor passes on the key.
"""

import hashlib
from typing import Literal

import msgspec

PREFIX = "stream_"

StreamRole = Literal["publish", "watch"]


class StreamKeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """A node's request to admit the holder of a key with this hash (hexadecimal), for this use, to `room` if named."""

    key_hash: str
    role: StreamRole
    room: str = ""


class StreamKeyAdmission(msgspec.Struct, frozen=True, kw_only=True):
    """Control's answer: a join token, or the code and the reason of a refusal."""

    token: str = ""
    code: str = ""
    detail: str = ""


def is_stream_key(bearer: str) -> bool:
    """Return True if a bearer is meant to be a stream key; join tokens have dots and no prefix."""
    return bearer.startswith(PREFIX)


def key_hash(secret: str) -> bytes:
    """Return the hash that is stored of a key: a key has enough entropy for a plain one."""
    return hashlib.sha256(secret.encode()).digest()
