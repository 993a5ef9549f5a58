"""The notice of recording: everyone hears it when recording begins, and those who join later when they join."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sfu import sounds
from sfu.api import facts, signaling
from sfu.api.desired_state import DesiredRecording, DesiredState
from sfu.formats import ogg
from tests.sfu.rooms.stage import AUDIO, MS, SECOND, Person, RtcClient, Stage, audio, publish, subscribe

RECORDING = DesiredRecording(recording="rec1", started_at=1, started_by="host", consent_text="v1")


def govern(stage: Stage, version: int, **changes: object) -> None:
    stage.node.apply(msgspec.structs.replace(DesiredState(room="r", version=version), **changes), stage.now)
    stage.deliver()


def heard(client: RtcClient) -> list[bytes]:
    return [packet.payload for packet in client.rtp]


def listener(stage: Stage, who: str) -> tuple[Person, RtcClient]:
    person = stage.join(who)
    return person, subscribe(stage, person)


@pytest.mark.parametrize("engine", ["python", "compiled"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_everyone_hears_that_recording_begins(engine: str, language: str) -> None:
    stage = Stage(engine)
    people = [listener(stage, who) for who in ("alice", "bob")]
    stage.facts.clear()
    govern(stage, 2, recording=RECORDING, notice=language)
    stage.run(6 * SECOND)
    for person, client in people:
        assert heard(client) == sounds.recording_notice(language)
        assert len(person.of(signaling.TrackPublished)) == len(person.of(signaling.TrackUnpublished)) == 1
        assert not person.of(signaling.ParticipantJoined, lambda said: said.participant.kind == "notice")
    room = people[0][0].membership.room
    assert set(room.participants) == {"alice", "bob"} and not room.uptracks and not room.notices
    about = (facts.ParticipantJoined, facts.ParticipantLeft, facts.TrackPublished, facts.TrackUnpublished)
    assert not [fact for fact in stage.facts if isinstance(fact, about)]


def test_only_the_newcomer_hears_it_later() -> None:
    stage = Stage()
    alice, at_alice = listener(stage, "alice")
    govern(stage, 2, recording=RECORDING, notice="en")
    stage.run(6 * SECOND)
    before = len(heard(at_alice))
    told = len(alice.told)
    carol, at_carol = listener(stage, "carol")
    stage.run(6 * SECOND)
    assert heard(at_carol) == sounds.recording_notice("en")
    assert len(heard(at_alice)) == before
    kinds = (signaling.TrackPublished, signaling.TrackUnpublished, signaling.TrackState)
    assert not [said for said in alice.told[told:] if isinstance(said, kinds)]
    assert carol.last(signaling.RoomInfo).tracks == []


def test_nothing_is_heard_without_a_language_or_a_recording() -> None:
    stage = Stage()
    _, client = listener(stage, "alice")
    govern(stage, 2, recording=RECORDING)
    stage.run(3 * SECOND)
    govern(stage, 3, notice="en")
    stage.run(3 * SECOND)
    assert heard(client) == []


def test_another_change_does_not_repeat_it() -> None:
    stage = Stage()
    _, client = listener(stage, "alice")
    govern(stage, 2, recording=RECORDING, notice="en")
    stage.run(6 * SECOND)
    govern(stage, 3, recording=RECORDING, notice="en", locked=True)
    stage.run(6 * SECOND)
    assert heard(client) == sounds.recording_notice("en")


def test_it_waits_until_those_who_join_are_connected() -> None:
    stage = Stage()
    alice = stage.join("alice", desired=DesiredState(room="r", version=2, recording=RECORDING, notice="en"))
    stage.run(4 * SECOND)
    assert not alice.of(signaling.TrackPublished)
    client = subscribe(stage, alice)
    stage.run(6 * SECOND)
    assert heard(client) == sounds.recording_notice("en")


def test_a_room_that_everyone_leaves_meanwhile_closes() -> None:
    stage = Stage()
    alice, _ = listener(stage, "alice")
    govern(stage, 2, recording=RECORDING, notice="en")
    stage.run(1500 * MS)
    assert alice.membership.room.notices
    stage.facts.clear()
    stage.say(alice, signaling.Leave())
    stage.run(SECOND)
    assert "r" not in stage.node.rooms
    left = [fact.participant for fact in stage.facts if isinstance(fact, facts.ParticipantLeft)]
    assert left == ["alice"]


def test_it_is_heard_although_others_speak() -> None:
    stage = Stage(audio_slots=1)
    _, client = listener(stage, "alice")
    speaker = publish(stage, stage.join("bob"), [AUDIO])
    for seq in range(25):
        speaker.send(audio(seq, level=10))
        stage.run(20 * MS)
    govern(stage, 2, recording=RECORDING, notice="en")
    for seq in range(25, 475):
        speaker.send(audio(seq, level=10))
        stage.run(20 * MS)
    assert set(sounds.recording_notice("en")) <= set(heard(client))


@given(st.binary(max_size=200))
def test_files_that_are_not_sounds_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        ogg.opus_packets(data)
    with pytest.raises(ValueError):
        ogg.opus_packets(b"OggS\0" + data)
