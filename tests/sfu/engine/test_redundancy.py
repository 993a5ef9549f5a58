"""Incoming RED: subscribers and sinks get plain Opus, and lost packets are recovered from later ones."""

import pytest

from sfu.engine.contract import ArrivalFlag, Drop, Engine, Result, RouteSource, StreamEntry
from sfu.formats import red, rtp
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import MILLISECOND, SOUND, Publisher, Subscriber

FRAME = 960


class Call:
    """Peer 1 publishes sound as stream 3 (SSRC 31); peer 2 gets it by route 1, sink 7 too."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.publisher = Publisher(engine, 1, 1)
        self.subscriber = Subscriber(engine, 2, 2)
        engine.add_stream(StreamEntry(3, 1, 31, SOUND))
        self.subscriber.add_route(1, rtx_ssrc=None, rtx_payload_types={}, is_audio=True, first_seq=0)
        engine.switch_route(1, RouteSource(3, 0, at_keyframe=False))
        engine.add_sink_route(3, 7, 0)

    def send(self, *packets: RtpPacket) -> Result:
        return self.engine.process([self.publisher.protect(packet, MILLISECOND) for packet in packets], MILLISECOND)

    def heard(self, result: Result) -> list[tuple[int, int, bytes]]:
        received = self.subscriber.received(result)
        assert all(packet.payload_type == 111 for packet in received)
        return [(packet.seq, packet.timestamp, packet.payload) for packet in received]


@pytest.fixture
def call(engine: Engine) -> Call:
    return Call(engine)


def body(seq: int) -> bytes:
    return b"sound %d" % seq


def packet(seq: int, *earlier: int, **fields: object) -> RtpPacket:
    """The packet of 20 ms number `seq`, with those numbered `earlier` again."""
    redundant = [(111, (seq - before) * FRAME, body(before)) for before in earlier]
    payload = red.serialize(redundant, 111, body(seq))
    return RtpPacket(63, seq, seq * FRAME, 31, payload, **fields)  # type: ignore[arg-type]  # fields by name


def plain(*seqs: int) -> list[tuple[int, int, bytes]]:
    """Return the audible packets from 10 on: seqs begin at 0."""
    return [(seq - 10, seq * FRAME, body(seq)) for seq in seqs]


def test_subscribers_get_the_primary_one(call: Call) -> None:
    result = call.send(packet(10, marker=True), packet(11, 10), packet(12, 11))
    assert call.heard(result) == plain(10, 11, 12)
    assert [arrival.flags for arrival in result.arrivals] == [ArrivalFlag.RESUMED]  # the first of the stream
    assert call.engine.progress(3).highest == 12
    assert call.engine.counters["recovered"] == 0


def test_a_gap_is_filled_in_order(call: Call) -> None:
    call.send(packet(10))
    result = call.send(packet(12, 11), packet(13, 12))
    assert call.heard(result) == plain(11, 12, 13)
    (recovered,) = result.arrivals
    assert (recovered.ext_seq, recovered.gap) == (11, 0)
    assert recovered.flags & ArrivalFlag.RECOVERED
    assert recovered.timestamp == 11 * FRAME
    assert call.engine.counters["recovered"] == 1


def test_a_gap_of_several_is_filled_by_several_blocks(call: Call) -> None:
    call.send(packet(10))
    assert call.heard(call.send(packet(14, 11, 12, 13))) == plain(11, 12, 13, 14)


def test_what_the_blocks_lack_keeps_its_place(call: Call) -> None:
    call.send(packet(10))
    assert call.heard(call.send(packet(14, 13))) == plain(13, 14)
    assert call.heard(call.send(packet(12, 11))) == plain(11, 12)


def test_the_lost_one_may_come_after_all(call: Call) -> None:
    call.send(packet(10))
    call.send(packet(12, 11))
    result = call.send(packet(11, 10))
    assert call.heard(result) == []
    assert result.arrivals == []
    assert call.engine.drops[Drop.DUPLICATE] == 1


def test_a_recovered_packet_can_be_sent_again(call: Call) -> None:
    call.send(packet(10))
    first = call.send(packet(12, 11)).outgoing[0]
    assert call.engine.retransmit(2, 0x1001, [1], 50 * MILLISECOND, 0) == [first]


def test_plain_opus_among_it_passes(call: Call) -> None:
    """Chromium sends payloads that are too long for a RED block without RED."""
    call.send(packet(10))
    opus = RtpPacket(111, 12, 12 * FRAME, 31, body(12))
    assert call.heard(call.send(opus, packet(13, 12))) == plain(12, 13)


def test_a_block_of_what_came_already_fills_no_gap(call: Call) -> None:
    """The lost packet was not in a block; the only block is that of the packet before."""
    call.send(packet(10))
    assert call.heard(call.send(packet(12, 10))) == plain(12)


def test_nothing_is_made_up_before_the_first_packet(call: Call) -> None:
    assert call.heard(call.send(packet(10, 8, 9))) == plain(10)


def test_sinks_get_plain_opus(call: Call) -> None:
    call.send(packet(10))
    sinks = call.send(packet(12, 11, extensions=((4, b"\x85"),), marker=True, padding=7)).sink_packets
    assert [rtp.parse(entry.rtp) for entry in sinks] == [
        RtpPacket(111, 11, 11 * FRAME, 31, body(11)),
        RtpPacket(111, 12, 12 * FRAME, 31, body(12), True, extensions=((4, b"\x85"),)),
    ]


def test_header_extensions_and_marker_stay_with_the_primary_one(call: Call) -> None:
    call.send(packet(10))
    lost, primary = call.subscriber.received(call.send(packet(12, 11, extensions=((4, b"\x85"),), marker=True)))
    assert (lost.marker, primary.marker) == (False, True)
    assert (5, b"\x85") in primary.extensions
    assert not [value for number, value in lost.extensions if number == 5]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"\xef\x0f", Drop.MALFORMED),
        (b"\x3f" + body(12), Drop.UNMAPPED_PAYLOAD_TYPE),
        (b"\x05" + body(12), Drop.UNMAPPED_PAYLOAD_TYPE),
    ],
)
def test_what_cannot_be_undone_is_dropped_and_closed_up(call: Call, payload: bytes, reason: Drop) -> None:
    call.send(packet(10), packet(11))
    bad = RtpPacket(63, 12, 12 * FRAME, 31, payload)
    result = call.send(bad, packet(13))
    assert call.heard(result) == [(2, 13 * FRAME, body(13))]
    assert call.engine.drops[reason] == 1
    assert len(result.sink_packets) == 1


def test_a_muted_stream_recovers_nothing(call: Call) -> None:
    call.send(packet(10))
    call.engine.set_permitted(3, False)
    assert call.heard(call.send(packet(12, 11))) == []
    assert call.engine.counters["recovered"] == 0
    assert call.engine.drops[Drop.NOT_PERMITTED] == 1


def test_sizes_are_without_redundancy(call: Call) -> None:
    call.send(packet(10))
    (recovered,) = call.send(packet(12, 11)).arrivals
    assert recovered.size == 12 + len(body(11))


def test_timestamps_and_seqs_wrap(call: Call) -> None:
    def near_the_end(seq: int, *earlier: int) -> RtpPacket:
        redundant = [(111, (seq - before) * FRAME, body(before)) for before in earlier]
        payload = red.serialize(redundant, 111, body(seq))
        return RtpPacket(63, seq & 0xFFFF, (seq - 65_536) * FRAME & 0xFFFFFFFF, 31, payload)

    call.send(near_the_end(65_535))
    heard = call.heard(call.send(near_the_end(65_537, 65_536)))
    assert [payload for _, _, payload in heard] == [body(65_536), body(65_537)]
    assert [timestamp for _, timestamp, _ in heard] == [0, FRAME]
