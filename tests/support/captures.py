"""RTP packets of a Chromium 156 publisher (fake camera, 640×360), as received by an sfu.

Each file in tests/fixtures/rtp contains packets, each preceded by its length in two bytes, in order and complete from
the first packet of the stream to the end of a picture. Extension 12 is the dependency descriptor.
"""

from pathlib import Path

from sfu.formats.codecs import Codec

DIRECTORY = Path(__file__).parent.parent / "fixtures" / "rtp"
DEPENDENCY_DESCRIPTOR = 12
CODECS = {
    "chromium-vp8": Codec.VP8,
    "chromium-vp9": Codec.VP9,
    "chromium-vp9-l2t2": Codec.VP9,
    "chromium-vp9-l3t3-key": Codec.VP9,
    "chromium-h264": Codec.H264,
    "chromium-av1": Codec.AV1,
    "chromium-av1-l2t2-key": Codec.AV1,
}


def captured(name: str) -> list[bytes]:
    """Return the packets of a capture."""
    data = (DIRECTORY / f"{name}.bin").read_bytes()
    packets = []
    offset = 0
    while offset < len(data):
        end = offset + 2 + int.from_bytes(data[offset : offset + 2], "big")
        packets.append(data[offset + 2 : end])
        offset = end
    return packets
