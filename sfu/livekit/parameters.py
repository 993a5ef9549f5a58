"""Parameters of a connection, from the query of its request.

Newer SDKs send them in one protobuf message, `join_request`, which may be compressed and may contain the first offer.
Such a client has one peer connection, for both directions, and makes all offers.
"""

import base64
import binascii
import zlib
from typing import NamedTuple
from urllib.parse import parse_qs

from google.protobuf.message import DecodeError
from livekit.protocol import rtc

from sfu.api.livekit import MAX_FIELDS, access_token

MAX_QUERY_BYTES = 16_384
MAX_JOIN_REQUEST_BYTES = 1_048_576

PATHS = ("/rtc", "/rtc/")
JOIN_REQUEST_PATHS = ("/rtc/v1",)
"""Paths on which a join request is required; on others it is optional."""
VALIDATION_PATHS = ("/rtc/validate", "/rtc/validate/")
JOIN_REQUEST_VALIDATION_PATHS = ("/rtc/v1/validate",)

_GZIP = 31  # zlib's window bits for gzip
_TRUE = ("1", "true")


class Parameters(NamedTuple):
    """Parameters of a connection. `reconnect`: the client resumes a lost session. `takes_all`: it wants every track.

    `join` is the join request of a newer SDK, None for others.
    """

    token: str
    reconnect: bool = False
    takes_all: bool = True
    join: "rtc.JoinRequest | None" = None


def read(query: str, authorization: str = "", *, needs_join: bool = False) -> Parameters:
    """Return the parameters of a query; the token may be a bearer instead. Raises ValueError with a text for
    clients.
    """
    if len(query) > MAX_QUERY_BYTES:
        raise ValueError("the query is too long")
    said = {name: values[-1] for name, values in parse_qs(query, max_num_fields=MAX_FIELDS).items()}
    token = access_token(query, authorization)
    wrapped = said.get("join_request")
    if wrapped:
        join = _join_request(wrapped)
        return Parameters(token, join.reconnect, join.connection_settings.auto_subscribe, join)
    if needs_join:
        raise ValueError("join_request is required")
    return Parameters(token, said.get("reconnect") in _TRUE, said.get("auto_subscribe", "1") in _TRUE)


def _join_request(text: str) -> "rtc.JoinRequest":
    """Return the join request; errors have the reference server's texts."""
    try:
        data = base64.b64decode(text, altchars=b"-_", validate=True)
    except binascii.Error as error:
        raise ValueError("cannot base64 decode wrapped join request") from error
    try:
        wrapped = rtc.WrappedJoinRequest.FromString(data)
    except DecodeError as error:
        raise ValueError("cannot unmarshal wrapped join request") from error
    data = wrapped.join_request
    if wrapped.compression == rtc.WrappedJoinRequest.Compression.GZIP:
        data = _decompressed(data)
    if len(data) > MAX_JOIN_REQUEST_BYTES:
        raise ValueError("join request too large")
    try:
        return rtc.JoinRequest.FromString(data)
    except DecodeError as error:
        raise ValueError("cannot unmarshal join request") from error


def _decompressed(data: bytes) -> bytes:
    """Return the content of a gzip file, cut off one byte beyond the limit."""
    reader = zlib.decompressobj(_GZIP)
    try:
        content = reader.decompress(data, MAX_JOIN_REQUEST_BYTES + 1)
    except zlib.error as error:
        raise ValueError("cannot read decompressed join request") from error
    if not reader.eof and len(content) <= MAX_JOIN_REQUEST_BYTES:
        raise ValueError("cannot read decompressed join request")
    return content
