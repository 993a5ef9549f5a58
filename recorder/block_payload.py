"""Conversion of the assembler's frames to the payload of a Matroska block or an MP4 sample."""

from sfu.formats.codecs import Codec

_START_CODE = b"\x00\x00\x00\x01"


def block_payload(codec: Codec, frame: bytes) -> bytes:
    """Return the block's bytes: H264's NAL units with four-byte lengths (ISO/IEC 14496-15), other codecs unchanged."""
    return length_prefixed(frame) if codec is Codec.H264 else frame


def length_prefixed(access_unit: bytes) -> bytes:
    """Return an Annex B access unit with four-byte start codes as length-prefixed NAL units."""
    units = access_unit.split(_START_CODE)[1:]
    return b"".join(len(unit).to_bytes(4, "big") + unit for unit in units if unit)
