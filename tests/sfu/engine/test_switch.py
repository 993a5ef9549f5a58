"""Flips from one source to the next: within a batch, at keyframes, with all numbers continuous."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine.contract import Drop, Engine, RouteSource, StreamEntry, Switch
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import (
    AUDIO,
    MILLISECOND,
    VIDEO,
    Publisher,
    Subscriber,
    one_to_one,
    opus,
    rtx,
    vp8,
    vp8_picture,
)


def two_sources(engine: Engine) -> tuple[Publisher, Subscriber]:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(2, 1, 13, VIDEO, 14))
    return publisher, subscriber


def test_flips_at_the_keyframe_within_a_batch(engine: Engine) -> None:
    publisher, subscriber = two_sources(engine)
    engine.process([publisher.protect(vp8(1, 0, key=True, picture=5, tl0=9), 0)], 0)
    engine.switch_route(1, RouteSource(2))
    batch = [
        publisher.protect(vp8(2, 3000, picture=6, tl0=10), 33 * MILLISECOND),
        publisher.protect(vp8(900, 50, ssrc=13, picture=700, tl0=200), 33 * MILLISECOND),
        publisher.protect(vp8(901, 3050, ssrc=13, picture=701, tl0=201, key=True), 66 * MILLISECOND),
        publisher.protect(vp8(902, 6050, ssrc=13, picture=702, tl0=202), 99 * MILLISECOND),
    ]
    result = engine.process(batch, 0)
    result2 = engine.process([publisher.protect(vp8(3, 6000, picture=7, tl0=11), 99 * MILLISECOND)], 0)

    received = subscriber.received(result)
    assert result.switches == [Switch(1, 2, 901)]
    assert result2.outgoing == []
    assert [packet.seq for packet in received] == [501, 502, 503]
    assert [packet.timestamp for packet in received] == [3000, 3000 + 2970, 3000 + 2970 + 3000]
    assert [vp8_picture(packet) for packet in received] == [(6, 10), (7, 11), (8, 12)]
    assert engine.route_state(1).stream == 2


def test_a_given_offset_is_kept_unless_time_would_go_back(engine: Engine) -> None:
    publisher, subscriber = two_sources(engine)
    engine.process([publisher.protect(vp8(1, 5000, key=True))], 0)
    base = engine.route_state(1).last_timestamp
    engine.switch_route(1, RouteSource(2, timestamp_offset=base + 100))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(7, 23, ssrc=13, key=True))], 0))
    assert packet.timestamp == base + 123
    assert engine.route_state(1).timestamp_offset == base + 100
    engine.switch_route(1, RouteSource(1, timestamp_offset=0))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(2, 0, key=True))], 0))
    assert packet.timestamp == base + 124


def test_late_packets_go_out_under_the_epoch_of_their_place(engine: Engine) -> None:
    publisher, subscriber = two_sources(engine)
    engine.process([publisher.protect(vp8(1, 0, key=True)), publisher.protect(vp8(3, 1, picture=3))], 0)
    engine.switch_route(1, RouteSource(2))
    engine.process([publisher.protect(vp8(900, 0, ssrc=13, key=True))], 0)

    lost = vp8(2, 1, picture=2)
    (late,) = subscriber.received(engine.process([publisher.protect(rtx(lost, 1))], 0))
    assert (late.seq, late.payload, late.timestamp) == (501, lost.payload, 1)
    # Packets after the flip's position were never sent, and are not sent now.
    assert engine.process([publisher.protect(rtx(vp8(4, 2), 2))], 0).outgoing == []


def test_stop_and_go_on(engine: Engine) -> None:
    publisher, subscriber = two_sources(engine)
    engine.process([publisher.protect(vp8(1, 0, key=True), 0)], 0)
    engine.switch_route(1, None)
    assert engine.process([publisher.protect(vp8(2, 3000))], 0).outgoing == []
    engine.switch_route(1, RouteSource(1))
    batch = [publisher.protect(vp8(3, 6000)), publisher.protect(vp8(4, 9000, key=True), 1000 * MILLISECOND)]
    (packet,) = subscriber.received(engine.process(batch, 0))
    assert (packet.seq, packet.timestamp) == (501, 90_000)


def test_a_keyframe_whose_beginning_is_repaired_late(engine: Engine) -> None:
    """The rest of the keyframe has passed by already: it follows from the cache."""
    publisher, subscriber = one_to_one(engine)
    rest = [vp8(11, 0, start=False, marker=False), vp8(12, 0, start=False), vp8(13, 3000, picture=2)]
    assert engine.process([publisher.protect(packet) for packet in rest[:2]], 0).outgoing == []
    batch = [publisher.protect(rtx(vp8(10, 0, key=True), 1)), publisher.protect(rest[2])]
    result = engine.process(batch, 0)
    assert [packet.seq for packet in subscriber.received(result)] == [500, 501, 502, 503]
    assert len(result.outgoing) == 4


def test_audio_flips_at_the_next_packet(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    engine.add_stream(StreamEntry(4, 1, 41, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.process([publisher.protect(opus(1, 0), 0), publisher.protect(opus(3, 1920), 40 * MILLISECOND)], 0)
    engine.process([publisher.protect(opus(77, 5, ssrc=41))], 0)
    engine.switch_route(2, RouteSource(4, at_keyframe=False))
    batch = [
        publisher.protect(opus(76, 0, ssrc=41), 60 * MILLISECOND),  # before the switch: never missed
        publisher.protect(opus(78, 965, ssrc=41), 60 * MILLISECOND),
    ]
    (packet,) = subscriber.received(engine.process(batch, 0))
    assert (packet.seq, packet.timestamp) == (503, 1920 + 960)


def test_removed_streams_leave_their_routes(engine: Engine) -> None:
    publisher, subscriber = two_sources(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    engine.remove_stream(1)
    assert engine.route_state(1).stream == -1
    engine.switch_route(1, RouteSource(2))
    engine.remove_stream(2)
    assert engine.process([publisher.protect(vp8(2))], 0).leftovers[0].peer == 1
    engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
    engine.switch_route(1, RouteSource(1))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(3, key=True))], 0))
    assert packet.seq == 501


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_numbers_are_continuous_over_any_switches(seed: int) -> None:
    from sfu.engine import available_engines, create_engine

    for name in available_engines():
        _check_continuity(create_engine(name), random.Random(seed))


def _check_continuity(engine: Engine, randoms: random.Random) -> None:
    """Two layers, in order, some padding, random switches: seqs without a hole, time and picture ids that only rise."""
    publisher, subscriber = two_sources(engine)
    seqs = {11: randoms.randrange(1 << 16), 13: randoms.randrange(1 << 16)}
    clocks = {11: randoms.randrange(1 << 32), 13: randoms.randrange(1 << 32)}
    pictures = {11: randoms.randrange(1 << 15), 13: randoms.randrange(1 << 15)}
    received: list[RtpPacket] = []
    for frame in range(60):
        arrival = frame * 33 * MILLISECOND
        batch = []
        for ssrc in (11, 13):
            key = frame == 0 or randoms.random() < 0.2
            for part in range(randoms.randrange(1, 4)):
                packet = vp8(
                    seqs[ssrc],
                    clocks[ssrc] + 3000 * frame,
                    ssrc=ssrc,
                    picture=(pictures[ssrc] + frame) & 0x7FFF,
                    tl0=frame,
                    key=key,
                    start=part == 0,
                )
                seqs[ssrc] += 1
                batch.append(publisher.protect(packet, arrival))
            if randoms.random() < 0.3:
                batch.append(publisher.protect(RtpPacket(96, seqs[ssrc] & 0xFFFF, 0, ssrc, b"", padding=5), arrival))
                seqs[ssrc] += 1
        received += subscriber.received(engine.process(batch, arrival))
        if randoms.random() < 0.3:
            gentle = [RouteSource(stream, 12345, once_flowing=True) for stream in (1, 2)]
            past = [RouteSource(1, reach=1000 * MILLISECOND), RouteSource(2, 12345, reach=1000 * MILLISECOND)]
            sources = [RouteSource(1), RouteSource(2), RouteSource(2, 12345), *gentle, *past, None]
            engine.switch_route(1, randoms.choice(sources))
    assert [packet.seq for packet in received] == [500 + k for k in range(len(received))]
    for before, after in itertools.pairwise(received):
        assert (after.timestamp - before.timestamp) & 0xFFFFFFFF < 1 << 31
        advance = (vp8_picture(after)[0] - vp8_picture(before)[0]) & 0x7FFF
        assert advance == (0 if after.timestamp == before.timestamp else 1)
    assert engine.drops[Drop.MALFORMED] == 0


def test_a_late_keyframe_of_the_stream_that_is_carried_keeps_its_place(engine: Engine) -> None:
    """A flip waits for the next keyframe in order: going back would use numbers twice."""
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, 0, key=True))], 0)
    engine.switch_route(1, RouteSource(1, max_temporal=0))
    engine.process([publisher.protect(vp8(3, 6000, picture=3)), publisher.protect(vp8(4, 9000, picture=4))], 0)
    result = engine.process([publisher.protect(rtx(vp8(2, 3000, picture=2, key=True), 1))], 0)
    assert [packet.seq for packet in subscriber.received(result)] == [501]
    assert len(result.outgoing) == 1
    assert result.switches == []
    result = engine.process([publisher.protect(vp8(5, 12_000, picture=5, key=True))], 0)
    assert [packet.seq for packet in subscriber.received(result)] == [504]
    assert len(result.switches) == 1
