"""The sound of silent microphones is not sent over a thin link."""

from collections.abc import Sequence

import pytest

from sfu.machines.layers.sounds import Sound, spared
from sfu.rooms import spared_sounds
from tests.sfu.rooms.simulcast_call import Call
from tests.sfu.rooms.stage import MS
from tests.support.link_model import LinkSettings


def test_silent_microphones_without_dtx_are_left_out_of_a_thin_link_until_they_speak() -> None:
    call = Call(LinkSettings(rate=500_000, delay=20 * MS), cameras=4)
    for number, camera in enumerate(call.cameras):
        camera.sound = 150
        camera.level = 30 if number == 0 else 127
    call.run(8)
    sounds = {
        downtrack.uptrack.participant: downtrack
        for downtrack in call.subscription.subscribe_peer.downtracks.values()
        if downtrack.kind == "audio" and downtrack.uptrack is not None
    }
    people = [camera.person.membership.participant.participant for camera in call.cameras]
    assert [sounds[person].paused for person in people] == [False, True, True, True]
    call.cameras[2].level = 30
    call.run(0.4)
    assert [sounds[person].stream is not None for person in people] == [True, False, True, False]


@pytest.mark.parametrize("noise", [50, 40])
def test_noisy_microphones_without_dtx_do_not_replace_who_speaks(noise: int) -> None:
    """Noise of 50 is recognised as such; louder noise comes after what is louder still."""
    call = Call(LinkSettings(rate=500_000, delay=20 * MS), cameras=6)
    for camera in call.cameras:
        camera.sound, camera.level = 150, noise
    call.cameras[-1].level = 25
    call.run(12)
    assert sending(call)[-1]
    assert sum(sending(call)) <= (1 if noise == 50 else 3)


def sending(call: Call) -> list[bool]:
    """Return whose sound is sent."""
    sent = {
        downtrack.uptrack.participant
        for downtrack in call.subscription.subscribe_peer.downtracks.values()
        if downtrack.kind == "audio" and downtrack.uptrack is not None and not downtrack.paused
    }
    return [camera.person.membership.participant.participant in sent for camera in call.cameras]


def test_sound_that_fits_is_not_sorted_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sorted_out: list[float] = []

    def counted(sounds: Sequence[tuple[str, Sound]], estimate: float, before: frozenset[str]) -> frozenset[str]:
        sorted_out.append(estimate)
        return spared(sounds, estimate, before)

    monkeypatch.setattr(spared_sounds, "spared", counted)
    call = Call(LinkSettings(rate=500_000, delay=20 * MS), cameras=4)
    call.run(6)
    assert call.estimate < 2_000_000
    assert not sorted_out
    for camera in call.cameras:
        camera.sound, camera.level = 150, 30
    call.run(3)
    assert sorted_out
