"""Plain RTP: a peer without protection, and one that owns a socket and accepts any sender."""

import pytest

from sfu.engine.contract import Datagram, Drop, Engine, LeftoverKind, PeerEntry, RouteSource, StreamEntry
from sfu.formats import rtp
from tests.sfu.engine.table import VIDEO, Subscriber, one_to_one, rtx, vp8

ANYWHERE = ("10.7.7.7", 7000)
GOODBYE = b"\x81\xcb\x00\x01\x00\x00\x00\x0b"


def plain_publisher(engine: Engine) -> None:
    """Peer 5 owns socket 3, publishes VP8 as stream 5 (SSRC 11, RTX 12)."""
    engine.set_peer(PeerEntry(5))
    engine.set_unprotected(5)
    engine.admit_any(5, 3)
    engine.add_stream(StreamEntry(5, 5, 11, VIDEO, 12))


def arriving(data: bytes, local: int = 3) -> Datagram:
    return Datagram(data, ANYWHERE, local, 7)


def test_plain_packets_reach_a_protected_subscriber(engine: Engine) -> None:
    plain_publisher(engine)
    subscriber = Subscriber(engine, 2, 2)
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(5))
    sizes = (10, 9, 11, 1000)
    packets = [vp8(seq, 90, key=seq == 0, start=seq == 0, body=bytes(size)) for seq, size in enumerate(sizes)]
    result = engine.process([arriving(rtp.serialize(packet)) for packet in packets], 7)
    assert (engine.progress(5).packets, engine.progress(5).highest) == (4, 3)
    assert [packet.payload for packet in subscriber.received(result)] == [packet.payload for packet in packets]
    late = engine.process([arriving(rtp.serialize(rtx(vp8(4, 180, body=b"repaired"), 1)))], 8)
    assert [packet.payload[-8:] for packet in subscriber.received(late)] == [b"repaired"]
    assert engine.last_activity(5) == 7


def test_a_plain_subscriber_gets_what_a_protected_one_would(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.set_peer(PeerEntry(9))
    engine.set_unprotected(9)
    engine.set_address(9, ANYWHERE, 0)
    plain = Subscriber.__new__(Subscriber)
    plain.peer, plain._engine = 9, engine
    plain.add_route(9)
    engine.switch_route(9, RouteSource(1))
    result = engine.process([publisher.protect(vp8(seq, key=seq == 0)) for seq in range(3)], 0)
    got = [rtp.parse(entry.data) for entry in result.outgoing if entry.destination == ANYWHERE]
    assert [(packet.seq, packet.payload_type, packet.ssrc) for packet in got] == [
        (500 + seq, 100, 0x1009) for seq in range(3)
    ]
    (repair,) = engine.retransmit(9, 0x1009, [501], 10**9, 0)
    assert rtp.parse(repair.data).payload == (501).to_bytes(2, "big") + got[1].payload


def test_plain_rtcp_both_ways(engine: Engine) -> None:
    plain_publisher(engine)
    result = engine.process([arriving(GOODBYE), arriving(GOODBYE[:7])], 7)
    assert [(entry.kind, entry.peer, entry.data) for entry in result.leftovers] == [(LeftoverKind.RTCP, 5, GOODBYE)]
    assert engine.drops[Drop.MALFORMED] == 1
    assert engine.protect_rtcp(5, GOODBYE) == []
    engine.set_address(5, ANYWHERE, 3)
    assert [(entry.data, entry.destination, entry.local) for entry in engine.protect_rtcp(5, GOODBYE)] == [
        (GOODBYE, ANYWHERE, 3)
    ]


@pytest.mark.parametrize("size", range(12))
def test_short_plain_packets_are_malformed(engine: Engine, size: int) -> None:
    plain_publisher(engine)
    result = engine.process([arriving((b"\x80\x60" + bytes(10))[:size])], 7)
    assert result.leftovers == []
    assert engine.drops[Drop.MALFORMED] == (1 if size else 0)


def test_unknown_ssrcs_say_where_they_came_from(engine: Engine) -> None:
    plain_publisher(engine)
    (leftover,) = engine.process([arriving(rtp.serialize(vp8(1, ssrc=77)))], 7).leftovers
    assert (leftover.kind, leftover.peer, leftover.source, leftover.local) == (
        LeftoverKind.UNKNOWN_SSRC, 5, ANYWHERE, 3,
    )  # fmt: skip


def test_an_admitted_source_comes_before_any(engine: Engine) -> None:
    plain_publisher(engine)
    engine.set_peer(PeerEntry(6))
    engine.admit_source(6, ANYWHERE, 3)
    (leftover,) = engine.process([arriving(b"\0stun")], 7).leftovers
    assert leftover.peer == 6
    engine.remove_peer(6)
    (leftover,) = engine.process([arriving(b"\0stun")], 7).leftovers
    assert leftover.peer == 5
    engine.dismiss_any(3)
    engine.process([arriving(rtp.serialize(vp8(1)))], 7)
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 1
    engine.admit_any(5, 3)
    engine.remove_peer(5)
    engine.process([arriving(rtp.serialize(vp8(1)))], 7)
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 2


def test_keys_that_come_later_protect(engine: Engine) -> None:
    plain_publisher(engine)
    publisher, _ = one_to_one(engine)
    engine.admit_any(1, 4)
    engine.process([Datagram(publisher.protect(vp8(1)).data, ANYWHERE, 4, 7)], 7)
    assert engine.drops[Drop.AUTHENTICATION] == 0
    engine.process([arriving(rtp.serialize(vp8(2)), local=4)], 7)
    assert engine.drops[Drop.AUTHENTICATION] + engine.drops[Drop.MALFORMED] == 1
