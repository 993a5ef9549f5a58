"""Layers that nobody watches: publishers may stop sending them (Dynacast); an overloaded node does not read them."""

from collections.abc import Iterable

from sfu.api.signaling import Layers
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.layers.layer_options import ALL_LAYERS
from sfu.peers.publish.uptrack import UpTrack
from sfu.rooms.layer_wishes import wanted_of
from sfu.rooms.room import Room
from sfu.rooms.taps import RoomTaps


class UnwatchedLayers:
    """The unwatched layers of one room. Streams that are left unread are known by their numbers."""

    def __init__(self, room: Room, taps: RoomTaps) -> None:
        self._room = room
        self._taps = taps
        self._unread: set[int] = set()

    def forget_others(self, uptracks: Iterable[UpTrack]) -> None:
        """Forget streams of tracks other than these, which exist no more."""
        self._unread &= {stream.number for uptrack in uptracks for stream in uptrack.streams}

    def tell(self, uptrack: UpTrack, ladder: LayerLadder, now: int, *, hasty: bool) -> None:
        """Let unwatched layers of a track rest: at the publisher if it can be told, or at its node.

        `hasty`: the node has no time for them, so those that arrive all the same are not read.
        """
        wanted = wanted_of(self._room, self._taps, uptrack)
        publisher = self._room.participants.get(uptrack.participant)
        if publisher is not None and publisher.link is not None:
            self._room.links[publisher.link].wish(uptrack, ladder, wanted, now)
            return
        session = publisher.session if publisher is not None else None
        if session is None and not hasty and not self._unread:
            return
        if session is None and not hasty:  # streams of publishers that cannot be told are read again
            wanted = dict.fromkeys(uptrack.streams, ALL_LAYERS)
        active = ladder.demand(wanted, now, uptrack.media.rids, hasty=hasty)
        if active is None:
            return
        self._leave_unread(uptrack, active, hasty=hasty)
        if session is None:
            return
        told = (session, tuple(active))
        if told != ladder.told and (ladder.told is not None or len(active) < len(uptrack.streams)):
            ladder.told = told
            self._room.context.outbox.tell(session, Layers(track=uptrack.track, active=active))

    def _leave_unread(self, uptrack: UpTrack, active: list[str], *, hasty: bool) -> None:
        """Leave unread, while the node is overloaded, layers that arrive although they may rest."""
        for stream in uptrack.streams:
            leaves = hasty and stream.rid not in active
            if leaves != (stream.number in self._unread):
                self._room.context.engine.set_shed(stream.number, leaves)
                (self._unread.add if leaves else self._unread.discard)(stream.number)
                if leaves:
                    stream.leave_unread()
                else:
                    stream.read_again()
