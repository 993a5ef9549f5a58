"""MPEG-TS of a broadcast's units, as it is sent over SRT."""

import io
from fractions import Fraction
from typing import Any

import av

from foundation.media_units import Unit, UnitKind
from recorder.broadcast.fragments import initialization
from sfu.formats.srt import PAYLOAD_BYTES

_CLOCK = 90_000
_MICROSECONDS = 1_000_000
_OPTIONS = {"mpegts_flags": "resend_headers", "pcr_period": "40", "flush_packets": "1", "max_delay": "0"}


class TransportStream:
    """Muxes units; `setup` has both tracks' configurations. Times begin at the first unit."""

    def __init__(self, setup: dict[UnitKind, Unit]) -> None:
        self._written = _Written()
        self._container: Any = av.open(self._written, "w", format="mpegts", options=_OPTIONS)
        about = initialization(setup[UnitKind.VIDEO_SETUP].data, setup[UnitKind.AUDIO_SETUP].data)
        with av.open(io.BytesIO(about)) as described:
            self._tracks: dict[UnitKind, Any] = {
                UnitKind.VIDEO: self._container.add_stream_from_template(described.streams.video[0], opaque=True),
                UnitKind.AUDIO: self._container.add_stream_from_template(described.streams.audio[0], opaque=True),
            }
        self._base: int | None = None
        self._rest = b""

    def put(self, unit: Unit) -> list[bytes]:
        """Add a unit; return contents of packets."""
        if self._base is None:
            self._base = unit.us
        if unit.us < self._base:
            return []
        packet = av.Packet(unit.data)
        packet.stream = self._tracks[unit.kind]
        packet.time_base = Fraction(1, _CLOCK)
        packet.pts = packet.dts = (unit.us - self._base) * _CLOCK // _MICROSECONDS
        packet.is_keyframe = unit.keyframe
        self._container.mux_one(packet)
        content = self._rest + self._written.take()
        whole = len(content) - len(content) % 188
        parts = [content[at : min(at + PAYLOAD_BYTES, whole)] for at in range(0, whole, PAYLOAD_BYTES)]
        self._rest = content[whole:]
        return parts

    def close(self) -> None:
        self._container.close()


class _Written:
    """The file that FFmpeg writes to."""

    def __init__(self) -> None:
        self._data = bytearray()

    def write(self, data: bytes) -> int:
        self._data += data
        return len(data)

    def take(self) -> bytes:
        made, self._data = bytes(self._data), bytearray()
        return made
