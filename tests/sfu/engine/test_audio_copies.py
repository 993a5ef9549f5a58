"""Copies of audio packets for a lossy link: each goes again with the packets after it, unless that is too late."""

import pytest

from sfu.engine.contract import Engine, RouteSource, StreamEntry
from tests.sfu.engine.table import AUDIO, MILLISECOND, Publisher, one_to_one, opus, vp8


@pytest.fixture
def publisher(engine: Engine) -> Publisher:
    """A publisher whose sound goes to peer 2 over route 2."""
    publisher, subscriber = one_to_one(engine)
    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    subscriber.add_route(2, rtx_ssrc=None, is_audio=True)
    engine.switch_route(2, RouteSource(3, at_keyframe=False))
    return publisher


def sent(engine: Engine, publisher: Publisher, seq: int, at: int) -> list[bytes]:
    """Return the datagrams that leave when a packet of sound arrives."""
    at *= MILLISECOND
    packet = publisher.protect(opus(seq, seq * 960), at)
    return [outgoing.data for outgoing in engine.process([packet], at).outgoing]


def test_each_packet_goes_again_with_the_next(engine: Engine, publisher: Publisher) -> None:
    assert len(sent(engine, publisher, 1, 0)) == 1
    engine.copy_audio(2, 1)
    first, _ = sent(engine, publisher, 2, 20)
    second, again = sent(engine, publisher, 3, 40)
    assert again == first != second
    engine.copy_audio(2, 2)
    _, *copies = sent(engine, publisher, 4, 60)
    assert copies == [second, first]
    engine.copy_audio(2, 0)
    assert len(sent(engine, publisher, 5, 80)) == 1
    assert engine.route_state(2).retransmitted == 4


def test_what_would_come_too_late_or_is_a_picture_goes_once(engine: Engine, publisher: Publisher) -> None:
    engine.copy_audio(2, 2)
    sent(engine, publisher, 1, 0)
    assert len(sent(engine, publisher, 2, 101)) == 1
    assert len(sent(engine, publisher, 3, 102)) == 2
    assert len(sent(engine, publisher, 4, 103)) == 2  # the one before has just gone again
    packets = [publisher.protect(packet, 110 * MILLISECOND) for packet in (vp8(1, key=True), vp8(2))]
    assert len(engine.process(packets, 110 * MILLISECOND).outgoing) == 2
    with pytest.raises(ValueError, match="at most 2"):
        engine.copy_audio(2, 3)
