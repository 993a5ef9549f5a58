"""Assembly of real encoders' frames: every frame is unchanged and decodes."""

import random

import av
import pytest

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.frames.assembler import Frame, FrameAssembler, Loss, LossReason
from tests.support.encoders import DECODERS, LOOKING_AHEAD, TICKS, VIDEO, encode, normal, packets_of

MS = 1_000_000
FIRST = 65_530  # the numbering and the timestamps wrap on the way
TIMESTAMP = 2**32 - 2 * TICKS


@pytest.fixture(params=VIDEO, ids=lambda codec: codec.name)
def codec(request) -> Codec:
    return request.param


def assembled(codec, packets):
    assembler = FrameAssembler(codec)
    out = []
    for number, (seq, data) in enumerate(packets):
        out += assembler.push(seq, number * MS, data)
    assert assembler.drain() == []
    return out


def test_every_frame_comes_out_as_it_went_in(codec):
    frames = encode(codec)
    out = assembled(codec, packets_of(codec, frames, FIRST, TIMESTAMP))
    assert all(isinstance(frame, Frame) for frame in out)
    assert [frame.data for frame in out] == [normal(codec, data) for data, _ in frames]
    assert [frame.keyframe for frame in out] == [keyframe for _, keyframe in frames]
    assert [frame.timestamp for frame in out] == [TIMESTAMP + TICKS * index for index in range(len(frames))]
    assert {(frame.width, frame.height) for frame in out if frame.keyframe} == {(320, 180)}
    assert all(frame.intact for frame in out)


def test_assembled_frames_decode(codec):
    frames = encode(codec)
    decoder = av.CodecContext.create(DECODERS[codec], "r")
    images = []
    for frame in assembled(codec, packets_of(codec, frames)):
        images += decoder.decode(av.Packet(frame.data))
    images += decoder.decode(None)
    assert len(images) == len(frames)
    assert {(image.width, image.height) for image in images} == {(320, 180)}


def test_without_markers_the_next_timestamp_ends_a_frame(codec):
    frames = encode(codec)
    unmarked = [(seq, rtp.serialize(rtp.parse(data)._replace(marker=False))) for seq, data in packets_of(codec, frames)]
    assembler = FrameAssembler(codec)
    out = [item for seq, data in unmarked for item in assembler.push(seq, seq, data)]
    if codec is Codec.VP8:  # nothing else tells that a frame is complete
        assert all(isinstance(item, Loss) and item.reason is LossReason.INCOMPLETE for item in out)
    else:
        assert [frame.data for frame in out] == [normal(codec, data) for data, _ in frames[:-1]]
    [rest] = assembler.drain()
    assert isinstance(rest, Loss)


@pytest.mark.parametrize("codec", [Codec.VP8, Codec.VP9, Codec.AV1], ids=lambda codec: codec.name)  # H264: see RFC 6184
def test_a_frame_whose_rest_its_sender_dropped_is_incomplete(codec):
    """libwebrtc drops the rest of a frame if its uplink becomes narrow, and numbers its packets only as they leave."""
    frames = encode(codec)
    packets = [data for _, data in packets_of(codec, frames)]
    ends = [place for place, data in enumerate(packets) if rtp.parse(data).marker]
    begins = [0, *(place + 1 for place in ends)]
    cut = next(number for number in range(1, len(ends)) if ends[number] > begins[number])
    left = packets[: ends[cut]] + packets[ends[cut] + 1 :]
    sent = [rtp.parse(data)._replace(seq=seq) for seq, data in enumerate(left)]
    out = assembled(codec, [(seq, rtp.serialize(packet)) for seq, packet in enumerate(sent)])
    whole = [normal(codec, data) for number, (data, _) in enumerate(frames) if number != cut]
    assert [item.data for item in out if isinstance(item, Frame)] == whole
    assert [item.reason for item in out if isinstance(item, Loss)]


@pytest.mark.parametrize("codec", LOOKING_AHEAD, ids=lambda codec: codec.name)
def test_hidden_frames_stay_with_the_picture_they_came_with(codec):
    frames = encode(codec, frames=40, keyframe_every=20, looking_ahead=True)
    packets = packets_of(codec, frames)
    assert [frame.data for frame in assembled(codec, packets)] == [normal(codec, data) for data, _ in frames]
    for seed in range(10):
        dice = random.Random(seed)
        assembler = FrameAssembler(codec)
        out = [item for seq, data in packets if dice.random() > 0.1 for item in assembler.push(seq, seq, data)]
        sent = {normal(codec, data) for data, _ in frames}
        assert all(item.data in sent for item in out if isinstance(item, Frame))


@pytest.mark.parametrize("seed", range(12))
def test_loss_and_reordering_never_damage_a_frame(codec, seed):
    """Whatever is lost, each output frame equals an input frame; every packet is accounted for once."""
    dice = random.Random(seed)
    frames = encode(codec)
    packets = packets_of(codec, frames, FIRST, TIMESTAMP)
    sent = dict(zip(first_seqs(packets), frames, strict=True))
    kept = [packet for packet in packets[1:] if dice.random() > 0.08]
    kept.sort(key=lambda packet: packet[0] + dice.random() * 4)
    assembler = FrameAssembler(codec, max_wait=20 * MS, first_ext_seq=FIRST)
    out = []
    for number, (seq, data) in enumerate(kept):
        out += assembler.push(seq, number * MS, data)
    out += assembler.drain()
    expected = FIRST
    intact = False
    for item in out:
        assert item.first_ext_seq == expected
        if isinstance(item, Frame):
            data, keyframe = sent[item.first_ext_seq]
            assert item.data == normal(codec, data)
            assert item.keyframe == keyframe
            intact = intact or keyframe
            assert item.intact is intact
            expected = item.last_ext_seq + 1
        else:
            assert item.keyframe_needed
            intact = False
            expected += item.packets
    assert expected == max(seq for seq, _ in kept) + 1
    assert any(isinstance(item, Loss) for item in out)


def first_seqs(packets):
    firsts = []
    previous = None
    for seq, data in packets:
        timestamp = rtp.parse(data).timestamp
        if timestamp != previous:
            firsts.append(seq)
        previous = timestamp
    return firsts
