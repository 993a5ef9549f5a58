"""VP9 pictures from RTP payloads (RFC 9628): all spatial layers of one picture as one superframe.

Superframe index: VP9 bitstream specification v0.6, annex B.
"""

from collections.abc import Sequence

from sfu.formats import vp9
from sfu.frames.depacketize import Picture

_MAX_FRAMES = 8


class Vp9Depacketizer:
    needs_marker = False

    def begins_frame(self, payload: bytes) -> bool:
        return vp9.parse(payload).picture_start

    def join(self, payloads: Sequence[bytes]) -> Picture | None:
        """Return the picture; if it has several frames, an index of their sizes follows them.

        Some senders (FFmpeg's RTP muxer) never set P, so the frame header is checked for keyframes too.
        """
        descriptors = [vp9.parse(payload) for payload in payloads]
        first = descriptors[0]
        if not first.picture_start:
            raise ValueError("VP9 picture does not begin with its base layer")
        layers: list[bytearray] = []
        inside = False
        for payload, descriptor in zip(payloads, descriptors, strict=True):
            if descriptor.start == inside:
                raise ValueError("VP9 layer frame does not begin where the last one ended")
            if descriptor.start:
                layers.append(bytearray())
            layers[-1] += payload[descriptor.size :]
            inside = not descriptor.end
        if inside:
            raise ValueError("VP9 layer frame has no end")
        data = bytes(layers[0])
        if len(layers) > 1:
            data = _superframe([frame for layer in layers for frame in split_superframe(bytes(layer))])
        base_size = vp9.keyframe_size(bytes(layers[0]))
        if first.inter_picture or base_size is None:
            return Picture(data, False)
        top = descriptors[-1].spatial_layer or 0
        sizes = first.structure.sizes if first.structure is not None else ()
        return Picture(data, True, *(sizes[top] if top < len(sizes) else base_size))


def split_superframe(data: bytes) -> list[bytes]:
    """Return the frames of a superframe, or the data itself if it has no index."""
    marker = data[-1]
    count, width = (marker & 0x07) + 1, (marker >> 3 & 0x03) + 1
    index_size = 2 + count * width
    if marker & 0xE0 != 0xC0 or len(data) <= index_size or data[-index_size] != marker:
        return [data]
    frames = []
    offset = 0
    for position in range(len(data) - index_size + 1, len(data) - 1, width):
        end = offset + int.from_bytes(data[position : position + width], "little")
        if end > len(data) - index_size or end == offset:
            raise ValueError("VP9 superframe index does not fit its frames")
        frames.append(data[offset:end])
        offset = end
    return frames


def _superframe(frames: list[bytes]) -> bytes:
    if len(frames) > _MAX_FRAMES:
        raise ValueError("VP9 picture has more than eight frames")
    width = (max(map(len, frames)).bit_length() + 7) // 8
    marker = bytes([0xC0 | width - 1 << 3 | len(frames) - 1])
    sizes = b"".join(len(frame).to_bytes(width, "little") for frame in frames)
    return b"".join(frames) + marker + sizes + marker
