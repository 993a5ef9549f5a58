"""The playout delay that receivers are told: that of the stream, the publisher's own, or that there is none."""

from collections.abc import Mapping, Sequence

from sfu.engine.contract import Engine, Result, RouteSource, StreamEntry
from sfu.formats.extensions import Extension
from sfu.formats.header_extensions import write_playout_delay
from tests.sfu.engine.table import AUDIO, MILLISECOND, SENT, Subscriber, one_to_one, opus, vp8

LONGEST = 10_000 * MILLISECOND
NONE = write_playout_delay(0, LONGEST)


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
