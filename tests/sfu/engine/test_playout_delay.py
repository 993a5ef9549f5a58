"""The playout delay that receivers are told: of the stream, of the peer, the publisher's own, or that there is none."""

from collections.abc import Mapping, Sequence

from sfu.engine.contract import Engine, Result, RouteSource, StreamEntry
from sfu.formats.extensions import Extension
from sfu.formats.header_extensions import write_playout_delay
from tests.sfu.engine.table import AUDIO, MILLISECOND, SENT, VIDEO, Publisher, Subscriber, one_to_one, opus, vp8

LONGEST = 10_000 * MILLISECOND
NONE = write_playout_delay(0, LONGEST)
SHORTER, LONGER = (write_playout_delay(delay * MILLISECOND, LONGEST) for delay in (100, 250))


def told(subscriber: Subscriber, result: Result) -> Sequence[bytes | None]:
    """Return the playout delay of each packet that a subscriber got."""
    extensions: list[Mapping[int, bytes]] = [dict(packet.extensions) for packet in subscriber.received(result)]
    return [entry.get(SENT[Extension.PLAYOUT_DELAY]) for entry in extensions]


def test_each_packet_tells_the_streams_delay_until_it_ends(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_playout_delay(1, 250 * MILLISECOND)
    batch = [publisher.protect(vp8(seq, 0, key=True, start=seq == 1)) for seq in (1, 2)]
    batch.append(publisher.protect(vp8(3, 3000)))
    assert told(subscriber, engine.process(batch, 0)) == [write_playout_delay(250 * MILLISECOND, LONGEST)] * 3
    engine.set_playout_delay(1, 0)
    assert told(subscriber, engine.process([publisher.protect(vp8(4, 6000))], 0)) == [NONE]
    engine.set_playout_delay(1, None)
    assert told(subscriber, engine.process([publisher.protect(vp8(5, 9000))], 0)) == [None]


def test_all_packets_of_a_keyframe_tell_that_there_is_none(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    batch = [publisher.protect(vp8(seq, 0, key=True, start=seq == 1)) for seq in (1, 2, 3)]
    batch.append(publisher.protect(vp8(4, 3000)))
    assert told(subscriber, engine.process(batch, 0)) == [NONE, NONE, NONE, None]


def test_a_publishers_own_delay_is_kept(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_playout_delay(1, 250 * MILLISECOND)
    own = ((9, b"\4\5\6"),)
    assert told(subscriber, engine.process([publisher.protect(vp8(1, key=True, extensions=own))], 0)) == [b"\4\5\6"]


def test_a_repair_tells_it_too(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_playout_delay(1, 250 * MILLISECOND)
    engine.process([publisher.protect(vp8(1, key=True)), publisher.protect(vp8(3, 6000))], 0)
    missing = vp8(2, 3000)
    rtx = missing._replace(payload_type=97, ssrc=12, seq=7, payload=b"\0\2" + missing.payload)
    assert told(subscriber, engine.process([publisher.protect(rtx)], 0)) == [
        write_playout_delay(250 * MILLISECOND, LONGEST)
    ]


def test_who_has_not_agreed_to_it_gets_none(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    subscriber = Subscriber(engine, 3, 3, extensions={Extension.MID: 1})
    subscriber.add_route(2)
    engine.switch_route(2, RouteSource(1))
    engine.set_playout_delay(1, 250 * MILLISECOND)
    (packet,) = subscriber.received(engine.process([publisher.protect(vp8(1, key=True))], 0))
    assert [identifier for identifier, _ in packet.extensions] == [1]


def test_sound_tells_none(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    engine.set_playout_delay(3, 250 * MILLISECOND)
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    assert told(subscriber, engine.process([publisher.protect(opus(1))], 0)) == [None]


def test_of_the_delays_of_stream_and_peer_the_longer_one_is_told(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_peer_playout_delay(2, 100 * MILLISECOND)
    batch = [publisher.protect(vp8(1, key=True)), publisher.protect(vp8(2, 3000))]
    assert told(subscriber, engine.process(batch, 0)) == [SHORTER, SHORTER]
    engine.set_playout_delay(1, 250 * MILLISECOND)
    assert told(subscriber, engine.process([publisher.protect(vp8(3, 6000))], 0)) == [LONGER]
    engine.set_playout_delay(1, 0)
    assert told(subscriber, engine.process([publisher.protect(vp8(4, 9000))], 0)) == [SHORTER]
    engine.set_peer_playout_delay(2, None)
    assert told(subscriber, engine.process([publisher.protect(vp8(5, 12_000))], 0)) == [NONE]


def test_one_peers_delay_is_not_anothers(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    other = Subscriber(engine, 3, 3)
    other.add_route(2)
    engine.switch_route(2, RouteSource(1))
    engine.set_peer_playout_delay(3, 100 * MILLISECOND)
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    result = engine.process([publisher.protect(vp8(2, 3000))], 0)
    assert told(subscriber, result) == [None]
    assert told(other, result) == [SHORTER]


def test_a_route_added_later_tells_the_peers_delay_too(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_peer_playout_delay(2, 100 * MILLISECOND)
    engine.remove_route(1)
    subscriber.add_route(1)
    engine.switch_route(1, RouteSource(1))
    assert told(subscriber, engine.process([publisher.protect(vp8(1, key=True))], 0)) == [SHORTER]


def test_a_publishers_own_delay_is_kept_for_such_a_peer_too(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    engine.set_peer_playout_delay(2, 100 * MILLISECOND)
    own = ((9, b"\0\0\0"),)
    assert told(subscriber, engine.process([publisher.protect(vp8(1, key=True, extensions=own))], 0)) == [b"\0\0\0"]


def test_the_same_number_never_has_other_bytes(engine: Engine) -> None:
    """Without RTX, a packet that is sent again has its old number, under which SRTP allows no other bytes."""
    publisher = Publisher(engine, 1, 1)
    subscriber = Subscriber(engine, 2, 2)
    engine.add_stream(StreamEntry(1, 1, 11, VIDEO, 12))
    subscriber.add_route(1, rtx_ssrc=None)
    engine.switch_route(1, RouteSource(1))
    engine.process([publisher.protect(vp8(1, key=True))], 0)
    (first,) = engine.process([publisher.protect(vp8(2, 3000))], 0).outgoing
    engine.set_peer_playout_delay(2, 100 * MILLISECOND)
    (again,) = engine.retransmit(2, 0x1001, [501], 0, 0)
    assert again.data == first.data
