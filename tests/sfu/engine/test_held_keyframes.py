"""Flips that wait until the stream flows: the old source continues meanwhile, then the keyframe leaves the cache."""

import pytest

from sfu.engine.contract import Datagram, Engine, RouteSource, Switch
from sfu.engine.route import FLOWS, HELD_PACKETS, LONGEST_HOLD
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import MILLISECOND, Publisher, Subscriber, one_to_one, rtx, vp8, vp8_picture
from tests.sfu.engine.test_switch import two_sources

FRAME = 3000
GENTLY = RouteSource(2, timestamp_offset=0, once_flowing=True)


class Layers:
    """A large layer that is carried, stream 1, and a small one to go to, stream 2: both encode the same pictures."""

    def __init__(self, engine: Engine, source: RouteSource = GENTLY) -> None:
        self.engine = engine
        self.publisher: Publisher
        self.subscriber: Subscriber
        self.publisher, self.subscriber = two_sources(engine)
        self.seqs = {11: 0, 13: 900}
        self.switches: list[Switch] = []
        self.send(0, vp8(0, key=True))
        self.switches.clear()
        engine.switch_route(1, source)

    def send(self, frame: int, *packets: RtpPacket, at: int | None = None) -> list[RtpPacket]:
        """Send packets of one frame, numbered; return what leaves."""
        batch = []
        arrival = frame * 33 * MILLISECOND if at is None else at
        for packet in packets:
            seq = self.seqs[packet.ssrc]
            self.seqs[packet.ssrc] += 1
            batch.append(self.publisher.protect(packet._replace(seq=seq, timestamp=FRAME * frame), arrival))
        return self.taken(batch, arrival)

    def lose_one_of_a_keyframe(self) -> RtpPacket:
        """Send a keyframe of two packets, of which the second is lost; return that."""
        self.send(1, small(70, key=True, marker=False), large(2))
        self.seqs[13] += 1
        return vp8(901, FRAME, picture=70, tl0=70, start=False, ssrc=13, body=b"small")

    def taken(self, batch: list[Datagram], now: int = 0) -> list[RtpPacket]:
        result = self.engine.process(batch, now)
        self.switches += result.switches
        return self.subscriber.received(result)


def large(picture: int, *, key: bool = False) -> RtpPacket:
    return vp8(0, picture=picture, tl0=picture, key=key)


def small(picture: int, *, key: bool = False, start: bool = True, marker: bool = True) -> RtpPacket:
    return vp8(0, picture=picture, tl0=picture, key=key, start=start, marker=marker, ssrc=13, body=b"small")


def is_small(packet: RtpPacket) -> bool:
    return packet.payload.endswith(b"small")


def test_what_is_carried_goes_on_until_the_frame_after_the_keyframe(engine: Engine) -> None:
    layers = Layers(engine)
    sent = layers.send(1, large(2), small(70, key=True, marker=False), small(70, start=False))
    for frame in range(2, 9):
        sent += layers.send(frame, large(frame + 1))
    assert not any(is_small(packet) for packet in sent)
    assert layers.switches == []

    flipped = layers.send(9, small(71), large(10))
    assert layers.switches == [Switch(1, 2, 900)]
    assert [is_small(packet) for packet in flipped] == [True, True, True]
    every = [*sent, *flipped, *layers.send(10, small(72))]
    assert [packet.seq for packet in every] == list(range(501, 501 + len(every)))
    assert [vp8_picture(packet)[0] for packet in every[-4:]] == [10, 10, 11, 12]
    # The keyframe directly follows the forwarded frames; later frames keep their own times.
    assert [packet.timestamp for packet in every[-4:]] == [8 * FRAME + 1, 8 * FRAME + 1, 9 * FRAME, 10 * FRAME]
    assert engine.route_state(1).timestamp_offset == 0


def test_timestamps_fall_back_as_far_as_they_may(engine: Engine) -> None:
    layers = Layers(engine, RouteSource(2, timestamp_offset=-2 * FRAME, once_flowing=True))
    layers.send(1, large(2), small(70, key=True))
    layers.send(2, large(3))
    sent = [packet for frame in range(3, 7) for packet in layers.send(frame, small(68 + frame))]
    assert [packet.timestamp for packet in sent] == [2 * FRAME + 1, 2 * FRAME + 2, 2 * FRAME + 3, 3 * FRAME, 4 * FRAME]
    assert engine.route_state(1).timestamp_offset == -2 * FRAME & 0xFFFFFFFF


def test_repairs_of_a_held_keyframe_equal_their_first_sending(engine: Engine) -> None:
    layers = Layers(engine)
    layers.send(1, large(2), small(70, key=True))
    layers.send(2, large(3))
    first, second = layers.send(3, small(71))
    repaired = engine.retransmit(2, 0x1001, [first.seq, second.seq], 0, 0)
    for original, copy in zip((first, second), layers.subscriber.received(repaired), strict=True):
        assert copy.payload[2:] == original.payload
        assert copy.timestamp == original.timestamp


def test_a_keyframe_that_lacks_a_packet_waits_for_its_repair(engine: Engine) -> None:
    layers = Layers(engine)
    lost = layers.lose_one_of_a_keyframe()
    assert layers.send(2, small(71)) == []
    assert layers.taken([layers.publisher.protect(rtx(lost, 1), 67 * MILLISECOND)]) == []
    sent = layers.send(3, small(72))
    assert [packet.seq for packet in sent] == [502, 503, 504, 505]
    assert [packet.timestamp for packet in sent] == [FRAME + 1, FRAME + 1, 2 * FRAME, 3 * FRAME]


def test_it_does_not_wait_for_ever_and_what_comes_then_is_as_what_it_belongs_to(engine: Engine) -> None:
    layers = Layers(engine)
    lost = layers.lose_one_of_a_keyframe()
    frames = LONGEST_HOLD // (33 * MILLISECOND)
    for frame in range(2, frames + 2):
        sent = layers.send(frame, small(69 + frame), large(frame + 1))
        assert [is_small(packet) for packet in sent] == [False]
    first, *after = layers.send(frames + 2, small(71 + frames))
    (late,) = layers.taken([layers.publisher.protect(rtx(lost, 1))])
    assert [packet.seq - first.seq for packet in (late, *after)] == list(range(1, frames + 3))
    assert late.timestamp == first.timestamp


def test_times_do_not_fall_back_within_a_frame(engine: Engine) -> None:
    """A frame whose beginning is missing keeps its timestamp for later packets."""
    layers = Layers(engine)
    layers.send(1, large(2), small(70, key=True))
    for frame in range(2, 5):
        layers.send(frame, large(frame + 1))
    parts = [vp8(900 + part, 0, picture=72, tl0=72, start=part == 2, ssrc=13, body=b"small") for part in range(5)]
    layers.send(4, small(71))
    layers.seqs[13] += 1
    second, third = layers.send(5, *[part._replace(marker=False) for part in parts[3:]])
    lost = parts[2]._replace(timestamp=5 * FRAME)
    (first,) = layers.taken([layers.publisher.protect(rtx(lost, 1))])
    assert [second.seq - first.seq, third.seq - first.seq] == [1, 2]
    assert first.timestamp == second.timestamp == third.timestamp


def test_a_second_keyframe_is_held_in_place_of_the_first(engine: Engine) -> None:
    layers = Layers(engine)
    layers.send(1, large(2), small(70, key=True))
    layers.send(2, large(3), small(71, key=True))
    flipped = layers.send(3, small(72))
    assert layers.switches == [Switch(1, 2, 901)]
    assert [vp8_picture(packet)[0] for packet in flipped] == [4, 5]


def test_no_more_than_keyframes_flips_after_a_while(engine: Engine) -> None:
    layers = Layers(engine)
    frames = LONGEST_HOLD // (33 * MILLISECOND) + 2
    for frame in range(1, frames):
        layers.send(frame, large(frame + 1), small(69 + frame, key=True))
        assert layers.switches == []
    layers.send(frames, small(69 + frames, key=True))
    assert layers.switches == [Switch(1, 2, 898 + frames)]


def test_a_keyframe_too_large_to_be_held_leaves_as_it_comes(engine: Engine) -> None:
    layers = Layers(engine)
    parts = [small(70, key=part == 0, start=part == 0, marker=False) for part in range(HELD_PACKETS + 2)]
    assert layers.send(1, *parts[:HELD_PACKETS]) == []
    assert len(layers.send(1, parts[HELD_PACKETS])) == HELD_PACKETS + 1
    assert len(layers.send(1, parts[HELD_PACKETS + 1])) == 1


@pytest.mark.parametrize("silence", [FLOWS - 1, FLOWS])
def test_nothing_is_held_for_what_flows_no_more(engine: Engine, silence: int) -> None:
    layers = Layers(engine)
    assert bool(layers.send(1, small(70, key=True), at=silence)) == (silence == FLOWS)


def test_nothing_is_held_where_nothing_is_carried_or_times_are_not_known(engine: Engine) -> None:
    layers = Layers(engine, RouteSource(2, once_flowing=True))
    assert len(layers.send(1, small(70, key=True))) == 1
    engine.switch_route(1, None)
    engine.switch_route(1, RouteSource(1, timestamp_offset=0, once_flowing=True))
    assert len(layers.send(2, large(3, key=True))) == 1


def test_a_held_keyframe_outlives_other_layers_and_the_end_of_what_is_carried(engine: Engine) -> None:
    layers = Layers(engine)
    layers.send(1, large(2), small(70, key=True))
    engine.switch_route(1, RouteSource(2, 0, max_temporal=0, once_flowing=True))
    engine.remove_stream(1)
    assert [packet.seq for packet in layers.send(2, small(71))] == [502, 503]


def test_what_is_called_off_is_not_held_any_more(engine: Engine) -> None:
    layers = Layers(engine)
    layers.send(1, large(2), small(70, key=True))
    engine.switch_route(1, RouteSource(1, timestamp_offset=0, at_keyframe=False))
    layers.send(2, large(3))
    engine.switch_route(1, GENTLY)
    assert layers.send(3, small(71)) == []
    layers.send(4, large(5), small(72, key=True))
    assert [vp8_picture(packet)[0] for packet in layers.send(5, small(73))] == [6, 7]


def test_the_first_picture_does_not_wait(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.switch_route(1, RouteSource(1, timestamp_offset=0, once_flowing=True))
    result = engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert len(subscriber.received(result)) == 1
