"""Share of one publish peer in its uplink: what we do while other flows, such as an upload, use it too.

The queue, which is theirs, is hidden from the publisher's estimator, and REMB limits its rate to the share. Without
REMB neither is done, since a publisher that only losses limit would leave too little to the others.
"""

from sfu.formats.rtcp import ReceiverEstimate
from sfu.machines.congestion.shared_uplink import SharedUplink
from sfu.machines.congestion.uplink_delay import UplinkWindow
from sfu.peers.context import Context

_NO_LIMIT = 100_000_000.0  # bits/s
_TOLD_CHANGE = 0.03


class UplinkShare:
    """The share of one publish peer. `takes_limits` is true if the peer has agreed to REMB."""

    def __init__(self, context: Context, peer: int, ssrc: int) -> None:
        self.takes_limits = False
        self._context = context
        self._peer = peer
        self._ssrc = ssrc
        self._uplink = SharedUplink()
        self._told: float | None = None

    def waited(self, window: UplinkWindow) -> bool:
        """Take a window of feedback in which packets waited, or others filled the queue; return True if there is a new
        limit.
        """
        if not self.takes_limits:
            return False
        if self._uplink.update(window):
            self._context.engine.hide_queue(self._peer, self._uplink.is_shared)
            self._context.counters["uplinks_shared"] += self._uplink.is_shared
        share, told = min(self._uplink.share, _NO_LIMIT), self._told or _NO_LIMIT
        if abs(share - told) <= _TOLD_CHANGE * told:
            return False
        self._told = share
        return True

    @property
    def queue(self) -> int:
        """The time (ns) that packets wait while others fill the queue, 0 if they do not."""
        return self._uplink.queue

    def lost(self, now: int) -> None:
        """Note that packets were lost on the way."""
        self._uplink.lost(now)

    def limits(self) -> list[ReceiverEstimate]:
        """Return the newest limit, which is repeated in case it is lost; none if there never was one."""
        return [ReceiverEstimate(self._ssrc, int(self._told), ())] if self._told is not None else []
