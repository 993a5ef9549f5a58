"""A peer's budget: packets beyond it wait, repairs come before video, and audio never waits."""

import pytest

from sfu.engine.contract import Drop, Engine, RouteSource, StreamEntry
from tests.sfu.engine.table import AUDIO, MILLISECOND, Publisher, Subscriber, one_to_one, opus, vp8

BUDGET = 1_000_000  # bits per second: 125 bytes per millisecond


def paced(engine: Engine) -> tuple[Publisher, Subscriber]:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.set_budget(2, BUDGET)
    return publisher, subscriber


def test_what_exceeds_the_budget_waits(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(10)]
    now = MILLISECOND
    received = subscriber.received(engine.process(batch, now))
    assert 1 <= len(received) < 4
    times = []
    while (due := engine.next_release()) is not None:
        assert engine.release(due - 1) == []
        now = due
        more = subscriber.received(engine.release(now))
        times += [now] * len(more)
        received += more
    assert [packet.seq for packet in received] == list(range(500, 510))
    # 8.4 ms per packet of about 1050 bytes.
    assert 8 * MILLISECOND < times[-1] - times[-2] < 9 * MILLISECOND
    transport = [int.from_bytes(dict(packet.extensions)[3], "big") for packet in received]
    assert transport == list(range(10))
    assert engine.release(now) == []


def test_what_waits_is_released_in_runs(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    engine.set_budget(2, 8_000_000)  # about 1 ms per packet
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(60)]
    received = len(subscriber.received(engine.process(batch, 0)))
    runs = []
    while (due := engine.next_release()) is not None:
        runs.append(len(subscriber.received(engine.release(due))))
    assert received + sum(runs) == 60
    assert all(4 <= run <= 6 for run in runs[:-1])


def test_what_is_released_late_is_made_up_for(engine: Engine) -> None:
    """With a look each 50 ms, more than the 20 ms of a burst, the budget is kept all the same."""
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(100)]
    received = len(subscriber.received(engine.process(batch, 0)))
    for number in range(1, 11):
        received += len(subscriber.received(engine.release(number * 50 * MILLISECOND)))
    assert 0.95 * BUDGET / 2 <= received * 1050 * 8 <= 1.1 * BUDGET / 2


def test_a_long_pause_is_made_up_for_in_part(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(100)]
    engine.process(batch, 0)
    late = len(subscriber.received(engine.release(1000 * MILLISECOND)))
    assert 0.9 * 0.07 * BUDGET <= late * 1050 * 8 <= 1.1 * 0.08 * BUDGET


def test_audio_passes_and_repairs_overtake(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(10)]
    engine.process(batch, 0)
    assert engine.retransmit(2, 0x1001, [500], 0, 0) == []
    assert len(engine.process([publisher.protect(opus(1))], 0).outgoing) == 1
    order = []
    while (due := engine.next_release()) is not None:
        order += [packet.payload_type for packet in subscriber.received(engine.release(due))]
    assert order[0] == 101
    assert set(order[1:]) == {100}


def test_what_waits_of_a_stopped_route_is_dropped_and_its_numbers_are_taken_by_what_comes_next(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(10)]
    sent = subscriber.received(engine.process(batch, 0))
    newest = sent[-1].seq
    assert engine.retransmit(2, 0x1001, [500], 0, 0) == []
    engine.switch_route(1, None)
    assert engine.next_release() is None
    assert engine.drops[Drop.STOPPED] == 10 - len(sent) + 1
    assert engine.route_state(1).last_seq == newest + 1
    engine.switch_route(1, RouteSource(1))
    now = 1000 * MILLISECOND
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(10, 3000, key=True))], now))
    assert packet.seq == newest + 2  # one is left out, so that the receiver notices
    assert engine.retransmit(2, 0x1001, [newest + 1], now, 0) == []
    assert engine.drops[Drop.RTX_UNKNOWN] == 1


def test_what_waits_is_neither_repeated_nor_padding(engine: Engine) -> None:
    """A receiver would consider the packets before it lost, and request all of them."""
    publisher, subscriber = paced(engine)
    engine.report_sent(2, True)  # type: ignore[attr-defined]  # both engines can
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(10)]
    newest = subscriber.received(engine.process(batch, 0))[-1].seq
    assert newest < 509
    assert engine.route_state(1).waiting == 509 - newest
    assert subscriber.received(engine.pad(2, 100, 0))[0].payload[:2] == newest.to_bytes(2, "big")  # type: ignore[attr-defined]
    engine.retransmit(2, 0x1001, range(newest, 510), 0, 0)
    assert engine.drops[Drop.RTX_TOO_SOON] == 509 - newest
    repaired = [packet for packet in subscriber.received(engine.release(1000 * MILLISECOND)) if packet.ssrc == 0x2001]
    assert engine.route_state(1).waiting == 0
    assert [packet.payload[:2] for packet in repaired] == [newest.to_bytes(2, "big")]


def test_nothing_changes_for_a_route_that_stops_while_nothing_waits(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    subscriber.received(engine.process([publisher.protect(vp8(0, 0, key=True))], 0))
    engine.switch_route(1, None)
    engine.switch_route(1, RouteSource(1))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(1, 3000, key=True))], 0))
    assert packet.seq == 501
    assert engine.drops[Drop.STOPPED] == 0


def test_lifting_the_budget_releases_all(engine: Engine) -> None:
    publisher, subscriber = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, body=bytes(1000))) for seq in range(10)]
    received = subscriber.received(engine.process(batch, 0))
    engine.set_budget(2, None)
    assert engine.next_release() is not None
    received += subscriber.received(engine.release(0))
    assert len(received) == 10
    assert engine.next_release() is None
    received = subscriber.received(engine.process([publisher.protect(vp8(10))], 0))
    assert len(received) == 1


def test_removed_routes_and_peers_leave_the_queue(engine: Engine) -> None:
    publisher, _ = paced(engine)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, body=bytes(1000))) for seq in range(10)]
    engine.process(batch, 0)
    engine.remove_route(1)
    while (due := engine.next_release()) is not None:
        assert engine.release(due) == []
    assert engine.drops[Drop.STOPPED] > 5
    engine.remove_peer(2)
    with pytest.raises(KeyError):
        engine.set_budget(2, 1000)


def test_a_budget_is_positive(engine: Engine) -> None:
    paced(engine)
    with pytest.raises(ValueError, match="positive"):
        engine.set_budget(2, 0)
