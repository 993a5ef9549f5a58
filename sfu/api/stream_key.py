"""Stream keys: reusable bearer tokens for WHIP and WHEP software that is configured once (join tokens admit only once).

A node sends the hash of a key to control, which answers with a join token. The node neither keeps nor passes on the
key.
"""

import hashlib
from typing import Literal

import msgspec

PREFIX = "stream_"

StreamRole = Literal["publish", "watch"]


class StreamKeyUse(msgspec.Struct, frozen=True, kw_only=True):
    """A node's request to admit the holder of the key with this hash (hexadecimal) for this use, to `room` if one is
    named.
    """

    key_hash: str
    role: StreamRole
    room: str = ""


class StreamKeyAdmission(msgspec.Struct, frozen=True, kw_only=True):
    """Control's answer: a join token, or the code and reason of a refusal."""

    token: str = ""
    code: str = ""
    detail: str = ""


def is_stream_key(bearer: str) -> bool:
    """Return True if a bearer token has the form of a stream key; join tokens have dots and no prefix."""
    return bearer.startswith(PREFIX)


def key_hash(secret: str) -> bytes:
    """Return the stored hash of a key. A plain hash suffices, since keys have enough entropy."""
    return hashlib.sha256(secret.encode()).digest()
