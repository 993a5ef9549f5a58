"""What the engine tells of what it sent, and padding: what estimation of a peer's link stands on."""

from typing import Protocol

import pytest

from sfu.engine.contract import SENT_RECORDS, Engine, PeerEntry, ReportsSending, RouteSource, StreamEntry
from sfu.formats.extensions import Extension
from sfu.machines.send_history import SentKind
from tests.sfu.engine.table import AUDIO, MILLISECOND, SENT, Publisher, Subscriber, one_to_one, opus, vp8


class Reporting(Engine, ReportsSending, Protocol):
    """What every engine is."""


def started(engine: Reporting, packets: int = 5) -> tuple[Publisher, Subscriber]:
    """A keyframe has gone out; what follows is recorded."""
    publisher, subscriber = one_to_one(engine)
    engine.report_sent(2, True)
    batch = [publisher.protect(vp8(seq, 0, key=seq == 0, start=seq == 0, body=bytes(1000))) for seq in range(packets)]
    subscriber.received(engine.process(batch, MILLISECOND))
    return publisher, subscriber


def test_the_engine_reports_sending(engine: Reporting) -> None:
    assert isinstance(engine, ReportsSending)


def test_each_packet_is_recorded_once_as_it_went_out(engine: Reporting) -> None:
    publisher, subscriber = started(engine, 0)
    outgoing = engine.process([publisher.protect(vp8(n, 0, key=n == 0, start=n == 0)) for n in range(3)], 7).outgoing
    packets = subscriber.received(outgoing)
    records = engine.sent(2)
    assert [record.size for record in records] == [len(datagram.data) for datagram in outgoing]
    assert [(record.ssrc, record.seq) for record in records] == [(packet.ssrc, packet.seq) for packet in packets]
    assert [record.transport_seq for record in records] == [
        int.from_bytes(value, "big") for packet in packets for number, value in packet.extensions if number == 3
    ]
    assert {record.at for record in records} == {7}
    assert {record.kind for record in records} == {SentKind.VIDEO}
    assert engine.sent(2) == []


@pytest.mark.parametrize("budget", [None, 1_000_000, 100_000_000])
def test_records_follow_send_order_whatever_the_budget(engine: Reporting, budget: int | None) -> None:
    publisher, _ = started(engine)
    engine.set_budget(2, budget)
    engine.process([publisher.protect(vp8(seq, seq, body=bytes(1000))) for seq in range(5, 25)], 2 * MILLISECOND)
    while (due := engine.next_release()) is not None:
        engine.release(due)
    records = engine.sent(2)
    assert [record.transport_seq for record in records] == list(range(25))
    assert [record.at for record in records] == sorted(record.at for record in records)


def test_repairs_and_audio_are_told_apart(engine: Reporting) -> None:
    publisher, subscriber = started(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    engine.sent(2)
    engine.retransmit(2, 0x1001, [501], 0, 0)
    engine.process([publisher.protect(opus(1))], 0)
    assert [record.kind for record in engine.sent(2)] == [SentKind.RTX, SentKind.AUDIO]


def test_without_the_extension_there_is_no_transport_seq(engine: Reporting) -> None:
    publisher, _ = one_to_one(engine)
    engine.report_sent(2, True)
    extensions = {ext: number for ext, number in SENT.items() if ext is not Extension.TRANSPORT_SEQ}
    engine.set_peer(PeerEntry(2, send_extensions=extensions))
    engine.process([publisher.protect(vp8(0, 0, key=True, start=True))], 0)
    assert [record.transport_seq for record in engine.sent(2)] == [-1]


def test_records_are_bounded(engine: Reporting) -> None:
    publisher, _ = started(engine)
    for start in range(5, 5005, 100):
        engine.process([publisher.protect(vp8(seq, seq)) for seq in range(start, start + 100)], 0)
    records = engine.sent(2)
    assert len(records) == SENT_RECORDS
    assert records[-1].transport_seq == 5004


def test_nothing_is_recorded_unless_asked(engine: Reporting) -> None:
    publisher, _ = started(engine)
    engine.report_sent(2, False)
    engine.process([publisher.protect(vp8(5, 5))], 0)
    assert engine.sent(2) == []


def test_padding_is_the_newest_packets_over_rtx(engine: Reporting) -> None:
    _, subscriber = started(engine)
    engine.sent(2)
    packets = subscriber.received(engine.pad(2, 3000, 0))
    assert [packet.payload_type for packet in packets] == [101] * 3
    assert [int.from_bytes(packet.payload[:2], "big") for packet in packets] == [504, 503, 502]
    assert [record.kind for record in engine.sent(2)] == [SentKind.PADDING] * 3
    assert engine.route_state(1).retransmitted == 0


def test_padding_goes_around_when_few_packets_are_left(engine: Reporting) -> None:
    _, subscriber = started(engine, 2)
    packets = subscriber.received(engine.pad(2, 5000, 0))
    assert [int.from_bytes(packet.payload[:2], "big") for packet in packets] == [501, 500, 501, 500, 501]


def test_padding_passes_the_queue_and_is_charged(engine: Reporting) -> None:
    publisher, _ = started(engine)
    engine.set_budget(2, 1_000_000)
    assert len(engine.pad(2, 3000, 10 * MILLISECOND)) == 3
    assert engine.process([publisher.protect(vp8(5, 5))], 10 * MILLISECOND).outgoing == []
    assert engine.next_release() is not None


def test_without_media_there_is_no_padding(engine: Reporting) -> None:
    one_to_one(engine)
    assert engine.pad(2, 3000, 0) == []
