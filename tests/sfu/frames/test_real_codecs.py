"""Assembly of what real encoders make: every frame comes out as it went in, and decodes."""

import random
from fractions import Fraction

import av
import numpy as np
import pytest

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize
from sfu.frames.assembler import Frame, FrameAssembler, Loss

MS = 1_000_000
ENCODERS = {
    Codec.VP8: ("libvpx", "vp8", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.VP9: ("libvpx-vp9", "vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}),
    Codec.H264: ("libx264", "h264", {"tune": "zerolatency", "preset": "ultrafast", "profile": "baseline"}),
    Codec.AV1: ("libsvtav1", "libdav1d", {"preset": "12", "svtav1-params": "pred-struct=1:rc=2"}),
}
VIDEO = list(ENCODERS)


def encode(codec, count=12, width=320, height=180, keyframe_every=6):
    """Return (data, keyframe) of each encoded frame of a moving, noisy picture."""
    name, _, options = ENCODERS[codec]
    context = av.CodecContext.create(name, "w")
    context.width, context.height = width, height
    context.pix_fmt = "yuv420p"
    context.time_base = Fraction(1, 30)
    context.framerate = Fraction(30)
    context.bit_rate = 800_000
    context.gop_size = keyframe_every
    context.options = options
    noise = np.random.default_rng(1).integers(0, 255, (height, width * 2, 3), np.uint8)
    packets = []
    for index in range(count):
        image = av.VideoFrame.from_ndarray(np.ascontiguousarray(noise[:, index * 4 : index * 4 + width]), "rgb24")
        image.pts = index
        packets += context.encode(image)
    packets += context.encode(None)
    return [(bytes(packet), packet.is_keyframe) for packet in packets if packet.size]


def normal(codec, data):
    """What assembly promises of a frame: four-byte start codes, no AV1 temporal delimiter."""
    if codec is Codec.H264:
        from sfu.formats.packetize import split_annex_b

        return b"".join(b"\0\0\0\1" + unit for unit in split_annex_b(data))
    if codec is Codec.AV1 and data.startswith(b"\x12\x00"):
        return data[2:]
    return data


def packets_of(codec, frames, first=65_530, start=2**32 - 6000, max_bytes=600):
    """Return (ext_seq, RTP) of the frames; numbering and timestamps wrap on the way."""
    packets = []
    seq = first
    for index, (data, keyframe) in enumerate(frames):
        payloads = packetize(codec, data, keyframe=keyframe, picture_id=index, max_bytes=max_bytes)
        for position, payload in enumerate(payloads):
            packet = rtp.RtpPacket(
                96,
                seq & 0xFFFF,
                (start + 3000 * index) & 0xFFFFFFFF,
                1234,
                payload,
                marker=position == len(payloads) - 1,
            )
            packets.append((seq, rtp.serialize(packet)))
            seq += 1
    return packets


@pytest.fixture(scope="module", params=VIDEO, ids=lambda codec: codec.name)
def coded(request):
    return request.param, encode(request.param)


def test_every_frame_comes_out_as_it_went_in(coded):
    codec, frames = coded
    assembler = FrameAssembler(codec)
    out = []
    for number, (seq, data) in enumerate(packets_of(codec, frames)):
        out += assembler.push(seq, number * MS, data)
    assert all(isinstance(frame, Frame) for frame in out)
    assert [frame.data for frame in out] == [normal(codec, data) for data, _ in frames]
    assert [frame.keyframe for frame in out] == [keyframe for _, keyframe in frames]
    assert [frame.timestamp for frame in out] == [2**32 - 6000 + 3000 * index for index in range(len(frames))]
    assert {(frame.width, frame.height) for frame in out if frame.keyframe} == {(320, 180)}
    assert all(frame.intact for frame in out)
    assert assembler.drain() == []


def test_assembled_frames_decode(coded):
    codec, frames = coded
    assembler = FrameAssembler(codec)
    out = []
    for number, (seq, data) in enumerate(packets_of(codec, frames)):
        out += assembler.push(seq, number * MS, data)
    decoder = av.CodecContext.create(ENCODERS[codec][1], "r")
    images = []
    for frame in out:
        images += decoder.decode(av.Packet(frame.data))
    images += decoder.decode(None)
    assert len(images) == len(frames)
    assert {(image.width, image.height) for image in images} == {(320, 180)}


@pytest.mark.parametrize("seed", range(12))
def test_loss_and_reordering_never_damage_a_frame(coded, seed):
    """Whatever is lost, what comes out is one of the frames that went in; every packet is accounted for once."""
    codec, frames = coded
    dice = random.Random(seed)
    packets = packets_of(codec, frames)
    sent = dict(zip(first_seqs(packets), frames, strict=True))
    kept = [packet for packet in packets[1:] if dice.random() > 0.08]
    kept.sort(key=lambda packet: packet[0] + dice.random() * 4)
    assembler = FrameAssembler(codec, max_wait=20 * MS, first_ext_seq=packets[0][0])
    out = []
    for number, (seq, data) in enumerate(kept):
        out += assembler.push(seq, number * MS, data)
    out += assembler.drain()
    expected = packets[0][0]
    for item in out:
        assert item.first_ext_seq == expected
        if isinstance(item, Frame):
            data, keyframe = sent[item.first_ext_seq]
            assert item.data == normal(codec, data)
            assert item.keyframe == keyframe
            expected = item.last_ext_seq + 1
        else:
            expected += item.packets
    assert expected == max(seq for seq, _ in kept) + 1
    assert any(isinstance(item, Loss) and item.keyframe_needed for item in out)


def first_seqs(packets):
    firsts = []
    previous = None
    for seq, data in packets:
        timestamp = rtp.parse(data).timestamp
        if timestamp != previous:
            firsts.append(seq)
        previous = timestamp
    return firsts
