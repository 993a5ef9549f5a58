"""The peer of a track that is made here. Its packets go through the engine as if from a peer without a far end: nothing
is reported to it or requested from it.
"""

from sfu.engine.contract import Leftover, LeftoverKind, PeerEntry
from sfu.peers.context import Context, random_ssrc
from sfu.peers.plain_peer import PlainPeer
from sfu.peers.publish.publish_peer import PublishPeer
from sfu.peers.publish.uptrack import UpTrack

_NOWHERE = ("", 0)


class InnerPeer(PublishPeer):
    """A peer with one uptrack, and nothing to send."""

    def __init__(self, context: Context, uptrack: UpTrack, now: int) -> None:
        super().__init__(context, uptrack.participant, PlainPeer(context, None), now)
        context.engine.set_peer(PeerEntry(self.peer.number, receive_extensions=uptrack.media.extensions))
        self.uptrack = self.uptracks[uptrack.media.mid] = uptrack

    def begin_stream(self, now: int) -> int:
        """Expect a new stream in place of the previous one; return its SSRC."""
        for stream in self.uptrack.streams:
            for watcher in self.uptrack.watchers:
                watcher.stream_gone(stream.number)
        self._registry.forget(self.uptrack)
        ssrc = random_ssrc()
        self._registry.register(self.uptrack, ssrc, "", None)
        for watcher in self.uptrack.watchers:
            watcher.choose(now)
        return ssrc

    def leftover(self, rtp: bytes, now: int) -> Leftover:
        """Return a packet of the track in the engine's form."""
        return Leftover(LeftoverKind.UNKNOWN_SSRC, self.peer.number, rtp, _NOWHERE, 0, now)

    def timer(self) -> int | None:
        return None

    def handle_timer(self, now: int) -> None:
        """Nothing is due."""

    def close(self) -> None:
        """Leave the engine's table."""
        self._registry.forget(self.uptrack)
        self._context.engine.remove_peer(self.peer.number)
