"""Datagrams on a shared port for peers of other workers: which are handed on, and which are dropped."""

from collections import Counter

import pytest

from sfu.engine.contract import Drop, Leftover, LeftoverKind
from sfu.machines import port_steering
from sfu.machines.ice.lite import FiveTuple
from sfu.peers.shared_port import HELD_NS, MAX_HANDED, MAX_HELD, PathNews, SharedPort
from sfu.server.port_messages import Handed, decode_handed, encode_handed

HERE, THERE = FiveTuple(("192.0.2.1", 4000), 0), FiveTuple(("192.0.2.2", 4000), 0)


@pytest.fixture
def drops() -> Counter[Drop]:
    return Counter()


@pytest.fixture
def shared(drops: Counter[Drop]) -> SharedPort:
    return SharedPort(0, drops)


def leftover(kind: LeftoverKind, path: FiveTuple, data: bytes = b"x") -> Leftover:
    return Leftover(kind, -1, data, path.source, path.local, 7)


def test_what_others_have_told_of_is_handed_to_them_and_nothing_else(shared: SharedPort, drops: Counter[Drop]) -> None:
    shared.learn([PathNews(2, True, THERE)])
    known, unknown = leftover(LeftoverKind.STRAY, THERE), leftover(LeftoverKind.STRAY, HERE)
    assert shared.stray(known, 0) and shared.stray(unknown, 0)
    assert shared.take_handed() == {2: [known]}
    assert drops == {Drop.UNKNOWN_SOURCE: 1}
    shared.learn([PathNews(1, False, THERE)])  # late news of a worker that had it before
    assert shared.stray(known, 0) and shared.take_handed() == {2: [known]}
    shared.learn([PathNews(2, False, THERE)])
    assert shared.stray(known, 0) and shared.take_handed() == {}


def test_a_handshake_waits_a_moment_for_its_worker_to_tell(shared: SharedPort) -> None:
    hello = leftover(LeftoverKind.DTLS, THERE)
    assert shared.stray(hello, 0)
    shared.learn([PathNews(1, True, THERE)])
    assert shared.take_handed() == {1: [hello]}
    for number in range(MAX_HELD + 5):
        assert shared.stray(leftover(LeftoverKind.DTLS, HERE), 0) is (number < MAX_HELD)
    assert shared.stray(hello, HELD_NS) and shared.take_handed() == {1: [hello]}
    shared.learn([PathNews(1, True, HERE)])
    assert shared.take_handed() == {}  # packets held for too long are dropped


def test_checks_go_by_their_user_fragment_and_a_flood_no_further(shared: SharedPort, drops: Counter[Drop]) -> None:
    stun = leftover(LeftoverKind.STUN, THERE)
    assert not shared.check(stun, shared.mark + "abc") and not shared.check(stun, "0abc")
    for _ in range(MAX_HANDED + 3):
        assert shared.check(stun, port_steering.mark(3) + "abc")
    assert len(shared.take_handed()[3]) == MAX_HANDED
    assert drops == {Drop.NOT_HANDED_ON: 3}


def test_handed_datagrams_travel_in_messages_of_bounded_size() -> None:
    many = [leftover(LeftoverKind.STRAY, THERE, bytes([number]) * 1400) for number in range(200)]
    messages = encode_handed(many)
    assert max(map(len, messages)) < 256 * 1024
    assert [one for message in messages for one in decode_handed(message)] == [
        Handed(one.data, one.source, one.local, one.arrival) for one in many
    ]
