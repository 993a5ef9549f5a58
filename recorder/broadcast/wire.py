"""The format of encoded media in the pipe from the composing process to the recorder: a sequence of units."""

import asyncio
import struct
from enum import IntEnum
from typing import BinaryIO, NamedTuple

_HEAD = struct.Struct("!BBqI")
_MAX_BYTES = 16 << 20


class UnitKind(IntEnum):
    """Kinds of units. VIDEO_SETUP is an avcC record, AUDIO_SETUP an AudioSpecificConfig.

    VIDEO is length-prefixed, AUDIO raw AAC. STATE is JSON: State.
    """

    VIDEO_SETUP = 1
    AUDIO_SETUP = 2
    VIDEO = 3
    AUDIO = 4
    STATE = 5


class Unit(NamedTuple):
    """A unit. `us` is its presentation time in µs since the broadcast's zero."""

    kind: UnitKind
    keyframe: bool
    us: int
    data: bytes


def write(out: BinaryIO, unit: Unit) -> None:
    """Write a unit; raises BrokenPipeError if the reader is gone."""
    out.write(_HEAD.pack(unit.kind, unit.keyframe, unit.us, len(unit.data)) + unit.data)


async def read(source: asyncio.StreamReader) -> Unit | None:
    """Return the next unit, None at the end; raises ValueError if it is invalid."""
    try:
        kind, keyframe, us, size = _HEAD.unpack(await source.readexactly(_HEAD.size))
        if size > _MAX_BYTES:
            raise ValueError("a unit of encoded media is too large")
        return Unit(UnitKind(kind), bool(keyframe), us, await source.readexactly(size))
    except asyncio.IncompleteReadError:
        return None
