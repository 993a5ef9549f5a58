"""Clients that know tracks by descriptions: each section names what it shows, and is used again as another stream."""

from sfu.api import signaling
from sfu.api.livekit import LiveKitAdmission
from sfu.api.room_acts import WantTracks
from sfu.formats.sdp import Direction, MediaSection, parse
from sfu.livekit.session import LiveKitSession
from tests.sfu.rooms.stage import MS, VIDEO, VIDEO_SSRC, Person, Stage, publish, subscribe


def sections(person: Person) -> dict[str, MediaSection]:
    """Return the media sections of the newest offer that is to be answered, by mid."""
    return {one.mid or "": one for one in parse(person.last(signaling.Offer).sdp).media if one.kind != "application"}


def test_a_section_names_its_track_and_shows_the_next_one_as_another_stream() -> None:
    stage = Stage()
    bob = stage.join("bob", dialect=LiveKitSession(LiveKitAdmission()))
    assert sections(bob) == {}
    receiver = subscribe(stage, bob, data=True)
    seen = []
    for who in ("ann", "eve"):
        person = stage.join(who)
        publish(stage, person, (VIDEO + VIDEO_SSRC,))
        stage.run(100 * MS)
        (track,) = person.membership.room.uptracks
        shown = sections(bob)["0"]
        assert (shown.direction, [msid.track for msid in shown.msids]) == (Direction.SENDONLY, [f"TR_{track}"])
        assert [msid.stream.partition("|")[0] for msid in shown.msids] == [f"PA_{who}"]
        seen.append((shown.ssrcs[0].ssrc, shown.msids[0].stream.partition("|")[2]))
        subscribe(stage, bob, receiver, data=True)
        stage.say(person, signaling.Leave())
        stage.run(100 * MS)
        assert sections(bob)["0"].direction is Direction.INACTIVE
        subscribe(stage, bob, receiver, data=True)
    # libwebrtc would take what has the SSRC of the section's first stream for that one, and keeps its track's id.
    assert seen[0][0] != seen[1][0]
    assert seen[1][1] == f"TR_{track}"


def test_a_section_is_not_used_again_before_it_was_answered() -> None:
    stage = Stage()
    bob = stage.join("bob", dialect=LiveKitSession(LiveKitAdmission()))
    receiver = subscribe(stage, bob, data=True)
    ann, eve = stage.join("ann"), stage.join("eve")
    publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    subscribe(stage, bob, receiver, data=True)
    stage.say(ann, signaling.Leave())
    publish(stage, eve, (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    assert [one.direction for one in sections(bob).values()] == [Direction.INACTIVE, Direction.SENDONLY]


def test_a_track_that_is_unwanted_and_wanted_again_before_it_was_agreed_on_is_shown() -> None:
    """Its section is renewed though the engine never had a route for it."""
    stage = Stage()
    bob = stage.join("bob", dialect=LiveKitSession(LiveKitAdmission()))
    receiver = subscribe(stage, bob, data=True)
    ann = stage.join("ann")
    publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    (track,) = ann.membership.room.uptracks
    stage.run(100 * MS)
    stage.node.act("r", WantTracks(participant="bob", tracks=(track,), on=False), stage.now)
    for direction in (Direction.SENDONLY, Direction.INACTIVE):
        assert sections(bob)["0"].direction is direction
        subscribe(stage, bob, receiver, data=True)
        stage.run(100 * MS)
    stage.node.act("r", WantTracks(participant="bob", tracks=(track,), on=True), stage.now)
    stage.run(100 * MS)
    assert sections(bob)["0"].direction is Direction.SENDONLY
