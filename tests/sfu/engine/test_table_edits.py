"""Edits of the table: unknown ids, refusals, replacement, removal."""

from collections.abc import Callable

import pytest

from sfu.engine.contract import (
    Engine,
    PeerEntry,
    RouteEntry,
    RouteSource,
    SrtpKeys,
    SrtpProfile,
    StreamEntry,
)
from tests.sfu.engine.table import GCM, VIDEO, Publisher, Subscriber, one_to_one, vp8

KEYS = SrtpKeys(GCM, bytes(28), bytes(28))


@pytest.mark.parametrize(
    "edit",
    [
        lambda e: e.set_keys(9, KEYS),
        lambda e: e.set_address(9, ("10.0.0.1", 1), 0),
        lambda e: e.admit_source(9, ("10.0.0.1", 1), 0),
        lambda e: e.remove_peer(9),
        lambda e: e.add_stream(StreamEntry(1, 9, 1, VIDEO)),
        lambda e: e.remove_stream(9),
        lambda e: e.set_permitted(9, True),
        lambda e: e.set_route(RouteEntry(1, 9, 1, {}, 0)),
        lambda e: e.switch_route(9, None),
        lambda e: e.switch_route(1, RouteSource(9)),
        lambda e: e.remove_route(9),
        lambda e: e.route_state(9),
        lambda e: e.payload(9, 1),
        lambda e: e.add_sink_route(9, 1, 1),
        lambda e: e.remove_sink_route(9, 1),
        lambda e: e.remove_sink_route(1, 9),
        lambda e: e.set_budget(9, 1),
        lambda e: e.protect_rtcp(9, bytes(8)),
        lambda e: e.last_activity(9),
    ],
)
def test_unknown_ids_raise(engine: Engine, edit: Callable[[Engine], object]) -> None:
    one_to_one(engine)
    with pytest.raises(KeyError):
        edit(engine)


def test_keys_have_their_profiles_length(engine: Engine) -> None:
    one_to_one(engine)
    for profile in SrtpProfile:
        with pytest.raises(ValueError, match="bytes"):
            engine.set_keys(1, SrtpKeys(profile, bytes(27), bytes(27)))


def test_an_ssrc_belongs_to_one_stream(engine: Engine) -> None:
    one_to_one(engine)
    for entry in (StreamEntry(2, 1, 11, VIDEO), StreamEntry(2, 1, 12, VIDEO), StreamEntry(2, 1, 13, VIDEO, 11)):
        with pytest.raises(ValueError, match="SSRC"):
            engine.add_stream(entry)
    engine.set_peer(PeerEntry(5))
    engine.add_stream(StreamEntry(2, 5, 11, VIDEO))


def test_an_egress_ssrc_belongs_to_one_route(engine: Engine) -> None:
    _, subscriber = one_to_one(engine)
    with pytest.raises(ValueError, match="SSRC"):
        subscriber.add_route(2, ssrc=0x1001)
    with pytest.raises(ValueError, match="first seq"):
        subscriber.add_route(2, first_seq=1 << 15)


def test_a_stream_may_be_entered_again(engine: Engine) -> None:
    """Its payload types and its repair stream change, its numbering does not."""
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(65_535, key=True))], 0)
    engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 15))
    result = engine.process([publisher.protect(vp8(0))], 0)
    assert engine.progress(1).highest == 65_536
    assert [packet.seq for packet in subscriber.received(result)] == [501]
    engine.add_stream(StreamEntry(1, 1, 88, VIDEO))
    assert engine.route_state(1).stream == -1
    assert len(engine.process([publisher.protect(vp8(1))], 0).leftovers) == 1
    assert engine.progress(1).packets == 0


def test_a_route_may_be_entered_again(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    subscriber.add_route(1, mid="other", payload_types={96: 120})
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(2))], 0))
    assert (packet.seq, packet.payload_type) == (501, 120)
    assert dict(packet.extensions)[1] == b"other"
    subscriber.add_route(1, ssrc=0x7777)
    assert engine.process([publisher.protect(vp8(3, key=True))], 0).outgoing == []
    engine.switch_route(1, RouteSource(1))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(4, key=True))], 0))
    assert (packet.ssrc, packet.seq) == (0x7777, 500)


def test_removing_a_peer_removes_what_is_its(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    engine.remove_peer(1)
    assert engine.route_state(1).stream == -1
    with pytest.raises(KeyError):
        engine.set_permitted(1, True)
    engine.remove_peer(2)
    with pytest.raises(KeyError):
        engine.route_state(1)
    publisher = Publisher(engine, 1, 5)
    subscriber = Subscriber(engine, 2, 6)
    engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(1))
    assert len(subscriber.received(engine.process([publisher.protect(vp8(1, key=True))], 0))) == 1


def test_changed_extension_ids_take_effect(engine: Engine) -> None:
    from sfu.formats.extensions import Extension

    publisher, subscriber = one_to_one(engine)
    engine.set_peer(PeerEntry(2, send_extensions={Extension.TRANSPORT_SEQ: 9}))
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(1, key=True))], 0))
    assert packet.extensions == ((9, b"\0\0"),)


def test_profiles_mix(engine: Engine) -> None:
    publisher, first = one_to_one(engine)
    second = Subscriber(engine, 3, 3, SrtpProfile.AES128_CM_HMAC_SHA1_80)
    second.add_route(2)
    engine.switch_route(2, RouteSource(1))
    result = engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert first.received(result)[0].payload == second.received(result)[0].payload


def test_a_payload_is_held_as_it_came(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    packet = vp8(1, key=True)
    assert engine.payload(1, 1) is None
    engine.process([publisher.protect(packet)], 0)
    assert engine.payload(1, 1) == (96, packet.payload)
    assert engine.payload(1, 2) is engine.payload(1, -1) is None
    engine.set_permitted(1, False)
    engine.process([publisher.protect(vp8(2, key=True))], 0)
    assert engine.payload(1, 2) is None
