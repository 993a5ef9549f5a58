"""A room with the services that run it: taps, adaptation, backups, quality."""

from typing import NamedTuple

from sfu.peers.context import Context
from sfu.peers.sinks.sinks import Sinks
from sfu.rooms.adaptation import Adaptation
from sfu.rooms.backups import Backups
from sfu.rooms.notice import Notice
from sfu.rooms.offering import Offerings
from sfu.rooms.peer_index import PeerIndex
from sfu.rooms.quality import RoomQuality
from sfu.rooms.room import Room
from sfu.rooms.taps import RoomTaps
from sfu.rooms.transcoding import Transcoding


class RoomKey(NamedTuple):
    """A room's place in the schedule."""

    room: str


class LiveRoom(Room):
    """Each service sees only the room's data. `peers` and `transcoding` are the node's.

    `notices` are being heard or wait for their listeners.

    While a room `is_still`, with neither audio nor video, the node checks it less often.
    """

    def __init__(
        self,
        room: str,
        context: Context,
        peers: "PeerIndex[LiveRoom]",
        sinks: Sinks,
        now: int,
        *,
        transcoding: "Transcoding[LiveRoom]",
    ) -> None:
        super().__init__(room, context, now)
        self.peers = peers
        self.transcoding = transcoding
        self.taps = RoomTaps(self, sinks)
        self.adaptation = Adaptation(self, self.taps)
        self.backups = Backups(self)
        self.offerings = Offerings(self)
        self.quality = RoomQuality(self, self.adaptation.rests)
        self.is_still = False
        self.notices: list[Notice] = []

    def stir(self, now: int) -> None:
        """Note that media flows again, or that something has a time now, perhaps after the room was still."""
        self.adaptation.stir(now)
        if self.is_still:
            self.is_still = False
            self.context.schedule.hasten(RoomKey(self.room), now)
