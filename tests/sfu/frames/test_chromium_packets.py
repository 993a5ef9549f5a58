"""Assembly of Chromium's packets, with and without spatial and temporal layers: every picture decodes."""

import av
import pytest

from sfu.formats import rtp
from sfu.formats.unwrap import Unwrapper
from sfu.frames.assembler import Frame, FrameAssembler
from tests.support.captures import CODECS, captured
from tests.support.encoders import DECODERS


@pytest.mark.parametrize("name", CODECS)
def test_every_picture_is_one_frame_and_decodes(name):
    codec = CODECS[name]
    packets = captured(name)
    assembler = FrameAssembler(codec)
    unwrapper = Unwrapper(16)
    out = []
    for index, packet in enumerate(packets):
        out += assembler.push(unwrapper.unwrap(rtp.parse_header(packet).seq), index, packet)
    assert all(isinstance(frame, Frame) and frame.intact for frame in out)
    assert out[0].keyframe
    assert [frame.timestamp for frame in out] == sorted({rtp.parse_header(packet).timestamp for packet in packets})
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    images = [image for frame in out for image in decoder.decode(av.Packet(frame.data))] + decoder.decode(None)
    assert len(images) == len(out)
    assert (images[-1].width, images[-1].height) == (640, 360)
    for frame, image in zip(out, images, strict=True):
        if frame.keyframe:
            assert (frame.width, frame.height) == (image.width, image.height)
