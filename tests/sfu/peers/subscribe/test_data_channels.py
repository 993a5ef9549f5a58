"""Data channels of subscribe peers: delivery, order, and the cost of a slow or forbidden peer to others."""

import random
from collections.abc import Iterator

import pytest

from foundation.token_bucket import TokenBucket
from sfu.api import signaling
from sfu.api.desired_state import DesiredState
from sfu.api.join_token import Grants
from sfu.formats.data_message import MAX_MESSAGE_BYTES, DataMessage, serialize
from sfu.machines.sctp_association import SctpMessage
from sfu.peers.data_channels import MAX_BUFFERED_BYTES, Sent, Unfit
from sfu.rooms import data_allowance
from tests.sfu.rooms.stage import MS, SECOND, Person, RtcClient, Stage, subscribe

Someone = tuple[Person, RtcClient]


def enter(stage: Stage, who: str, grants: Grants | None = None) -> Someone:
    person = stage.join(who, grants)
    client = subscribe(stage, person, data=True)
    stage.run(200 * MS)
    assert client.data is not None
    assert client.data.is_open
    return person, client


def errors(person: Person) -> list[str]:
    return [message.code for message in person.of(signaling.Error)]


@pytest.fixture
def unmetered(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Participants may send as much as they like."""
    monkeypatch.setattr(data_allowance.DataAllowance, "take", lambda *_: True)
    monkeypatch.setattr(data_allowance, "room_allowance", lambda: TokenBucket(1e9, 1e9))
    monkeypatch.setattr("sfu.rooms.room.room_allowance", lambda: TokenBucket(1e9, 1e9))
    yield


@pytest.mark.parametrize("reliable", [True, False])
def test_a_message_reaches_all_others(reliable: bool) -> None:
    stage = Stage()
    (_, ann), (_, bob), (_, eve) = (enter(stage, who) for who in ("ann", "bob", "eve"))
    ann.say(b"hello", stage.now, topic="greetings", reliable=reliable)
    bob.say(bytes(30_000), stage.now, reliable=reliable)
    stage.run(200 * MS)
    assert sorted(eve.heard(reliable=reliable)) == [("ann", b"hello"), ("bob", bytes(30_000))]
    assert ann.heard(reliable=reliable) == [("bob", bytes(30_000))]
    assert bob.heard(reliable=reliable) == [("ann", b"hello")]


def test_a_message_reaches_those_named() -> None:
    stage = Stage()
    (_, ann), (_, bob), (_, eve) = (enter(stage, who) for who in ("ann", "bob", "eve"))
    ann.say(b"for eve", stage.now, "eve", "eve", "nobody")
    stage.run(200 * MS)
    assert (bob.heard(), eve.heard()) == ([], [("ann", b"for eve")])
    assert stage.node.context.counters["data_dropped_unknown_receiver"] == 1


def test_loss_costs_no_reliable_message_and_no_order(unmetered: None) -> None:
    stage = Stage()
    (_, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    rng = random.Random(3)
    stage.lose = lambda data: 20 <= data[0] < 64 and rng.random() < 0.2
    sent = [bytes([number]) * 1500 for number in range(100)]
    for payload in sent:
        ann.say(payload, stage.now)
        stage.run(10 * MS)
    stage.run(20 * SECOND)
    assert [payload for _, payload in bob.heard()] == sent


def test_a_message_lost_on_the_lossy_channel_is_not_sent_again(unmetered: None) -> None:
    stage = Stage()
    (_, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    rng = random.Random(3)
    stage.lose = lambda data: 20 <= data[0] < 64 and rng.random() < 0.3
    for number in range(100):
        ann.say(bytes([number]) * 100, stage.now, reliable=False)
        stage.run(20 * MS)
    stage.lose = lambda _: False
    stage.run(5 * SECOND)
    heard = [payload[0] for _, payload in bob.heard(reliable=False)]
    assert 40 < len(heard) < 90
    ann.say(b"again", stage.now, reliable=False)
    stage.run(5 * SECOND)
    assert bob.heard(reliable=False)[-1] == ("ann", b"again")


def test_a_stuck_reader_loses_its_own_and_delays_nobody(unmetered: None) -> None:
    stage = Stage()
    (_, ann), (stuck, deaf), (_, bob) = (enter(stage, who) for who in ("ann", "stuck", "bob"))
    deaf.deaf = True
    payload = bytes(20_000)
    for number in range(80):
        ann.say(payload, stage.now, reliable=False)
        stage.run(50 * MS)
        assert len(bob.heard(reliable=False)) == number + 1
    assert stage.node.context.counters[Sent.BUFFER_FULL.value] > 0
    for number in range(80):
        ann.say(payload, stage.now)
        stage.run(50 * MS)
        assert len(bob.heard()) == number + 1
    assert errors(stuck) == ["data_overflow"]
    assert stage.node.context.counters[Sent.OVERFLOWED.value] == 1
    channels = stuck.membership.participant.subscription.subscribe_peer.data.channels
    assert channels.buffered <= MAX_BUFFERED_BYTES
    stage.run(30 * SECOND)
    ann.say(b"bob is well", stage.now)
    stage.run(100 * MS)
    assert bob.heard()[-1] == ("ann", b"bob is well")


def test_who_is_named_while_away_or_without_channels_gets_nothing() -> None:
    stage = Stage()
    _, ann = enter(stage, "ann")
    subscribe(stage, stage.join("old"))
    ann.say(b"hello", stage.now, "old")
    stage.run(200 * MS)
    assert stage.node.context.counters[Sent.NO_CHANNEL.value] == 1


def test_what_comes_before_the_channel_is_open_waits_for_it() -> None:
    stage = Stage()
    _, ann = enter(stage, "ann")
    late = stage.join("late")
    ann.say(b"welcome", stage.now, "late")
    stage.run(100 * MS)
    client = subscribe(stage, late, data=True)
    stage.run(SECOND)
    assert client.heard() == [("ann", b"welcome")]


def test_who_may_not_send_is_refused_and_told() -> None:
    stage = Stage()
    (viewer, client), (_, bob) = enter(stage, "viewer", Grants(publish=(), data=False)), enter(stage, "bob")
    client.say(b"psst", stage.now)
    client.say(b"psst", stage.now, reliable=False)
    stage.run(200 * MS)
    assert (bob.heard(), bob.heard(reliable=False)) == ([], [])
    assert errors(viewer) == ["not_permitted"]
    assert stage.node.context.counters["data_dropped_not_permitted"] == 2


def test_a_grant_taken_away_and_a_removal_hold_at_once() -> None:
    stage = Stage()
    (ann, client), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    stage.node.apply(DesiredState(room="r", version=1, participants={"ann": Grants(data=False)}), stage.now)
    client.say(b"still there", stage.now)
    stage.run(200 * MS)
    assert errors(ann) == ["not_permitted"]
    stage.node.apply(DesiredState(room="r", version=2, removed=("ann",)), stage.now)
    client.say(b"and now", stage.now)
    stage.run(200 * MS)
    assert bob.heard() == []


def test_rates_are_bounded() -> None:
    stage = Stage()
    (ann, client), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    for _ in range(3000):
        client.say(b"x", stage.now)
    stage.run(2 * SECOND)
    assert 500 <= len(bob.heard()) < 800
    assert set(errors(ann)) == {"too_many_requests"}
    assert len(errors(ann)) <= 8


def test_what_is_sent_too_fast_comes_later_and_in_order() -> None:
    """A file is larger than what may be sent at once, and useless without each of its parts."""
    stage = Stage()
    (ann, client), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    for number in range(60):
        client.say(bytes([number]) * 15_000, stage.now)
    stage.run(300 * MS)
    assert len(bob.heard()) < 40
    stage.run(3 * SECOND)
    assert [payload[0] for _, payload in bob.heard()] == list(range(60))
    assert errors(ann) == []


def test_what_waits_is_passed_on_when_its_sender_leaves() -> None:
    stage = Stage()
    (ann, client), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    for number in range(45):
        client.say(bytes([number]) * 15_000, stage.now)
    stage.run(300 * MS)
    assert len(bob.heard()) < 45
    stage.say(ann, signaling.Leave())
    stage.run(SECOND)
    assert [payload[0] for _, payload in bob.heard()] == list(range(45))


@pytest.mark.parametrize(
    ("data", "counted"),
    [
        (b"\x02", "data_dropped_bad_message"),
        (serialize(DataMessage(b"x"))[:2], "data_dropped_bad_message"),
        (bytes(MAX_MESSAGE_BYTES + 1), Unfit.TOO_LONG.value),
    ],
)
def test_what_is_no_message_is_dropped(data: bytes, counted: str) -> None:
    stage = Stage()
    (_, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    ann.send_data(data, stage.now)
    ann.say(b"and on", stage.now)
    stage.run(500 * MS)
    assert bob.heard() == [("ann", b"and on")]
    assert stage.node.context.counters[counted] == 1


@pytest.mark.parametrize(
    ("stream", "protocol", "why"),
    [(0, 51, Unfit.NOT_BINARY), (1, 51, Unfit.NOT_BINARY), (7, 53, Unfit.UNKNOWN_CHANNEL)],
)
def test_what_comes_by_another_channel_or_as_text_is_counted(stream: int, protocol: int, why: Unfit) -> None:
    stage = Stage()
    (_, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    assert ann.data is not None
    ann.data._association.send(SctpMessage(stream, protocol, serialize(DataMessage(b"x"))), stage.now)
    stage.run(200 * MS)
    assert (bob.heard(), bob.heard(reliable=False)) == ([], [])
    assert stage.node.context.counters[why.value] == 1


def test_a_channel_that_the_client_closes_is_closed() -> None:
    stage = Stage()
    (_, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    assert bob.data is not None
    bob.data._association.reset(0, stage.now)
    stage.run(200 * MS)
    bob.data._association.send(SctpMessage(0, 53, serialize(DataMessage(b"x"))), stage.now)
    stage.run(200 * MS)
    assert stage.node.context.counters[Unfit.CLOSED_CHANNEL.value] == 1
    ann.say(b"hello", stage.now)
    ann.say(b"hello", stage.now, reliable=False)
    stage.run(200 * MS)
    assert (bob.heard(), bob.heard(reliable=False)) == ([], [("ann", b"hello")])


def test_a_broken_association_ends_data_and_not_media() -> None:
    stage = Stage()
    (person, ann), (_, bob) = enter(stage, "ann"), enter(stage, "bob")
    ann._dtls.send([b"\x13\x88\x13\x88" + bytes(8) + b"\x00\x03\x00\x00"], stage.now)
    ann._dtls.send([b"nonsense"], stage.now)
    stage.run(200 * MS)
    assert stage.node.context.counters["data_association_protocol_error"] == 1
    assert not person.membership.participant.subscription.subscribe_peer.data.channels.is_open
    assert not person.membership.participant.subscription.subscribe_peer.peer.closed
    bob.say(b"hello", stage.now)
    stage.run(200 * MS)
    assert stage.node.context.counters[Sent.NO_CHANNEL.value] == 1
