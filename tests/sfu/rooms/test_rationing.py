"""Rationing among rooms while their node is overloaded, in simulated time: its order, its notices, its end."""

from itertools import pairwise

import pytest

from sfu.api import signaling
from sfu.api.signaling_values import WantedTrack
from sfu.engine.contract import Drop
from sfu.formats import rtcp, vp8
from sfu.machines.shedding import NOTHING, Shed
from tests.sfu.rooms.simulcast_call import ONE_SIZE, Call
from tests.sfu.rooms.stage import MS, Stage
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=5_000_000, delay=20 * MS)


def ration(call: Call, shed: Shed) -> None:
    call.stage.node.ration(shed, call.stage.now)


def pauses(call: Call) -> list[tuple[bool, str]]:
    return [(state.paused, state.reason) for state in call.bob.of(signaling.TrackState)]


def unread(call: Call) -> int:
    return call.stage.node.context.engine.drops[Drop.SHED]


def sound(call: Call) -> int:
    return sum(packet.payload_type == 111 for packet in call.viewer.client.rtp)


def told(call: Call) -> list[list[str]]:
    return [layers.active for layers in call.cameras[0].person.of(signaling.Layers)]


@pytest.fixture
def call() -> Call:
    made = Call(WIDE)
    made.run(4)
    assert made.carried() == "f"
    return made


def test_layers_that_nobody_is_shown_are_not_read_and_may_stop_at_once(call: Call) -> None:
    assert told(call) == []
    ration(call, Shed(sparing=True, unread=1))
    call.run(1)
    assert told(call) == [["q", "f"]]
    before = unread(call)
    call.run(1)
    assert unread(call) - before > 20  # the camera still continues with the middle one
    assert call.carried() == "f"
    assert pauses(call) == []
    ration(call, NOTHING)
    call.run(1)
    before = unread(call)
    call.run(1)
    assert unread(call) == before


def test_pictures_are_small_and_large_again(call: Call) -> None:
    ration(call, Shed(sparing=True, unread=1, small=1))
    call.run(1)
    assert call.carried() == "h"
    assert pauses(call) == []
    call.cameras[0].resting = {"f"}
    call.run(1)
    call.cameras[0].resting = set()
    ration(call, NOTHING)
    call.run(2)
    assert call.carried() == "f"


def show(call: Call, height: int) -> None:
    call.stage.say(call.bob, signaling.Subscribe(tracks=[WantedTrack(track=call.cameras[0].track, height=height)]))


def temporal_layers(call: Call, seconds: float) -> set[int]:
    """Return the temporal layers of the pictures that come in a while."""
    before = len(call.viewer.client.rtp)
    call.run(seconds)
    pictures = [packet for packet in call.viewer.client.rtp[before:] if packet.payload_type != 111]
    assert all(later.seq - earlier.seq in (1, 1 - 0x10000) for earlier, later in pairwise(pictures))
    return {vp8.parse(packet.payload).temporal_layer or 0 for packet in pictures}


@pytest.fixture
def meeting() -> Call:
    """A camera with temporal layers, and another whose owner speaks."""
    made = Call(WIDE, cameras=2)
    made.cameras[0].has_temporal_layers = True
    made.cameras[1].level, made.cameras[0].level = 10, 100
    made.stage.say(made.bob, signaling.Subscribe(tracks=[WantedTrack(track=made.cameras[1].track, on=False)]))
    show(made, 180)
    made.run(4)
    assert made.carried() == "q"
    return made


def test_small_tiles_are_slow_and_then_whole_again_without_a_keyframe(meeting: Call) -> None:
    assert temporal_layers(meeting, 1) == {0, 1, 2}
    asked = len(meeting.cameras[0].client.feedback(rtcp.PictureLoss))
    ration(meeting, Shed(sparing=True, unread=1, slow=1))
    meeting.run(0.3)
    assert temporal_layers(meeting, 1) == {0}
    assert pauses(meeting) == []
    ration(meeting, NOTHING)
    meeting.run(0.3)
    assert temporal_layers(meeting, 1) == {0, 1, 2}
    assert len(meeting.cameras[0].client.feedback(rtcp.PictureLoss)) == asked


def test_large_pictures_and_the_last_speaker_keep_all_their_frames(meeting: Call) -> None:
    show(meeting, 720)
    meeting.run(5)
    assert meeting.carried() == "f"
    ration(meeting, Shed(sparing=True, unread=1, slow=1))
    meeting.run(1)
    assert temporal_layers(meeting, 1) == {0, 1, 2}
    show(meeting, 180)
    meeting.run(1)
    assert temporal_layers(meeting, 1) == {0}
    meeting.cameras[0].level, meeting.cameras[1].level = 10, 100
    meeting.run(4)
    assert temporal_layers(meeting, 1) == {0, 1, 2}


def test_slow_tiles_are_counted_at_what_they_cost(meeting: Call) -> None:
    def wanted() -> float:
        (room,) = meeting.stage.node.rooms.values()
        subscriber = room.adaptation._subscribers[meeting.bob.membership.participant.participant]
        return subscriber.reprice() - subscriber.audio

    whole = wanted()
    ration(meeting, Shed(sparing=True, unread=1, slow=1))
    meeting.run(1)
    assert wanted() == pytest.approx(0.4 * whole, rel=0.1)


def test_a_stream_without_temporal_layers_stays_as_it_is(call: Call) -> None:
    show(call, 180)
    ration(call, Shed(sparing=True, unread=1, slow=1))
    call.run(1)
    assert call.carried() == "q"
    before = len(call.viewer.pictures)
    call.run(2)
    assert len(call.viewer.pictures) - before > 50


@pytest.mark.parametrize("obeys", [True, False])
def test_cameras_are_paused_said_to_be_and_come_back_while_sound_goes_on(call: Call, obeys: bool) -> None:
    ration(call, Shed(sparing=True, unread=1, small=1, sound_only=1))
    call.run(0.5)
    assert call.carried() == ""
    assert pauses(call) == [(True, "overload")]
    assert told(call)[-1] == []
    if obeys:
        call.cameras[0].resting = {"q", "h", "f"}
    before, shown = sound(call), len(call.viewer.pictures)
    call.run(2)
    assert sound(call) - before >= 55
    assert len(call.viewer.pictures) == shown
    ration(call, NOTHING)
    call.run(0.3)
    assert told(call)[-1] != []
    call.cameras[0].resting = set()
    call.run(2)
    assert call.carried() == "f"
    assert pauses(call) == [(True, "overload"), (False, "")]
    assert len(call.viewer.pictures) - shown > 30


def test_a_video_of_one_stream_too() -> None:
    call = Call(WIDE, sizes=ONE_SIZE)
    call.run(4)
    ration(call, Shed(sparing=True, unread=1, small=1, sound_only=1))
    call.run(1)
    assert call.carried() == "" and pauses(call) == [(True, "overload")]
    before = unread(call)
    call.run(1)
    assert unread(call) - before > 100
    ration(call, NOTHING)
    shown = len(call.viewer.pictures)
    call.run(2)
    assert len(call.viewer.pictures) - shown > 30
    assert pauses(call) == [(True, "overload"), (False, "")]


def test_the_largest_rooms_do_without_first() -> None:
    stage = Stage()
    for room, size in (("small", 2), ("large", 5), ("middle", 3)):
        for number in range(size):
            stage.join(f"p{number}", room=room)

    def restricted(share: float) -> set[str]:
        stage.node.ration(Shed(sparing=True, unread=1, small=1, sound_only=share), stage.now)
        return {name for name, room in stage.node.rooms.items() if room.adaptation._restriction.sound_only}

    assert restricted(0.1) == {"large"}
    assert restricted(0.5) == {"large"}
    assert restricted(0.6) == {"large", "middle"}
    assert restricted(1.0) == {"large", "middle", "small"}
    stage.join("late", room="new")
    assert restricted(1.0) >= {"new"}
    assert restricted(0.0) == set()


def test_within_a_room_the_speakers_camera_goes_last_and_those_of_newcomers_first() -> None:
    call = Call(LinkSettings(rate=20_000_000, delay=20 * MS), cameras=3)
    for camera in call.cameras:
        camera.level = 10 if camera is call.cameras[2] else 100
    call.run(2)
    tracks = [camera.track for camera in call.cameras]

    def paused() -> set[int]:
        states = {state.track: state.paused for state in call.bob.of(signaling.TrackState)}
        return {tracks.index(track) for track, is_paused in states.items() if is_paused}

    ration(call, Shed(sparing=True, unread=1, small=1, sound_only=0.3))
    call.run(0.5)
    assert paused() == {1}
    before = len(call.viewer.client.rtp)
    call.run(0.5)
    assert any(packet.payload_type != 111 for packet in call.viewer.client.rtp[before:])
    ration(call, Shed(sparing=True, unread=1, small=1, sound_only=0.6))
    call.run(0.5)
    assert paused() == {0, 1}
    ration(call, NOTHING)
    call.run(1)
    assert paused() == set()


def test_the_last_speakers_camera_stays_while_those_of_listeners_are_paused() -> None:
    call = Call(LinkSettings(rate=20_000_000, delay=20 * MS), cameras=3)
    for camera in call.cameras:
        camera.level = 10 if camera is call.cameras[2] else 100
    call.run(2)
    ration(call, Shed(sparing=True, unread=1, speaker_only=1))
    call.run(1)
    assert {state.track for state in call.bob.of(signaling.TrackState) if state.paused} == {
        camera.track for camera in call.cameras[:2]
    }
    before = len(call.viewer.client.rtp)
    call.run(1)
    assert any(packet.payload_type != 111 for packet in call.viewer.client.rtp[before:])
    ration(call, NOTHING)
    call.run(1)
    states = {state.track: state.paused for state in call.bob.of(signaling.TrackState)}
    assert not any(states.values())
