"""Real encoded video for tests, and the RTP packets that carry it."""

import contextlib
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import cache

import av
import numpy as np

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize, split_annex_b

ENCODERS = {
    Codec.VP8: ("libvpx", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.VP9: ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.H264: ("libx264", {"tune": "zerolatency", "preset": "ultrafast", "profile": "baseline"}),
    Codec.AV1: ("libsvtav1", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2"}),
}
# Encoders for files look ahead: their AV1 temporal units and VP9 superframes contain frames that are not shown.
LOOKING_AHEAD = {
    Codec.VP9: ("libvpx-vp9", {"deadline": "good", "cpu-used": "5", "lag-in-frames": "16", "auto-alt-ref": "1"}),
    Codec.H264: ("libx264", {"preset": "medium"}),
    Codec.AV1: ("libsvtav1", {"preset": "12"}),
}
DECODERS = {Codec.VP8: "vp8", Codec.VP9: "libvpx-vp9", Codec.H264: "h264", Codec.AV1: "libdav1d"}
VIDEO = tuple(ENCODERS)
TICKS = 3000  # ticks of the 90 kHz clock per frame


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """Restore the ordinary priority after SVT-AV1. As root, it gives the calling thread the highest real-time priority,
    which servers and browsers of later tests would inherit.
    """
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


@cache
def encode(
    codec: Codec,
    frames: int = 12,
    width: int = 320,
    height: int = 180,
    keyframe_every: int = 6,
    looking_ahead: bool = False,
) -> tuple[tuple[bytes, bool], ...]:
    """Return (data, keyframe) of each encoded frame of a moving, noisy picture."""
    name, options = (LOOKING_AHEAD if looking_ahead else ENCODERS)[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 30)
    context.framerate = Fraction(30)
    context.bit_rate = 800_000
    context.gop_size = keyframe_every
    context.options = options
    noise = np.random.default_rng(1).integers(0, 255, (height, width + 4 * frames, 3), np.uint8)
    packets = []
    with ordinary_priority():
        for index in range(frames):
            image = av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, index * 4 : index * 4 + width]), "rgb24")
            image.pts = index
            packets += context.encode(image)
        packets += context.encode(None)
    return tuple((bytes(packet), packet.is_keyframe) for packet in packets if packet.size)


def normal(codec: Codec, data: bytes) -> bytes:
    """Return a frame in the form that assembly guarantees: four-byte start codes, no AV1 temporal delimiter."""
    if codec is Codec.H264:
        return b"".join(b"\0\0\0\1" + unit for unit in split_annex_b(data))
    return data.removeprefix(b"\x12\x00") if codec is Codec.AV1 else data


def packets_of(
    codec: Codec,
    frames: tuple[tuple[bytes, bool], ...],
    first: int = 0,
    timestamp: int = 0,
    max_bytes: int = 600,
) -> list[tuple[int, bytes]]:
    """Return (ext_seq, RTP) of the frames' packets, with numbers from `first` and timestamps from `timestamp` on."""
    packets = []
    seq = first
    for index, (data, keyframe) in enumerate(frames):
        payloads = packetize(codec, data, keyframe=keyframe, picture_id=index, max_bytes=max_bytes)
        for position, payload in enumerate(payloads):
            packet = rtp.RtpPacket(
                96,
                seq & 0xFFFF,
                (timestamp + TICKS * index) & 0xFFFFFFFF,
                1234,
                payload,
                marker=position == len(payloads) - 1,
            )
            packets.append((seq, rtp.serialize(packet)))
            seq += 1
    return packets
