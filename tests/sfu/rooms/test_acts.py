"""Actions of applications in live rooms: visibility, subscriptions, mutes and messages."""

from sfu.api import signaling
from sfu.api.join_token import Grants
from sfu.api.room_acts import DescribeParticipant, MuteTrack, SayData
from sfu.api.signaling_values import Permitted
from sfu.rooms import acts
from tests.sfu.rooms.stage import MS, VIDEO, VIDEO_SSRC, Person, Stage, publish, subscribe, video


def kinds(person: Person) -> list[type]:
    return [type(message) for message in person.told]


def test_of_a_hidden_participant_nobody_learns_but_control() -> None:
    stage = Stage()
    ann = stage.join("ann")
    ghost = stage.join("ghost", Grants(publish=(), hidden=True))
    late = stage.join("late")
    assert {info.participant for info in ghost.last(signaling.RoomInfo).participants} == {"ann", "ghost"}
    assert {info.participant for info in late.last(signaling.RoomInfo).participants} == {"ann", "late"}
    view = acts.view(ann.membership.room)
    assert {seen.info.participant for seen in view.participants} == {"ann", "ghost", "late"}
    assert stage.node.act("r", DescribeParticipant(participant="ghost", metadata="m"), stage.now)
    stage.say(ghost, signaling.Leave())
    joined = [message for message in ann.told if isinstance(message, signaling.ParticipantJoined)]
    assert [message.participant.participant for message in joined] == ["late"]
    assert not {signaling.ParticipantLeft, signaling.ParticipantUpdated} & {*kinds(ann), *kinds(late)}


def test_tracks_go_only_to_those_with_whom_they_are_shared() -> None:
    stage = Stage()
    ann, bob, eve = (stage.join(who) for who in ("ann", "bob", "eve"))
    publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    (track,) = ann.membership.room.uptracks
    stage.say(ann, signaling.Permit(everyone=False, to=(Permitted(participant="bob"),)))

    def shown(person: Person) -> list[str | None]:
        subscription = person.membership.participant.subscription
        return [slot.track for slot in subscription.slots() if slot.track is not None]

    assert (shown(bob), shown(eve)) == ([track], [])
    assert eve.last(signaling.TrackState) == signaling.TrackState(track=track, paused=True, reason="not_shared")
    stage.say(ann, signaling.Permit(everyone=False, to=(Permitted(participant="eve", tracks=(track,)),)))
    assert (shown(bob), shown(eve)) == ([], [track])
    stage.say(ann, signaling.Permit())
    assert (shown(bob), shown(eve)) == ([track], [track])
    assert bob.last(signaling.TrackState) == signaling.TrackState(track=track, paused=False)


def test_nothing_passes_of_what_an_application_has_muted_until_its_publisher_unmutes_it() -> None:
    stage = Stage()
    ann, bob = stage.join("ann"), stage.join("bob")
    client = subscribe(stage, bob)
    sender = publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    stage.run(50 * MS)
    (track,) = ann.membership.room.uptracks
    assert stage.node.act("r", MuteTrack(track=track), stage.now)
    stage.deliver()
    assert bob.last(signaling.TrackMuted) == signaling.TrackMuted(track=track, muted=True)
    before = len(client.rtp)
    sender.send(video(1), video(2))
    stage.run(50 * MS)
    assert len(client.rtp) == before
    stage.say(ann, signaling.MediaControl(track=track, muted=False))
    (uptrack,) = ann.membership.room.uptracks.values()
    assert uptrack.passes
    assert not stage.node.act("r", MuteTrack(track="t-none"), stage.now)


def test_an_application_speaks_to_all_or_to_some_as_nobody() -> None:
    stage = Stage()
    clients = {who: subscribe(stage, stage.join(who), data=True) for who in ("ann", "bob")}
    stage.run(500 * MS)
    stage.node.act("r", SayData(payload=b"all"), stage.now)
    stage.node.act("r", SayData(payload=b"bob", to=("bob", "nobody")), stage.now)
    stage.run(200 * MS)
    assert clients["ann"].heard() == [("", b"all")]
    assert clients["bob"].heard() == [("", b"all"), ("", b"bob")]
