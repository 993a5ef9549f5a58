"""Demultiplexing of datagrams to peers, and RTCP."""

import pylibsrtp
import pytest

from sfu.engine.contract import Datagram, Drop, Engine, Leftover, LeftoverKind, PeerEntry, SrtpProfile
from tests.sfu.engine.table import Publisher, Subscriber, one_to_one, vp8

STRANGER = ("10.9.9.9", 9)
GOODBYE = b"\x81\xcb\x00\x01\x00\x00\x00\x0b"
EMPTY_REPORT = b"\x80\xc9\x00\x01\x00\x00\x00\x0b"
NAMES = b"\x81\xca\x00\x02\x00\x00\x00\x0b\x01\x01a\x00"


def test_kinds_by_first_byte(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    batch = [Datagram(bytes([first]) + bytes(30), publisher.source, 0, 3) for first in range(256)]
    result = engine.process([*batch, Datagram(b"", publisher.source, 0, 3)], 3)
    kinds = {entry.data[0]: entry.kind for entry in result.leftovers}
    assert kinds == {
        **dict.fromkeys(range(4), LeftoverKind.STUN),
        **dict.fromkeys(range(20, 64), LeftoverKind.DTLS),
    }
    assert {entry.peer for entry in result.leftovers} == {1}
    assert engine.drops[Drop.NOT_WEBRTC] == 257 - 4 - 44 - 64
    # Of the others, half have room for the CSRCs and extension that they claim; none verifies.
    assert engine.drops[Drop.AUTHENTICATION] + engine.drops[Drop.MALFORMED] == 64
    assert engine.drops[Drop.AUTHENTICATION] > 0


def test_strangers(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    srtp = publisher.protect(vp8(1)).data
    batch = [Datagram(data, STRANGER, 0, 0) for data in (b"\0stun", b"\x16dtls", srtp)]
    result = engine.process(batch, 0)
    assert [(entry.kind, entry.peer) for entry in result.leftovers] == [
        (LeftoverKind.STUN, -1),
        (LeftoverKind.DTLS, -1),
    ]
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 1
    # Sources are per local socket, too.
    engine.process([Datagram(srtp, publisher.source, 1, 0)], 0)
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 2
    engine.dismiss_source(publisher.source, 0)
    engine.process([Datagram(srtp, publisher.source, 0, 0)], 0)
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 3


def test_strays_are_left_where_they_are_wanted(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    srtp = publisher.protect(vp8(1)).data
    engine.leave_strays(2)
    for _ in range(2):
        result = engine.process([Datagram(srtp, STRANGER, 0, 5)] * 3, 5)
        assert result.leftovers == [Leftover(LeftoverKind.STRAY, -1, srtp, STRANGER, 0, 5)] * 2
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 2


def test_a_source_moves_to_another_peer(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.set_peer(PeerEntry(5))
    engine.admit_source(5, publisher.source, 0)
    (leftover,) = engine.process([Datagram(b"\0stun", publisher.source, 0, 0)], 0).leftovers
    assert leftover.peer == 5
    engine.remove_peer(1)
    (leftover,) = engine.process([Datagram(b"\0stun", publisher.source, 0, 0)], 0).leftovers
    assert leftover.peer == 5


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_rtcp_both_ways(engine: Engine, profile: SrtpProfile) -> None:
    publisher, subscriber = one_to_one(engine, profile)
    data = publisher.srtp.protect_rtcp(GOODBYE)
    result = engine.process([Datagram(data, publisher.source, 0, 77)], 80)
    (leftover,) = result.leftovers
    assert (leftover.kind, leftover.peer, leftover.data, leftover.arrival) == (LeftoverKind.RTCP, 1, GOODBYE, 77)
    assert engine.last_activity(1) == 77
    engine.process([Datagram(data, publisher.source, 0, 78)], 80)
    assert engine.drops[Drop.REPLAY] == 1
    engine.process([Datagram(data[:-1] + bytes([data[-1] ^ 1]), publisher.source, 0, 78)], 80)
    assert engine.drops[Drop.AUTHENTICATION] + engine.drops[Drop.REPLAY] == 2
    assert engine.last_activity(1) == 77

    for count in range(300):
        (entry,) = engine.protect_rtcp(2, GOODBYE + bytes(4 * (count % 5)))
        assert entry.destination == subscriber.address
        assert subscriber.srtp.unprotect_rtcp(entry.data)[:8] == GOODBYE


def test_signs_of_life_are_noted_and_not_left_over(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    datagrams = [
        Datagram(publisher.srtp.protect_rtcp(compound), publisher.source, 0, 77)
        for compound in (EMPTY_REPORT, EMPTY_REPORT + NAMES, EMPTY_REPORT + GOODBYE, EMPTY_REPORT + b"\x81\xc9\x00\x07")
    ]
    left = engine.process(datagrams, 80).leftovers
    assert [leftover.data for leftover in left] == [EMPTY_REPORT + GOODBYE, EMPTY_REPORT + b"\x81\xc9\x00\x07"]
    assert engine.last_activity(1) == 77


@pytest.mark.parametrize("profile", list(SrtpProfile))
def test_rtcp_replay_window(engine: Engine, profile: SrtpProfile) -> None:
    publisher, _ = one_to_one(engine, profile)
    datagrams = [Datagram(publisher.srtp.protect_rtcp(GOODBYE), publisher.source, 0, 0) for _ in range(300)]
    engine.process(datagrams[200:], 0)
    assert engine.drops[Drop.REPLAY] == 0
    result = engine.process(datagrams[:200], 0)
    # libsrtp's window holds 128 indexes.
    assert len(result.leftovers) == 28
    assert engine.drops[Drop.REPLAY] == 172


def test_plain_rtcp_is_refused(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    engine.process([Datagram(GOODBYE + bytes(30), publisher.source, 0, 0)], 0)
    assert engine.drops[Drop.MALFORMED] == 1


def test_strangers_among_ssrcs_are_bounded(engine: Engine) -> None:
    publisher, subscriber = one_to_one(engine)
    for ssrc in range(1000, 1300):
        result = engine.process([publisher.protect(vp8(1, ssrc=ssrc))], 0)
        assert result.leftovers[0].kind == LeftoverKind.UNKNOWN_SSRC
    result = engine.process([publisher.protect(vp8(1, key=True))], 0)
    assert len(subscriber.received(result)) == 1


def test_an_unused_key_pair_reaches_nobody(engine: Engine) -> None:
    one_to_one(engine)
    other = Subscriber(engine, 7, 7)
    with pytest.raises(pylibsrtp.Error):
        other.srtp.unprotect_rtcp(engine.protect_rtcp(2, GOODBYE)[0].data)


def test_is_audio(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    from tests.sfu.engine.table import AUDIO, StreamEntry, opus

    engine.add_stream(StreamEntry(3, 1, 31, AUDIO))
    assert engine.is_audio(publisher.protect(opus(1)))
    assert not engine.is_audio(publisher.protect(vp8(1)))
    assert not engine.is_audio(publisher.protect(opus(2))._replace(source=STRANGER))
    assert not engine.is_audio(Datagram(b"\x80", publisher.source, 0, 0))


def test_publisher_of_another_key_does_not_verify(engine: Engine) -> None:
    publisher, _ = one_to_one(engine)
    datagram = publisher.protect(vp8(1, key=True))
    Publisher(engine, 1, 99)
    engine.process([datagram], 0)
    assert engine.drops[Drop.AUTHENTICATION] == 1
