"""Reports of media quality."""

from sfu.api import signaling
from sfu.api.facts import QualityMeasured
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)


def quality_of(call: Call, participant: str) -> str:
    """Return the last quality of a participant's connection that the viewer received."""
    told = call.bob.last(signaling.ParticipantUpdated).participant
    assert told.participant == participant
    return str(told.quality)


def reports(call: Call, participant: str) -> list[QualityMeasured]:
    facts = call.stage.facts
    return [fact for fact in facts if isinstance(fact, QualityMeasured) and fact.participant == participant]


def test_a_minute_is_reported_of_everyone_and_the_rest_on_leaving() -> None:
    call = Call(WIDE)
    call.run(63)
    (viewer,) = reports(call, "bob")
    assert 60 <= viewer.seconds <= 62
    assert not viewer.final
    assert viewer.estimate == int(call.estimate) or viewer.estimate is not None
    video = next(track for track in viewer.tracks if track.track == call.cameras[0].track)
    assert (video.direction, video.layer, video.freezes, video.paused) == ("subscribe", "f", 0, 0)
    assert 1_400_000 < video.bitrate < 2_100_000
    (publisher,) = reports(call, "p0")
    assert {track.direction for track in publisher.tracks} == {"publish"}
    assert len(publisher.tracks) == 2
    call.stage.say(call.bob, signaling.Leave())
    final = reports(call, "bob")[-1]
    assert final.final
    assert 1 <= final.seconds <= 4


def test_what_was_last_known_is_reported_of_who_closes_its_peer_and_then_leaves() -> None:
    call = Call(WIDE)
    call.bob.membership.participant.subscription.subscribe_peer.round_trip.sample(40 * MS)
    call.run(5)
    call.viewer.client._dtls.close(call.stage.now)
    call.run(0.5)
    assert call.bob.membership.participant.subscription is None
    call.stage.say(call.bob, signaling.Leave())
    (viewer,) = reports(call, "bob")
    assert viewer.round_trip_ms == 40
    assert viewer.estimate is not None
    assert viewer.estimate > 1_000_000
    call.stage.say(call.cameras[0].person, signaling.Leave())
    assert [(report.round_trip_ms, report.estimate) for report in reports(call, "p0")] == [(None, None)]


def test_who_leaves_right_after_a_minutes_report_has_a_last_one_too() -> None:
    call = Call(WIDE)
    while not reports(call, "bob"):
        call.run(0.1)
    call.stage.say(call.bob, signaling.Leave())
    assert [report.final for report in reports(call, "bob")] == [False, True]


def test_freezes_and_pauses_are_told_apart() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(4)
    camera.resting = {"q", "h", "f"}
    call.run(3)
    camera.resting = set()
    call.run(4)
    call.viewer.link.change(call.stage.now, rate=100_000)
    call.run(8)
    call.stage.say(call.bob, signaling.Leave())
    (report,) = reports(call, "bob")
    (video,) = [track for track in report.tracks if track.track == camera.track]
    assert video.freezes == 1
    assert 2 <= video.paused <= 8


def test_everyone_is_told_within_about_two_seconds_whose_network_is_bad() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(4.6)  # the next report comes in a second
    publisher, send = camera.person.membership.participant.participant, camera.client.send
    camera.client.send = lambda *packets: send(*packets[::2])
    call.run(2.5)
    assert quality_of(call, publisher) == "poor"
    camera.client.send = lambda *packets: None
    call.run(2)
    assert quality_of(call, publisher) == "lost"
    camera.client.send = lambda *packets: send(*packets[::2])
    call.run(4)
    assert quality_of(call, publisher) == "poor"


def test_a_viewer_is_not_blamed_for_what_a_publisher_has_lost() -> None:
    call = Call(WIDE)
    call.run(4)
    subscription = call.bob.membership.participant.subscription
    assert subscription is not None
    for _ in range(20):
        for downtrack in subscription.subscribe_peer.downtracks.values():
            downtrack.fraction_lost = 100  # as reported, though everything that was sent has arrived
        call.run(0.2)
    assert call.bob.membership.participant.quality == ""


def test_a_camera_that_rests_for_its_network_shows_that_the_network_is_bad() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(4)
    publisher = camera.person.membership.participant
    for muted, expected in ((True, "poor"), (False, "")):
        call.stage.say(camera.person, signaling.MediaControl(track=camera.track, muted=muted, too_slow=muted))
        call.run(4)
        assert publisher.quality == expected


def test_who_mutes_everything_has_no_bad_network() -> None:
    call = Call(WIDE)
    (camera,) = call.cameras
    call.run(4)
    publish = camera.person.membership.participant.publish
    assert publish is not None
    for track in publish.uptracks.values():
        call.stage.say(camera.person, signaling.MediaControl(track=track.track, muted=True))
    camera.client.send = lambda *packets: None
    call.run(3)
    assert camera.person.membership.participant.quality == ""
