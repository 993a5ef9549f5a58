"""A peer whose queue is full: a stream that has no room is cut before it gets numbers, up to a keyframe."""

from itertools import pairwise

import pytest

from sfu.engine.contract import Arrival, ArrivalFlag, Drop, Engine, Result, RouteSource, StreamEntry
from sfu.engine.pacer import QUEUE_PACKETS
from sfu.engine.route import CATCH_UP_PACKETS
from tests.sfu.engine.table import MILLISECOND, VIDEO, one_to_one, vp8

BUDGET = 1_000_000


class Stage:
    """A publisher whose frames of one packet go to a paced subscriber."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.publisher, self.subscriber = one_to_one(engine)
        engine.set_budget(2, BUDGET)
        self.now = MILLISECOND
        self.received: list[int] = []
        self.cuts: list[Arrival] = []
        self._seq = 0

    def publish(self, frames: int, *, key: bool = False) -> None:
        """Publish frames, the first of which is a keyframe with `key`."""
        for number in range(frames):
            packet = vp8(self._seq, 3000 * self._seq, key=key and number == 0, body=bytes(1000))
            self._seq += 1
            self.take(self.engine.process([self.publisher.protect(packet)], self.now))

    def fill(self) -> None:
        """Publish until the queue is full."""
        self.publish(1, key=True)
        while not self.engine.drops[Drop.QUEUE_FULL]:
            self.publish(1)

    def take(self, result: Result) -> None:
        """Note what a result sends to the subscriber, and its notices of cuts."""
        self.received += [packet.seq for packet in self.subscriber.received(result)]
        self.cuts += [arrival for arrival in result.arrivals if arrival.flags & ArrivalFlag.CUT]

    def release(self, packets: int) -> None:
        """Release waiting packets until this many have arrived."""
        for _ in range(packets):
            if len(self.received) >= packets:
                break
            due = self.engine.next_release()
            assert due is not None
            self.now = due
            self.received += [packet.seq for packet in self.subscriber.received(self.engine.release(due))]


@pytest.fixture
def stage(engine: Engine) -> Stage:
    return Stage(engine)


def test_a_full_queue_leaves_no_gap(stage: Stage) -> None:
    stage.fill()
    stage.publish(100)
    stage.release(QUEUE_PACKETS)
    stage.publish(1, key=True)
    stage.publish(20)
    while stage.engine.next_release() is not None:
        stage.release(len(stage.received) + 1)
    assert all(after == before + 1 for before, after in pairwise(stage.received))
    assert len(stage.received) >= QUEUE_PACKETS + 21
    assert stage.engine.drops[Drop.QUEUE_FULL] == 1
    assert stage.engine.drops[Drop.WAITING_FOR_KEYFRAME] == 100


def test_a_keyframe_is_asked_for_once_there_is_room_for_it(stage: Stage) -> None:
    stage.fill()
    stage.publish(50)
    assert not stage.cuts
    stage.release(QUEUE_PACKETS - CATCH_UP_PACKETS + 20)
    stage.publish(50)
    assert [(cut.peer, cut.stream, cut.gap) for cut in stage.cuts] == [(1, 1, 0)]


def test_a_keyframe_without_room_is_left_out_and_asked_for_again(stage: Stage) -> None:
    stage.fill()
    stage.publish(1, key=True)
    stage.publish(10)
    assert not stage.cuts
    assert stage.engine.drops[Drop.WAITING_FOR_KEYFRAME] == 11
    stage.release(QUEUE_PACKETS - CATCH_UP_PACKETS + 20)
    stage.publish(2)
    assert len(stage.cuts) == 1
    waiting = stage.engine.drops[Drop.WAITING_FOR_KEYFRAME]
    stage.publish(1, key=True)
    stage.publish(2)
    assert stage.engine.drops[Drop.WAITING_FOR_KEYFRAME] == waiting
    assert len(stage.cuts) == 1


def test_a_stream_does_not_continue_within_a_keyframe(stage: Stage) -> None:
    stage.fill()
    stage.publish(1)
    stage.release(QUEUE_PACKETS)
    waiting = stage.engine.drops[Drop.WAITING_FOR_KEYFRAME]
    late = vp8(5000, 1, key=True, start=False)
    stage.engine.process([stage.publisher.protect(late)], stage.now)
    assert stage.engine.drops[Drop.WAITING_FOR_KEYFRAME] == waiting + 1


def test_a_route_that_shows_something_else_begins_without_regard_to_the_cut(stage: Stage) -> None:
    engine = stage.engine
    stage.fill()
    stage.publish(1)
    engine.switch_route(1, None)
    engine.add_stream(StreamEntry(2, 1, 13, VIDEO))
    engine.switch_route(1, RouteSource(2))
    before = len(stage.received)
    stage.take(engine.process([stage.publisher.protect(vp8(0, key=True, ssrc=13))], stage.now))
    stage.release(before + 1)
    assert len(stage.received) == before + 1
