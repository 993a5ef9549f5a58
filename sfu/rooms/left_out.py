"""The tracks of a room that are left out while its node is overloaded."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sfu.api.join_token import Source
from sfu.peers.publish.uptrack import UpTrack


@dataclass(frozen=True, slots=True)
class Restriction:
    """The restrictions of a room while its node is overloaded, each for a share of its cameras, 0 to 1: `unread` leaves
    out unwatched layers, `slow` leaves small pictures their lowest temporal layers, `speaker_only` pauses cameras
    except the last speaker's, `small` leaves out large layers, and `sound_only` pauses cameras. `screens` pauses
    screens.
    """

    unread: float = 0.0
    slow: float = 0.0
    speaker_only: float = 0.0
    small: float = 0.0
    sound_only: float = 0.0
    screens: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """The tracks to which the parts of a restriction apply."""

    unread: frozenset[str] = frozenset()
    slow: frozenset[str] = frozenset()
    small: frozenset[str] = frozenset()
    paused: frozenset[str] = frozenset()

    def differing(self, other: "LeftOut") -> frozenset[str]:
        """Return the tracks that viewers see differently."""
        return (self.slow ^ other.slow) | (self.small ^ other.small) | (self.paused ^ other.paused)


NO_RESTRICTION = Restriction()
NOTHING = LeftOut()


def choose_left_out(restriction: Restriction, videos: Iterable[UpTrack], spoke: Iterable[str]) -> LeftOut:
    """Choose the tracks to leave out: first cameras of those who never spoke, then of those who have been silent for
    longest, and the speaker's last. `videos` and `spoke`, the participants who have spoken, are in order of time.
    Cameras that nobody sees are most of those in a large room, and pausing them saves nothing.
    """
    if restriction == NO_RESTRICTION:
        return NOTHING
    cameras: list[UpTrack] = []
    screens: list[UpTrack] = []
    for uptrack in videos:
        (screens if uptrack.source is Source.SCREEN else cameras).append(uptrack)
    places = {participant: place for place, participant in enumerate(spoke)}
    cameras.reverse()  # the newest participants first
    cameras.sort(key=lambda uptrack: places.get(uptrack.participant, -1))
    shown = [uptrack for uptrack in cameras if uptrack.watchers]
    paused = {*_first(shown[:-1], restriction.speaker_only), *_first(shown, restriction.sound_only)}
    return LeftOut(
        frozenset(_first(cameras, restriction.unread) + (_first(screens, 1.0) if restriction.unread else [])),
        frozenset(_first(shown[:-1], restriction.slow)),
        frozenset(_first(shown, restriction.small)),
        frozenset(paused.union(_first(screens, 1.0) if restriction.screens else [])),
    )


def _first(uptracks: Sequence[UpTrack], share: float) -> list[str]:
    """Return the first tracks, up to this share of them."""
    return [uptrack.track for uptrack in uptracks[: math.ceil(share * len(uptracks))]]
