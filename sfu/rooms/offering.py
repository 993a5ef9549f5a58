"""Offering of a room to its subscribers: its tracks, most important first, as candidates for slots."""

from collections.abc import Sequence
from typing import NamedTuple

from sfu.api.signaling_values import WantedTrack
from sfu.formats.codecs import Codec
from sfu.peers.publish.uptrack import UpTrack
from sfu.peers.subscribe.slot_assignment import Wish
from sfu.peers.subscribe.subscription import Candidate
from sfu.rooms.room import Room

_SCREEN_SOURCES = ("screen", "screen-audio")


class Offering(NamedTuple):
    """The tracks that a room shows, most important first. Tracks of `restricted` participants are not for everyone."""

    audio: Sequence[Candidate]
    video: Sequence[Candidate]
    codecs: frozenset[Codec]
    restricted: frozenset[str]


class Offerings:
    """Builds a room's offering, once for all subscribers, and again only if it may have changed."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._offering = Offering((), (), frozenset(), frozenset())
        self._built_from: tuple[object, ...] = ()

    def current(self) -> Offering:
        """Return the offering. Its sounds may be in the order of those who were loudest when it was built."""
        return self._offering if self._basis() == self._built_from else self.renewed()

    def renewed(self) -> Offering:
        """Return the offering built anew."""
        self._built_from = self._basis()
        self._offering = _build(self._room)
        return self._offering

    def _basis(self) -> tuple[object, ...]:
        """Return the objects that an offering is built from."""
        participants = self._room.participants.values()
        publishers = [(participant.publish, participant.audience) for participant in participants]
        return (*self._room.uptracks.values(), *publishers)


def _build(room: Room) -> Offering:
    audio: list[Candidate] = []
    video: list[Candidate] = []
    for uptrack in room.uptracks.values():
        publisher = room.publisher_of(uptrack)
        if publisher is not None:
            wish = Wish(uptrack.track, uptrack.participant)
            candidate = Candidate(uptrack, publisher, WantedTrack(track=uptrack.track), wish)
            (audio if uptrack.is_audio else video).append(candidate)
    video.sort(key=lambda entry: entry.uptrack.source not in _SCREEN_SOURCES)
    if len(audio) > room.context.limits.audio_slots:
        loudest = {who: rank for rank, who in enumerate(room.speakers.loudest(len(audio)))}
        audio.sort(key=lambda entry: _rank(entry.uptrack, loudest))
    audio.sort(key=lambda entry: not room.participants[entry.uptrack.participant].is_notice)
    restricted = frozenset(who for who, participant in room.participants.items() if participant.audience is not None)
    return Offering(audio, video, frozenset(entry.uptrack.codec for entry in video), restricted)


def _rank(uptrack: UpTrack, loudest: dict[str, int]) -> tuple[bool, bool, int]:
    """Sort tracks: shared audio, then recent speakers, then senders without audio levels, then the rest; muted ones
    last. FFmpeg and telephones send no levels: behind participants known to be silent they would never be heard.
    """
    unheard = len(loudest) + uptrack.tells_levels
    return uptrack.is_quiet, uptrack.source not in _SCREEN_SOURCES, loudest.get(uptrack.participant, unheard)
