"""Parley's client library for Python, as web/sdk is for browsers. It drives the tests and the benchmarks.

`Api` speaks REST; `Room` joins a meeting, publishes encoded frames and receives other participants' packets;
`Attendance` stays in a meeting over the loss of a connection or of a server. Media is neither captured nor rendered:
sources are encoded frames with exact timestamps, receivers get packets and whole frames.
"""

from parley_client.api import Api, ApiError, Joined
from parley_client.attendance import Attendance
from parley_client.publishing import Publication, PublishedCodec
from parley_client.room import Room, SignalingRefused
from parley_client.subscribing import ReceivedStream
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec

__all__ = [
    "Api",
    "ApiError",
    "Attendance",
    "Codec",
    "Joined",
    "Publication",
    "PublishedCodec",
    "ReceivedStream",
    "Room",
    "SignalingRefused",
    "Source",
]
