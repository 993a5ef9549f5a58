"""Forwarding from a publisher to a subscriber: numbers, timestamps, header extensions, gaps, padding."""

import pytest

from sfu.engine.contract import (
    ArrivalFlag,
    Datagram,
    Drop,
    Engine,
    Leftover,
    LeftoverKind,
    Payload,
    PeerEntry,
    RouteSource,
    SrtpProfile,
    StreamEntry,
)
from sfu.formats import rtcp
from sfu.formats.codecs import Codec
from sfu.formats.extensions import Extension
from sfu.formats.rtp import RtpPacket
from tests.sfu.engine.table import (
    AUDIO,
    MILLISECOND,
    SENT,
    Publisher,
    Subscriber,
    one_to_one,
    opus,
    rtx,
    vp8,
)


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_forwards_a_frame(engine: Engine, profile: SrtpProfile) -> None:
    publisher, subscriber = one_to_one(engine, profile)
    packets = [
        vp8(65_535, 1000, key=True, marker=False),
        vp8(0, 1000, start=False, marker=False),
        vp8(1, 1000, start=False),
    ]
    batch = [publisher.protect(packet, 7 * MILLISECOND) for packet in packets]

    result = engine.process(batch, 8 * MILLISECOND)

    received = subscriber.received(result)
    assert [packet.payload for packet in received] == [packet.payload for packet in packets]
    assert [(p.seq, p.ssrc, p.payload_type, p.marker) for p in received] == [
        (500, 0x1001, 100, False),
        (501, 0x1001, 100, False),
        (502, 0x1001, 100, True),
    ]
    assert {packet.timestamp for packet in received} == {0}
    assert [(a.ext_seq, a.gap, a.arrival, a.timestamp, a.flags) for a in result.arrivals] == [
        (65_535, 0, 7 * MILLISECOND, 1000, ArrivalFlag.KEYFRAME | ArrivalFlag.RESUMED),
    ]
    progress = engine.progress(1)
    assert (progress.packets, progress.first, progress.highest) == (3, 65_535, 65_537)
    assert (progress.last_arrival, progress.timestamp, progress.frames) == (7 * MILLISECOND, 1000, 1)
    assert result.switches == [(1, 1, 65_535)]
    state = engine.route_state(1)
    assert (state.stream, state.packets, state.last_seq, state.last_timestamp) == (1, 3, 502, 0)
    assert state.octets == sum(len(packet.payload) for packet in packets)
    assert state.last_arrival == 7 * MILLISECOND
    assert engine.last_activity(1) == 7 * MILLISECOND
    assert engine.counters["forwarded"] == 3
    assert engine.counters["datagrams_in"] == 3


def test_sends_a_destination_its_run(engine: Engine) -> None:
    publisher, first = one_to_one(engine)
    second = Subscriber(engine, 3, 3)
    second.add_route(2)
    engine.switch_route(2, RouteSource(1))

    result = engine.process([publisher.protect(vp8(9, key=True)), publisher.protect(vp8(10, 1))], 0)

    assert [entry.destination for entry in result.outgoing] == [first.address] * 2 + [second.address] * 2


def test_waits_for_a_keyframe(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    result = engine.process([publisher.protect(vp8(1)), publisher.protect(vp8(2))], 0)
    assert result.outgoing == []
    assert engine.drops[Drop.WAITING_FOR_KEYFRAME] == 2
    assert engine.route_state(1).stream == -1


def test_maps_extensions(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    sent = (
        (1, b"mid-of-publisher"),
        (2, b"\1\2\3"),
        (3, b"\x12\x34"),
        (4, b"\x85"),
        (7, b"\x01\x02\x03"),
        (9, b"\4\5\6"),
        (10, b"layers"),
        (12, b"unknown"),
    )
    now = 64_500 * MILLISECOND
    result = engine.process([publisher.protect(vp8(1, key=True, extensions=sent))], now)

    (packet,) = subscriber.received(result)
    assert dict(packet.extensions) == {
        SENT[Extension.ABS_SEND_TIME]: (1 << 17).to_bytes(3, "big"),
        SENT[Extension.TRANSPORT_SEQ]: b"\0\0",
        SENT[Extension.MID]: b"v1",
        SENT[Extension.AUDIO_LEVEL]: b"\x85",
        SENT[Extension.PLAYOUT_DELAY]: b"\4\5\6",
        SENT[Extension.DEPENDENCY_DESCRIPTOR]: b"\x01\x02\x03",
    }
    assert engine.progress(1).voice_level == 5


def test_writes_long_elements_in_the_two_byte_form(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    structure = bytes(range(40))
    result = engine.process([publisher.protect(vp8(1, key=True, extensions=((7, structure),)))], 0)
    (packet,) = subscriber.received(result)
    assert dict(packet.extensions)[SENT[Extension.DEPENDENCY_DESCRIPTOR]] == structure
    assert dict(packet.extensions)[SENT[Extension.MID]] == b"v1"


@pytest.mark.parametrize(
    "extensions",
    [{}, {Extension.MID: 4}, {Extension.TRANSPORT_SEQ: 14}, {Extension.ABS_SEND_TIME: 20, Extension.MID: 21}],
)
def test_writes_what_the_peer_negotiated(engine: Engine, extensions: dict[Extension, int]) -> None:
    publisher, _ = one_to_one(engine)
    subscriber = Subscriber(engine, 3, 3, extensions=extensions)
    subscriber.add_route(2)
    engine.switch_route(2, RouteSource(1))
    result = engine.process([publisher.protect(vp8(1, key=True, extensions=((4, b"\5"),)))], 0)
    (packet,) = subscriber.received(result)
    assert {identifier for identifier, _ in packet.extensions} == set(extensions.values())


def test_stamps_every_packet_of_a_peer_in_send_order(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, rtx_payload_types={}, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    batch = [publisher.protect(opus(5)), publisher.protect(vp8(1, key=True)), publisher.protect(opus(6))]
    result = engine.process(batch, 0)
    received = subscriber.received(result)
    assert [packet.payload_type for packet in received] == [111, 111, 100]
    transport = [int.from_bytes(dict(packet.extensions)[3], "big") for packet in received]
    assert transport == [0, 1, 2]


def test_closes_up_over_padding_and_keeps_gaps(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    sent = {
        100: vp8(100, key=True),
        101: RtpPacket(96, 101, 0, 11, b"", padding=200),
        102: vp8(102, 1),
        # 103 is missing, until it comes as RTX
        104: RtpPacket(96, 104, 1, 11, b"", padding=7),
        105: vp8(105, 2),
    }
    result = engine.process([publisher.protect(packet) for packet in sent.values()], 0)
    first = subscriber.received(result)
    assert [(p.seq, p.payload) for p in first] == [
        (500, sent[100].payload),
        (501, sent[102].payload),
        (503, sent[105].payload),
    ]
    assert [(a.ext_seq, a.gap) for a in result.arrivals] == [(100, 0), (104, 1)]
    assert [bool(a.flags & ArrivalFlag.PADDING) for a in result.arrivals] == [False, True]

    repaired = vp8(103, 1, body=b"late")
    result = engine.process([publisher.protect(rtx(repaired, 7))], 0)
    (late,) = subscriber.received(result)
    assert (late.seq, late.payload) == (502, repaired.payload)
    (arrival,) = result.arrivals
    assert (arrival.ext_seq, arrival.stream) == (103, 1)
    assert arrival.flags & ArrivalFlag.REPAIRED


def test_strips_padding_of_packets_with_payload(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    result = engine.process([publisher.protect(vp8(1, key=True, padding=20))], 0)
    (packet,) = subscriber.received(result)
    assert packet.padding == 0
    assert packet.payload == vp8(1, key=True).payload


def test_drops_duplicates_but_acknowledges_them(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_address(1, publisher.source, 0)
    engine.acknowledge(1, 99)
    packet = vp8(1, key=True, extensions=((3, b"\0\7"),))
    engine.process([publisher.protect(packet)], 0)
    result = engine.process([publisher.protect(rtx(packet, 1))], 0)
    assert subscriber.received(result) == []
    assert (result.arrivals, engine.progress(1).packets) == ([], 1)
    assert len(engine.feedback(50 * MILLISECOND)) == 1
    assert engine.drops[Drop.DUPLICATE] == 1


def test_probing_on_the_repair_stream_is_acknowledged_only(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.acknowledge(1, 99)
    probe = RtpPacket(97, 5, 0, 12, b"", extensions=((3, b"\0\7"),), padding=100)
    result = engine.process([publisher.protect(probe)], 0)
    assert subscriber.received(result) == []
    assert (result.arrivals, engine.progress(1).packets) == ([], 0)
    assert engine.next_feedback() == 50 * MILLISECOND


def test_drops_what_is_older_than_the_cache(engine: Engine) -> None:
    publisher = Publisher(engine, 1, 1)
    engine.add_stream(StreamEntry(1, 1, 11, {96: Payload(Codec.VP8, 90_000)}, cache_packets=64))
    engine.process([publisher.protect(vp8(1000)), publisher.protect(vp8(1064))], 0)
    result = engine.process([publisher.protect(vp8(1000 - 5)), publisher.protect(vp8(1001))], 0)
    assert engine.drops[Drop.TOO_LATE] == 1
    assert [(arrival.ext_seq, arrival.gap) for arrival in result.arrivals] == [(1001, 0)]


def test_replays_and_forgeries(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    datagram = publisher.protect(vp8(1, key=True))
    forged = datagram._replace(data=datagram.data[:-1] + bytes([datagram.data[-1] ^ 1]))
    result = engine.process([forged, datagram, datagram], 0)
    assert len(subscriber.received(result)) == 1
    assert engine.drops[Drop.AUTHENTICATION] == 1
    assert engine.drops[Drop.REPLAY] == 1


def test_not_permitted(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_sink_route(1, 5, 50)
    engine.set_permitted(1, False)
    result = engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert (subscriber.received(result), result.sink_packets) == ([], [])
    assert engine.progress(1).packets == 1
    assert engine.drops[Drop.NOT_PERMITTED] == 1
    engine.set_permitted(1, True)
    result = engine.process([publisher.protect(vp8(2, 3000, key=True))], 0)
    assert [packet.seq for packet in subscriber.received(result)] == [500]


def test_what_is_muted_leaves_no_gap(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    engine.set_permitted(1, False)
    engine.process([publisher.protect(vp8(seq)) for seq in range(2, 30)], 0)
    engine.set_permitted(1, True)
    result = engine.process([publisher.protect(vp8(30, 3000, key=True))], 0)
    assert [packet.seq for packet in subscriber.received(result)] == [501]


def test_unmapped_payload_types(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    subscriber.add_route(1, payload_types={})
    result = engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert subscriber.received(result) == []
    subscriber.add_route(1)
    foreign = vp8(3, 1)._replace(payload_type=120)
    batch = [publisher.protect(packet) for packet in (vp8(2, key=True), foreign, vp8(4, 2))]
    result = engine.process(batch, 0)
    assert [packet.seq for packet in subscriber.received(result)] == [500, 501]
    assert engine.drops[Drop.UNMAPPED_PAYLOAD_TYPE] == 1


def test_several_payload_types_of_one_stream(engine: Engine) -> None:
    publisher = Publisher(engine, 1, 1)
    subscriber = Subscriber(engine, 2, 2)
    engine.add_stream(StreamEntry(3, 1, 31, {**AUDIO, 9: Payload(Codec.G722, 8000)}))
    subscriber.add_route(1, payload_types={111: 60, 9: 61}, is_audio=True)
    engine.switch_route(1, RouteSource(3, at_keyframe=False))
    other = opus(2, 960)._replace(payload_type=9)
    result = engine.process([publisher.protect(opus(1)), publisher.protect(other)], 0)
    assert [packet.payload_type for packet in subscriber.received(result)] == [60, 61]


def test_sinks_get_what_the_publisher_sent(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.add_sink_route(1, 5, 50)
    first = vp8(1, 90, key=True, extensions=((4, b"\5"),))
    lost = vp8(2, 91, body=b"lost", extensions=((4, b"\6"),))
    result = engine.process([publisher.protect(first, 10), publisher.protect(vp8(3), 11)], 0)
    result2 = engine.process([publisher.protect(rtx(lost, 9), 12)], 0)
    from sfu.formats import rtp

    packets = result.sink_packets + result2.sink_packets
    assert [entry[:5] for entry in packets] == [(5, 50, 1, 1, 10), (5, 50, 1, 3, 11), (5, 50, 1, 2, 12)]
    assert rtp.parse(packets[0].rtp) == first
    assert rtp.parse(packets[2].rtp) == lost
    engine.remove_sink_route(1, 5)
    assert engine.process([publisher.protect(vp8(4))], 0).sink_packets == []


def test_a_sink_sees_padding(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.add_sink_route(1, 5, 50)
    result = engine.process([publisher.protect(RtpPacket(96, 1, 0, 11, b"", padding=9))], 0)
    assert len(result.sink_packets) == 1


def test_unknown_ssrc_is_left_and_taken_again(engine: Engine) -> None:
    publisher = Publisher(engine, 1, 1)
    subscriber = Subscriber(engine, 2, 2)
    result = engine.process([publisher.protect(vp8(1, key=True), 5)], 0)
    (leftover,) = result.leftovers
    assert (leftover.kind, leftover.peer, leftover.arrival) == (LeftoverKind.UNKNOWN_SSRC, 1, 5)
    assert engine.resubmit([leftover], 0).outgoing == []
    assert engine.drops[Drop.UNKNOWN_SSRC] == 1
    engine.add_stream(StreamEntry(1, 1, 11, {96: Payload(Codec.VP8, 90_000)}))
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(1))
    result = engine.resubmit([leftover], 0)
    assert len(subscriber.received(result)) == 1
    assert len(result.arrivals) == 1
    assert engine.resubmit([leftover], 0).outgoing == []


def test_no_keys_and_no_address(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.set_peer(PeerEntry(3))
    engine.admit_source(3, ("10.0.0.3", 1), 0)
    from tests.sfu.engine.table import RouteEntry

    engine.set_route(RouteEntry(3, 3, 77, {96: 96}, 0))
    engine.switch_route(3, RouteSource(1))
    batch = [publisher.protect(vp8(1, key=True)), Datagram(bytes([128, 96]) + bytes(60), ("10.0.0.3", 1), 0, 0)]
    result = engine.process(batch, 0)
    assert [leftover.kind for leftover in result.leftovers] == [LeftoverKind.EARLY]
    assert engine.drops[Drop.NO_KEYS] == 1
    assert engine.protect_rtcp(3, b"\x80\xc9\0\1" + bytes(4)) == []
    assert engine.drops[Drop.NO_KEYS] == 2


@pytest.mark.parametrize("profile", [SrtpProfile.AEAD_AES_128_GCM, SrtpProfile.AES128_CM_HMAC_SHA1_80])
def test_what_comes_before_the_keys_is_left_and_taken_again(engine: Engine, profile: SrtpProfile) -> None:
    far_end, subscriber = one_to_one(engine, profile)
    engine.remove_peer(1)
    engine.set_peer(PeerEntry(1))
    engine.admit_source(1, far_end.source, 0)
    engine.add_stream(StreamEntry(1, 1, 11, {96: Payload(Codec.VP8, 90_000)}))
    engine.switch_route(1, RouteSource(1))
    datagrams = [far_end.protect(vp8(number, key=number == 1), arrival=number) for number in (1, 2)]
    report = rtcp.serialize([rtcp.Bye((11,))])
    datagrams.append(Datagram(far_end.srtp.protect_rtcp(report), far_end.source, 0, 3))
    oversize = Datagram(bytes([128, 96]) + bytes(1499), far_end.source, 0, 4)
    result = engine.process([*datagrams, oversize], 10)
    assert result.leftovers == [
        Leftover(LeftoverKind.EARLY, 1, datagram.data, datagram.source, 0, datagram.arrival) for datagram in datagrams
    ]
    assert engine.drops[Drop.MALFORMED] == 1
    counted = dict(engine.counters)
    (still,) = engine.resubmit(result.leftovers[:1], 10).leftovers
    assert still == result.leftovers[0]
    engine.set_keys(1, far_end.keys)
    again = [engine.resubmit([leftover], 10) for leftover in result.leftovers]
    assert [packet.payload for taken in again for packet in subscriber.received(taken)] == [
        vp8(1, key=True).payload,
        vp8(2).payload,
    ]
    assert [arrival.arrival for taken in again for arrival in taken.arrivals] == [1]
    assert engine.progress(1).last_arrival == 2
    assert [leftover.data for leftover in again[2].leftovers] == [report]
    assert engine.counters["datagrams_in"] == counted["datagrams_in"]


def test_rolls_over(engine: Engine) -> None:
    """Both seqs pass 2**16 three times. Most packets are missing, so that it does not take all day."""
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(30_000, key=True))], 0)
    for seq in range(30_100, 30_100 + 3 * 65_536, 100):
        batch = [publisher.protect(vp8(seq + k, seq)) for k in range(3)]
        received = subscriber.received(engine.process(batch, 0))
        assert [packet.seq for packet in received] == [(seq - 30_000 + 500 + k) & 0xFFFF for k in range(3)]
