"""VP9 with spatial layers: a picture is one frame with a superframe index, which libvpx decodes."""

import av
import pytest

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.frames.assembler import FrameAssembler, Loss
from sfu.frames.depacketize_vp9 import split_superframe
from tests.support.encoders import encode

# A shown keyframe of 320×180 (bitstream specification, section 6.2); a frame that is none.
KEY = int(f"10000010{0x498342:024b}0000{319:016b}{179:016b}0000", 2).to_bytes(9, "big")
DELTA = b"\x86"
SIZES = ((320, 180), (640, 360))


def layer(frame, spatial, *, inter=False, chunk=500, sizes=()):
    """Return the payloads of one layer frame, non-flexible mode, without picture id."""
    chunks = [frame[start : start + chunk] for start in range(0, len(frame), chunk)]
    payloads = []
    for index, data in enumerate(chunks):
        first = 0x20 | 0x40 * inter | 0x08 * (index == 0) | 0x04 * (index == len(chunks) - 1)
        header = bytes([spatial << 1 | (spatial > 0), 0])
        if sizes and index == 0:
            first |= 0x02
            header += bytes([len(sizes) - 1 << 5 | 0x10])
            header += b"".join(width.to_bytes(2, "big") + height.to_bytes(2, "big") for width, height in sizes)
        payloads.append(bytes([first]) + header + data)
    return payloads


def push(payloads, lost=()):
    assembler = FrameAssembler(Codec.VP9)
    out = []
    for seq, payload in enumerate(payloads):
        packet = rtp.RtpPacket(98, seq, 0, 1, payload, marker=seq == len(payloads) - 1)
        if seq not in lost:
            out += assembler.push(seq, seq, rtp.serialize(packet))
    return out + assembler.drain()


def test_layers_become_a_superframe():
    frames = [KEY + bytes(700), DELTA + bytes(1400)]
    [frame] = push(layer(frames[0], 0, sizes=SIZES) + layer(frames[1], 1))
    assert split_superframe(frame.data) == frames
    assert (frame.keyframe, frame.width, frame.height) == (True, 640, 360)


def test_the_size_is_that_of_the_highest_layer_that_came():
    [frame] = push(layer(KEY + bytes(700), 0, sizes=SIZES))
    assert (frame.width, frame.height) == (320, 180)
    assert frame.data == KEY + bytes(700)


def test_a_superframe_inside_a_layer_is_opened():
    inner = [DELTA + bytes(300), DELTA + bytes(20)]
    [frame] = push(layer(KEY + bytes(9), 0) + layer(superframe(inner), 1))
    assert split_superframe(frame.data) == [KEY + bytes(9), *inner]


@pytest.mark.parametrize("lost", range(5))
def test_a_picture_that_misses_a_packet_is_not_output(lost):
    payloads = layer(KEY + bytes(700), 0) + layer(DELTA + bytes(1400), 1)
    assert len(payloads) == 5
    assert all(isinstance(item, Loss) for item in push(payloads, {lost}))


def test_the_superframe_decodes_as_one_picture():
    """Two keyframes of one size stand for the layers: libvpx decodes both and shows the last."""
    low = encode(Codec.VP9)[0][0]
    high = encode(Codec.VP9, frames=3, width=640, height=360)[0][0]
    [frame] = push(layer(low, 0) + layer(high, 1))
    decoder = av.CodecContext.create("libvpx-vp9", "r")
    images = decoder.decode(av.Packet(frame.data)) + decoder.decode(None)
    assert [(image.width, image.height) for image in images] == [(640, 360)]


def superframe(frames):
    marker = bytes([0xC0 | 1 << 3 | len(frames) - 1])
    return b"".join(frames) + marker + b"".join(len(frame).to_bytes(2, "little") for frame in frames) + marker


def test_without_a_structure_the_frame_header_has_the_size():
    [frame] = push(layer(KEY + bytes(700), 0) + layer(DELTA + bytes(100), 1))
    assert (frame.keyframe, frame.width, frame.height) == (True, 320, 180)


@pytest.mark.parametrize(("data", "inter"), [(KEY, True), (DELTA, False)])
def test_descriptor_and_frame_header_must_agree_on_a_keyframe(data, inter):
    [frame] = push(layer(data + bytes(100), 0, inter=inter))
    assert (frame.keyframe, frame.width, frame.intact) == (False, 0, False)
