"""Depacketisation by codec: turns the payloads of one frame into its data.

A depacketiser gets the payloads of all packets with one timestamp, in order and without gaps. It raises ValueError if
they do not form a complete frame.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from sfu.formats import vp8


class Picture(NamedTuple):
    """A frame's data. `width` and `height` are set for keyframes, else 0."""

    data: bytes
    keyframe: bool
    width: int = 0
    height: int = 0


class Depacketizer(Protocol):
    @property
    def needs_marker(self) -> bool:
        """True if only the marker tells that a frame is complete."""

    def begins_frame(self, payload: bytes) -> bool:
        """Return True if this payload, after a gap, is certainly the first of its frame; raises ValueError if
        malformed.
        """

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        """Return the frame, None for payloads without a picture (only parameter sets); raises ValueError."""


class AudioDepacketizer:
    """Treats every packet as a frame."""

    needs_marker = False

    def begins_frame(self, payload: bytes) -> bool:
        return True

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        return Picture(payloads[0], True)


class Vp8Depacketizer:
    """VP8 (RFC 7741, section 4.4): partitions follow each other; only the first packet has S with partition 0.

    Nothing but the marker (section 4.2) ends a frame. A browser whose uplink becomes narrow drops the rest of a frame
    before it numbers the packets, so no gap shows that.
    """

    needs_marker = True

    def begins_frame(self, payload: bytes) -> bool:
        return vp8.content_of(payload)[1]

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        contents = [vp8.content_of(payload) for payload in payloads]
        if not contents[0][1] or sum(begins for _, begins in contents) != 1:
            raise ValueError("VP8 frame does not begin with its first partition")
        data = b"".join([payload[start:] for payload, (start, _) in zip(payloads, contents, strict=True)])
        if data[0] & 0x01:
            return Picture(data, False)
        return Picture(data, True, *(vp8.keyframe_size(data) or (0, 0)))
