"""The engine's records of sent packets, and padding, which bandwidth estimation relies on."""

from typing import Protocol

import pytest

from sfu.engine.contract import Engine, PeerEntry, RouteSource, StreamEntry
from sfu.engine.send_side_observer import SendSideObserver
from sfu.formats.congestion_feedback import CongestionFeedback, PacketArrival, StreamArrivals
from sfu.formats.extensions import Extension
from sfu.formats.transport_feedback import TransportFeedback
from sfu.machines.congestion.feedback_analyser import SentSummary
from sfu.machines.congestion.send_history import MAX_PACKETS, PacketResult, SentKind
from tests.sfu.engine.table import AUDIO, MILLISECOND, SENT, Publisher, Subscriber, one_to_one, opus, vp8


class Reporting(Engine, SendSideObserver, Protocol):
    """The interface of every engine."""


def started(engine: Reporting, packets: int = 5) -> tuple[Publisher, Subscriber]:
    """A keyframe has gone out; what follows is recorded."""
    publisher, subscriber = one_to_one(engine)
    engine.report_sent(2, True)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(packets)]
    subscriber.received(engine.process(batch, MILLISECOND))
    return publisher, subscriber


def test_the_engine_reports_sending(engine: Reporting) -> None:
    assert isinstance(engine, SendSideObserver)


def told(engine: Reporting, base: int, count: int, now: int = 0) -> tuple[PacketResult, ...]:
    """Return the engine's records of `count` packets from a transport-wide seq on, by a receiver's feedback."""
    message = TransportFeedback(1, 1, base, 0, 0, (0,) * count)
    summary = engine.observe(2, message, now, whole=True)
    return summary.results if summary is not None else ()


def test_each_packet_is_remembered_once_as_it_went_out(engine: Reporting) -> None:
    publisher, subscriber = started(engine, 0)
    outgoing = engine.process([publisher.protect(vp8(n, 0, key=n == 0, start=n == 0)) for n in range(3)], 7).outgoing
    packets = subscriber.received(outgoing)
    assert engine.claim(2) == SentSummary(3, sum(len(datagram.data) for datagram in outgoing), 7, 7)
    assert engine.claim(2) == SentSummary(0, 0, 0, 0)
    first = int.from_bytes(dict(packets[0].extensions)[3], "big")
    results = told(engine, first, 3)
    assert [result.size for result in results] == [len(datagram.data) for datagram in outgoing]
    assert {(result.sent, result.kind) for result in results} == {(7, SentKind.VIDEO)}
    assert told(engine, first, 3) == ()


def test_what_was_claimed_for_a_probe_comes_back_as_that(engine: Reporting) -> None:
    publisher, _ = started(engine)
    engine.claim(2)
    engine.process([publisher.protect(vp8(5, 5))], 0)
    engine.claim(2, 3)
    engine.process([publisher.protect(vp8(6, 6))], 0)
    engine.claim(2)
    summary = engine.observe(2, TransportFeedback(1, 1, 0, 0, 0, (0,) * 7), 0)
    assert summary is not None
    assert [result.cluster for result in summary.results] == [3]


@pytest.mark.parametrize("budget", [None, 1_000_000, 100_000_000])
def test_records_follow_send_order_whatever_the_budget(engine: Reporting, budget: int | None) -> None:
    publisher, _ = started(engine)
    engine.set_budget(2, budget)
    engine.process([publisher.protect(vp8(seq, seq, body=bytes(1000))) for seq in range(5, 25)], 2 * MILLISECOND)
    while (due := engine.next_release()) is not None:
        engine.release(due)
    assert engine.claim(2).packets == 25
    times = [result.sent for result in told(engine, 0, 25)]
    assert len(times) == 25
    assert times == sorted(times)


def test_repairs_and_audio_are_told_apart(engine: Reporting) -> None:
    publisher, subscriber = started(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.retransmit(2, 0x1001, [501], 0, 0)
    engine.process([publisher.protect(opus(1))], 0)
    engine.copy_audio(2, 1)
    engine.process([publisher.protect(opus(2))], 20 * MILLISECOND)
    kinds = [SentKind.RTX, SentKind.AUDIO, SentKind.COPIED_AUDIO]
    assert [result.kind for result in told(engine, 5, 3)] == kinds


def test_without_the_extension_packets_are_told_by_stream_and_seq(engine: Reporting) -> None:
    publisher, _ = one_to_one(engine)
    engine.report_sent(2, True)
    extensions = {ext: number for ext, number in SENT.items() if ext is not Extension.TRANSPORT_SEQ}
    engine.set_peer(PeerEntry(2, send_extensions=extensions))
    engine.process([publisher.protect(vp8(0, 0, key=True, start=True))], 0)
    assert told(engine, 0, 1) == ()
    arrivals = StreamArrivals(0x1001, 500, (PacketArrival(0, 0),))
    summary = engine.observe(2, CongestionFeedback(1, 1 << 16, (arrivals,)), 0, whole=True)
    assert summary is not None
    assert [result.arrival for result in summary.results] == [1000 * MILLISECOND]


def test_what_is_remembered_is_bounded(engine: Reporting) -> None:
    publisher, _ = started(engine, 1)
    for start in range(1, MAX_PACKETS + 101, 100):
        engine.process([publisher.protect(vp8(seq, seq)) for seq in range(start, start + 100)], 0)
    assert engine.claim(2).packets > MAX_PACKETS
    assert told(engine, 0, 100) == ()
    assert len(told(engine, 200, 100)) == 100


def test_nothing_is_remembered_unless_asked(engine: Reporting) -> None:
    publisher, _ = started(engine)
    engine.report_sent(2, False)
    engine.process([publisher.protect(vp8(5, 5))], 0)
    assert engine.claim(2) == SentSummary(0, 0, 0, 0)
    assert told(engine, 0, 6) == ()


def test_padding_is_the_newest_packets_over_rtx(engine: Reporting) -> None:
    _, subscriber = started(engine)
    packets = subscriber.received(engine.pad(2, 3000, 0))
    assert [packet.payload_type for packet in packets] == [101] * 3
    assert [int.from_bytes(packet.payload[:2], "big") for packet in packets] == [504, 503, 502]
    assert [result.kind for result in told(engine, 5, 3)] == [SentKind.PADDING] * 3
    assert engine.route_state(1).retransmitted == 0


def test_padding_goes_around_when_few_packets_are_left(engine: Reporting) -> None:
    _, subscriber = started(engine, 2)
    packets = subscriber.received(engine.pad(2, 5000, 0))
    assert [int.from_bytes(packet.payload[:2], "big") for packet in packets] == [501, 500, 501, 500, 501]


def test_without_cached_packets_padding_has_no_payload(engine: Reporting) -> None:
    publisher, subscriber = started(engine, 3)
    (before,) = subscriber.received(engine.pad(2, 1, 0))
    engine.switch_route(1, None)
    later = 10_000 * MILLISECOND  # what went out has left the cache by then
    engine.process([publisher.protect(vp8(3, 9000, key=True), later)], later)
    engine.claim(2)
    datagrams = engine.pad(2, 700, later)
    packets = subscriber.received(datagrams)
    assert {(packet.payload_type, packet.payload, packet.padding) for packet in packets} == {(101, b"", 255)}
    assert [packet.seq - before.seq for packet in packets] == [1, 2, 3]
    assert [result.kind for result in told(engine, 4, 3)] == [SentKind.PADDING] * 3
    assert engine.claim(2).size == sum(len(datagram.data) for datagram in datagrams)


def test_padding_passes_the_queue_and_is_charged(engine: Reporting) -> None:
    publisher, _ = started(engine)
    engine.set_budget(2, 1_000_000)
    assert len(engine.pad(2, 3000, 10 * MILLISECOND)) == 3
    assert engine.process([publisher.protect(vp8(5, 5))], 10 * MILLISECOND).outgoing == []
    assert engine.next_release() is not None


def test_without_media_there_is_no_padding(engine: Reporting) -> None:
    one_to_one(engine)
    assert engine.pad(2, 3000, 0) == []
