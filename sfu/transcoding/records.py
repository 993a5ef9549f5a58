"""Records between an sfu and its transcoder, one for each message of their socket (AF_UNIX SOCK_SEQPACKET).

A record is a type byte, followed by a header and RTP, or by a message as JSON.
"""

import struct
from typing import NamedTuple

import msgspec

from sfu.formats.codecs import Codec

MAX_BYTES = 1 << 16
LEVEL_ID = 1
"""The id of the header extension with the audio level of converted Opus (RFC 6464)."""
_PACKET, _SAID, _CONVERTED = 0, 1, 2
_PACKET_HEADER = struct.Struct("!BIIqq")
_CONVERTED_HEADER = struct.Struct("!BI")


class Packet(NamedTuple):
    """A packet to convert, with its conversion and its stream."""

    conversion: int
    stream: int
    ext_seq: int
    arrival: int
    rtp: bytes


class Converted(NamedTuple):
    """A converted packet."""

    conversion: int
    rtp: bytes


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """Starts a conversion of packets with one payload type into packets with another one and an SSRC."""

    conversion: int
    source: Codec
    target: Codec
    source_type: int
    target_type: int
    ssrc: int


class End(msgspec.Struct, frozen=True, tag="end"):
    """Ends a conversion."""

    conversion: int


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    """Asks for an answer with the counts of dropped packets."""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """Reports that the transcoder has started. `confined` names the mechanisms that confine it."""

    confined: tuple[str, ...]


class Dropped(msgspec.Struct, frozen=True, tag="dropped"):
    """The answer to a ping: packets not converted since the last one, by reason."""

    reasons: dict[str, int]


Said = Begin | End | Ping | Ready | Dropped
Record = Packet | Converted | Said

_decoder: msgspec.json.Decoder[Said] = msgspec.json.Decoder(Said)


def encode(record: Record) -> bytes:
    """Return a record's bytes."""
    if isinstance(record, Packet):
        header = _PACKET_HEADER.pack(_PACKET, record.conversion, record.stream, record.ext_seq, record.arrival)
        return header + record.rtp
    if isinstance(record, Converted):
        return _CONVERTED_HEADER.pack(_CONVERTED, record.conversion) + record.rtp
    return bytes([_SAID]) + msgspec.json.encode(record)


def decode(data: bytes) -> Record:
    """Return a record; raises ValueError for anything else."""
    try:
        if data[0] == _PACKET:
            _, conversion, stream, ext_seq, arrival = _PACKET_HEADER.unpack_from(data)
            return Packet(conversion, stream, ext_seq, arrival, data[_PACKET_HEADER.size :])
        if data[0] == _CONVERTED:
            return Converted(_CONVERTED_HEADER.unpack_from(data)[1], data[_CONVERTED_HEADER.size :])
        if data[0] == _SAID:
            return _decoder.decode(data[1:])
    except (IndexError, struct.error) as error:
        raise ValueError("the record is cut short") from error
    raise ValueError("unknown type of record")
