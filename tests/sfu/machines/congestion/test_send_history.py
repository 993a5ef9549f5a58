"""Sent packets and their feedback: arrivals, losses, wrap-around, bounds."""

import random

import pytest

from sfu.formats.congestion_feedback import CongestionFeedback, PacketArrival, StreamArrivals
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.send_history import MAX_PACKETS, PacketResult, SendHistory, SentKind, SentPacket
from sfu.machines.repair.twcc_receiver import TwccReceiver

MS = 1_000_000
SECOND = 1000 * MS


def send(history: SendHistory, seq: int, at: int, size: int = 1000, cluster: int = -1) -> None:
    history.sent(SentPacket(seq & 0xFFFF, 7, seq & 0xFFFF, size, at, SentKind.VIDEO))
    history.mark(cluster)


def message(base: int, *deltas: int | None, reference: int = 0) -> TransportFeedback:
    return TransportFeedback(1, 7, base, reference, 0, deltas)


def test_an_arrival_is_matched_with_its_sending() -> None:
    history = SendHistory()
    send(history, 10, 5 * MS, size=900, cluster=3)
    report = history.feedback(message(10, 40), 45 * MS)
    assert report.results == (PacketResult(5 * MS, 10 * MS, 900, SentKind.VIDEO, 3),)
    assert report.round_trip == 40 * MS


def test_an_arrival_is_told_once() -> None:
    history = SendHistory()
    send(history, 10, 0)
    history.feedback(message(10, 0), MS)
    assert history.feedback(message(10, 0), 2 * MS).results == ()


def test_a_loss_is_told_once() -> None:
    history = SendHistory()
    send(history, 10, 0)
    send(history, 11, 0)
    assert [result.arrival for result in history.feedback(message(10, None, 4), MS).results] == [None, MS]
    assert history.feedback(message(10, None), MS).results == ()


def test_a_loss_may_turn_out_late() -> None:
    history = SendHistory()
    send(history, 10, 0)
    history.feedback(message(10, None), MS)
    (result,) = history.feedback(message(10, 8), 2 * MS).results
    assert (result.arrival, result.was_lost) == (2 * MS, True)


def test_what_was_never_sent_is_passed_over() -> None:
    history = SendHistory()
    assert history.feedback(message(10, 0), 0).results == ()
    send(history, 10, 0)
    assert len(history.feedback(message(8, 0, 0, 0, 0, None), MS).results) == 1


def test_seqs_wrap() -> None:
    history = SendHistory()
    for seq in range(65_530, 65_546):
        send(history, seq, seq * MS)
    results = history.feedback(message(65_530, *[4] * 16), SECOND).results
    assert [result.sent // MS for result in results] == list(range(65_530, 65_546))


def test_the_reference_time_wraps() -> None:
    history = SendHistory()
    send(history, 1, 0)
    send(history, 2, 64 * MS)
    (first,) = history.feedback(message(1, 0, reference=(1 << 23) - 1), SECOND).results
    (second,) = history.feedback(message(2, 0, reference=-(1 << 23)), SECOND).results
    assert second.arrival is not None
    assert first.arrival is not None
    assert second.arrival - first.arrival == 64 * MS


def test_it_is_bounded_by_packets_and_by_age() -> None:
    history = SendHistory()
    for seq in range(MAX_PACKETS + 100):
        send(history, seq, seq)
    assert len(history) == MAX_PACKETS
    send(history, MAX_PACKETS + 100, 20 * SECOND)
    assert len(history) == 1


@pytest.mark.parametrize("seed", range(3))
def test_what_our_own_receiver_reports_matches_what_came(seed: int) -> None:
    dice = random.Random(seed)
    history = SendHistory()
    receiver = TwccReceiver(1)
    arrived: dict[int, int] = {}
    told: dict[int, int | None] = {}
    for seq in range(70_000):
        at = seq * MS
        send(history, seq, at)
        if dice.random() > 0.1:
            arrived[at] = at + 30 * MS + dice.randrange(5) * MS
            receiver.received(seq & 0xFFFF, arrived[at], 7)
        for feedback in receiver.due(at + 40 * MS):
            for result in history.feedback(feedback, at + 60 * MS).results:
                told[result.sent] = result.arrival
    assert {sent for sent, arrival in told.items() if arrival is not None} >= {at for at in arrived if at < 69 * SECOND}
    differences = {arrival // MS - arrived[sent] // MS for sent, arrival in told.items() if arrival is not None}
    assert differences == {0}


def test_congestion_feedback_is_matched_by_stream_and_seq() -> None:
    history = SendHistory()
    for seq in (65_535, 65_536, 65_537):
        send(history, seq, 0)
    packets = (PacketArrival(0, 512), None, PacketArrival(0, None))
    report = history.congestion_feedback(
        CongestionFeedback(1, 10 << 16, (StreamArrivals(7, 65_535, packets), StreamArrivals(8, 0, packets))), SECOND
    )
    assert [result.arrival for result in report.results] == [9 * SECOND + 500 * MS, None]


def test_packets_without_a_transport_seq_are_matched_too() -> None:
    history = SendHistory()
    history.sent(SentPacket(-1, 7, 3, 500, 0, SentKind.AUDIO))
    arrivals = StreamArrivals(7, 3, (PacketArrival(0, 0),))
    assert history.congestion_feedback(CongestionFeedback(1, 0, (arrivals,)), MS).results[0].size == 500
