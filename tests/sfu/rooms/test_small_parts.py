"""The schedule, token buckets, the capture clock, layer choice, caption history."""

from hypothesis import given
from hypothesis import strategies as st

from foundation.token_bucket import TokenBucket
from sfu.api.signaling import Caption
from sfu.engine.contract import Arrival, ArrivalFlag
from sfu.formats.codecs import Codec
from sfu.machines.repair.stream_progress import StreamProgress
from sfu.peers.context import Schedule
from sfu.peers.layers.layer_choice import choose_layer, choose_smallest
from sfu.peers.publish.capture_clock import CaptureClock
from sfu.peers.publish.ingress_stream import IngressStream
from sfu.peers.publish.nack_round_trip import NackRoundTrip
from sfu.rooms.caption_history import CaptionHistory

MS = 1_000_000
SECOND = 1000 * MS


@given(st.lists(st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 100)))))
def test_the_schedule_keeps_the_last_time_of_each_key(steps: list[tuple[int, int | None]]) -> None:
    schedule, expected = Schedule(), {}
    for key, at in steps:
        schedule.set(key, at)
        expected[key] = at
    waiting = {key: at for key, at in expected.items() if at is not None}
    assert schedule.next() == min(waiting.values(), default=None)
    due = schedule.due(50)
    assert sorted(map(str, due)) == sorted(str(key) for key, at in waiting.items() if at <= 50)
    assert [waiting[int(str(key))] for key in due] == sorted(waiting[int(str(key))] for key in due)


def test_a_bucket_allows_a_burst_and_then_its_rate() -> None:
    bucket = TokenBucket(2.0, 3.0)
    assert [bucket.take(0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(SECOND) for _ in range(3)] == [True, True, False]


def test_the_capture_clock_shifts_by_a_constant() -> None:
    clock = CaptureClock()
    clock.update(100 << 32, 500 << 32)
    clock.update(101 << 32, (501 << 32) + 12345)
    assert clock.to_own(102 << 32) == 502 << 32
    clock.update(0, 700 << 32)
    assert clock.to_own(1 << 32) == 701 << 32


def stream(rid: str, number: int) -> IngressStream:
    return IngressStream(number, number, Codec.VP8, 90000, rid=rid)


def feed(target: IngressStream, size: int, begin: int, seconds: int) -> None:
    progress = target.progress
    assert isinstance(progress, StreamProgress)
    for index in range(seconds * 10):
        at = begin + index * SECOND // 10
        progress.take(index, at, index * 9000, size)


def test_what_came_in_a_later_packet_is_not_asked_for_and_still_counts_as_lost() -> None:
    progress = StreamProgress()
    sound = IngressStream(1, 1, Codec.OPUS, 48_000, progress=progress)
    for seq in range(10):
        at, flags = seq * SECOND // 50, ArrivalFlag.RECOVERED if seq == 5 else ArrivalFlag(0)
        progress.take(seq, at, seq * 960, 100, repaired=seq == 5)
        sound.arrived(Arrival(0, 1, seq, 0, at, seq * 960, 100, flags))
    assert sound.feedback(9, SECOND // 5) == []
    block = sound.report_block(SECOND // 5)
    assert block is not None
    assert block.packets_lost == 1
    assert progress.frames == 9


def test_the_highest_layer_that_flows_is_chosen_with_hysteresis() -> None:
    low, high, rival = stream("q", 1), stream("f", 2), stream("g", 3)
    now = 10 * SECOND
    assert choose_layer([], None, now) is None
    assert choose_layer([low, high], None, now) is low
    for target, size in ((low, 100), (high, 1000), (rival, 1100)):
        feed(target, size, 7 * SECOND, 3)
    assert choose_layer([low, high], low, now) is high
    assert choose_layer([low, high, rival], high, now) is high
    high.ended()
    assert choose_layer([low, high], high, now) is low
    assert choose_layer([low, high], low, now + 60 * SECOND) is low


def test_a_large_picture_of_nothing_much_is_the_highest_layer_all_the_same() -> None:
    low, middle, high = stream("q", 1), stream("h", 2), stream("f", 3)
    now = 10 * SECOND
    for target, size, pixels in ((low, 300, 320 * 180), (middle, 900, 640 * 360), (high, 500, 1280 * 720)):
        target.pixels = pixels
        feed(target, size, 7 * SECOND, 3)
    assert choose_layer([high, middle, low], middle, now) is high
    assert choose_smallest([high, middle, low], high, now) is low
    high.pixels = 0
    assert choose_layer([high, middle, low], middle, now) is middle


def test_captions_are_kept_for_half_a_minute() -> None:
    history = CaptionHistory()
    base = {
        "v": 1,
        "meeting": "r",
        "participant": "p",
        "track": "t",
        "rev": 1,
        "start_ms": 0,
        "end_ms": 1,
        "lang": "en",
        "text": "x",
        "model": "m",
    }
    for second, final in ((0, True), (10, False), (20, True)):
        history.add(Caption(utterance=str(second), final=final, **base), second * SECOND)
    assert [caption.utterance for caption in history.recent(25 * SECOND)] == ["0", "20"]
    assert [caption.utterance for caption in history.recent(40 * SECOND)] == ["20"]


def test_repairs_tell_the_round_trip_unless_asked_for_twice() -> None:
    time = NackRoundTrip()
    assert time.smoothed == SECOND // 10
    time.asked(1, [5, 6], 100)
    time.asked(1, [6], 200)
    time.retransmitted(1, 6, 300)
    time.retransmitted(1, 9, 300)
    assert time.smoothed == SECOND // 10
    time.retransmitted(1, 5, 1100)
    assert time.smoothed == 1000
    time.asked(2, range(1000), 0)
    time.asked(2, range(1000), 1)
    assert len(time._asked) <= 256


def test_a_round_trip_longer_than_our_patience_is_learnt_from_packets_asked_for_twice() -> None:
    time = NackRoundTrip()
    for place in range(6):
        time.asked(1, [place], 0)
        time.asked(1, [place], 120 * MS)
        time.retransmitted(1, place, (300 + place) * MS)
        assert time.smoothed == (100 * MS if place < 4 else 300 * MS)
    time.asked(1, [7], 0)
    time.retransmitted(1, 7, 220 * MS)
    assert time.smoothed == 290 * MS
