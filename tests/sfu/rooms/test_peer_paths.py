"""A peer's 5-tuples: one that lapses is dismissed from the engine, and what is sent moves to one that stays."""

from collections import Counter

from sfu.api import signaling
from sfu.engine.contract import Datagram, Drop, Leftover, LeftoverKind, Outgoing
from sfu.engine.python import PythonEngine
from sfu.formats import stun
from sfu.machines.ice import CONSENT_NS
from sfu.rooms.peer import Peer
from tests.sfu.rooms.stage import AUDIO, MS, NODE_CERTIFICATE, SECOND, Stage, audio, publish, subscribe

MDNS = "candidate:1 1 udp 2113937151 0b6c0f5e-8f3c-4c8e-9f5e-2f1f6f1d3c11.local 50000 typ host"
OLD, NEW = ("198.51.100.1", 1000), ("198.51.100.2", 2000)


def check(peer: Peer, source: tuple[str, int], now: int, *, nominate: bool) -> None:
    """Let a STUN check of the remote come from `source`."""
    local = peer.local(())
    request = stun.Message(
        stun.MessageClass.REQUEST,
        b"transaction!",
        username=f"{local.ufrag}:them",
        priority=1,
        controlling=1,
        use_candidate=nominate,
    )
    data = stun.serialize(request, local.pwd.encode())
    assert peer.receive(Leftover(LeftoverKind.STUN, -1, data, source, 0, now), now) is None


def test_a_path_that_lapses_is_dismissed_and_the_other_taken() -> None:
    engine = PythonEngine()
    now = 1000 * SECOND
    peer = Peer(1, engine, NODE_CERTIFICATE, now, drops=Counter())
    check(peer, OLD, now, nominate=True)
    check(peer, NEW, now + SECOND, nominate=False)
    engine.set_unprotected(1)
    report = b"\x81\xcb\x00\x01\x00\x00\x00\x0b"
    assert engine.protect_rtcp(1, report) == [Outgoing(report, OLD, 0)]
    at = now + CONSENT_NS - SECOND
    check(peer, NEW, at, nominate=False)
    peer.handle_timer(now + CONSENT_NS)
    assert not peer.closed
    assert engine.protect_rtcp(1, report) == [Outgoing(report, NEW, 0)]
    result = engine.process([Datagram(report, OLD, 0, at), Datagram(report, NEW, 0, at)], at)
    assert [leftover.source for leftover in result.leftovers] == [NEW]
    assert engine.drops[Drop.UNKNOWN_SOURCE] == 1


def test_names_by_which_browsers_hide_their_addresses_are_tolerated() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann, [f"{AUDIO}a={MDNS} generation 0 network-cost 999\r\n"])
    stage.say(ann, signaling.Ice(peer="publish", candidate=MDNS))
    for seq in range(5):
        sender.send(audio(seq))
        stage.run(20 * MS)
    assert len(receiver.rtp) == 5
