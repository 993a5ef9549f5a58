"""Assembly of one stream's frames from its packets, in order, with reports of losses.

Call `push` for each PacketRecord from a sink socket, `missed` for each MissedRecord, `flush(now)` from a timer, and
`drain` at the end of the track. Each returns the frames and losses that became final, oldest first.

Rules:
* Packets are put in order of `ext_seq`. A gap holds back what follows it for at most `max_wait` ns after the first
  later packet arrived (or until the buffer holds `max_packets`), then it is a Loss.
* A frame is output when all its packets are there: from a packet known to begin it (its descriptor says so, or the
  packet before it ended the previous frame) to the marker, or, except in VP8, the last packet before another
  timestamp. A frame that misses a packet is never output; its received packets become a Loss with reason INCOMPLETE.
* Padding-only packets belong to no frame; they only close gaps.
* Every ext_seq from the first pushed one on is accounted for once: within one Frame, within one Loss, or padding.
  Duplicates and packets that come after their gap was given up are dropped and counted in `late_packets`.
* Timestamps are unwrapped to 64 bits; the first equals its 32-bit value on the wire.

Frame data by codec: Opus, G711, G722: the payload. VP8: the frame. VP9: one picture, all its spatial layers, with a
superframe index when there are several. H264: an Annex B access unit with four-byte start codes; a keyframe carries
its SPS and PPS, from earlier packets or `fmtp` if need be. AV1: a temporal unit, low-overhead format (every OBU with a
size field, no temporal delimiter).
"""

from typing import NamedTuple

from sfu.formats import rtp as rtp_format
from sfu.formats.codecs import Codec
from sfu.formats.unwrap import Unwrapper
from sfu.frames.depacketize import AudioDepacketizer, Depacketizer, Vp8Depacketizer
from sfu.frames.depacketize_av1 import Av1Depacketizer
from sfu.frames.depacketize_h264 import H264Depacketizer
from sfu.frames.depacketize_vp9 import Vp9Depacketizer
from sfu.frames.reorder import Gap, LossReason, Ready, ReorderBuffer

__all__ = ["DEFAULT_MAX_WAIT", "Frame", "FrameAssembler", "Loss", "LossReason"]

DEFAULT_MAX_WAIT = 500_000_000


class Frame(NamedTuple):
    """A complete encoded frame.

    `timestamp` is in RTP clock units, unwrapped; `arrival` (ns) is that of its earliest packet. `width` and `height`
    are set on keyframes of video, else 0. `keyframe` is true for all audio. `intact` is false for video from a loss (or
    the start) until the next keyframe: the frame itself is complete, but its references may not be.
    """

    timestamp: int
    data: bytes
    keyframe: bool
    first_ext_seq: int
    last_ext_seq: int
    arrival: int
    width: int
    height: int
    intact: bool


class Loss(NamedTuple):
    """A number of `packets` from `first_ext_seq` on that are in no frame. `keyframe_needed` is true for video that
    cannot be decoded cleanly without a keyframe, which should then be requested.
    """

    first_ext_seq: int
    packets: int
    reason: LossReason
    keyframe_needed: bool


class FrameAssembler:
    """One stream's assembler. `fmtp` may contain H264's sprop-parameter-sets. `first_ext_seq` is the first packet that
    counts as lost if it never arrives (default: the first one pushed). `resumes`: the packet before it ended a frame,
    which an earlier assembler returned. Raises ValueError for RTX and RED.
    """

    def __init__(
        self,
        codec: Codec,
        *,
        max_wait: int = DEFAULT_MAX_WAIT,
        max_packets: int = 4096,
        first_ext_seq: int | None = None,
        fmtp: str = "",
        resumes: bool = False,
    ) -> None:
        self._depacketizer = _depacketizer(codec, fmtp)
        self._is_audio = codec.is_audio
        self._max_packets = max_packets
        self._buffer = ReorderBuffer(max_wait, max_packets, first_ext_seq)
        self._timestamps = Unwrapper(32)
        self._parts: list[Ready] = []  # of the current frame
        self._timestamp: int | None = None
        self._broken = False  # the current frame misses packets
        self._contiguous = resumes  # no packet is missing before the next one
        self._intact = self._is_audio

    @property
    def late_packets(self) -> int:
        """The number of packets dropped as duplicates, or because they arrived after their gap was given up."""
        return self._buffer.late_packets

    def push(self, ext_seq: int, arrival: int, rtp: bytes) -> list[Frame | Loss]:
        """Take a packet. Raises ValueError if `rtp` is not RTP (the packet then counts as not received)."""
        timestamp, marker, start, end = rtp_format.content(rtp)
        packet = Ready(ext_seq, arrival, timestamp, marker, bytes(rtp[start:end]))
        # Most packets of video neither begin nor end a frame.
        in_frame = timestamp == self._timestamp and not marker and not self._is_audio
        if in_frame and end > start and len(self._parts) < self._max_packets and self._buffer.pass_by(ext_seq):
            self._parts.append(packet)
            return []
        return self._take(self._buffer.push(packet))

    def missed(self, first_ext_seq: int, packets: int) -> list[Frame | Loss]:
        """Take the sfu's report that these packets will not arrive: their gap is not waited for."""
        return self._take(self._buffer.missed(first_ext_seq, packets))

    def flush(self, now: int) -> list[Frame | Loss]:
        """Give up the gaps that have lasted for `max_wait` at `now`."""
        return self._take(self._buffer.expire(now))

    def timer(self) -> int | None:
        """Return when `flush` has work next, or None."""
        return self._buffer.timer()

    def drain(self) -> list[Frame | Loss]:
        """End the stream: give up every gap and return everything that is left. A frame without its end is
        INCOMPLETE.
        """
        out = self._take(self._buffer.drain())
        return out + self._discard(LossReason.INCOMPLETE)

    def _take(self, events: list[Ready | Gap]) -> list[Frame | Loss]:
        out: list[Frame | Loss] = []
        for event in events:
            if isinstance(event, Gap):
                out += self._discard(LossReason.INCOMPLETE)
                out.append(self._lose(event.first_ext_seq, event.packets, event.reason))
                self._broken = self._timestamp is not None
                self._contiguous = False
            else:
                out += self._take_packet(event)
        return out

    def _take_packet(self, packet: Ready) -> list[Frame | Loss]:
        if not packet.payload:
            return []
        out: list[Frame | Loss] = []
        if packet.timestamp != self._timestamp or self._is_audio:
            self._broken = self._broken or self._depacketizer.needs_marker
            out += self._finish()
            self._timestamp = packet.timestamp
            self._broken = not (self._contiguous or self._begins_frame(packet.payload))
        if len(self._parts) == self._max_packets:
            out += self._discard(LossReason.OVERFLOW)
            self._broken = True
        self._parts.append(packet)
        self._contiguous = True
        if packet.marker or self._is_audio:
            out += self._finish()
        return out

    def _begins_frame(self, payload: bytes) -> bool:
        try:
            return self._depacketizer.begins_frame(payload)
        except ValueError:
            return False

    def _finish(self) -> list[Frame | Loss]:
        """Return the current frame, which has ended, or its loss."""
        timestamp, self._timestamp = self._timestamp, None
        if timestamp is None or not self._parts:
            return []
        if self._broken:
            return self._discard(LossReason.INCOMPLETE)
        try:
            picture = self._depacketizer.join([part.payload for part in self._parts])
        except ValueError:
            return self._discard(LossReason.MALFORMED)
        parts, self._parts = self._parts, []
        unwrapped = self._timestamps.unwrap(timestamp)
        if picture is None:
            return []
        self._intact = self._intact or picture.keyframe
        return [
            Frame(
                unwrapped,
                picture.data,
                picture.keyframe,
                parts[0].ext_seq,
                parts[-1].ext_seq,
                min(part.arrival for part in parts),
                picture.width,
                picture.height,
                self._intact,
            )
        ]

    def _discard(self, reason: LossReason) -> list[Frame | Loss]:
        """Turn the packets of the current frame into a loss."""
        if not self._parts:
            return []
        first, last = self._parts[0].ext_seq, self._parts[-1].ext_seq
        self._parts = []
        return [self._lose(first, last - first + 1, reason)]

    def _lose(self, first_ext_seq: int, packets: int, reason: LossReason) -> Loss:
        self._intact = self._is_audio
        return Loss(first_ext_seq, packets, reason, not self._is_audio)


def _depacketizer(codec: Codec, fmtp: str) -> Depacketizer:
    if codec is Codec.H264:
        return H264Depacketizer(fmtp)
    if codec in (Codec.RTX, Codec.RED):
        raise ValueError(f"{codec.name} is not assembled: unwrap it first")
    return _PLAIN.get(codec, AudioDepacketizer)()


_PLAIN: dict[Codec, type[Depacketizer]] = {
    Codec.VP8: Vp8Depacketizer,
    Codec.VP9: Vp9Depacketizer,
    Codec.AV1: Av1Depacketizer,
}
