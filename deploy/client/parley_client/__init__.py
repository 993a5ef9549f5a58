"""Parley's client library for Python, the counterpart of web/sdk for browsers. Tests and benchmarks use it.

`Api` is a session with a server; `Api.rest` has every operation of its REST API. `Room` joins a meeting: it publishes
and receives encoded frames, data and chat. `media` encodes and decodes them as PyAV frames. `Attendance` stays in a
meeting when a connection or a server is lost. `blocking` has the same calls for programs without asyncio.
"""

from parley_client import rest_types
from parley_client.api import Admission, Api, ApiError, Joined
from parley_client.attendance import Attendance
from parley_client.encryption import Encryption
from parley_client.publishing import Publication, PublishedCodec
from parley_client.rest import Rest
from parley_client.room import DataReceived, EncodedFrame, Room, SignalingRefused
from parley_client.subscribing import ReceivedStream
from parley_client.whip import WhipPublisher
from sfu.api.join_token import Source
from sfu.formats.codecs import Codec
from sfu.formats.header_extensions import AudioLevel

__all__ = [
    "Admission",
    "Api",
    "ApiError",
    "Attendance",
    "AudioLevel",
    "Codec",
    "DataReceived",
    "EncodedFrame",
    "Encryption",
    "Joined",
    "Publication",
    "PublishedCodec",
    "ReceivedStream",
    "Rest",
    "Room",
    "SignalingRefused",
    "Source",
    "WhipPublisher",
    "rest_types",
]
