"""Large rooms: what a subscriber is shown decides the cost of policy for it, not how many others publish."""

import pytest

from sfu.api import signaling
from sfu.api.signaling_values import WantedTrack
from sfu.machines.ice.lite import generate_credentials
from sfu.machines.layers.layer_allocator import LayerAllocator
from sfu.machines.shedding import Shed
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import AUDIO, MS, VIDEO, Person, Stage, description
from tests.sfu.rooms.test_calm_rooms import with_counted_calls
from tests.support.link_model import LinkSettings

WIDE = LinkSettings(rate=20_000_000, delay=20 * MS)


def hide(call: Call, *cameras: int) -> None:
    """Let nobody see some cameras."""
    off = [WantedTrack(track=call.cameras[number].track, on=False) for number in cameras]
    for person in call.stage.people.values():
        call.stage.say(person, signaling.Subscribe(tracks=off))


def crowd(people: int) -> tuple[Stage, Person]:
    """Return a room in which everybody publishes, and the first person, who sees two cameras."""
    stage = Stage()
    everybody = [stage.join(f"p{number}") for number in range(people)]
    for number, person in enumerate(everybody):
        sections = [AUDIO.replace("1001", str(10_000 + number)), VIDEO]
        offer = description(generate_credentials(), sections, "actpass")
        stage.say(person, signaling.Offer(peer="publish", sdp=offer, id=1))
    first = everybody[0]
    cameras = [said.track.track for said in first.of(signaling.TrackPublished) if said.track.source == "camera"]
    stage.say(first, signaling.Subscribe(tracks=[WantedTrack(track=track, on=False) for track in cameras[2:]]))
    return stage, first


def calls_of_a_wish(people: int) -> int:
    stage, person = crowd(people)
    track = next(said.track.track for said in person.of(signaling.TrackPublished) if said.track.source == "camera")
    counted = [0]
    wish = signaling.Subscribe(tracks=[WantedTrack(track=track, width=320, height=180)])
    with_counted_calls(stage.node.handle, counted)(person.session, wish, stage.now)
    return counted[0]


def test_a_wish_costs_no_more_in_a_large_room() -> None:
    small, large = calls_of_a_wish(8), calls_of_a_wish(32)
    assert large <= 1.3 * small


def test_layers_that_come_and_go_concern_those_who_see_them(monkeypatch: pytest.MonkeyPatch) -> None:
    call = Call(WIDE, cameras=3)
    call.run(1)
    hide(call, 2)
    call.run(8)
    allocations: list[int] = []
    allocate = LayerAllocator.allocate

    def counted(self: LayerAllocator[str], *arguments: object) -> object:
        allocations.append(call.stage.now)
        return allocate(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LayerAllocator, "allocate", counted)
    call.cameras[2].resting = {"f"}
    call.run(4)
    assert not allocations
    call.cameras[1].resting = {"f"}
    call.run(4)
    assert allocations


def test_cameras_that_nobody_sees_are_not_counted_among_those_that_are_paused() -> None:
    call = Call(WIDE, cameras=4)
    call.run(2)
    hide(call, 2, 3)
    call.run(1)
    call.stage.node.ration(Shed(sparing=True, unread=1, sound_only=0.5), call.stage.now)
    call.run(0.5)
    states = {state.track: state.paused for state in call.bob.of(signaling.TrackState)}
    assert sum(states.values()) == 1
    assert states[call.cameras[1].track]
