"""Assemble the frames of one stream from its packets, in order, and say what is missing.

Feed packets as they come from a sink socket: `push` for PacketRecord, `missed` for MissedRecord, `flush(now)` from a
timer, `drain` at the end of the track. Each returns what became final, oldest first.

Rules:
* Packets are put in order of `ext_seq`. A gap holds back what follows it for at most `max_wait` ns after the first
  later packet arrived (or until the buffer holds `max_packets`), then it is a Loss.
* A frame is output when all its packets are there: from a packet known to begin it (its descriptor says so, or the
  packet before it ended the previous frame) to the marker or the last packet before another timestamp. A frame that
  misses a packet is never output; what was received of it becomes a Loss with reason INCOMPLETE.
* Padding-only packets belong to no frame; they only close gaps.
* Every ext_seq from the first pushed one on is accounted for once: within one Frame, within one Loss, or padding.
  Duplicates and packets that come after their gap was given up are dropped and counted in `late_packets`.
* Timestamps are unwrapped to 64 bits; the first equals its 32-bit value on the wire.

Frame data by codec: Opus, G711, G722: the payload. VP8: the frame. VP9: one picture, all its spatial layers, with a
superframe index when there are several. H264: an Annex B access unit with four-byte start codes; a keyframe carries
its SPS and PPS, from earlier packets or `fmtp` if need be. AV1: a temporal unit, low-overhead format (every OBU with a
size field, no temporal delimiter).
"""

from enum import IntEnum
from typing import NamedTuple

from sfu.formats.codecs import Codec

DEFAULT_MAX_WAIT = 500_000_000


class LossReason(IntEnum):
    """Why packets are not part of a frame."""

    EXPIRED = 0  # did not arrive within max_wait
    MISSED = 1  # the sfu said that they will not come
    OVERFLOW = 2  # given up early because the buffer was full
    INCOMPLETE = 3  # arrived, but their frame misses packets
    MALFORMED = 4  # arrived, but the payload does not parse


class Frame(NamedTuple):
    """A whole encoded frame.

    `timestamp` is in RTP clock units, unwrapped; `arrival` (ns) is the earliest of its packets'. `width` and `height`
    are set on keyframes of video, else 0. `keyframe` is true for all audio. `intact` is false for video from a loss (or
    the start) until the next keyframe: the frame itself is whole, but what it refers to may not be.
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
    """`packets` packets from `first_ext_seq` on that are in no frame. `keyframe_needed` is true for video, when
    decoding can't go on cleanly without one: ask for it."""

    first_ext_seq: int
    packets: int
    reason: LossReason
    keyframe_needed: bool


class FrameAssembler:
    """One stream's assembler. `fmtp` may hold H264's sprop-parameter-sets; `first_ext_seq` is the first packet that
    counts as lost when it never comes (default: the first one pushed)."""

    def __init__(
        self,
        codec: Codec,
        *,
        max_wait: int = DEFAULT_MAX_WAIT,
        max_packets: int = 4096,
        first_ext_seq: int | None = None,
        fmtp: str = "",
    ) -> None:
        raise NotImplementedError

    @property
    def late_packets(self) -> int:
        """Packets dropped as duplicates or after their gap was given up."""
        raise NotImplementedError

    def push(self, ext_seq: int, arrival: int, rtp: bytes) -> list[Frame | Loss]:
        """Take a packet. ValueError when `rtp` is not RTP (the packet then counts as not received)."""
        raise NotImplementedError

    def missed(self, first_ext_seq: int, packets: int) -> list[Frame | Loss]:
        """Take the sfu's word that these packets will not come: their gap is not waited for."""
        raise NotImplementedError

    def flush(self, now: int) -> list[Frame | Loss]:
        """Give up the gaps that have waited for `max_wait` at `now`."""
        raise NotImplementedError

    def timer(self) -> int | None:
        """When `flush` has work next, or None."""
        raise NotImplementedError

    def drain(self) -> list[Frame | Loss]:
        """End of the stream: give up every gap and return all that is left."""
        raise NotImplementedError
