"""State of adaptation for one subscriber: what it was granted, and when that has to be looked at again."""

from collections.abc import Mapping

from sfu.machines.congestion.dips import Dips
from sfu.machines.layers.layer_allocator import LayerAllocator
from sfu.peers.layers.layer_ladder import LayerLadder
from sfu.peers.layers.layer_options import LayerOption
from sfu.peers.subscribe.downtrack import DownTrack
from sfu.peers.subscribe.subscribe_peer import SubscribePeer

UNLIMITED = 1e12
"""The rate (bits/s) of a link that is not estimated."""
PROBE_MARGIN = 1.2
"""A rise needs headroom: this multiple of the wanted rate must be known to fit."""
_SPARE = 200_000.0  # audio (bits/s) that may be added before the next check


class AdaptedSubscriber:
    """State of adaptation for one subscribe peer."""

    def __init__(self, subscribe_peer: SubscribePeer) -> None:
        self.subscribe_peer = subscribe_peer
        self.allocator: LayerAllocator[str] = LayerAllocator()
        self.dips = Dips()
        self.paused: dict[str, str] = {}
        """Reasons for pauses, by track."""
        self.session: int | None = None
        self.enough = UNLIMITED
        """The estimate above which no new allocation is needed while nothing else that it depends on changes."""
        self.prices = 0
        self._seen: tuple[object, ...] = ()
        self.carried: list[tuple[LayerLadder, LayerOption]] = []
        self.audio = 0.0
        self.spared: dict[str, DownTrack] = {}
        """Audio tracks left out."""
        self._pictures: list[DownTrack] = []
        self._added = 0

    def is_settled(self, session: int | None, ladders: Mapping[str, LayerLadder]) -> bool:
        """Return True if an allocation would give the same result again: everything wanted, with room to spare."""
        bandwidth = self.subscribe_peer.bandwidth
        if self.enough >= UNLIMITED or self.session != session or bandwidth is None:
            return False
        return bandwidth.rate >= self.enough and self._look(ladders) == self._seen

    def allocated(self, ladders: Mapping[str, LayerLadder]) -> None:
        """Note that an allocation was made."""
        self._seen = self._look(ladders)

    @property
    def is_short(self) -> bool:
        """True if the estimate has become too low for another allocation to be needless."""
        bandwidth = self.subscribe_peer.bandwidth
        return bandwidth is not None and bandwidth.rate < self.enough

    def reprice(self) -> float:
        """Return the cost (bits/s) of what is carried if that is everything wanted, and set `enough` from it."""
        cost = self.audio + sum(ladder.cost(option.stream) * option.share for ladder, option in self.carried)
        self.enough = cost * PROBE_MARGIN + _SPARE
        return cost

    def _look(self, ladders: Mapping[str, LayerLadder]) -> tuple[object, ...]:
        """Return the properties of the subscribe peer, and of the layers of what it shows, on which allocation
        depends. Other tracks do not matter, of which a large room has many.
        """
        downtracks = self.subscribe_peer.downtracks
        if self.subscribe_peer.ever_added != self._added:
            self._added = self.subscribe_peer.ever_added
            self._pictures = [downtrack for downtrack in downtracks.values() if downtrack.kind == "video"]
        return tuple(
            [
                (
                    uptrack,
                    shown.wanted,
                    shown.wanted_rid,
                    shown.wanted_layer,
                    shown.granted,
                    shown.layer,
                    ladders[uptrack.track].changes if uptrack.track in ladders else -1,
                )
                for shown in self._pictures
                if (uptrack := shown.uptrack) is not None
            ]
        )
