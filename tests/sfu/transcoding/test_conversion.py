"""A stream between Opus and a telephone's codec: sound, timing, loss, silence, and invalid input."""

from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sfu.formats.codecs import Codec
from sfu.formats.rtp import RtpPacket, parse, serialize
from sfu.transcoding.conversion import Conversion, Direction
from tests.sfu.transcoding.sound import (
    FRAME_NS,
    STEPS,
    TONE,
    heard,
    likeness,
    loudness,
    pitch,
    rate_of,
    spoken,
    tone,
)

PHONES = [Codec.G711_ULAW, Codec.G711_ALAW, Codec.G722]
WAYS = [Direction(phone, Codec.OPUS) for phone in PHONES] + [Direction(Codec.OPUS, phone) for phone in PHONES]
TYPES = {Codec.OPUS: 111, Codec.G711_ULAW: 0, Codec.G711_ALAW: 8, Codec.G722: 9}


def conversion(way: Direction) -> Conversion:
    return Conversion(way, TYPES[way.source], TYPES[way.target], 99)


def run(converting: Conversion, packets: list[tuple[int, bytes]], stream: int = 1) -> list[bytes]:
    """Packets with their numbers, each arriving when it was made."""
    return [out for n, rtp in packets for out in converting.push(stream, n, n * FRAME_NS, rtp)]


def said(way: Direction, frames: int, first: int = 0) -> list[tuple[int, bytes]]:
    return list(enumerate(spoken(way.source, frames, TYPES[way.source], first=first), first))


@pytest.mark.parametrize("way", WAYS)
def test_a_tone_keeps_its_pitch_and_level(way: Direction) -> None:
    packets = run(conversion(way), said(way, 100))
    sound, rate = heard(way.target, packets)[rate_of(way.target) // 2 :], rate_of(way.target)
    assert len(packets) == 100
    assert pitch(sound, rate) == pytest.approx(TONE, abs=2)
    assert loudness(sound) == pytest.approx(loudness(tone(rate, 50)), rel=0.15)
    assert likeness(sound, rate) > 0.98


@pytest.mark.parametrize("phone", PHONES)
def test_there_and_back_it_is_the_same_tone(phone: Codec) -> None:
    there, back = Direction(phone, Codec.OPUS), Direction(Codec.OPUS, phone)
    opus = run(Conversion(there, TYPES[phone], 111, 98), said(there, 100))
    again = run(Conversion(back, 111, TYPES[phone], 99), list(enumerate(opus)))
    rate = rate_of(phone)
    sound = heard(phone, again)[rate // 2 :]
    assert pitch(sound, rate) == pytest.approx(TONE, abs=2)
    assert loudness(sound) == pytest.approx(loudness(tone(rate, 50)), rel=0.2)
    assert likeness(sound, rate) > 0.97


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("first", [0, 65_500, 2**32 // 960 - 20])
def test_numbers_and_times_go_up_frame_by_frame(way: Direction, first: int) -> None:
    packets = [parse(rtp) for rtp in run(conversion(way), said(way, 50, first))]
    step = STEPS[way.target]
    assert {(packet.payload_type, packet.ssrc) for packet in packets} == {(TYPES[way.target], 99)}
    assert [packet.marker for packet in packets] == [True] + [False] * 49
    for one, next_one in pairwise(packets):
        assert (next_one.seq - one.seq) & 0xFFFF == 1
        assert (next_one.timestamp - one.timestamp) & 0xFFFF_FFFF == step


@pytest.mark.parametrize("way", WAYS)
def test_what_is_lost_is_filled(way: Direction) -> None:
    packets = [entry for entry in said(way, 100) if entry[0] not in {40, 41, 60}]
    sent = [parse(rtp) for rtp in run(conversion(way), packets)]
    assert len(sent) == 100
    assert not any(packet.marker for packet in sent[1:])
    sound = heard(way.target, map(serialize, sent))
    if way.source is Codec.OPUS:  # libopus makes it up
        frame = rate_of(way.target) // 50
        assert loudness(sound[60 * frame : 61 * frame]) > loudness(tone(8000, 50)) / 4


@pytest.mark.parametrize("way", WAYS)
def test_a_silence_is_not_sent_and_ends_with_the_marker(way: Direction) -> None:
    packets = said(way, 100)
    sent = [parse(rtp) for rtp in run(conversion(way), packets[:30])]
    assert len(sent) == 30
    later = [(30 + index, rtp) for index, (_, rtp) in enumerate(packets[80:])]  # nothing was lost between
    converting = conversion(way)
    out = [parse(rtp) for rtp in run(converting, packets[:30] + later)]
    assert [packet.marker for packet in out] == [True] + [False] * 29 + [True] + [False] * 19
    assert (out[30].timestamp - out[0].timestamp) & 0xFFFF_FFFF == 80 * STEPS[way.target]


@pytest.mark.parametrize("way", WAYS)
def test_packets_out_of_order_are_put_in_order_and_copies_dropped(way: Direction) -> None:
    packets = said(way, 60)
    mixed = [*packets[:20], packets[21], packets[20], packets[21], *packets[22:]]
    converting = conversion(way)
    sent = [out for at, (n, rtp) in enumerate(mixed) for out in converting.push(1, n, at * FRAME_NS, rtp)]
    assert sent and len(sent) == 60
    assert converting.drops == {"out_of_turn": 1}


@pytest.mark.parametrize("way", WAYS)
def test_a_sender_that_begins_anew_goes_on_in_the_same_stream(way: Direction) -> None:
    converting = conversion(way)
    before = [parse(rtp) for rtp in run(converting, said(way, 50))]
    anew = [rtp for _, rtp in said(way, 50, first=9000)]
    after = [parse(out) for n, rtp in enumerate(anew) for out in converting.push(2, n, (100 + n) * FRAME_NS, rtp)]
    assert after[0].marker and (after[0].seq - before[-1].seq) & 0xFFFF == 1
    elapsed = (after[0].timestamp - before[-1].timestamp) & 0xFFFF_FFFF
    assert elapsed == pytest.approx(51 * STEPS[way.target], abs=2 * STEPS[way.target])


def test_keys_pressed_are_dropped_with_a_reason() -> None:
    way = WAYS[0]
    packets = said(way, 30)
    event = serialize(RtpPacket(101, 15, 15 * 160, 7, b"\x05\x0a\x00\xa0"))  # RFC 4733
    packets[15] = (15, event)
    converting = conversion(way)
    assert len(run(converting, packets)) == 30
    assert converting.drops == {"payload_type": 1}


def test_opus_says_how_loud_it_is() -> None:
    way = WAYS[0]
    sent = [parse(rtp) for rtp in run(conversion(way), said(way, 20))]
    levels = [dict(packet.extensions)[1][0] for packet in sent]  # RFC 6464: whether it is speech, and −dBov
    assert all(level & 0x80 and 10 < level & 0x7F < 20 for level in levels)  # 8000 of 32768, as a sine: −15 dBov
    silence = serialize(RtpPacket(0, 20, 3200, 7, b"\xff" * 160))
    quiet = parse(run(conversion(way), [(20, silence)])[0])
    assert not dict(quiet.extensions)[1][0] & 0x80


@pytest.mark.parametrize("way", WAYS)
@settings(max_examples=60, deadline=None)
@example(  # a gap is filled, then its packet cannot be decoded, then the sound stops
    packets=[(0, 0, b"\x00", False), (1, 966, b"\x02", False), *[(0, 0, b"", False)] * 4, (2, 6732, b"\x00", False)]
)
@given(
    packets=st.lists(
        st.tuples(
            st.integers(0, 40),
            st.integers(0, 2**32 - 1) | st.integers(0, 40).map(lambda n: n * 160),
            st.binary(max_size=300),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_whatever_comes_what_leaves_is_in_order_and_bounded(
    way: Direction, packets: list[tuple[int, int, bytes, bool]]
) -> None:
    converting = conversion(way)
    sent: list[RtpPacket] = []
    for at, (seq, timestamp, payload, is_other) in enumerate(packets):
        payload_type = 101 if is_other else TYPES[way.source]
        rtp = serialize(RtpPacket(payload_type, seq, timestamp, 7, payload))
        out = converting.push(1, seq, at * FRAME_NS, rtp)
        assert len(out) <= 16 * 14  # 120 ms of sound, 120 ms filled and a frame under way, for each that waited
        sent += map(parse, out)
    for one, next_one in pairwise(sent):
        assert (next_one.seq - one.seq) & 0xFFFF == 1
        assert 0 < (next_one.timestamp - one.timestamp) & 0xFFFF_FFFF < 1 << 31
