"""Backup tracks: what a subscriber cannot decode is asked for in VP8 as well, which everything decodes.

Only publishers with signaling can be asked. While nobody has lacked a track for a while its backup is stopped again.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from sfu.api.signaling import Backup
from sfu.formats.codecs import Codec
from sfu.rooms.uptrack import CODEC_NAMES, UpTrack

if TYPE_CHECKING:
    from sfu.rooms.room import Room

CODEC = Codec.VP8
_KEEP_NS = 10_000_000_000


class Backups:
    """One per room: who lacks which tracks, and which publishers were asked (in which session) for a backup."""

    def __init__(self, room: "Room") -> None:
        self._room = room
        self._lacking: dict[str, frozenset[str]] = {}
        self._asked: dict[str, int] = {}
        self._unneeded_since: dict[str, int] = {}

    def lacks(self, participant: str, tracks: Iterable[UpTrack]) -> None:
        """Take the tracks that a participant wants and cannot decode as they are published."""
        lacking = frozenset(uptrack.track for uptrack in tracks if uptrack.codec is not CODEC)
        if lacking:
            self._lacking[participant] = lacking
        else:
            self._lacking.pop(participant, None)

    def update(self, now: int) -> None:
        """Ask publishers for backups, and to stop those that nobody needs any more."""
        room = self._room
        for gone in self._lacking.keys() - room.participants.keys():
            del self._lacking[gone]
        for gone in self._asked.keys() - room.uptracks.keys():
            del self._asked[gone]
            self._unneeded_since.pop(gone, None)
        needed = {track for tracks in self._lacking.values() for track in tracks} & room.uptracks.keys()
        for track in needed:
            self._unneeded_since.pop(track, None)
            session = self._session_of(track)
            if session is not None and self._asked.get(track) != session:
                self._asked[track] = session
                self._tell(session, track, wanted=True)
        for track in self._asked.keys() - needed:
            if now - self._unneeded_since.setdefault(track, now) >= _KEEP_NS:
                del self._asked[track], self._unneeded_since[track]
                session = self._session_of(track)
                if session is not None:
                    self._tell(session, track, wanted=False)

    def _session_of(self, track: str) -> int | None:
        publisher = self._room.participants.get(self._room.uptracks[track].participant)
        return publisher.session if publisher is not None else None

    def _tell(self, session: int, track: str, *, wanted: bool) -> None:
        self._room.context.outbox.tell(session, Backup(track=track, codec=CODEC_NAMES[CODEC], wanted=wanted))

    def attach(self, backup: UpTrack) -> None:
        """A publisher sends a backup; one that is not of a track of its own is shown to nobody."""
        uptrack = self._room.uptracks.get(backup.backup_of)
        if uptrack is not None and (uptrack.participant, uptrack.source) == (backup.participant, backup.source):
            uptrack.backup = backup

    def detach(self, backup: UpTrack) -> None:
        """A publisher has stopped a backup."""
        uptrack = self._room.uptracks.get(backup.backup_of)
        if uptrack is not None and uptrack.backup is backup:
            uptrack.backup = None
