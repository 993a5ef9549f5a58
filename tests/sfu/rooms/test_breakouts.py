"""A room of a meeting with several: moves between rooms, closing, announcements, permission to record."""

import msgspec
import pytest

from sfu.api import signaling
from sfu.api.desired_state import Announcement, DesiredState, Destination
from sfu.api.facts import ParticipantLeft, RecordingRequested
from sfu.api.join_token import Grants
from sfu.api.refusal import Code, Refused
from tests.sfu.rooms.stage import SECOND, Stage

MAIN = Destination(meeting="main", title="Main room")
BLUE = Destination(meeting="blue", title="Blue")
STATE = DesiredState(room="r", version=1)


def test_whoever_belongs_elsewhere_is_told_where_and_does_not_come_back() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    stage.node.apply(msgspec.structs.replace(STATE, elsewhere={"bob": BLUE}), stage.now)
    stage.deliver()
    assert bob.last(signaling.Move) == signaling.Move(meeting="blue", title="Blue")
    assert (bob.last(signaling.Error).code, bob.last(signaling.Error).fatal, bob.closed) == ("reassigned", True, 4001)
    assert ann.last(signaling.ParticipantLeft).reason == "reassigned"
    assert not ann.of(signaling.Move)
    assert [fact.reason for fact in stage.facts if isinstance(fact, ParticipantLeft)] == ["reassigned"]
    with pytest.raises(Refused) as refused:
        stage.join("bob")
    assert refused.value.code is Code.REASSIGNED
    stage.node.apply(msgspec.structs.replace(STATE, version=2), stage.now)
    stage.join("bob")


def test_a_breakout_room_counts_down_and_sends_everyone_back() -> None:
    stage = Stage()
    ann = stage.join("ann")
    at = stage.node.context.unix_ms(stage.now) + 10_000
    stage.node.apply(STATE, stage.now)
    stage.node.apply(msgspec.structs.replace(STATE, version=2, closes_at=at, returns_to=MAIN), stage.now)
    stage.deliver()
    assert ann.last(signaling.Closing).at == at
    bob = stage.join("bob")
    assert bob.last(signaling.Closing).at == at
    stage.run(9 * SECOND)
    assert ann.closed is None
    stage.run(2 * SECOND)
    for person in (ann, bob):
        assert person.last(signaling.Move).meeting == "main"
        assert person.last(signaling.Error).code == "reassigned"
    assert "r" not in stage.node.rooms


def test_a_room_closed_at_once_sends_everyone_back_at_once() -> None:
    stage = Stage()
    ann = stage.join("ann")
    stage.node.apply(STATE, stage.now)
    stage.run(10 * SECOND)  # nobody speaks: the room looks at the time every five seconds only
    at = stage.node.context.unix_ms(stage.now)
    stage.node.apply(msgspec.structs.replace(STATE, version=2, closes_at=at, returns_to=MAIN), stage.now)
    stage.deliver()
    assert (ann.last(signaling.Move).meeting, ann.last(signaling.Error).code) == ("main", "reassigned")


def test_a_breakout_room_that_ends_sends_everyone_back_unless_the_meeting_ends() -> None:
    for place, code in ((MAIN, Code.REASSIGNED), (None, Code.ENDED)):
        stage = Stage()
        ann, ended = stage.join("ann"), msgspec.structs.replace(STATE, ended=True, returns_to=place)
        stage.node.apply(ended, stage.now)
        stage.deliver()
        assert ann.last(signaling.Error).code == code.value
        assert bool(ann.of(signaling.Move)) == (place is not None)
        with pytest.raises(Refused) as refused:
            stage.join("bob", desired=ended)
        assert refused.value.code is code


def test_what_is_said_to_all_rooms_is_told_once_and_to_those_who_come_within_a_minute() -> None:
    stage = Stage()
    ann = stage.join("ann")
    said = Announcement(id="a1", name="Host", text="Five minutes left", at=stage.node.context.unix_ms(stage.now))
    stage.node.apply(STATE, stage.now)
    stage.node.apply(msgspec.structs.replace(STATE, version=2, announcement=said), stage.now)
    stage.node.apply(msgspec.structs.replace(STATE, version=3, announcement=said, locked=True), stage.now)
    stage.deliver()
    assert [message.text for message in ann.of(signaling.Announced)] == ["Five minutes left"]
    stage.run(50 * SECOND)
    assert [message.text for message in stage.join("mover", Grants(host=True)).of(signaling.Announced)] == [
        "Five minutes left"
    ]
    stage.run(20 * SECOND)
    assert not stage.join("late", Grants(host=True)).of(signaling.Announced)


def test_a_recording_is_asked_for_by_who_may_record_alone() -> None:
    stage = Stage()
    ann, bob, host = stage.join("ann"), stage.join("bob", Grants(record=True)), stage.join("host", Grants(host=True))
    with pytest.raises(Refused) as refused:
        stage.say(ann, signaling.Record(on=True))
    assert refused.value.code is Code.NOT_PERMITTED
    stage.say(bob, signaling.Record(on=True))
    stage.say(host, signaling.Record(on=False))
    wished = [(fact.participant, fact.on) for fact in stage.facts if isinstance(fact, RecordingRequested)]
    assert wished == [("bob", True), ("host", False)]
    stage.node.apply(msgspec.structs.replace(STATE, participants={"bob": Grants()}), stage.now)
    with pytest.raises(Refused):
        stage.say(bob, signaling.Record(on=False))
