"""Conversion of one stream between Opus and a telephone codec: takes RTP, and returns RTP in frames of 20 ms. Sans-IO.

Packets are put in order; those that do not arrive within 60 ms count as lost. Lost Opus packets are recovered from the
in-band FEC of the next packet, else concealed by libopus; lost G.711 and G.722 packets become silence. If the source
pauses for longer, nothing is sent either: the timestamps advance accordingly, and the next packet has the marker (RFC
3551, section 4.1). Opus packets carry an audio level (RFC 6464), since telephones send none. Times are CLOCK_MONOTONIC
ns.
"""

import array
import math
import secrets
from collections import Counter
from typing import NamedTuple, Protocol

from foundation.libopus import SAMPLE_BYTES, OpusDecoder, OpusEncoder
from sfu.formats import telephony
from sfu.formats.codecs import Codec
from sfu.formats.header_extensions import AudioLevel, write_audio_level, write_block
from sfu.formats.rtp import build_header, parse
from sfu.formats.unwrap import Unwrapper
from sfu.frames.reorder import Gap, Ready, ReorderBuffer
from sfu.transcoding.records import LEVEL_ID
from sfu.transcoding.telephony import TELEPHONY, TelephonyDecoder, TelephonyEncoder

OPUS_CLOCK = 48_000
FRAMES_PER_SECOND = 50
_WAIT_NS = 60_000_000
_MAX_WAITING = 16
_CONCEAL = 0.12
"""The maximum audio that is filled in, and silence within one flow, in seconds."""
_AHEAD, _BEHIND = 10, 0.5
"""A sender whose timestamps jump by more than this many seconds has restarted."""
_VOICE_LEVEL = 50
_SILENT = 127
_SECOND = 1_000_000_000


class Direction(NamedTuple):
    """The codecs of a conversion: one is Opus, the other a telephone codec."""

    source: Codec
    target: Codec


class _Decoder(Protocol):
    def decode(self, packet: bytes, /) -> bytes: ...


class _Encoder(Protocol):
    def encode(self, samples: bytes, /) -> bytes: ...


class Conversion:
    """One converted stream. Only packets of the source's `payload_type` are converted.

    `drops` counts packets that were not converted, by reason: out_of_turn, payload_type, malformed, undecodable.
    """

    def __init__(self, direction: Direction, source_type: int, target_type: int, ssrc: int) -> None:
        phone = direction.source if direction.target is Codec.OPUS else direction.target
        self._rate = TELEPHONY[phone].rate
        self._to_opus = direction.target is Codec.OPUS
        self._source_clock = telephony.CLOCK_RATE if self._to_opus else OPUS_CLOCK
        self._target_clock = OPUS_CLOCK if self._to_opus else telephony.CLOCK_RATE
        self._phone = phone
        self._source_type, self._target_type, self._ssrc = source_type, target_type, ssrc
        self._encoder: _Encoder = OpusEncoder(self._rate) if self._to_opus else TelephonyEncoder(phone)
        self._frame = self._rate // FRAMES_PER_SECOND * SAMPLE_BYTES
        self._seq = secrets.randbelow(1 << 15)
        self._first_timestamp = secrets.randbelow(1 << 32)
        self._stream = -1
        self._sound = bytearray()
        self._begin = 0  # of `_sound`, in samples since the first packet
        self._shift = 0
        self._heard_at = 0
        self._marker = True
        self.drops: Counter[str] = Counter()
        self._restart()

    def _restart(self) -> None:
        self._order = ReorderBuffer(_WAIT_NS, _MAX_WAITING, None)
        self._timestamps = Unwrapper(32)
        opus = None if self._to_opus else OpusDecoder(self._rate)
        self._opus = opus
        self._decoder: _Decoder = TelephonyDecoder(self._phone) if opus is None else opus
        self._is_new = True
        self._lost = False

    def push(self, stream: int, ext_seq: int, arrival: int, rtp: bytes) -> list[bytes]:
        """Take a packet of a source's stream; another stream restarts the conversion. Return the packets to send."""
        try:
            packet = parse(rtp)
        except ValueError:
            self.drops["malformed"] += 1
            return []
        if stream != self._stream:
            self._stream = stream
            self._restart()
        late = self._order.late_packets
        ready = Ready(ext_seq, arrival, packet.timestamp, packet.marker, packet.payload)
        is_sound = packet.payload_type == self._source_type and len(packet.payload) > 0
        if not is_sound:
            self.drops["payload_type"] += 1
            ready = ready._replace(payload=b"")
        out: list[bytes] = []
        for item in self._order.push(ready):
            out += self._take(item)
        if self._order.late_packets > late:
            self.drops["out_of_turn"] += 1
        return out

    def _take(self, item: Ready | Gap) -> list[bytes]:
        if isinstance(item, Gap):
            self._lost = True
            return []
        if not item.payload:
            return []
        start = self._timestamps.unwrap(item.timestamp) * self._rate // self._source_clock
        out = self._place(start, item)
        try:
            sound = self._decoder.decode(item.payload)
        except ValueError:
            self.drops["undecodable"] += 1
            self._lost = True
            return out + self._encoded()
        self._lost = False
        overlap = max(self._end - (start + self._shift), 0) * SAMPLE_BYTES
        self._sound += sound[overlap:]
        self._heard_at = item.arrival
        return out + self._encoded()

    @property
    def _end(self) -> int:
        return self._begin + len(self._sound) // SAMPLE_BYTES

    def _place(self, start: int, item: Ready) -> list[bytes]:
        """Extend the audio to the start of a packet; return the packets that had to be sent first."""
        missing = start + self._shift - self._end
        if self._is_new or not -_BEHIND * self._rate <= missing <= _AHEAD * self._rate:
            out = self._flush()
            elapsed = (item.arrival - self._heard_at) * self._rate // _SECOND if self._heard_at else 0
            self._begin += min(max(elapsed, 0), 3600 * self._rate)
            self._shift = self._begin - start
            self._is_new, self._marker = False, True
            return out
        if missing <= 0:
            return []
        if missing > int(_CONCEAL * self._rate):
            out = self._flush()
            self._begin = max(start + self._shift, self._begin)
            self._marker = True
            return out
        self._sound += self._filler(missing, item.payload)
        return []

    def _filler(self, missing: int, following: bytes) -> bytes:
        """Return a number of samples before a packet."""
        unit = self._rate // 400
        whole = missing // unit * unit
        if self._opus is None or not self._lost or not whole:
            return bytes(missing * SAMPLE_BYTES)
        recovered = min(whole, self._rate // FRAMES_PER_SECOND)
        concealed = whole - recovered
        try:
            made_up = self._opus.conceal(concealed) if concealed else b""
            made_up += self._opus.recover(following, recovered)
        except ValueError:
            made_up = b""
        return bytes(missing * SAMPLE_BYTES - len(made_up)) + made_up

    def _flush(self) -> list[bytes]:
        """Fill the frame under way with silence."""
        if self._sound:
            self._sound += bytes(self._frame - len(self._sound))
        return self._encoded()

    def _encoded(self) -> list[bytes]:
        out: list[bytes] = []
        while len(self._sound) >= self._frame:
            sound = bytes(self._sound[: self._frame])
            del self._sound[: self._frame]
            out.append(self._packet(sound))
            self._begin += self._frame // SAMPLE_BYTES
        return out

    def _packet(self, sound: bytes) -> bytes:
        timestamp = self._first_timestamp + self._begin * self._target_clock // self._rate
        level = write_block([(LEVEL_ID, write_audio_level(_level(sound)))]) if self._to_opus else b""
        header = build_header(
            self._target_type, self._marker, self._seq, timestamp & 0xFFFF_FFFF, self._ssrc, extension_block=level
        )
        self._seq = (self._seq + 1) & 0xFFFF
        self._marker = False
        return header + self._encoder.encode(sound)


def _level(sound: bytes) -> AudioLevel:
    samples = array.array("h", sound)
    power = sum(sample * sample for sample in samples) / len(samples)
    level = _SILENT if power == 0 else min(max(round(-10 * math.log10(power / 32768**2)), 0), _SILENT)
    return AudioLevel(level, voice=level < _VOICE_LEVEL)
