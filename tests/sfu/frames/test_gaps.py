"""Gaps in a stream: how long they are awaited, what they cost, and what closes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu.formats import rtp
from sfu.formats.codecs import Codec
from sfu.formats.packetize import packetize
from sfu.frames.assembler import Frame, FrameAssembler, Loss, LossReason

MS = 1_000_000
WAIT = 100 * MS


def packet(payload=b"sound", timestamp=0, marker=False, padding=0):
    return rtp.serialize(rtp.RtpPacket(111, 0, timestamp, 1, payload, marker=marker, padding=padding))


def vp8(timestamp, packets=3, keyframe=False):
    """Return the packets of a VP8 frame."""
    frame = (b"\x10" if keyframe else b"\x11") + bytes(100 * packets - 30)
    payloads = packetize(Codec.VP8, frame, keyframe=keyframe, max_bytes=100)
    assert len(payloads) == packets
    return [packet(payload, timestamp, index == packets - 1) for index, payload in enumerate(payloads)]


def audio(**options):
    return FrameAssembler(Codec.OPUS, max_wait=WAIT, **options)


def seqs(out):
    return [(item.first_ext_seq, item.last_ext_seq if isinstance(item, Frame) else item.reason) for item in out]


def test_a_late_packet_fills_its_gap_in_order():
    assembler = audio()
    assert seqs(assembler.push(10, 0, packet())) == [(10, 10)]
    assert assembler.push(12, 5 * MS, packet()) == []
    assert assembler.timer() == 5 * MS + WAIT
    assert seqs(assembler.push(11, 90 * MS, packet())) == [(11, 11), (12, 12)]
    assert assembler.timer() is None


def test_a_gap_is_given_up_when_its_time_is_over():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(13, 5 * MS, packet())
    assert assembler.flush(5 * MS + WAIT - 1) == []
    [loss, frame] = assembler.flush(5 * MS + WAIT)
    assert loss == Loss(11, 2, LossReason.EXPIRED, False)
    assert frame.first_ext_seq == 13
    assert assembler.push(11, 6 * MS + WAIT, packet()) == []
    assert assembler.late_packets == 1


def test_arrivals_expire_a_gap_too():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(12, 0, packet())
    assert seqs(assembler.push(13, WAIT, packet())) == [(11, LossReason.EXPIRED), (12, 12), (13, 13)]


def test_each_gap_has_its_own_time():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(12, 0, packet())
    assembler.push(14, 60 * MS, packet())
    assert seqs(assembler.flush(WAIT)) == [(11, LossReason.EXPIRED), (12, 12)]
    assert assembler.timer() == 60 * MS + WAIT
    assert seqs(assembler.flush(60 * MS + WAIT)) == [(13, LossReason.EXPIRED), (14, 14)]


def test_what_the_sfu_says_is_missed_is_not_waited_for():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(13, 0, packet())
    assert seqs(assembler.missed(11, 2)) == [(11, LossReason.MISSED), (13, 13)]


def test_missed_packets_may_be_announced_before_their_gap_shows():
    assembler = audio()
    assembler.push(10, 0, packet())
    assert assembler.missed(12, 2) == []
    assert seqs(assembler.push(11, 0, packet())) == [(11, 11), (12, LossReason.MISSED)]
    assert seqs(assembler.push(14, 0, packet())) == [(14, 14)]


def test_what_came_of_a_missed_range_is_kept():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(12, 0, packet())
    out = assembler.missed(11, 3)
    assert seqs(out) == [(11, LossReason.MISSED), (12, 12), (13, LossReason.MISSED)]


def test_a_missed_range_inside_a_gap_is_told_apart():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(17, 0, packet())
    assembler.missed(13, 2)
    assembler.missed(15, 1)
    assert seqs(assembler.flush(WAIT)) == [
        (11, LossReason.EXPIRED),
        (13, LossReason.MISSED),
        (15, LossReason.MISSED),
        (16, LossReason.EXPIRED),
        (17, 17),
    ]


def test_a_stream_may_begin_with_a_loss():
    assembler = audio(first_ext_seq=8)
    assembler.push(10, 0, packet())
    assert assembler.flush(WAIT)[0] == Loss(8, 2, LossReason.EXPIRED, False)


def test_an_assembler_resumes_where_a_frame_ended():
    """Without the keyframe's beginning a frame is uncertain; after an earlier assembler's last frame it is not."""
    later_slice = rtp.serialize(rtp.RtpPacket(102, 0, 0, 1, b"\x41\x9a", marker=True))
    fresh = FrameAssembler(Codec.H264, first_ext_seq=7)
    assert isinstance(fresh.push(7, 0, later_slice)[0], Loss)
    resumed = FrameAssembler(Codec.H264, first_ext_seq=7, resumes=True)
    assert isinstance(resumed.push(7, 0, later_slice)[0], Frame)


def test_a_full_buffer_gives_the_oldest_gap_up():
    assembler = audio(max_packets=4)
    assembler.push(0, 0, packet())
    for seq in range(2, 6):
        assert assembler.push(seq, 0, packet()) == []
    assert seqs(assembler.push(6, 0, packet()))[0] == (1, LossReason.OVERFLOW)


def test_duplicates_are_counted_and_dropped():
    assembler = audio()
    assembler.push(10, 0, packet())
    assembler.push(12, 0, packet())
    assert assembler.push(10, 0, packet()) == []
    assert assembler.push(12, 0, packet()) == []
    assert assembler.late_packets == 2


def test_what_is_not_rtp_is_refused_and_counts_as_not_received():
    assembler = audio()
    assembler.push(10, 0, packet())
    with pytest.raises(ValueError):
        assembler.push(11, 0, b"nonsense")
    assert seqs(assembler.push(11, 0, packet())) == [(11, 11)]


def test_padding_closes_a_gap_and_is_in_no_frame():
    assembler = FrameAssembler(Codec.VP8, max_wait=WAIT)
    first, second, third = vp8(3000)
    out = []
    for seq, data in enumerate([*vp8(0, keyframe=True), packet(b"", 0, padding=200), first, second, third]):
        out += assembler.push(seq, seq * MS, data)
    assert seqs(out) == [(0, 2), (4, 6)]
    assert all(frame.intact for frame in out)


def test_a_frame_that_misses_a_packet_is_a_loss_as_a_whole():
    assembler = FrameAssembler(Codec.VP8, max_wait=WAIT)
    key, broken, after = vp8(0, keyframe=True), vp8(3000), vp8(6000)
    out = []
    for seq, data in enumerate([*key, *broken, *after]):
        if seq != 4:
            out += assembler.push(seq, seq * MS, data)
    out += assembler.flush(1000 * MS)
    assert seqs(out) == [
        (0, 2),
        (3, LossReason.INCOMPLETE),
        (4, LossReason.EXPIRED),
        (5, LossReason.INCOMPLETE),
        (6, 8),
    ]
    assert [item.keyframe_needed for item in out if isinstance(item, Loss)] == [True] * 3
    assert [item.intact for item in out if isinstance(item, Frame)] == [True, False]
    assert assembler.push(9, 2000 * MS, vp8(9000, 1, keyframe=True)[0])[0].intact


@pytest.mark.parametrize("lost", [{2}, {3}, {2, 3}, {2, 3, 4}])
def test_the_frames_beside_a_lost_border_are_not_mistaken_for_whole(lost):
    """The last packet of one frame or the first of the next is lost, or both."""
    assembler = FrameAssembler(Codec.VP8, max_wait=WAIT)
    out = []
    for seq, data in enumerate([*vp8(0, keyframe=True), *vp8(3000), *vp8(6000)]):
        if seq not in lost:
            out += assembler.push(seq, seq * MS, data)
    out += assembler.drain()
    frames = {(item.first_ext_seq, item.last_ext_seq) for item in out if isinstance(item, Frame)}
    whole = {(first, first + 2) for first in (0, 3, 6) if not lost & set(range(first, first + 3))}
    assert frames == whole


def test_a_frame_arrives_when_its_first_packet_did():
    assembler = FrameAssembler(Codec.VP8, max_wait=WAIT)
    first, second, third = vp8(0, keyframe=True)
    assembler.push(0, 20 * MS, first)
    assembler.push(2, 22 * MS, third)
    [frame] = assembler.push(1, 90 * MS, second)
    assert frame.arrival == 20 * MS


def test_a_frame_without_end_cannot_grow_for_ever():
    assembler = FrameAssembler(Codec.VP8, max_wait=WAIT, max_packets=100)
    out = []
    for seq in range(1000):
        out += assembler.push(seq, 0, packet(b"\x10\x10data", 0))
    assert out[0] == Loss(0, 100, LossReason.OVERFLOW, True)
    assert sum(item.packets for item in out) == 900
    [rest] = assembler.drain()
    assert rest == Loss(900, 100, LossReason.INCOMPLETE, True)


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 50), st.binary(max_size=6), st.integers(0, 3), st.booleans()),
        max_size=40,
    ),
    st.sampled_from([codec for codec in Codec if codec not in (Codec.RTX, Codec.RED)]),
)
def test_whatever_comes_every_packet_is_accounted_for_at_most_once(arrivals, codec):
    assembler = FrameAssembler(codec, max_wait=10, max_packets=8)
    out = []
    now = 0
    for seq, wait, payload, timestamp, marker in arrivals:
        now += wait
        out += assembler.push(seq, now, packet(payload, timestamp, marker))
    out += assembler.drain()
    expected = -1
    for item in out:
        assert item.first_ext_seq > expected
        expected = item.last_ext_seq if isinstance(item, Frame) else item.first_ext_seq + item.packets - 1
        assert expected >= item.first_ext_seq
