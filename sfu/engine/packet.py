"""A received packet as the engine keeps it: parsed once, with payload and descriptor ready for any number of routes."""

from collections.abc import Sequence

from sfu.engine.sequence_map import Rewrite
from sfu.formats import keyframes, vp8, vp9
from sfu.formats.codecs import Codec
from sfu.formats.dependency_descriptor import DecodeTargetIndication, DependencyDescriptor
from sfu.formats.extensions import Extension
from sfu.formats.header_extensions import write_playout_delay

PASSED = (
    Extension.AUDIO_LEVEL,
    Extension.ABS_CAPTURE_TIME,
    Extension.PLAYOUT_DELAY,
    Extension.DEPENDENCY_DESCRIPTOR,
)
"""Header extensions that reach subscribers, in the order in which they are written."""


_MAX_PLAYOUT_NS = 10_000_000_000  # what receivers assume


def playout_delay(least: int | None) -> bytes:
    """Return the extension by which receivers show a picture at least `least` ns after its arrival, empty for None."""
    return write_playout_delay(least, _MAX_PLAYOUT_NS) if least is not None else b""


NO_PLAYOUT_DELAY = playout_delay(0)
MAX_EQUALISING = 3
"""The most padding, in bytes, that is worth adding for equally long packets."""


class Packet:
    """One position of a stream. `payload` lacks padding; it is empty for a position that nobody gets.

    Without descriptor fields, `picture_id`, `tl0` and `frame_number` (of AV1's dependency descriptor) are -1, layers 0.
    """

    __slots__ = (
        "arrival",
        "closes",
        "codec",
        "end_of_layer",
        "equalising",
        "ext_seq",
        "frame_number",
        "gap",
        "inter_picture",
        "is_keyframe",
        "is_late",
        "is_padded",
        "layer_sync",
        "marker",
        "passed",
        "payload",
        "payload_type",
        "picture_id",
        "picture_mask",
        "picture_offset",
        "playout_delay",
        "rewritten_as",
        "run",
        "run_index",
        "spatial",
        "switch_temporal",
        "tails",
        "temporal",
        "timestamp",
        "tl0",
        "tl0_offset",
    )

    def __init__(
        self,
        ext_seq: int,
        *,
        arrival: int,
        timestamp: int,
        marker: bool,
        payload_type: int,
        codec: Codec,
        payload: bytes,
        passed: dict[Extension, bytes],
        is_padded: bool = False,
    ) -> None:
        self.ext_seq = ext_seq
        self.arrival = arrival
        self.timestamp = timestamp
        self.marker = 0x80 if marker else 0
        self.payload_type = payload_type
        self.codec = codec
        self.payload = payload
        self.passed = passed
        self.playout_delay = b""  # our own value of the header extension, empty for none
        self.is_padded = is_padded
        self.equalising = 0
        self.is_keyframe = self.is_late = self.closes = False
        self.gap = 0
        self.temporal = self.spatial = 0
        self.layer_sync = self.end_of_layer = False
        self.inter_picture = True
        self.picture_id = self.tl0 = self.frame_number = self.switch_temporal = -1
        self.picture_offset = self.tl0_offset = 0
        self.picture_mask = 0x7FFF
        self.run = self.run_index = -1
        # Values that routes derive from the packet, shared by routes that agree.
        self.tails: dict[tuple[object, int], tuple[int, bytes]] = {}
        self.rewritten_as: dict[tuple[int, int], bytes] = {}
        if payload:
            self._describe()

    def take_layers(self, descriptor: DependencyDescriptor, targets: Sequence[tuple[int, int]]) -> None:
        """Take an AV1 packet's layers; `targets` are (spatial, temporal) of its structure's decode targets.

        `switch_temporal` is the temporal layer of the same spatial one that may be carried from this frame on.
        """
        frame = descriptor.frame
        self.spatial, self.temporal = frame.spatial_layer, frame.temporal_layer
        self.end_of_layer = descriptor.last_in_frame
        if descriptor.first_in_frame:
            for (spatial, temporal), indication in zip(targets, frame.indications, strict=True):
                if indication is DecodeTargetIndication.SWITCH and spatial == self.spatial:
                    self.switch_temporal = max(self.switch_temporal, temporal)

    def rewritten(self, rewrite: Rewrite) -> bytes:
        """Return the payload with the picture id and TL0PICIDX moved by the rewrite's offsets."""
        picture_offset, tl0_offset = rewrite.picture_offset, rewrite.tl0_offset
        if self.picture_id < 0 or not (picture_offset or tl0_offset):
            return self.payload
        key = (picture_offset, tl0_offset)
        known = self.rewritten_as.get(key)
        if known is None:
            known = self._rewrite(picture_offset, tl0_offset)
            self.rewritten_as[key] = known
        return known

    def frame_offset(self, rewrite: Rewrite) -> int:
        """Return the offset of the frame number in the dependency descriptor."""
        return rewrite.picture_offset if self.frame_number >= 0 else 0

    def passed_moved(self, frame_offset: int) -> dict[Extension, bytes]:
        """Return the passed extensions, with the frame number moved (AV1 RTP specification, appendix A)."""
        if not frame_offset:
            return self.passed
        value = self.passed[Extension.DEPENDENCY_DESCRIPTOR]
        moved = (self.frame_number + frame_offset & 0xFFFF).to_bytes(2, "big")
        return {**self.passed, Extension.DEPENDENCY_DESCRIPTOR: value[:1] + moved + value[3:]}

    def is_above(self, rewrite: Rewrite) -> bool:
        """Return True if the packet belongs to a layer that the rewrite does not carry."""
        return self.temporal > rewrite.max_temporal or self.spatial > rewrite.max_spatial

    @property
    def padding(self) -> bytes:
        """RTP padding (RFC 3550, section 5.1) that makes the packet as long as its neighbours; see `equalise`."""
        count = self.equalising
        return bytes(count - 1) + bytes([count]) if count else b""

    @property
    def is_compacted(self) -> bool:
        """True if picture ids must be contiguous despite filtered pictures."""
        return self.codec is Codec.VP8

    def marker_under(self, rewrite: Rewrite) -> int:
        """Return the marker bit in its place; it is also set where the highest carried layer ends its picture."""
        if self.end_of_layer and self.spatial == rewrite.max_spatial:
            return 0x80
        return self.marker

    def _rewrite(self, picture_offset: int, tl0_offset: int) -> bytes:
        changed = bytearray(self.payload)
        picture = (self.picture_id + picture_offset) & self.picture_mask
        at = self.picture_offset
        if self.picture_mask == 0x7F:
            changed[at] = picture
        else:
            changed[at : at + 2] = (picture | 0x8000).to_bytes(2, "big")
        if self.tl0 >= 0:
            changed[self.tl0_offset] = (self.tl0 + tl0_offset) & 0xFF
        return bytes(changed)

    def _describe(self) -> None:
        codec = self.codec
        if codec is Codec.VP8 or codec is Codec.VP9:
            try:
                if codec is Codec.VP8:
                    self._describe_vp8(vp8.parse(self.payload))
                else:
                    self._describe_vp9(vp9.parse(self.payload))
            except ValueError:
                # Forwarded unchanged: its fields cannot be moved safely, and browsers decide what to do with it.
                return
        self.is_keyframe = keyframes.is_keyframe_start(codec, self.payload)

    def _describe_vp8(self, descriptor: vp8.Vp8Descriptor) -> None:
        self.temporal = descriptor.temporal_layer or 0
        self.layer_sync = descriptor.layer_sync
        self._take_picture(descriptor)

    def _describe_vp9(self, descriptor: vp9.Vp9Descriptor) -> None:
        self.temporal = descriptor.temporal_layer or 0
        self.spatial = descriptor.spatial_layer or 0
        self.layer_sync = descriptor.switching_up
        self.inter_picture = descriptor.inter_picture
        self.end_of_layer = descriptor.end
        self._take_picture(descriptor)

    def _take_picture(self, descriptor: vp8.Vp8Descriptor | vp9.Vp9Descriptor) -> None:
        if descriptor.picture_id is None:
            return
        self.picture_id = descriptor.picture_id
        self.picture_offset = descriptor.picture_id_offset
        self.picture_mask = 0x7FFF if descriptor.long_picture_id else 0x7F
        if descriptor.tl0_picture_index is not None:
            self.tl0 = descriptor.tl0_picture_index
            self.tl0_offset = descriptor.tl0_offset


def equalise(packets: Sequence[Packet]) -> None:
    """Pad the packets of each video frame of a run to one length where little is missing.

    Browsers split a frame into packets whose lengths differ by a byte, but the kernel segments only equally long ones.
    Packets that the publisher padded stay unchanged.
    """
    start = 0
    for end in range(1, len(packets) + 1):
        if end < len(packets) and packets[end].timestamp == packets[start].timestamp:
            continue
        if end - start > 1:
            longest = max(len(packet.payload) for packet in packets[start:end])
            for packet in packets[start:end]:
                missing = longest - len(packet.payload)
                if 0 < missing <= MAX_EQUALISING and packet.payload and not packet.is_padded:
                    packet.equalising = missing
        start = end
