"""Lifetimes: lost sockets, lost networks, emptied rooms; in simulated time."""

import pytest

from sfu.api import facts, signaling
from sfu.api.refusal import Code, Refused
from sfu.api.registration import MOVING_SECONDS
from tests.sfu.rooms.stage import SECOND, Person, Stage, audio, publish, subscribe


def test_a_lost_socket_is_forgiven_for_fifteen_seconds() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    secret = ann.last(signaling.RoomInfo).resume
    stage.node.session_lost(ann.session, stage.now)
    stage.deliver()
    assert not bob.last(signaling.ParticipantUpdated).participant.connected
    stage.run(14 * SECOND, SECOND // 5)
    membership = stage.node.resume(secret, 99, stage.now) if stage.people.setdefault(99, ann) else None
    stage.deliver()
    assert membership is not None
    assert ann.last(signaling.RoomInfo).resumed
    stage.node.session_lost(99, stage.now)
    stage.run(16 * SECOND, SECOND // 5)
    assert bob.last(signaling.ParticipantLeft).reason == "timeout"
    with pytest.raises(Refused):
        stage.node.resume(secret, 100, stage.now)


def test_media_outlives_the_socket_within_the_grace() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann)
    stage.node.session_lost(ann.session, stage.now)
    stage.run(10 * SECOND, SECOND // 5)
    before = len(receiver.rtp)
    sender.send(audio(1), audio(2))
    stage.deliver()
    assert len(receiver.rtp) == before + 2
    stage.run(6 * SECOND, SECOND // 5)
    assert not ann.membership.room.uptracks
    sender.send(audio(3))
    stage.deliver()
    assert len(receiver.rtp) == before + 2


def test_media_of_a_room_that_moved_continues_until_its_people_have_followed() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    receiver = subscribe(stage, bob)
    sender = publish(stage, ann)
    before = len(receiver.rtp)
    stage.node.move_away(["r"], stage.now)
    stage.deliver()
    assert bob.last(signaling.Error).code == Code.MOVED.value
    assert not stage.node.rooms
    assert [type(fact) for fact in stage.facts[-3:]] == [facts.ParticipantLeft, facts.ParticipantLeft, facts.RoomClosed]
    told = len(stage.facts)
    stage.run((MOVING_SECONDS - 1) * SECOND, SECOND // 5)
    sender.send(audio(1), audio(2))
    stage.deliver()
    assert len(receiver.rtp) == before + 2
    assert stage.node.has_moving
    with pytest.raises(Refused):
        stage.node.resume(ann.last(signaling.RoomInfo).resume, 99, stage.now)
    stage.run(2 * SECOND, SECOND // 5)
    sender.send(audio(3))
    stage.deliver()
    assert len(receiver.rtp) == before + 2
    assert not stage.node.has_moving
    assert not len(stage.node.peers)
    assert len(stage.facts) == told


def test_a_network_that_is_gone_ends_a_silent_participant_within_35_seconds() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    subscribe(stage, bob)
    sender = publish(stage, ann)
    stage.run(5 * SECOND, SECOND // 5)
    sender.silent = True
    stage.run(35 * SECOND, SECOND // 5)
    assert bob.last(signaling.ParticipantLeft).participant == "ann"
    assert ann.closed == 4002


def test_one_that_still_signals_only_loses_its_tracks() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    sender = publish(stage, ann)
    sender.silent = True
    for number in range(8):
        stage.run(5 * SECOND, SECOND // 5)
        stage.say(ann, signaling.Ping(id=number))
    assert not bob.of(signaling.ParticipantLeft)
    assert len(bob.of(signaling.TrackUnpublished)) == 2
    assert ann.membership.participant.publish is None


def test_a_room_opens_and_closes_with_its_participants() -> None:
    stage = Stage()
    ann = stage.join("ann")
    assert stage.node.context.outbox.rooms_opened == ["r"]
    stage.say(ann, signaling.Leave())
    assert ann.closed == 1000
    assert not stage.node.rooms
    assert not len(stage.node.peers)
    kinds = [type(fact) for fact in stage.facts]
    assert kinds == [facts.RoomOpened, facts.ParticipantJoined, facts.ParticipantLeft, facts.RoomClosed]
    assert stage.node.timer() is None


def idle(stage: Stage, person: Person, seconds: int) -> None:
    """Let time pass while a client only pings."""
    for number in range(seconds // 5):
        stage.run(5 * SECOND, SECOND // 5)
        stage.say(person, signaling.Ping(id=number))


@pytest.mark.parametrize("kind", ["agent", "egress"])
def test_agents_and_recorders_stay_for_a_while_when_people_have_left(kind: str) -> None:
    stage = Stage()
    robot, ann = stage.join("robot", kind=kind), stage.join("ann")
    stage.say(ann, signaling.Leave())
    idle(stage, robot, 15)
    bob = stage.join("bob")
    idle(stage, robot, 30)
    stage.say(bob, signaling.Leave())
    idle(stage, robot, 15)
    assert robot.closed is None
    assert stage.node.rooms
    stage.run(15 * SECOND, SECOND // 5)
    assert robot.last(signaling.Error).code == "ended"  # or its SDK would join again, and the job go on
    assert robot.closed is not None
    assert not stage.node.rooms
    assert type(stage.facts[-1]) is facts.RoomClosed


def test_an_agent_waits_longer_for_the_first_person() -> None:
    stage = Stage()
    robot = stage.join("robot", kind="agent")
    idle(stage, robot, 290)
    assert robot.closed is None
    stage.run(20 * SECOND, SECOND // 5)
    assert not stage.node.rooms


def test_nothing_is_left_in_the_engine_when_all_are_gone() -> None:
    stage = Stage("python")  # which can be looked into
    people = [stage.join(name) for name in ("ann", "bob", "eve")]
    for person in people:
        subscribe(stage, person)
        publish(stage, person)
    stage.run(SECOND)
    for person in people:
        stage.say(person, signaling.Leave())
    engine = stage.node.context.engine
    assert not engine._peers
    assert not engine._streams
    assert not engine._routes
    assert not stage.node.context.routes
    assert stage.node.timer() is None


def test_a_room_that_is_full_says_so() -> None:
    stage = Stage(participants=1)
    stage.join("ann")
    with pytest.raises(Refused, match="full"):
        stage.join("bob")


def test_chat_is_bounded_in_rate_and_size() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    with pytest.raises(Refused, match="too_many_requests"):
        for _ in range(20):
            stage.say(ann, signaling.Chat(text="hi"))
    assert len(bob.of(signaling.Chat)) == 10
    stage.run(2 * SECOND)
    stage.say(ann, signaling.Chat(text="only you", to="bob"))
    assert bob.last(signaling.Chat).to == "bob"
    assert len(ann.of(signaling.Chat)) == 11
    for text in ("", "x" * 4001):
        with pytest.raises(Refused, match="bad_message"):
            stage.say(ann, signaling.Chat(text=text))
    with pytest.raises(Refused, match="unknown_participant"):
        stage.say(ann, signaling.Chat(text="hi", to="nobody"))


def wakes(stage: Stage, seconds: int) -> int:
    """Follow the node's own timer, to the nanosecond; returns how often it wanted to wake."""
    end, count = stage.now + seconds * SECOND, 0
    while (at := stage.node.timer()) is not None and at < end:
        stage.now = max(stage.now, at)
        stage.node.handle_timer(stage.now)
        stage.node.context.outbox.datagrams.clear()
        count += 1
        assert count < 200 * seconds, "the node does not rest"
    stage.now = end
    return count


def test_the_node_rests_when_nothing_happens() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    subscribe(stage, bob)
    sender = publish(stage, ann)
    sender.send(audio(1), audio(3))
    stage.deliver()
    stage.node.session_lost(bob.session, stage.now)
    publish(stage, stage.join("eve"))
    assert wakes(stage, 10) < 600
    stage.node.session_lost(ann.session, stage.now)
    assert wakes(stage, 40) < 2000


def test_an_offer_that_was_due_while_the_session_was_lost_comes_with_the_resume() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    subscribe(stage, bob)
    secret = bob.last(signaling.RoomInfo).resume
    stage.node.session_lost(bob.session, stage.now)
    publish(stage, ann)
    stage.run(SECOND)
    offers = len(bob.of(signaling.Offer))
    stage.people[77] = bob
    stage.node.resume(secret, 77, stage.now)
    stage.deliver()
    assert len(bob.of(signaling.Offer)) == offers + 1
    assert "m=video" in bob.last(signaling.Offer).sdp
