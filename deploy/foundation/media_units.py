"""Format of encoded media between a part and its encoding or decoding processes, over pipes and sockets: a sequence of
units.
"""

import asyncio
import struct
from enum import IntEnum
from io import BufferedIOBase, RawIOBase
from typing import BinaryIO, NamedTuple

_HEAD = struct.Struct("!BBqI")
_MAX_BYTES = 16 << 20


class UnitKind(IntEnum):
    """Kinds of units. VIDEO_SETUP is an avcC record, AUDIO_SETUP an AudioSpecificConfig.

    VIDEO is H.264 with length-prefixed NAL units, AUDIO is raw AAC. From the transcoder of ingress, VIDEO is H.264 with
    start codes, and AUDIO is Opus. STATE is JSON, defined by the process. KEYFRAME requests a keyframe of an encoder.
    CONTENT is part of a container. After OUTPUTS, with an identifier, units are for these outputs. IMAGE is a JPEG
    image, PCM interleaved stereo samples (48 kHz, 16 bits, little-endian). MUTED is b"1" when they are muted, b"0" when
    they are not any longer.
    """

    VIDEO_SETUP = 1
    AUDIO_SETUP = 2
    VIDEO = 3
    AUDIO = 4
    STATE = 5
    KEYFRAME = 6
    CONTENT = 7
    OUTPUTS = 8
    IMAGE = 9
    PCM = 10
    MUTED = 11


class Unit(NamedTuple):
    """A unit. `us` is its presentation time in µs since the start of the broadcast or stream."""

    kind: UnitKind
    keyframe: bool
    us: int
    data: bytes


def encode(unit: Unit) -> bytes:
    """Return a unit as bytes."""
    return _HEAD.pack(unit.kind, unit.keyframe, unit.us, len(unit.data)) + unit.data


def write(out: BinaryIO, unit: Unit) -> None:
    """Write a unit; raises BrokenPipeError if the reader is gone."""
    out.write(encode(unit))


async def read(source: asyncio.StreamReader) -> Unit | None:
    """Return the next unit, None at the end; raises ValueError if it is invalid."""
    try:
        unit, size = _begun(await source.readexactly(_HEAD.size))
        return unit._replace(data=await source.readexactly(size))
    except asyncio.IncompleteReadError:
        return None


def read_blocking(source: BufferedIOBase | RawIOBase) -> Unit | None:
    """Return the next unit, None at the end; raises ValueError if it is invalid."""
    head = source.read(_HEAD.size)
    if head is None or len(head) < _HEAD.size:
        return None
    unit, size = _begun(head)
    data = source.read(size)
    return unit._replace(data=data) if data is not None and len(data) == size else None


def _begun(head: bytes) -> tuple[Unit, int]:
    """Return a unit without its data, and the size of the data; raises ValueError if the head is invalid."""
    kind, keyframe, us, size = _HEAD.unpack(head)
    if size > _MAX_BYTES:
        raise ValueError("a unit of encoded media is too large")
    return Unit(UnitKind(kind), bool(keyframe), us, b""), size
