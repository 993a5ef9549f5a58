"""Parley's client library for Python, the counterpart of web/sdk for browsers. Tests and benchmarks use it.

`Api` calls the REST API. `Room` joins a meeting, publishes encoded frames and receives other participants' packets.
`Attendance` stays in a meeting when a connection or a server is lost. The library neither captures nor renders media:
sources are encoded frames with exact timestamps, and receivers get packets and complete frames.
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
