"""Assembly of packets from FFmpeg's RTP muxer, an independent implementation of the payload formats."""

import socket

import av
import pytest

from sfu.formats import rtp
from sfu.formats.unwrap import Unwrapper
from sfu.frames.assembler import Frame, FrameAssembler
from tests.support.encoders import ENCODERS, VIDEO, encode, normal, ordinary_priority


def packets_of_ffmpeg(codec, frames):
    """Return the RTP packets that FFmpeg sends for these frames, by way of a socket of our own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(30)
        port = receiver.getsockname()[1]
        url = f"rtp://127.0.0.1:{port}?pkt_size=700&localrtcpport=0"
        packets = []
        with ordinary_priority(), av.open(url, "w", format="rtp", options={"strict": "experimental"}) as output:
            stream = output.add_stream(ENCODERS[codec][0], rate=30)
            stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
            output.start_encoding()
            for index, (data, keyframe) in enumerate(frames):
                packet = av.Packet(data)
                packet.stream, packet.pts, packet.dts, packet.is_keyframe = stream, index, index, keyframe
                packet.time_base = stream.codec_context.time_base
                output.mux(packet)
                packets.append(receiver.recv(2000))
                receiver.setblocking(False)
                while not rtp.parse_header(packets[-1]).marker:
                    packets.append(receiver.recv(2000))
                receiver.settimeout(30)
        return packets


@pytest.mark.parametrize("codec", VIDEO, ids=lambda codec: codec.name)
def test_frames_of_ffmpeg_come_out_as_they_went_in(codec):
    frames = encode(codec)
    assembler = FrameAssembler(codec)
    unwrapper = Unwrapper(16)
    out = []
    for packet in packets_of_ffmpeg(codec, frames):
        out += assembler.push(unwrapper.unwrap(rtp.parse_header(packet).seq), 0, packet)
    assert all(isinstance(frame, Frame) for frame in out)
    assert [frame.keyframe for frame in out] == [keyframe for _, keyframe in frames]
    assert [frame.data for frame in out] == [normal(codec, data) for data, _ in frames]
