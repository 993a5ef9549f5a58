"""Backup tracks: a track that a subscriber cannot decode is requested in VP8 as well, which everything decodes.

Only publishers with signaling can be asked; those on another node are asked through that node. A backup that nobody has
needed for a while is stopped.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sfu.api.signaling import Backup
from sfu.formats.codecs import Codec
from sfu.peers.publish.uptrack import CODEC_NAMES, UpTrack
from sfu.rooms.room import Room

CODEC = Codec.VP8
_KEEP_NS = 10_000_000_000


class _Whom(NamedTuple):
    """The publisher that is asked for a backup: a session here, or the node behind a link."""

    session: int | None = None
    link: int | None = None


class Backups:
    """Tracks that participants of a room cannot decode, and publishers asked for a backup (by session or link)."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._lacking: dict[str, frozenset[str]] = {}
        self._lacking_beyond: dict[int, frozenset[str]] = {}
        self._asked: dict[str, _Whom] = {}
        self._unneeded_since: dict[str, int] = {}

    def lacks(self, participant: str, tracks: Iterable[UpTrack]) -> None:
        """Take the tracks that a participant wants and cannot decode as they are published."""
        lacking = frozenset(uptrack.track for uptrack in tracks if uptrack.codec is not CODEC)
        if lacking:
            self._lacking[participant] = lacking
        else:
            self._lacking.pop(participant, None)

    def lacks_beyond(self, link: int, tracks: Iterable[str]) -> None:
        """Take the tracks that somebody on another node cannot decode."""
        self._lacking_beyond[link] = frozenset(tracks)

    def update(self, now: int) -> None:
        """Ask publishers for backups, and to stop those that nobody needs any more."""
        room = self._room
        for gone in self._lacking.keys() - room.participants.keys():
            del self._lacking[gone]
        for gone in self._asked.keys() - room.uptracks.keys():
            del self._asked[gone]
            self._unneeded_since.pop(gone, None)
        for lost in self._lacking_beyond.keys() - room.links.keys():
            del self._lacking_beyond[lost]
        lacking = [*self._lacking.values(), *self._lacking_beyond.values()]
        needed = {track for tracks in lacking for track in tracks} & room.uptracks.keys()
        for track in needed:
            self._unneeded_since.pop(track, None)
            whom = self._whom(track)
            if whom is not None and self._asked.get(track) != whom:
                self._asked[track] = whom
                self._tell(whom, track, wanted=True)
        for track in self._asked.keys() - needed:
            if now - self._unneeded_since.setdefault(track, now) >= _KEEP_NS:
                del self._asked[track], self._unneeded_since[track]
                self._tell(self._whom(track), track, wanted=False)
        for number, link in room.links.items():
            link.need_backups(track for track, whom in self._asked.items() if whom == _Whom(link=number))

    def _whom(self, track: str) -> "_Whom | None":
        publisher = self._room.participants.get(self._room.uptracks[track].participant)
        whom = _Whom(publisher.session, publisher.link) if publisher is not None else _Whom()
        return whom if whom != _Whom() else None

    def _tell(self, whom: "_Whom | None", track: str, *, wanted: bool) -> None:
        """Ask a publisher on this node; for others see `CascadeLink.need_backups`."""
        if whom is not None and whom.session is not None:
            said = Backup(track=track, codec=CODEC_NAMES[CODEC], wanted=wanted)
            self._room.context.outbox.tell(whom.session, said)

    def attach(self, backup: UpTrack) -> None:
        """Take a publisher's backup; it is shown to nobody unless it is of the publisher's own track."""
        uptrack = self._room.uptracks.get(backup.backup_of)
        if uptrack is not None and (uptrack.participant, uptrack.source) == (backup.participant, backup.source):
            uptrack.backup = backup

    def detach(self, backup: UpTrack) -> None:
        """Note that a publisher has stopped a backup."""
        uptrack = self._room.uptracks.get(backup.backup_of)
        if uptrack is not None and uptrack.backup is backup:
            uptrack.backup = None
