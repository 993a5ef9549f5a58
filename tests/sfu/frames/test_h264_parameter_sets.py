"""H.264 parameter sets: every keyframe contains them, wherever the sender put them."""

import base64

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize_h264, split_annex_b
from sfu.frames.assembler import FrameAssembler
from tests.support.encoders import encode

FRAMES = [split_annex_b(data) for data, _ in encode(Codec.H264)]
SPS, PPS = (next(unit for unit in FRAMES[0] if unit[0] & 0x1F == kind) for kind in (7, 8))
DELIMITER = b"\x09\xf0"


def annex_b(units):
    return b"".join(b"\0\0\0\1" + unit for unit in units)


def without_sets(units):
    return [unit for unit in units if unit not in (SPS, PPS)]


class Stream:
    """Pushes access units, each under a timestamp of its own."""

    def __init__(self, fmtp=""):
        self.assembler = FrameAssembler(Codec.H264, fmtp=fmtp)
        self.seq = 0

    def push(self, units, timestamp):
        out = []
        payloads = packetize_h264(annex_b(units))
        for index, payload in enumerate(payloads):
            packet = rtp.RtpPacket(102, 0, timestamp, 1, payload, marker=index == len(payloads) - 1)
            out += self.assembler.push(self.seq, self.seq, rtp.serialize(packet))
            self.seq += 1
        return out


def test_sets_sent_once_are_repeated_at_each_keyframe():
    stream = Stream()
    stream.push(FRAMES[0], 0)
    [frame] = stream.push(without_sets(FRAMES[6]), 3000)
    assert frame.keyframe
    assert (frame.width, frame.height) == (320, 180)
    assert frame.data == annex_b([SPS, PPS, *without_sets(FRAMES[6])])


def test_sets_stay_behind_the_delimiter():
    stream = Stream()
    stream.push(FRAMES[0], 0)
    [frame] = stream.push([DELIMITER, *without_sets(FRAMES[6])], 3000)
    assert split_annex_b(frame.data)[:3] == [DELIMITER, SPS, PPS]


def test_a_missing_picture_set_follows_the_sequence_set():
    stream = Stream()
    stream.push(FRAMES[0], 0)
    [frame] = stream.push([SPS, *without_sets(FRAMES[6])], 3000)
    assert split_annex_b(frame.data)[:2] == [SPS, PPS]


def test_sets_of_the_session_description_serve_the_first_keyframe():
    sets = ",".join(base64.b64encode(unit).decode() for unit in (SPS, PPS))
    stream = Stream(f"packetization-mode=1;sprop-parameter-sets={sets};profile-level-id=42e01f")
    [frame] = stream.push([DELIMITER, *without_sets(FRAMES[0])], 0)
    assert frame.keyframe
    assert split_annex_b(frame.data)[:3] == [DELIMITER, SPS, PPS]


def test_sets_alone_are_no_frame():
    stream = Stream()
    assert stream.push([SPS, PPS], 0) == []
    [frame] = stream.push(without_sets(FRAMES[0]), 3000)
    assert frame.keyframe


def test_an_idr_picture_without_sets_is_no_keyframe():
    [frame] = Stream().push([DELIMITER, *without_sets(FRAMES[0])], 0)
    assert not frame.keyframe
    assert not frame.intact


def test_damaged_sets_in_the_session_description_are_left_out():
    Stream("sprop-parameter-sets=%%%,Zg==,aA==,;a=b")
