"""Frames to RTP payloads, for publishers: VP8 (RFC 7741), VP9 (RFC 9628), H264 (RFC 6184), AV1, Opus (RFC 7587).

Each function returns the payloads of one frame in order; the last one's packet gets the marker (Opus: none).
"""

from sfu.formats.codecs import Codec

DEFAULT_PAYLOAD_BYTES = 1180


def packetize(
    codec: Codec, frame: bytes, *, keyframe: bool, picture_id: int = 0, max_bytes: int = DEFAULT_PAYLOAD_BYTES
) -> list[bytes]:
    """Return the payloads of a frame, each at most `max_bytes`; ValueError for codecs without a packetiser.

    `picture_id` (VP8, VP9) counts pictures, taken mod 2**15. H264 frames are Annex B access units, AV1 frames temporal
    units in low-overhead format; `keyframe` sets AV1's N bit and VP9's P bit.
    """
    raise NotImplementedError
