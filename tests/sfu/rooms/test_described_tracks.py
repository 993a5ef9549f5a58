"""Clients that know tracks by descriptions: each section names its track, and is reused for another stream."""

import itertools

import pytest

from sfu.api import signaling
from sfu.api.livekit import LiveKitAdmission
from sfu.api.room_acts import WantTracks
from sfu.api.signaling_values import WantedTrack
from sfu.formats.sdp import Direction, MediaSection, parse
from sfu.livekit.session import LiveKitSession
from tests.sfu.rooms.stage import DELTA, KEYFRAME, MS, VIDEO, VIDEO_SSRC, Person, Stage, publish, subscribe, video


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
    # libwebrtc would mistake a stream with the SSRC of the section's first one for that one, and keep its track's id.
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


@pytest.mark.parametrize("how", ["shared", "wanted"])
def test_a_picture_that_was_away_is_granted_layers_again(how: str) -> None:
    """Its section is renewed, and adaptation must look at what took the place of the slot that it knew."""
    stage = Stage()
    stage.node.context.observer = stage.node.context.engine  # type: ignore[assignment]  # the Python engine is one
    bob = stage.join("bob", dialect=LiveKitSession(LiveKitAdmission()))
    receiver = subscribe(stage, bob, data=True)
    ann = stage.join("ann")
    sender = publish(stage, ann, (VIDEO + VIDEO_SSRC,))
    stage.run(100 * MS)
    subscribe(stage, bob, receiver, data=True)
    (track,) = ann.membership.room.uptracks
    numbers = itertools.count(1)
    for on in (True, False, True):
        if how == "shared":
            stage.say(ann, signaling.Permit(everyone=on))
        else:
            stage.say(bob, signaling.Subscribe(tracks=[WantedTrack(track=track, on=on)]))
        stage.run(100 * MS)
        if bob.membership.participant.subscription.offer_in_flight is not None:
            subscribe(stage, bob, receiver, data=True)
        before = len(receiver.rtp)
        for number in itertools.islice(numbers, 20):
            sender.send(video(number, KEYFRAME if number % 5 == 0 else DELTA))
            stage.run(33 * MS)
        assert (len(receiver.rtp) > before) is on
