"""Routes that start in the past: at the newest keyframe, with all later packets that may still be sent."""

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sfu.engine import available_engines, create_engine
from sfu.engine.contract import Drop, Engine, RouteSource, StreamEntry, Switch
from sfu.engine.route import CATCH_UP_PACKETS
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import MILLISECOND, VIDEO, Publisher, Subscriber, rtx, vp8, vp8_picture
from tests.sfu.engine.test_switch import two_sources

SECOND = 1000 * MILLISECOND
FRAME_NS, FRAME = SECOND // 30, 3000
PAST = RouteSource(1, reach=SECOND)


class Camera:
    """A stream, number 1, of which the subscriber's route carries nothing yet. The first frame is a keyframe."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.publisher: Publisher
        self.subscriber: Subscriber
        self.publisher, self.subscriber = two_sources(engine)
        engine.switch_route(1, None)
        self.frames = 0

    @property
    def now(self) -> int:
        return self.frames * FRAME_NS

    def packet(self, number: int, *, key: bool = False, body: bytes = b"image") -> RtpPacket:
        return vp8(number, FRAME * number, picture=number, tl0=number, key=key, body=body)

    def send(
        self, frames: int = 1, *, key: bool = False, lost: bool = False, body: bytes = b"image"
    ) -> list[RtpPacket]:
        """Send frames of a packet each; return what leaves at once."""
        left = []
        for _ in range(frames):
            packet = self.packet(self.frames, key=key or self.frames == 0, body=body)
            batch = [] if lost else [self.publisher.protect(packet, self.now)]
            left += self.subscriber.received(self.engine.process(batch, self.now))
            self.frames += 1
        return left


def test_a_route_begins_with_the_newest_keyframe_that_came(engine: Engine) -> None:
    camera = Camera(engine)
    camera.send(3)
    camera.send(key=True)
    camera.send(9)
    assert engine.switch_route(1, PAST)
    left = camera.send() + camera.send()
    assert [packet.seq for packet in left] == list(range(500, 512))
    assert [vp8_picture(packet)[0] for packet in left] == list(range(3, 15))
    # Past frames are shown at once, so that new ones are on time.
    assert [packet.timestamp for packet in left] == [*range(11), 10 + FRAME]
    assert engine.route_state(1).packets == 12
    assert engine.drops[Drop.WAITING_FOR_KEYFRAME] == 0
    repaired = engine.retransmit(2, 0x1001, [left[4].seq], 0, 0)
    assert [packet.payload[2:] for packet in camera.subscriber.received(repaired)] == [left[4].payload]


def test_timestamps_go_on_where_the_route_has_carried_another_track(engine: Engine) -> None:
    camera = Camera(engine)
    camera.send(10)
    engine.switch_route(1, RouteSource(2))
    other = camera.publisher.protect(vp8(900, 77, ssrc=13, key=True), camera.now)
    (before,) = camera.subscriber.received(engine.process([other], camera.now))
    assert engine.switch_route(1, PAST)
    at = camera.now + SECOND // 10
    left = camera.subscriber.received(engine.process([camera.publisher.protect(camera.packet(10), at)], at))
    assert [packet.timestamp - before.timestamp for packet in left] == [*range(1, 9), 3000, 6000, 9000]
    assert [packet.seq for packet in left] == list(range(501, 512))


@pytest.mark.parametrize(
    "reason", ["old", "hole", "long", "large", "slow", "muted", "full", "unmapped", "carried", "forgotten"]
)
def test_it_waits_for_the_next_keyframe_where_the_past_cannot_be_sent(engine: Engine, reason: str) -> None:
    camera = Camera(engine)
    camera.send(2, body=bytes(900))
    if reason == "old":
        camera.send(30)
    elif reason == "hole":
        camera.send(lost=True)
        camera.send()
    elif reason == "long":
        more = [camera.publisher.protect(camera.packet(2 + k), 0) for k in range(CATCH_UP_PACKETS - 1)]
        engine.process(more, 0)
        camera.frames += len(more)
    elif reason == "large":
        more = [camera.publisher.protect(camera.packet(2 + k, body=bytes(1100)), 0) for k in range(450)]
        engine.process(more, 0)
        camera.frames += len(more)
    elif reason == "slow":
        engine.set_budget(2, 14_000)
    elif reason == "muted":
        engine.switch_route(1, PAST)
        engine.set_permitted(1, False)
        camera.send()
        engine.set_permitted(1, True)
    elif reason == "full":
        engine.add_stream(StreamEntry(3, 1, 15, VIDEO))
        camera.subscriber.add_route(3)
        engine.switch_route(3, RouteSource(3, at_keyframe=False))
        engine.set_budget(2, 10_000_000)
        engine.process([camera.publisher.protect(vp8(k, ssrc=15, body=bytes(900))) for k in range(600)], 0)
    elif reason == "unmapped":
        camera.subscriber.add_route(1, payload_types={97: 100})
        assert not engine.switch_route(1, PAST)
        camera.subscriber.add_route(1)
    elif reason == "carried":
        engine.switch_route(1, RouteSource(1, at_keyframe=False))
        camera.send()
        engine.switch_route(1, None)
    else:
        engine.remove_stream(1)
        engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
    if reason not in {"muted", "unmapped"}:
        assert not engine.switch_route(1, PAST)
    waiting = engine.drops[Drop.WAITING_FOR_KEYFRAME]
    assert camera.send(2) == []
    assert engine.drops[Drop.WAITING_FOR_KEYFRAME] == waiting + 2
    engine.set_budget(2, None)
    engine.release(camera.now)
    assert len(camera.send(key=True)) == 1


def test_a_keyframe_that_comes_meanwhile_is_taken_instead(engine: Engine) -> None:
    camera = Camera(engine)
    camera.send(5)
    engine.switch_route(1, PAST)
    assert [vp8_picture(packet)[0] for packet in camera.send(key=True)] == [5]


def test_a_switch_in_the_middle_of_the_keyframe(engine: Engine) -> None:
    camera = Camera(engine)
    parts = [vp8(k, 0, key=k == 0, start=k == 0, marker=k == 3) for k in range(4)]
    first, second, third, fourth = [camera.publisher.protect(part, 0) for part in parts]
    engine.process([first, second], 0)
    assert engine.switch_route(1, PAST)
    result = engine.process([fourth], 0)
    assert result.outgoing == []  # its repair may be under way
    result = engine.process([third], 0)
    assert [packet.payload for packet in camera.subscriber.received(result)] == [part.payload for part in parts]
    assert result.switches == [Switch(1, 1, 0)]


def test_it_leaves_within_the_budget(engine: Engine) -> None:
    camera = Camera(engine)
    camera.send(20, body=bytes(900))
    engine.set_budget(2, 400_000)
    assert engine.switch_route(1, PAST)
    left = camera.send()
    assert len(left) == 2
    times = []
    while (at := engine.next_release()) is not None:
        released = camera.subscriber.received(engine.release(at))
        left += released
        times.append(at - camera.now)
    assert [packet.seq for packet in left] == list(range(500, 521))
    assert SECOND // 4 < times[-1] < SECOND // 2
    assert engine.drops[Drop.QUEUE_FULL] == 0


def test_layers_that_are_not_wanted_are_left_out(engine: Engine) -> None:
    camera = Camera(engine)
    frames = [vp8(k, FRAME * k, picture=k, tl0=k // 2, temporal=k % 2, key=k == 0) for k in range(8)]
    engine.process([camera.publisher.protect(frame, 0) for frame in frames], 0)
    engine.switch_route(1, RouteSource(1, max_temporal=0, reach=SECOND))
    camera.frames = 8
    left = camera.send()
    assert [packet.seq for packet in left] == list(range(500, 505))
    assert [vp8_picture(packet) for packet in left] == [(k, k) for k in range(4)] + [(4, 8)]


@pytest.mark.parametrize("aligned", [True, False])
def test_nothing_older_is_shown_than_was_shown(engine: Engine, aligned: bool) -> None:
    """Stream 2 is another layer of the same pictures: its keyframe counts where it is later than what was seen."""
    camera = Camera(engine)
    engine.switch_route(1, RouteSource(1, 0))
    camera.send(10)
    late = 10 if aligned else 9
    small = [vp8(900 + k, 500 + FRAME * (late + k), ssrc=13, picture=70 + k, key=k == 0) for k in range(3)]
    engine.process([camera.publisher.protect(packet, camera.now) for packet in small[:2]], camera.now)
    engine.switch_route(1, None)
    assert engine.switch_route(1, RouteSource(2, -500, reach=SECOND)) == aligned
    result = engine.process([camera.publisher.protect(small[2], camera.now)], camera.now)
    assert [packet.timestamp for packet in camera.subscriber.received(result)] == (
        [FRAME * (10 + k) for k in range(3)] if aligned else []
    )


def test_without_a_keyframe_it_begins_with_what_comes_where_that_will_do(engine: Engine) -> None:
    camera = Camera(engine)
    camera.send(5)
    assert engine.switch_route(1, RouteSource(1, 0, at_keyframe=False, reach=SECOND))
    assert [packet.timestamp for packet in camera.send()] == [FRAME * k for k in range(6)]
    engine.switch_route(1, None)
    camera.send()
    assert not engine.switch_route(1, RouteSource(1, 0, at_keyframe=False, reach=SECOND))
    assert [packet.timestamp for packet in camera.send()] == [FRAME * 7]


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1 << 32))
def test_whatever_is_lost_and_switched_pictures_can_be_decoded_and_time_goes_on(seed: int) -> None:
    for name in available_engines():
        _check_pictures(create_engine(name), random.Random(seed))


def _check_pictures(engine: Engine, randoms: random.Random) -> None:
    """Two layers of the same pictures, aligned; each packet tells its layer, picture and part."""
    publisher, subscriber = two_sources(engine)
    engine.switch_route(1, None)
    shifts = {11: randoms.randrange(1 << 32), 13: randoms.randrange(1 << 32)}
    seqs = {11: randoms.randrange(1 << 16), 13: randoms.randrange(1 << 16)}
    losses = randoms.choice([0.0, 0.1])
    repairs: list[RtpPacket] = []
    received: dict[int, RtpPacket] = {}
    for frame in range(90):
        now = frame * FRAME_NS
        batch = [publisher.protect(rtx(packet, 9 * frame + k), now) for k, packet in enumerate(repairs)]
        repairs.clear()
        for ssrc in (11, 13):
            key = frame == 0 or randoms.random() < 0.05
            parts = randoms.randrange(1, 4)
            for part in range(parts):
                packet = vp8(
                    seqs[ssrc], FRAME * frame + shifts[ssrc], ssrc=ssrc, picture=frame, tl0=frame, key=key,
                    start=part == 0, marker=part == parts - 1, body=bytes([ssrc, frame, part, parts, key]),
                )  # fmt: skip
                seqs[ssrc] += 1
                if randoms.random() < losses:
                    repairs.append(packet)
                else:
                    batch.append(publisher.protect(packet, now))
        for packet in subscriber.received(engine.process(batch, now)):
            received[packet.seq] = packet
        if randoms.random() < 0.3:
            stream = randoms.choice([1, 2])
            engine.switch_route(1, None)
            if randoms.random() < 0.9:
                engine.switch_route(1, RouteSource(stream, -shifts[10 + 2 * stream - 1] & 0xFFFFFFFF, reach=SECOND))
    # The last packets may not be repaired any more.
    newest = max(received, default=0)
    missing = [seq for seq in range(500, newest - 12) if seq not in received]
    for packet in subscriber.received(engine.retransmit(2, 0x1001, missing, 90 * FRAME_NS, 0)):
        received[int.from_bytes(packet.payload[:2], "big")] = packet._replace(payload=packet.payload[2:])
    assert all(seq in received for seq in missing)
    said = [tuple(received[seq].payload[-5:]) for seq in sorted(received) if seq < newest - 12]
    for before, after in itertools.pairwise(said):
        assert after[0] != before[0] or after[1] - before[1] in {0, 1} or (after[2] == 0 and after[4])
        assert after[0] == before[0] or (after[2] == 0 and after[4])
        if not losses:
            assert after[1] >= before[1]
    times = [received[seq].timestamp for seq in sorted(received)]
    assert all((after - before) & 0xFFFFFFFF < 1 << 31 for before, after in itertools.pairwise(times))
