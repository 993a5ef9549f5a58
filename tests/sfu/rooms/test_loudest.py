"""More microphones than audio slots: the choice of those that are heard."""

from collections.abc import Sequence

from sfu.api import signaling
from tests.sfu.rooms.stage import AUDIO, MS, Person, RtcClient, Stage, audio, publish, subscribe

SILENT = 127
NO_LEVELS = "\r\n".join(line for line in AUDIO.split("\r\n") if "audio-level" not in line)


class Hall:
    """People with a microphone each, and a listener with `slots` audio slots."""

    def __init__(self, slots: int, microphones: Sequence[str]) -> None:
        self.stage = Stage(audio_slots=slots)
        self.people = [self.stage.join(f"p{number}") for number in range(len(microphones))]
        self.listener: Person = self.stage.join("listener")
        subscribe(self.stage, self.listener)
        sections = zip(self.people, microphones, strict=True)
        self.senders: list[RtcClient] = [publish(self.stage, person, [section]) for person, section in sections]
        self._seq = 0

    def talk(self, levels: Sequence[int | None], packets: int = 150) -> None:
        for _ in range(packets):
            for sender, level in zip(self.senders, levels, strict=True):
                sender.send(audio(self._seq, level=level))
            self._seq += 1
            self.stage.run(20 * MS)

    def heard(self) -> set[int]:
        """Return whose sound the listener gets."""
        shown = {slot.track for slot in self.listener.last(signaling.Slots).slots if slot.track}
        whose = {up.participant for up in self.listener.membership.room.uptracks.values() if up.track in shown}
        return {number for number in range(len(self.people)) if f"p{number}" in whose}


def test_only_the_loudest_get_slots() -> None:
    hall = Hall(2, [AUDIO] * 3)
    assert hall.heard() == {0, 1}
    hall.talk([SILENT, 30, 15])
    assert hall.heard() == {1, 2}
    assert hall.listener.last(signaling.Speakers).speakers[0].participant == "p2"


def test_who_is_not_among_the_speakers_told_is_heard_where_there_is_a_slot() -> None:
    hall = Hall(6, [AUDIO] * 7)
    loud = [10, 12, 14, 16, 18]
    hall.talk([*loud, SILENT, SILENT])
    assert hall.heard() == {0, 1, 2, 3, 4, 5}
    told = len(hall.listener.of(signaling.Speakers))
    hall.talk([*loud, SILENT, 30])
    assert len(hall.listener.of(signaling.Speakers)) == told
    assert hall.heard() == {0, 1, 2, 3, 4, 6}


def test_who_tells_no_levels_goes_before_the_silent() -> None:
    hall = Hall(2, [AUDIO, AUDIO, NO_LEVELS])
    hall.talk([SILENT, 20, None])
    assert hall.heard() == {1, 2}
    hall.talk([20, 20, None])
    assert hall.heard() == {0, 1}
