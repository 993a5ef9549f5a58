"""A peer's 5-tuples: an expired one is removed from the engine, and sending moves to a remaining one."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from sfu.api import signaling
from sfu.engine.contract import Datagram, Drop, Leftover, LeftoverKind, Outgoing
from sfu.engine.python import PythonEngine
from sfu.formats import stun
from sfu.machines.ice.lite import CONSENT_NS, MAX_QUESTIONS
from sfu.peers.peer import Peer
from tests.sfu.rooms.stage import AUDIO, MS, NODE_CERTIFICATE, SECOND, RtcClient, Stage, audio, publish, subscribe

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


class Bystander:
    """Somebody at an address who asked for nothing; keeps what comes. `sends` goes out from there, forged."""

    def __init__(self, *sends: bytes) -> None:
        self.came: list[bytes] = []
        self._sends = list(sends)

    def receive(self, data: bytes, now: int) -> None:
        self.came.append(data)

    def datagrams_to_send(self, now: int) -> list[bytes]:
        sends, self._sends = self._sends, []
        return sends

    def handle_timer(self, now: int) -> None:
        """It never has due work."""


def watched_call(stage: Stage) -> tuple[RtcClient, RtcClient, Iterator[int]]:
    """Ann speaks, Bob listens."""
    ann, bob = stage.join("ann"), stage.join("bob")
    listener = subscribe(stage, bob)
    return publish(stage, ann, [AUDIO]), listener, iter(range(10_000))


def spoken(stage: Stage, speaker: RtcClient, listener: RtcClient, seqs: Iterator[int], packets: int) -> int:
    """Return how many of these packets the listener gets."""
    before = len(listener.rtp)
    for _ in range(packets):
        speaker.send(audio(next(seqs)))
        stage.run(20 * MS)
    return len(listener.rtp) - before


def test_a_forged_check_moves_no_media() -> None:
    """A participant sends a check with another's address; nothing but three checks is sent there."""
    stage = Stage()
    speaker, listener, seqs = watched_call(stage)
    assert spoken(stage, speaker, listener, seqs, 10) == 10
    forged = stun.parse(listener._ice._check(b"transaction!"))
    for number in range(50):
        request = replace(forged, transaction_id=number.to_bytes(12, "big"), use_candidate=True, priority=2**31 - 1)
        stage.clients[NEW] = bystander = Bystander(stun.serialize(request, listener._ice._remote.pwd.encode()))
        assert spoken(stage, speaker, listener, seqs, 20) == 20
        ours = [stun.parse(data).message_class for data in bystander.came]
        assert ours.count(stun.MessageClass.REQUEST) <= MAX_QUESTIONS
        assert ours.count(stun.MessageClass.SUCCESS) + ours.count(stun.MessageClass.REQUEST) == len(bystander.came)


def test_a_client_that_moves_is_followed_with_its_first_check() -> None:
    stage = Stage()
    speaker, listener, seqs = watched_call(stage)
    assert spoken(stage, speaker, listener, seqs, 10) == 10
    address = next(key for key, client in stage.clients.items() if client is listener)
    del stage.clients[address]
    stage.clients[NEW] = listener
    stage.run(9 * SECOND)  # as long as a nomination that is not renewed may stand
    missed = 50 - spoken(stage, speaker, listener, seqs, 50)
    assert missed < 50
    assert spoken(stage, speaker, listener, seqs, 50) == 50


def test_what_is_no_answer_to_a_check_of_ours_is_counted() -> None:
    stage = Stage()
    _, listener, _ = watched_call(stage)
    nonsense = stun.serialize(stun.Message(stun.MessageClass.SUCCESS, bytes(12)))
    listener._outgoing.append(nonsense)
    stage.clients[NEW] = Bystander(nonsense)
    stage.deliver()
    assert stage.node.context.counters["stun_unknown_transaction"] == 1
    assert stage.node.context.counters["stun_malformed"] == 1
